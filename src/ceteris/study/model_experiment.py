"""One model's way through a study: explore by the strategy, confirm on fresh seeds, train what will meet the test set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ceteris.findings import Confirmation, SourceOfLuck, Version
from ceteris.recipe import Recipe
from ceteris.records import Record
from ceteris.study.decide import accuracies, compare_blocks
from ceteris.study.luck import sources_of_luck
from ceteris.study.strategies import Search, SearchResult, search_of
from ceteris.study.study import ModelSpec
from ceteris.study.trials import (
    Experiment,
    ExperimentContext,
    confirmation_trials,
    final_trials,
    train,
    without_residual,
)


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """What became of one model: what the search found, its confirmation, and one record per seed of every version."""

    found: SearchResult
    confirmation: Confirmation | None
    finals: Mapping[Version, tuple[Record, ...]]
    luck: tuple[SourceOfLuck, ...] = ()


def model_experiment(
    context: ExperimentContext,
    model: ModelSpec,
    search: Callable[[ExperimentContext, ModelSpec], Search] = search_of,
) -> Experiment[ModelResult]:
    """Explore a model, confirm what was found, then train baseline, best and, for a ResNet, the best without shortcuts.

    ``search`` explores; without it the study's strategy does.
    """
    found = yield from search(context, model)
    confirmation = yield from confirm(context, model, found.best)
    recipes: dict[Version, Recipe] = {"baseline": model.recipe, "best": found.best}
    if plain := without_residual(found.best):
        recipes["plain"] = plain
    trials = {version: final_trials(context, recipe) for version, recipe in recipes.items()}
    records = yield from train(model.name, "final", trials, "final")
    finals = {version: tuple(of_version) for version, of_version in records.items()}
    luck = yield from sources_of_luck(context, model, found.best)
    return ModelResult(found=found, confirmation=confirmation, finals=finals, luck=luck)


def confirm(context: ExperimentContext, model: ModelSpec, best: Recipe) -> Experiment[Confirmation | None]:
    """Compare baseline and best on fresh repetitions; None where the baseline stayed the best or no repetition is asked.

    The best of many noisy results is better on the blocks that chose it than anywhere else: only the difference on blocks
    that no choice has seen is the improvement.
    """
    study = context.study
    if best == model.recipe or not study.confirmation.seeds:
        return None
    trials = {"baseline": confirmation_trials(context, model.recipe), "best": confirmation_trials(context, best)}
    records = yield from train(model.name, "confirmation", trials, "confirmation")
    baseline, improved = accuracies(records["baseline"]), accuracies(records["best"])
    comparisons = compare_blocks(study, baseline, {"best": improved})
    return Confirmation(baseline=baseline, best=improved, comparison=comparisons.get("best"))
