"""Every level against the baseline alone; then all levels that were better are put together."""

from ceteris.fields import difference, merged
from ceteris.findings import FactorPath
from ceteris.recipe import Recipe
from ceteris.study.strategies.comparing import Comparing, compare_factor
from ceteris.study.strategies.evidence import request_of
from ceteris.study.strategies.protocol import Search, SearchResult
from ceteris.study.strategies.purse import Purse
from ceteris.study.study import ModelSpec, factors_of
from ceteris.study.trials import ExperimentContext, exploration_trials


def one_at_a_time(setting: ExperimentContext, model: ModelSpec, compare: Comparing | None = None) -> Search:
    """Explore every factor of one model around its baseline; ``compare`` as for :func:`compare_factor`."""
    purse = Purse(setting)
    found, chosen = [], list[Recipe]()
    for factor in factors_of(setting.study, model.name):
        compared = yield from compare_factor(setting, model.name, factor, model.recipe, purse, compare)
        found.append(compared.finding)
        chosen.append(compared.best)
    if not found:
        yield request_of(model.name, "baseline", {"baseline": exploration_trials(setting, model.recipe)})
    best = merged(model.recipe, chosen)
    changed = sum(bool(difference(model.recipe, recipe)) for recipe in chosen)
    path = FactorPath(factors=len(found), around="baseline", changed=changed)
    return SearchResult(model=model, best=best, factors=tuple(found), search=path)
