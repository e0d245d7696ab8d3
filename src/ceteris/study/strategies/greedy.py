"""The greedy strategy: a baseline, then one factor after another, each time keeping the best setting found so far."""

from ceteris.fields import difference
from ceteris.findings import FactorPath
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
    best, found, changed = model.recipe, [], 0
    for factor in factors_of(setting.study, model.name):
        compared = yield from compare_factor(setting, model.name, factor, best, purse, compare)
        found.append(compared.finding)
        changed += bool(difference(best, compared.best))
        best = compared.best
    if not found:
        yield request_of(model.name, "baseline", {"baseline": exploration_trials(setting, best)})
    path = FactorPath(factors=len(found), around="best", changed=changed)
    return SearchResult(model=model, best=best, factors=tuple(found), search=path)
