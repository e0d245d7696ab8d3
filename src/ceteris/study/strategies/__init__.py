"""How the best recipe of a model is searched: what a strategy is, and the table of them, one file for each way to search.

A search is a generator that asks for trials, receives their records and returns what it found for one model. It neither
trains nor knows who does. It decides on records alone, so that a study that was stopped takes the same way again when it
goes on. All that the rest of the house wants to know of a strategy it asks its :class:`Strategy`.

To add one: its part of a study file in ``ceteris.study.study``, its file here with a :class:`Strategy`, its line in the table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ceteris.findings import Candidate, FactorFinding, FactorPath, Interaction, LevelFinding, SearchSummary
from ceteris.recipe import Recipe
from ceteris.study.study import ModelSpec, Study, varied
from ceteris.study.trials import Experiment, ExperimentContext, exploration_trials, train

__all__ = [
    "SAME_BLOCKS",
    "STRATEGIES",
    "Search",
    "SearchResult",
    "Strategy",
    "search_of",
    "strategy_named",
    "strategy_of",
]

# By the name in a study file: module and object, which are imported only when they are asked for.
STRATEGIES = {
    "greedy": "greedy:GREEDY",
    "one-at-a-time": "greedy:ONE_AT_A_TIME",
    "leave-one-out": "greedy:LEAVE_ONE_OUT",
    "factorial": "factorial:FACTORIAL",
    "joint": "joint:JOINT",
    "race": "race:RACE",
    "halving": "halving:HALVING",
}

SAME_BLOCKS = "on the same folds and the same random numbers"


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Where a strategy went with one model: from the baseline to the best recipe, and what it found on the way.

    The fields are those of ``ModelFinding``; ``sure`` is the recipe of the choices that are sure to help, None where the
    findings tell it.
    """

    model: ModelSpec
    best: Recipe
    search: SearchSummary
    factors: tuple[FactorFinding, ...] = ()
    ablation: tuple[FactorFinding, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    trainings_saved: int = 0
    cross_validated: LevelFinding | None = None
    sure: Recipe | None = None


Search = Experiment[SearchResult]


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """A way to search; callables without a model take the strategy's own part of a study (``Joint``, say) or the study.

    ``name``, ``how`` (what it does, in one or two sentences) and ``limits`` are its words. ``check`` refuses a study that
    cannot be searched as it asks. ``upper_bound`` is the strategy in which nothing leaves early: the most that this one can
    train. ``leaves_early`` says whether it may train less than that. ``follows_choices`` says that what it trains depends on
    how many levels were kept, so that a plan has to let some win.
    """

    search: Callable[[ExperimentContext, ModelSpec], Search]
    name: str
    how: str
    limits: str
    check: Callable[[Study], None] = lambda study: None
    upper_bound: Callable[[Any], Any] = lambda strategy: strategy
    leaves_early: Callable[[Any], bool] = lambda strategy: False
    follows_choices: bool = False


def strategy_named(name: str) -> Strategy:
    """Return a strategy by its name in a study file."""
    module, _, attribute = STRATEGIES[name].partition(":")
    found = getattr(import_module(f"{__name__}.{module}"), attribute)
    assert isinstance(found, Strategy)
    return found


def strategy_of(study: Study) -> Strategy:
    """Return the strategy that a study asks for."""
    return strategy_named(study.strategy.kind)


def search_of(context: ExperimentContext, model: ModelSpec) -> Search:
    """Return the search for the best recipe of one model, as the study's strategy makes it."""
    if varied(context.study, model.name):
        return strategy_of(context.study).search(context, model)
    return as_given(context, model)


def as_given(context: ExperimentContext, model: ModelSpec) -> Search:
    """Take a model as it is, as nothing of it is varied; it is cross-validated where the study asks for that."""
    from ceteris.study.strategies.comparison import (
        level_finding,  # which a plan of nothing but strategies' names spares
    )

    found = None
    if context.study.exploration.all_models:
        trials = {model.name: exploration_trials(context, model.recipe)}
        records = yield from train(model.name, "cross-validation", trials)
        found = level_finding(model.title, records[model.name])
    path = FactorPath(factors=0, around="best", changed=0)
    return SearchResult(model=model, best=model.recipe, search=path, cross_validated=found)
