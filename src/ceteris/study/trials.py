"""From a recipe to its trials: one for every block, and those that meet the test set at the end."""

import hashlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from ceteris.recipe import CustomLoss, CustomModel, Recipe
from ceteris.records import CrossValidationSplit, HoldoutSplit, Trial
from ceteris.study.study import Study
from ceteris.training import execution_of


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is the same for all trials of a study: the study, the digest of its training data and the device."""

    study: Study
    data: str
    device: str


def exploration_trials(setting: Setting, recipe: Recipe) -> tuple[Trial, ...]:
    """Return the trials of one arm, one per block: every fold of every seed, in this order."""
    exploration = setting.study.exploration
    root = setting.study.seed
    return tuple(
        Trial(
            recipe=recipe,
            data=setting.data,
            # Repeated cross-validation: every repetition has folds of its own.
            split=CrossValidationSplit(
                folds=exploration.folds, index=fold, seed=root + repetition, images=exploration.images
            ),
            seed=root + repetition,
            execution=execution_of(recipe, setting.device),
            code=code_digest(recipe),
        )
        for repetition in range(exploration.seeds)
        for fold in range(exploration.folds)
    )


def final_trials(setting: Setting, recipe: Recipe) -> tuple[Trial, ...]:
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
            code=code_digest(recipe),
        )
        for number in range(final.seeds)
    )


def without_residual(recipe: Recipe) -> Recipe | None:
    """Return the recipe with its residual connections off and everything else equal; None where there are none."""
    if recipe.model.kind != "resnet" or not recipe.model.residual:
        return None
    return replace(recipe, model=replace(recipe.model, residual=False))


def code_digest(recipe: Recipe) -> str:
    """Return the digest of the source of the user's own code in a recipe, '' when there is none or it has no file."""
    paths = [part.path for part in (recipe.model, recipe.loss) if isinstance(part, CustomModel | CustomLoss)]
    return hashlib.sha256(b"".join(map(_source, paths))).hexdigest() if paths else ""


def _source(path: str) -> bytes:
    module, _, names = path.partition(":")
    try:
        spec = importlib.util.find_spec(module)
        if spec and spec.origin and Path(spec.origin).is_file():
            return Path(spec.origin).read_bytes()
    except (ImportError, ValueError):
        pass  # a module without a file, such as a notebook: its class may still tell its source
    try:
        return inspect.getsource(getattr(sys.modules[module], names.split(".")[0])).encode()
    except (KeyError, AttributeError, OSError, TypeError):
        return b""
