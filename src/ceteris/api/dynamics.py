"""Networks that differ in their shortcuts and normalisation, trained once more under observation; and depth by depth."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ceteris.data import ImageSet, split_images
from ceteris.explain.dynamics import (
    REACH,
    along_gradient,
    batch_loss,
    gradient_autocorrelation,
    lesions,
    loss_surface,
    output_variances,
)
from ceteris.explain.residual import gradient_norms
from ceteris.findings import LevelFinding, ModelFinding
from ceteris.insights import ArmCourse, DepthCourse, GradientNorms, NetworkDynamics
from ceteris.models.summary import convolutions
from ceteris.recipe import Recipe
from ceteris.records import Finished, FloatArray, Trial
from ceteris.seeds import stream_seed
from ceteris.store import Store
from ceteris.study.arms import arm, changed
from ceteris.study.residual import CONNECTIONS
from ceteris.study.study import Factor
from ceteris.study.trials import ExperimentContext, block_trial, exploration_trials, without_residual
from ceteris.training.loop import train_step
from ceteris.training.single import single_trainee
from ceteris.user_code import ImportPolicy

DRAWS = 3  # of the initial weights
OBSERVED_BATCH = 128  # images
MOST_STEPS = 500  # of an observed training
_LOOKS_AT_GRADIENT = 24
_SURFACE = np.linspace(-1, 1, 11)
_TARGET = 0.8  # training accuracy that counts as reached
_SMOOTHED = 20  # steps
_CHANCE_MARGIN = 0.03


def observed_networks(context: ExperimentContext, found: Sequence[ModelFinding]) -> dict[str, Recipe]:
    """Return the networks that are observed, by label.

    Those of a study of depth are four kinds at its last depth but one; else the first ResNet with and without its shortcuts.
    """
    depths = [(model, factor) for model in found for factor in model.factors if factor.name == CONNECTIONS]
    if depths:
        model, factor = sorted(depths, key=lambda pair: depth_of(pair[0].baseline))[-2:][0]
        recipes = level_recipes(context, model)
        wanted = [level.label for level in factor.levels if recipes[level.label].model.kind == "resnet"]
        return {label: recipes[label] for label in wanted[:4]}
    for model in found:
        if plain := without_residual(model.best):
            return {f"{model.label}, no shortcuts": plain, model.label: model.best}
    return {}


def level_recipes(context: ExperimentContext, model: ModelFinding) -> dict[str, Recipe]:
    """Return the recipes of the levels of the factor of connections as they were compared, tuned values included."""
    factor: Factor = next(factor for factor in context.study.factors if factor.name == CONNECTIONS)
    found = next(entry for entry in model.factors if entry.name == CONNECTIONS)
    changes = {level.label: level for level in factor.levels}
    recipes = {}
    for level in found.levels:
        recipe = arm(model.baseline, factor, changes[level.label]) if level.label in changes else model.baseline
        recipes[level.label] = changed(recipe, {tuned.field: tuned.chosen for tuned in level.tuning})
    return recipes


def depth_of(recipe: Recipe) -> int:
    """Return how many layers with weights lie on the longest way through a ResNet without a hidden head; 0 for others."""
    model = recipe.model
    return 2 + model.convolutions_per_block * sum(model.blocks) if model.kind == "resnet" else 0


# ---------------------------------------------------------------------------------------------------------------------
# One network under observation


def network_dynamics(
    context: ExperimentContext, recipe: Recipe, label: str, train: ImageSet, imports: ImportPolicy
) -> NetworkDynamics:
    """Train a recipe on the first block, from several initial weights, and look at it on the way.

    At most 500 steps are taken; looks at the gradient are those of the first draw.
    """
    looks: list[tuple[int, FloatArray]] = []
    norms: dict[int, list[FloatArray]] = {}
    variances: dict[int, list[FloatArray]] = {}
    losses: list[float] = []
    end: tuple[torch.nn.Module, Tensor, Tensor] | None = None
    for draw in range(DRAWS):
        trial = replace(block_trial(context, recipe, draw, 0), keep_weights=False)
        trainee = single_trainee(trial, train, split_images(trial.split, train.labels, train.groups), imports)
        images, labels = _observed(trial, train, trainee.config.device)
        batches = [batch for epoch in range(trial.recipe.epochs) for batch in trainee.batches(epoch)][:MOST_STEPS]
        stages = {0, max(1, round(0.01 * len(batches))), max(2, round(0.1 * len(batches))), len(batches)}
        spread = set(np.linspace(0, len(batches) - 1, min(_LOOKS_AT_GRADIENT, len(batches))).astype(int).tolist())
        for step in range(len(batches) + 1):
            if step in stages:
                norms.setdefault(step, []).append(gradient_norms(trainee.model, images, labels)[1])
                variances.setdefault(step, []).append(output_variances(trainee.model, images))
            if step == len(batches):
                break
            if not draw and step in spread:
                seen = along_gradient(
                    *batch_loss(trainee.model, images, labels), [recipe.optimizer.lr * r for r in REACH]
                )
                looks.append((step, np.array([seen.low, seen.high, seen.change, seen.smoothness])))
            trainee.model.train()
            taken = train_step(trainee, batches[step])
            if not draw:
                losses.append(float(taken.losses))
        if not draw:
            end = trainee.model, images, labels
            autocorrelation = gradient_autocorrelation(
                _initial(context, recipe, train, imports, trainee.config.device), images
            )
    assert end is not None
    model, images, labels = end
    names, dropped, swapped = lesions(model, images, labels)
    with torch.no_grad():
        accuracy = float((model.eval()(images).argmax(1) == labels).double().mean())
    seed = stream_seed(context.study.seed, 0, "explanation")
    table = np.array([values for _, values in looks])
    return NetworkDynamics(
        label=label,
        losses=np.array(losses),
        layers=tuple(convolutions(model)),
        stages=tuple(
            GradientNorms(step=step, norms=np.array(norms[step]), variances=np.array(variances[step]))
            for step in sorted(norms)
        ),
        smoothness_steps=np.array([step for step, _ in looks], np.int64),
        loss_low=table[:, 0],
        loss_high=table[:, 1],
        gradient_change=table[:, 2],
        smoothness=table[:, 3],
        autocorrelation=autocorrelation,
        accuracy=accuracy,
        blocks=names,
        lesions=dropped,
        swaps=swapped,
        span=_SURFACE.copy(),
        surface=loss_surface(model, images, labels, _SURFACE, torch.Generator().manual_seed(seed)),
    )


def _initial(
    context: ExperimentContext, recipe: Recipe, train: ImageSet, imports: ImportPolicy, device: torch.device
) -> torch.nn.Module:
    trial = block_trial(context, recipe, 0, 0)
    return single_trainee(trial, train, split_images(trial.split, train.labels, train.groups), imports).model.to(device)


def _observed(trial: Trial, train: ImageSet, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the images that a network is looked at with: of those it is fitted on, the same for all networks."""
    fitted = split_images(trial.split, train.labels, train.groups).fitted
    random = np.random.default_rng(trial.seed)
    places = np.sort(random.permutation(fitted)[:OBSERVED_BATCH])
    pixels = train.images[places].astype(np.float32)
    mean, std = pixels.mean(axis=(0, 2, 3), keepdims=True), np.maximum(pixels.std(axis=(0, 2, 3), keepdims=True), 1.0)
    return torch.from_numpy((pixels - mean) / std).to(device), torch.from_numpy(train.labels[places]).to(device)


# ---------------------------------------------------------------------------------------------------------------------
# Depth by depth


def depth_course(
    context: ExperimentContext, found: Sequence[ModelFinding], train: ImageSet, store: Store
) -> DepthCourse | None:
    """Return what became of every kind of network at every depth, None where the study has no factor of connections."""
    arms: list[ArmCourse] = []
    chance = float(np.bincount(train.labels).max() / len(train))
    for model in found:
        levels = [factor.levels for factor in model.factors if factor.name == CONNECTIONS]
        if not levels:
            continue
        recipes = level_recipes(context, model)
        for level in levels[0]:
            trials = exploration_trials(context, recipes[level.label])
            records = [record for trial in trials if isinstance(record := store.find(trial.digest), Finished)]
            arms.append(_arm_course(model, level, recipes[level.label], records, chance))
    return DepthCourse(target=_TARGET, chance=chance, arms=tuple(arms)) if arms else None


def _arm_course(
    model: ModelFinding, level: LevelFinding, recipe: Recipe, records: Sequence[Finished], chance: float
) -> ArmCourse:
    steps = np.array([_steps_to_target(record) for record in records])
    per_step = np.array([record.cost.train_seconds / max(record.step_count, 1) for record in records])
    accuracies = np.array([record.accuracy for record in records])
    return ArmCourse(
        model=model.name,
        depth=depth_of(recipe),
        level=level.label,
        accuracies=accuracies,
        train_accuracies=np.array([record.train_accuracy for record in records]),
        seconds=per_step,
        steps=max((record.step_count for record in records), default=0),
        steps_to_target=steps,
        seconds_to_target=steps * per_step,
        stuck=(accuracies <= chance + _CHANCE_MARGIN).astype(np.int64),
    )


def _steps_to_target(record: Finished) -> float:
    """Return the first step at which the mean training accuracy of the last 20 reaches the target, nan where none does."""
    if record.iterations is None or len(record.iterations.accuracy) < _SMOOTHED:
        return float("nan")
    means = np.convolve(record.iterations.accuracy, np.full(_SMOOTHED, 1 / _SMOOTHED), mode="valid")
    reached = np.flatnonzero(means >= _TARGET)
    return float(reached[0] + _SMOOTHED) if len(reached) else float("nan")
