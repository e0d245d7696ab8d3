"""One model's way through a study: explore by the strategy, confirm on fresh seeds, train what will meet the test set."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from ceteris.execution.queue import Records, Request
from ceteris.findings import Confirmation, Version
from ceteris.recipe import Recipe
from ceteris.records import Record, Trial
from ceteris.study.confirmation import confirm
from ceteris.study.strategies import SearchResult, Strategy, strategy_of
from ceteris.study.study import ModelSpec
from ceteris.study.trials import ExperimentContext, final_trials, without_residual


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """What became of one model: its path, its confirmation, and one record per seed of every version."""

    route: SearchResult
    confirmation: Confirmation | None
    finals: Mapping[Version, tuple[Record, ...]]


def model_experiment(
    setting: ExperimentContext, model: ModelSpec, search: Strategy = strategy_of
) -> Generator[Request, Records, ModelResult]:
    """Explore a model, confirm what was found, then train baseline, best and, for a ResNet, the best without shortcuts.

    ``search`` explores; without it the study's strategy does.
    """
    route = yield from search(setting, model)
    confirmation = yield from confirm(setting, model, route.best)
    trials = {
        version: final_trials(setting, recipe) for version, recipe in final_recipes(model.recipe, route.best).items()
    }
    records = yield _final_request(model.name, trials)
    finals = {version: tuple(records[trial.digest] for trial in of_version) for version, of_version in trials.items()}
    return ModelResult(route=route, confirmation=confirmation, finals=finals)


def final_recipes(baseline: Recipe, best: Recipe) -> dict[Version, Recipe]:
    """Return the recipes that are trained on the whole training set."""
    recipes: dict[Version, Recipe] = {"baseline": baseline, "best": best}
    plain = without_residual(best)
    return recipes | ({"plain": plain} if plain else {})


def _final_request(model: str, trials: Mapping[Version, tuple[Trial, ...]]) -> Request:
    return Request(
        model=model,
        stage="final",
        trials=tuple(trial for of_version in trials.values() for trial in of_version),
        labels=tuple(version for version, of_version in trials.items() for _ in of_version),
        kind="final",
    )
