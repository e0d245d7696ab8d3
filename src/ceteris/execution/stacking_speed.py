"""Measuring how fast trials train, one by one and stacked: whole short trainings, so that nothing is left out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from ceteris.data import ImageSet, make_image_set
from ceteris.execution.device_table import DeviceTable, Network, Place, Speed
from ceteris.execution.populations import as_population
from ceteris.recipe import Recipe
from ceteris.records import CrossValidationSplit, Finished, Trial
from ceteris.seeds import generator
from ceteris.training.device import execution_of, one_thread
from ceteris.training.population import run_population


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is measured of a network: ``steps`` batches per epoch of square images, at these sizes of population."""

    model: dict[str, Any]
    steps: int
    batch_size: int = 128
    side: int = 28
    sizes: tuple[int, ...] = (1, 5)


# The wide networks are measured on small images: they would take minutes otherwise.
NETWORKS: dict[Network, Load] = {
    "narrow mlp": Load(
        model={"kind": "mlp", "hidden": (128, 128, 128), "batch_norm": True, "dropout": 0.2}, sizes=(1, 5, 8), steps=12
    ),
    "wide mlp": Load(model={"kind": "mlp", "hidden": (512, 512, 512), "batch_norm": True, "dropout": 0.2}, steps=8),
    "narrow cnn": Load(model={"kind": "cnn", "filters": (8, 16, 32), "kernels": (3, 3, 3)}, sizes=(1, 5, 8), steps=2),
    "wide cnn": Load(model={"kind": "cnn", "filters": (32, 64, 128), "kernels": (3, 3, 3)}, steps=1, side=16),
    "narrow resnet": Load(model={"kind": "resnet", "blocks": (1, 1, 1), "filters": (16, 32, 64)}, steps=1, side=16),
    "wide resnet": Load(
        model={"kind": "resnet", "blocks": (1, 1, 1), "filters": (64, 128, 256)}, steps=1, batch_size=64, side=8
    ),
}
_ROUNDS = 3
_SHORT, _LONG = 1, 3  # epochs of two trainings; what the longer one takes more is pure training
_CLASSES = 10
_FOLDS = 8


def measure_table(place: Place, device: str, *, report: Callable[[str], None] = lambda text: None) -> DeviceTable:
    """Measure every network at every size of population; about a minute in all.

    The sizes take turns, and on a processor its own time is counted, not that of the clock on the wall: a table that is
    kept for good must not depend on what else ran while it was made.
    """
    speeds: list[Speed] = []
    for network, load in NETWORKS.items():
        report(f"measuring how fast this machine trains: {network}")
        recipe = Recipe(model=load.model, batch_size=load.batch_size, precision="auto")  # type: ignore[arg-type]
        fitted = load.steps * load.batch_size
        images = made_up_images(fitted * _FOLDS // (_FOLDS - 1) + _CLASSES * _FOLDS, (1, load.side, load.side))
        rounds = [{size: _speed(recipe, device, size, images) for size in load.sizes} for _ in range(_ROUNDS)]
        speeds += [
            Speed(network=network, members=size, images_per_second=median(one[size] for one in rounds))
            for size in load.sizes
        ]
    return DeviceTable(place=place, speeds=tuple(speeds))


def _speed(recipe: Recipe, device: str, members: int, images: ImageSet) -> float:
    """Return the images per second of all members together; 0 where the training fails."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    splits = [CrossValidationSplit(folds=_FOLDS, index=member, seed=0) for member in range(members)]
    seconds = []  # setting up and evaluation included
    for epochs in (_SHORT, _LONG):
        trained = replace(recipe, epochs=epochs)
        execution = execution_of(trained, device)
        trials = as_population(
            [Trial(recipe=trained, data=images.digest, split=split, seed=0, execution=execution) for split in splits]
        )
        began = clock()
        with one_thread():
            results = run_population(trials, images)
        seconds.append(clock() - began)
        if not all(isinstance(result.record, Finished) for result in results):
            return 0.0
    short, long = seconds
    seen = members * len(images) * (_FOLDS - 1) / _FOLDS * (_LONG - _SHORT)
    return seen / (long - short) if long > short > 0 else 0.0


def made_up_images(count: int, shape: tuple[int, int, int] = (1, 28, 28), classes: int = _CLASSES) -> ImageSet:
    """Return noise with labels in turn, uint8 (count, *shape): what is in images does not change how long they take."""
    pixels = generator(0, 0, "sample").integers(0, 256, (count, *shape), dtype=np.uint8)
    return make_image_set(pixels, np.arange(count) % classes, tuple(f"class {number}" for number in range(classes)))
