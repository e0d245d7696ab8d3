"""Measuring how fast trials train, one by one and stacked: whole short trainings, so that nothing is left out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from ceteris.data import ImageSet, make_image_set
from ceteris.recipe import Recipe
from ceteris.records import CrossValidationSplit, Trial, TrialRecord
from ceteris.seeds import generator
from ceteris.study.device_table import DeviceTable, Network, Place, Speed, table_for
from ceteris.study.populations import Stacking, as_population
from ceteris.training import execution_of, one_thread
from ceteris.training.population import run_population


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is measured of a network: ``steps`` batches per epoch of square images, at these sizes of population."""

    model: dict[str, Any]
    sizes: tuple[int, ...]
    steps: int
    batch_size: int = 128
    side: int = 28


# The wide networks are measured on small images: they would take a minute otherwise, and the gain hardly depends on it.
NETWORKS: dict[Network, Load] = {
    "narrow mlp": Load(
        model={"kind": "mlp", "hidden": (128, 128, 128), "batch_norm": True, "dropout": 0.2}, sizes=(1, 5, 8), steps=12
    ),
    "wide mlp": Load(
        model={"kind": "mlp", "hidden": (512, 512, 512), "batch_norm": True, "dropout": 0.2}, sizes=(1, 5), steps=8
    ),
    "narrow cnn": Load(model={"kind": "cnn", "filters": (8, 16, 32), "kernels": (3, 3, 3)}, sizes=(1, 5, 8), steps=2),
    "wide cnn": Load(
        model={"kind": "cnn", "filters": (32, 64, 128), "kernels": (3, 3, 3)}, sizes=(1, 5), steps=1, side=16
    ),
    "narrow resnet": Load(
        model={"kind": "resnet", "blocks": (1, 1, 1), "filters": (16, 32, 64)}, sizes=(1, 5), steps=1, side=16
    ),
    "wide resnet": Load(
        model={"kind": "resnet", "blocks": (1, 1, 1), "filters": (64, 128, 256)},
        sizes=(1, 5),
        steps=1,
        batch_size=64,
        side=8,
    ),
}
SECONDS = 15.0  # that measuring may take on a quick machine
_EPOCHS = 2  # the first one is not counted: it allocates memory and chooses kernels
_CLASSES = 10
_FOLDS = 8


def stacking_on(device: str, tell: Callable[[str], None] = lambda text: None) -> Stacking:
    """Return which trials are stacked on a device of this machine, by its table; the first time that is measured."""
    return Stacking(table=table_for(device, lambda place: measure_table(place, device, tell=tell)))


def measure_table(
    place: Place, device: str, *, seconds: float | None = None, tell: Callable[[str], None] = lambda text: None
) -> DeviceTable:
    """Measure every network at every size of population; about SECONDS (or ``seconds``) in all, longer on a slow machine.

    The sizes take turns, so that a machine that is busy for a while is busy for all of them.
    """
    speeds: list[Speed] = []
    for network in NETWORKS:
        tell(f"measuring how fast this machine trains: {network}")
        rounds = _rounds(network, device, (SECONDS if seconds is None else seconds) / len(NETWORKS))
        speeds += [
            Speed(network=network, members=size, images_per_second=median(one[size] for one in rounds))
            for size in NETWORKS[network].sizes
        ]
    return DeviceTable(place=place, speeds=tuple(speeds))


def _rounds(network: Network, device: str, seconds: float) -> list[dict[int, float]]:
    """Measure once, and again up to four times as long as the next round is expected to end within ``seconds``."""
    began = time.monotonic()
    rounds = [_one_round(network, device)]
    while len(rounds) < 5 and (time.monotonic() - began) * (1 + 1 / len(rounds)) < seconds:
        rounds.append(_one_round(network, device))
    return rounds


def _one_round(network: Network, device: str) -> dict[int, float]:
    """Return members -> images per second of all members together."""
    load = NETWORKS[network]
    recipe = Recipe(model=load.model, epochs=_EPOCHS, batch_size=load.batch_size, precision="auto")  # type: ignore[arg-type]
    fitted = load.steps * load.batch_size
    images = made_up_images(fitted * _FOLDS // (_FOLDS - 1) + _CLASSES * _FOLDS, (1, load.side, load.side))
    seconds = {size: training_speed(recipe, device, size, images)[0] for size in load.sizes}
    return {size: 1 / seconds[size] if seconds[size] else 0.0 for size in load.sizes}


def training_speed(
    recipe: Recipe, device: str, members: int, images: ImageSet, *, allow_imports: bool = False
) -> tuple[float, float]:
    """Return the seconds of a population's time per image of training and of predicting, any member's image counted.

    Only the recipe and the images' sizes and number matter; both values are 0 when the training fails.
    """
    folds = max(_FOLDS, members)
    trials = as_population(
        [
            Trial(
                recipe=replace(recipe, epochs=_EPOCHS),
                data=images.digest,
                split=CrossValidationSplit(folds=folds, index=member, seed=0),
                seed=0,
                execution=execution_of(recipe, device),
            )
            for member in range(members)
        ]
    )
    with one_thread():
        records = [result.record for result in run_population(trials, images, allow_imports=allow_imports)]
    fitted = len(images) * (folds - 1) / folds
    return _seconds(records, fitted), sum(_evaluation(record) for record in records) / members


def _seconds(records: list[TrialRecord], fitted: float) -> float:
    passes = [(record.epochs.seconds[-1] - record.epochs.seconds[0]) for record in records if record.epochs]
    return float(sum(passes)) / (len(records) * (_EPOCHS - 1) * fitted) if passes else 0.0


def _evaluation(record: TrialRecord) -> float:
    if not record.cost or not record.predictions:
        return 0.0
    return record.cost.evaluation_seconds / len(record.predictions.labels)


def made_up_images(count: int, shape: tuple[int, int, int] = (1, 28, 28), classes: int = _CLASSES) -> ImageSet:
    """Return noise with labels in turn, uint8 (count, *shape): what is in images does not change how long they take."""
    pixels = generator(0, 0, "sample").integers(0, 256, (count, *shape), dtype=np.uint8)
    return make_image_set(pixels, np.arange(count) % classes, tuple(f"class {number}" for number in range(classes)))
