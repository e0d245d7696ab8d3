"""How the best recipe of a model is searched: one file per way to search, and the table of them.

To add one: its part of a study file in ``ceteris.study.study``, its file here with a :class:`Strategy`, its line in the table.
"""

from importlib import import_module

from ceteris.study.strategies.protocol import Search, SearchResult, Strategy
from ceteris.study.study import ModelSpec
from ceteris.study.trials import ExperimentContext

__all__ = ["STRATEGIES", "Search", "SearchResult", "Strategy", "search_of", "strategy_named"]

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


def strategy_named(name: str) -> Strategy:
    """Return a strategy by its name in a study file."""
    module, _, attribute = STRATEGIES[name].partition(":")
    found = getattr(import_module(f"{__name__}.{module}"), attribute)
    assert isinstance(found, Strategy)
    return found


def search_of(context: ExperimentContext, model: ModelSpec) -> Search:
    """Return the search for the best recipe of one model, as the study's strategy makes it."""
    return strategy_named(context.study.strategy.kind).search(context, model)
