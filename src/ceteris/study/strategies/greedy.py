"""The greedy strategy: a baseline, then one factor after another, each time keeping the best setting found so far."""

from ceteris.study.strategies.comparing import Comparing, compare_factor
from ceteris.study.strategies.evidence import request_of
from ceteris.study.strategies.protocol import Search, SearchResult
from ceteris.study.strategies.purse import Purse
from ceteris.study.study import ModelSpec, factors_of
from ceteris.study.trials import ExperimentContext, exploration_trials


def greedy(
    setting: ExperimentContext, model: ModelSpec, purse: Purse | None = None, compare: Comparing | None = None
) -> Search:
    """Explore one model's factors in the order of the study; ``compare`` as for :func:`compare_factor`."""
    purse = purse or Purse(setting)
    best, found = model.recipe, []
    for factor in factors_of(setting.study, model.name):
        compared = yield from compare_factor(setting, model.name, factor, best, purse, compare)
        found.append(compared.finding)
        best = compared.best
    if not found:
        yield request_of(model.name, "baseline", {"baseline": exploration_trials(setting, best)})
    return SearchResult(model=model, best=best, factors=tuple(found), summary=_summary(len(found)))


def _summary(factors: int) -> str:
    if not factors:
        return "No factor was explored: the baseline alone was trained."
    return (
        f"{factors} factors were explored one after another, each around the best setting so far. A combination that only "
        "works together can be missed, and the order of the factors matters."
    )
