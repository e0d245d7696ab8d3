"""What is each choice of the final stack worth? The greedy way first, then every choice put back to the baseline."""

from collections.abc import Generator, Mapping
from dataclasses import replace

from ceteris.execution.queue import Records, Request
from ceteris.fields import describe_fields, difference, merged
from ceteris.findings import FactorFinding
from ceteris.recipe import Recipe
from ceteris.study.strategies.comparing import compare_arms
from ceteris.study.strategies.evidence import factor_finding
from ceteris.study.strategies.greedy import greedy
from ceteris.study.strategies.protocol import Search, SearchResult
from ceteris.study.strategies.purse import Purse
from ceteris.study.study import Factor, ModelSpec, factors_of, nuisances_of
from ceteris.study.trials import ExperimentContext

STACK = "all choices together"


def leave_one_out(setting: ExperimentContext, model: ModelSpec) -> Search:
    """Explore greedily, then compare the best recipe with itself lacking one choice at a time."""
    purse = Purse(setting)
    route = yield from greedy(setting, model, purse)
    lacking = without_one_choice(setting, model, route.best)
    worth = (yield from _compare(setting, model, route.best, lacking, purse)) if lacking else ()
    return replace(route, worth=worth, summary=_summary(route, len(lacking)))


def without_one_choice(setting: ExperimentContext, model: ModelSpec, best: Recipe) -> dict[str, Recipe]:
    """Return factor -> the best recipe with this factor's fields (and what was tuned with them) as in the baseline."""
    found = {}
    for factor in factors_of(setting.study, model.name):
        own = {*factor.fields, *(nuisance.field for nuisance in nuisances_of(factor))}
        back = merged(best, [model.recipe], only=own)
        if difference(best, back):
            found[factor.name] = back
    return found


def _compare(
    setting: ExperimentContext, model: ModelSpec, best: Recipe, lacking: Mapping[str, Recipe], purse: Purse
) -> Generator[Request, Records, tuple[FactorFinding, ...]]:
    factors = {factor.name: factor for factor in factors_of(setting.study, model.name)}
    labels = {name: _label(factors[name], recipe) for name, recipe in lacking.items()}
    arms = {STACK: best} | {labels[name]: recipe for name, recipe in lacking.items()}
    blocks, decision = yield from compare_arms(setting, model.name, "leave one out", arms, STACK, purse)
    found = []
    for name, label in labels.items():
        comparison = decision.comparisons.get(label)
        sentence = comparison.sentence if comparison else f"{label} did not finish."
        own = replace(decision, label=STACK, sentence=sentence, prospect="")
        pair = {STACK: best, label: lacking[name]}
        found.append(factor_finding(factors[name], pair, STACK, {key: blocks[key] for key in pair}, own))
    return tuple(found)


def _label(factor: Factor, recipe: Recipe) -> str:
    return f"{factor.title or factor.name} back to {describe_fields(recipe, factor.fields) or 'the baseline'}"


def _summary(route: SearchResult, choices: int) -> str:
    if not choices:
        return f"{route.summary} The baseline stayed the best, so there is no choice to put back."
    return (
        f"{route.summary} Then each of the {choices} choices that differ from the baseline was put back alone, with all "
        "others kept: the loss is what the choice is worth in the final stack."
    )
