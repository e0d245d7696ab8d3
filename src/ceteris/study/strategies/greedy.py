"""Factor after factor: around the best setting so far, around the baseline alone, or both ways for the final stack.

Greedy keeps the best level of each factor before it goes to the next. One at a time compares every level with the baseline
and puts the winners together. Leave one out goes the greedy way, then takes each choice of the best recipe back alone, with
all others kept: what is it worth there?
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

from ceteris.fields import describe_fields, difference, merged
from ceteris.findings import FactorFinding, FactorPath, PutBack
from ceteris.recipe import Recipe
from ceteris.study.decide import Decision
from ceteris.study.strategies import SAME_BLOCKS, Search, SearchResult, Strategy
from ceteris.study.strategies.comparison import ArmComparison, Budget, Compare, FactorSearch, factor_finding
from ceteris.study.study import ModelSpec, factors_of, nuisances_of
from ceteris.study.trials import ExperimentContext

STACK = "all choices together"


def factor_by_factor(
    context: ExperimentContext,
    model: ModelSpec,
    around: Literal["best", "baseline"] = "best",
    budget: Budget | None = None,
    compare: Compare = ArmComparison.run,
) -> Search:
    """Explore one model's factors in the order of the study, each around the best setting so far or around the baseline.

    Around the baseline, the levels that won are put together at the end. ``compare`` as for :class:`FactorSearch`.
    """
    search = FactorSearch(context=context, model=model, budget=budget or Budget(context), compare=compare)
    best, findings, chosen, changed = model.recipe, list[FactorFinding](), list[Recipe](), 0
    for factor in factors_of(context.study, model.name):
        finding, kept = yield from search.explore(factor, best)
        findings.append(finding)
        chosen.append(kept)
        changed += bool(difference(best, kept))
        best = kept if around == "best" else model.recipe
    if around == "baseline":
        best = merged(model.recipe, chosen)
    path = FactorPath(factors=len(findings), around=around, changed=changed)
    return SearchResult(model=model, best=best, factors=tuple(findings), search=path)


def leave_one_out(context: ExperimentContext, model: ModelSpec) -> Search:
    """Explore greedily, then compare the best recipe with itself lacking one choice at a time."""
    budget = Budget(context)
    found = yield from factor_by_factor(context, model, budget=budget)
    lacking = without_one_choice(context, model, found.best)
    assert isinstance(found.search, FactorPath)
    found = replace(found, search=replace(found.search, put_back=len(lacking)))
    if not lacking:
        return found
    back = {name: f"{name} put back" for name in lacking}
    comparison = ArmComparison(
        context=context,
        model=model.name,
        stage="leave one out",
        arms={STACK: found.best} | {back[name]: recipe for name, recipe in lacking.items()},
        incumbent=STACK,
        budget=budget,
        narrowed=False,
    )
    decision = yield from comparison.run()
    ablation = []
    for factor in factors_of(context.study, model.name):
        if factor.name in lacking:
            arm, label = back[factor.name], describe_fields(lacking[factor.name], factor.fields) or "the baseline"
            compared = {label: decision.comparisons[arm]} if arm in decision.comparisons else {}
            own = Decision(incumbent=STACK, label=STACK, reason=PutBack(), comparisons=compared)
            pair = {STACK: found.best, label: lacking[factor.name]}
            records = {STACK: comparison.records[STACK], label: comparison.records[arm]}
            ablation.append(factor_finding(factor, pair, records, own))
    return replace(found, ablation=tuple(ablation))


def without_one_choice(context: ExperimentContext, model: ModelSpec, best: Recipe) -> Mapping[str, Recipe]:
    """Return factor -> the best recipe with this factor's fields (and what was tuned with them) as in the baseline."""
    found = {}
    for factor in factors_of(context.study, model.name):
        own = {*factor.fields, *(nuisance.field for nuisance in nuisances_of(factor))}
        back = merged(best, [model.recipe], only=own)
        if difference(best, back):
            found[factor.name] = back
    return found


_HOW = (
    f"One technique was changed at a time, {SAME_BLOCKS}. The option that is expected to bring the most, its cost counted, was "
    "taken."
)
GREEDY = Strategy(
    search=factor_by_factor,
    name="greedy, factor by factor",
    how=_HOW,
    limits="The search is greedy, one factor after another; a combination that only works together can be missed, and the "
    "order of the factors matters.",
)
ONE_AT_A_TIME = Strategy(
    search=partial(factor_by_factor, around="baseline"),
    name="one factor at a time, around the baseline",
    how=f"Every option was compared with the baseline alone, {SAME_BLOCKS}; the best bets were then put together.",
    limits="Every effect was measured around the baseline. That the effects add up in the combination is an assumption, "
    "which only the confirmation tests.",
)
LEAVE_ONE_OUT = Strategy(
    search=leave_one_out,
    name="greedy, then every choice left out",
    how=f"{_HOW} Then every choice of the best setting was put back to the baseline alone, with all others kept.",
    limits="The search is greedy, so a combination that only works together can be missed. What a choice is worth holds "
    "within the final stack: two choices that do the same work look worthless, as long as the other one is there.",
    follows_choices=True,
)
