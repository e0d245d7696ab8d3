"""From a recipe to its trials: one for every block, and those that meet the test set at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ceteris.execution.populations import NEVER, Stacking, stacked_folds
from ceteris.recipe import CustomLoss, CustomModel, Recipe
from ceteris.records import CrossValidationSplit, HoldoutSplit, Trial
from ceteris.study.study import Study
from ceteris.training import execution_of
from ceteris.user_code import NO_IMPORTS, ImportPolicy

# Repetitions beyond those of the design: far enough from the study's seed that no number of repetitions meets them.
TUNING_REPETITION = 100_000
CONFIRMATION_REPETITION = 200_000


@dataclass(frozen=True, kw_only=True)
class Extension:
    """More repetitions where the design leaves something undecided, until all is decided or the budget is spent.

    ``budget_seconds`` is wall-clock time of the whole run, None without limit; ``workers`` share it. The repetitions
    double at every look, up to ``most_repetitions``.
    """

    budget_seconds: float | None
    workers: int
    most_repetitions: int = 8


@dataclass(frozen=True, kw_only=True)
class ExperimentContext:
    """What is the same for all trials of a study: the study, the digest of its training data and the device.

    ``images`` is the number of training images. ``extension`` None keeps to the design of the study. ``stacking`` says
    which trials are trained in lockstep as one. ``imports`` says which code of the user's own may be imported.
    """

    study: Study
    data: str
    device: str
    images: int = 0
    extension: Extension | None = None
    stacking: Stacking = NEVER
    imports: ImportPolicy = NO_IMPORTS


def exploration_trials(
    setting: ExperimentContext, recipe: Recipe, repetitions: Sequence[int] | None = None
) -> tuple[Trial, ...]:
    """Return the trials of one arm, one per block: every fold of every repetition, in this order.

    Without ``repetitions`` those of the study's design, 0 to seeds - 1. Every repetition has folds of its own.
    """
    exploration = setting.study.exploration
    alone = tuple(
        block_trial(setting, recipe, repetition, fold)
        for repetition in (range(exploration.seeds) if repetitions is None else repetitions)
        for fold in range(exploration.folds)
    )
    return stacked_folds(alone, setting.stacking)


def block_trial(setting: ExperimentContext, recipe: Recipe, repetition: int, fold: int) -> Trial:
    """Return the trial of a recipe on one block."""
    exploration = setting.study.exploration
    seed = setting.study.seed + repetition
    return Trial(
        recipe=recipe,
        data=setting.data,
        split=CrossValidationSplit(folds=exploration.folds, index=fold, seed=seed, images=exploration.images),
        seed=seed,
        execution=execution_of(recipe, setting.device),
        code=_code_digest(setting, recipe),
    )


def tuning_trial(setting: ExperimentContext, recipe: Recipe) -> Trial:
    """Return the trial on which nuisance parameters are tuned: one fold of a repetition that no comparison uses."""
    return block_trial(setting, recipe, TUNING_REPETITION, 0)


def confirmation_trials(setting: ExperimentContext, recipe: Recipe) -> tuple[Trial, ...]:
    """Return the trials of a recipe on fresh repetitions, which no choice has seen."""
    seeds = setting.study.confirmation.seeds
    return exploration_trials(setting, recipe, range(CONFIRMATION_REPETITION, CONFIRMATION_REPETITION + seeds))


def final_trials(setting: ExperimentContext, recipe: Recipe) -> tuple[Trial, ...]:
    """Return the trainings of one recipe on the whole training set, one per seed."""
    final = setting.study.final
    recipe = replace(recipe, epochs=final.epochs or recipe.epochs)
    root = setting.study.seed
    return tuple(
        Trial(
            recipe=recipe,
            data=setting.data,
            split=HoldoutSplit(fraction=final.validation, seed=root),
            seed=root + number,
            execution=execution_of(recipe, setting.device),
            patience=final.patience,
            keep_weights=True,
            keep_snapshots=final.test_curves and number == 0,
            code=_code_digest(setting, recipe),
        )
        for number in range(final.seeds)
    )


def without_residual(recipe: Recipe) -> Recipe | None:
    """Return the recipe with its residual connections off and everything else equal; None where there are none."""
    if recipe.model.kind != "resnet" or not recipe.model.residual:
        return None
    return replace(recipe, model=replace(recipe.model, residual=False))


def _code_digest(setting: ExperimentContext, recipe: Recipe) -> str:
    """Return the digest of the user's own code in a recipe, '' when there is none; the context says what is allowed."""
    parts = {"model": recipe.model, "loss": recipe.loss}
    own = {name: part.path for name, part in parts.items() if isinstance(part, CustomModel | CustomLoss)}
    return setting.imports.digest(own)
