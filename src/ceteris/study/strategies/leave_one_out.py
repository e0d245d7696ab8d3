"""What is each choice of the final stack worth? The greedy way first, then every choice put back to the baseline."""

from collections.abc import Generator, Mapping
from dataclasses import replace

from ceteris.execution.queue import Records, Request
from ceteris.fields import describe_fields, difference, merged
from ceteris.findings import FactorFinding, FactorPath, PutBack
from ceteris.recipe import Recipe
from ceteris.study.decide import Decision
from ceteris.study.strategies.comparing import compare_arms
from ceteris.study.strategies.evidence import factor_finding
from ceteris.study.strategies.greedy import greedy
from ceteris.study.strategies.protocol import Search
from ceteris.study.strategies.purse import Purse
from ceteris.study.study import ModelSpec, factors_of, nuisances_of
from ceteris.study.trials import ExperimentContext

STACK = "all choices together"


def leave_one_out(setting: ExperimentContext, model: ModelSpec) -> Search:
    """Explore greedily, then compare the best recipe with itself lacking one choice at a time."""
    purse = Purse(setting)
    route = yield from greedy(setting, model, purse)
    lacking = without_one_choice(setting, model, route.best)
    worth = (yield from _compare(setting, model, route.best, lacking, purse)) if lacking else ()
    assert isinstance(route.search, FactorPath)
    return replace(route, worth=worth, search=replace(route.search, put_back=len(lacking)))


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
    arms = {STACK: best} | {f"{name} put back": recipe for name, recipe in lacking.items()}
    blocks, decision = yield from compare_arms(setting, model.name, "leave one out", arms, STACK, purse)
    found = []
    for name, recipe in lacking.items():
        arm, label = f"{name} put back", describe_fields(recipe, factors[name].fields) or "the baseline"
        compared = {label: decision.comparisons[arm]} if arm in decision.comparisons else {}
        own = Decision(label=STACK, reason=PutBack(), comparisons=compared)
        pair, trained = {STACK: best, label: recipe}, {STACK: blocks[STACK], label: blocks[arm]}
        found.append(factor_finding(factors[name], pair, STACK, trained, own))
    return tuple(found)
