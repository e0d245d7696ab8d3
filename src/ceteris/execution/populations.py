"""Populations: trials that are trained in lockstep as one stacked model, because that is faster for small networks.

Which trials belong together is a part of their addresses in the store. It follows from the recipe, the design of the
exploration and the device alone, never from what is finished already, so that all arms of a comparison are trained in
the same way and their records are found again.

Whether stacking pays says a small table of how fast a machine trains networks one by one and stacked. Stacking changes the
last digits of results, so nothing is measured unasked: a table that was measured is used until its user measures again, and
where there is none a shipped one, the same on every machine.
"""

import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise
from math import log
from pathlib import Path
from statistics import median
from typing import Any, Literal, cast

import numpy as np
import torch

from ceteris.data import ImageSet, make_image_set
from ceteris.digests import digest_of, plain
from ceteris.errors import CeterisError
from ceteris.execution.worker import Task
from ceteris.files import json_tree, open_regular, user_cache
from ceteris.recipe import Recipe
from ceteris.records import CrossValidationSplit, Finished, Trial
from ceteris.seeds import generator
from ceteris.store import from_tree, write_bytes
from ceteris.training.device import environment, execution_of, one_thread
from ceteris.training.population import run_population, shape_key

Network = Literal["narrow mlp", "wide mlp", "narrow cnn", "wide cnn", "narrow resnet", "wide resnet"]

# Raise it when stacked training gets faster or slower for some network: every machine then measures again.
_ENGINE = 1
# The largest widest layer that still counts as narrow: the geometric mean of the two networks measured.
_NARROW = {"mlp": 256, "cnn": 64, "resnet": 90}
# Stacking must be faster than single training by at least this, so that the noise of the measurement does not decide.
_WORTHWHILE = 1.15


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Images per second of training on one core (or device), all members of a population together."""

    network: Network
    members: int
    images_per_second: float


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a table holds for: the processor, torch's minor version, the device and the version of the stacked training."""

    processor: str
    torch: str
    device: str
    engine: int = _ENGINE


@dataclass(frozen=True, kw_only=True)
class DeviceTable:
    """The measured speeds at one place."""

    place: Place
    speeds: tuple[Speed, ...]

    def gain(self, network: Network, members: int) -> float:
        """Return how much faster a population trains than its members one by one; 1.0 where nothing was measured.

        Between measured sizes it is interpolated over the logarithm of the size; beyond the largest it stays.
        """
        curve = sorted((speed.members, speed.images_per_second) for speed in self.speeds if speed.network == network)
        if not curve or curve[0][0] != 1 or not curve[0][1] or members == 1:
            return 1.0
        below = max(point for point in curve if point[0] <= members)
        above = min((point for point in curve if point[0] >= members), default=below)
        share = log(members / below[0]) / log(above[0] / below[0]) if above != below else 0.0
        return (below[1] + share * (above[1] - below[1])) / curve[0][1]

    def fastest(self, network: Network, most: int) -> int:
        """Return the size of population, at most ``most``, that trains fastest; the smallest of equals."""
        return max(range(1, most + 1), key=lambda members: (self.gain(network, members), -members))


def network_like(recipe: Recipe) -> Network | None:
    """Return the measured network that a recipe's model resembles by its kind and widest layer; None for own models."""
    model = recipe.model.written_out()
    match model.kind:
        case "custom" | "estimator":
            return None
        case "mlp":
            widths: Sequence[int] = model.hidden
        case "cnn" | "resnet":
            widths = model.filters
    narrow = max(widths, default=0) <= _NARROW[model.kind]
    return cast(Network, f"{'narrow' if narrow else 'wide'} {model.kind}")


def place_of(device: str) -> Place:
    """Return what the table of a device holds for on this machine."""
    facts = environment()
    accelerator = "" if device == "cpu" else f", {platform.machine()}"
    if device.startswith("cuda"):
        accelerator = f", {torch.cuda.get_device_name(device)}"
    return Place(
        processor=facts["processor"] + accelerator,
        torch=".".join(facts["torch"].split(".")[:2]),
        device=device.partition(":")[0],
    )


# Measured on two cores of an AMD EPYC 7003 without bfloat16: stacking pays for MLPs and for nothing else.
_SHIPPED: Mapping[Network, Mapping[int, float]] = {
    "narrow mlp": {1: 27_800, 5: 45_300, 8: 45_600},
    "wide mlp": {1: 7_800, 5: 9_500},
    "narrow cnn": {1: 9_000, 5: 9_400, 8: 9_500},
    "wide cnn": {1: 5_100, 5: 4_700},
    "narrow resnet": {1: 3_020, 5: 2_830},
    "wide resnet": {1: 586, 5: 580},
}


def table_for(device: str) -> DeviceTable:
    """Return the table of a device from the user's cache; where there is none, the shipped one."""
    place = place_of(device)
    shipped = tuple(
        Speed(network=network, members=members, images_per_second=speed)
        for network, curve in _SHIPPED.items()
        for members, speed in curve.items()
    )
    return known_tables().get(place) or DeviceTable(place=place, speeds=shipped)


def keep_table(table: DeviceTable) -> DeviceTable:
    """Write a table into the user's cache over an older one, and return it; where that cannot be written it is only used."""
    tables = known_tables() | {table.place: table}
    with suppress(CeterisError):
        write_bytes(cache_file(), json.dumps(plain(list(tables.values())), indent=1).encode())
    return table


def known_tables() -> dict[Place, DeviceTable]:
    """Return the tables in the user's cache; none where the file is missing or damaged."""
    try:
        with open_regular(cache_file(), 1 << 24) as file:
            tree: Iterable[Any] = json_tree(file.read())
        tables: list[DeviceTable] = [from_tree(DeviceTable, part) for part in tree]
        return {table.place: table for table in tables}
    except (OSError, ValueError, TypeError):
        return {}


def cache_file() -> Path:
    """Return where the tables are kept, in the user's cache folder."""
    return user_cache() / "device-table.json"


@dataclass(frozen=True, kw_only=True)
class Stacking:
    """Says how many trials of a kind are trained as one on this device; without a table every trial is trained alone."""

    table: DeviceTable | None = None

    def sizes(self, trial: Trial, count: int) -> list[int]:
        """Return the sizes of the populations into which ``count`` trials shaped like ``trial`` are divided, in order.

        They are as equal as possible. A size for which stacking is not worth it, or not possible, becomes so many times 1.
        """
        network = network_like(trial.recipe)
        if self.table is None or network is None or shape_key(trial) is None:
            return [1] * count
        populations = -(-count // self.table.fastest(network, count))
        small, larger = divmod(count, populations)
        sizes = [small + 1] * larger + [small] * (populations - larger)
        worthwhile = {size: self.table.gain(network, size) >= _WORTHWHILE for size in set(sizes)}
        return [one for size in sizes for one in ([size] if worthwhile[size] else [1] * size)]


NEVER = Stacking()


def as_population(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Mark trials as the members of one population, in this order; a single trial stays with the plain loop."""
    alone = tuple(replace(trial, execution=replace(trial.execution, members=1, population="")) for trial in trials)
    if len(alone) == 1:
        return alone
    digest = digest_of(alone)
    return tuple(
        replace(trial, execution=replace(trial.execution, members=len(alone), population=digest)) for trial in alone
    )


def stacked_folds(trials: Sequence[Trial], stacking: Stacking) -> tuple[Trial, ...]:
    """Let the folds of each repetition of an arm form populations, where stacking pays for its model."""
    groups = groupby(trials, key=lambda trial: (trial.recipe, trial.seed))
    return tuple(trial for _, folds in groups for trial in stacked(tuple(folds), stacking))


def stacked(trials: Sequence[Trial], stacking: Stacking) -> tuple[Trial, ...]:
    """Let trials of one shape form populations, in this order, where stacking pays for their model."""
    ends = list(accumulate(stacking.sizes(trials[0], len(trials)), initial=0))
    return tuple(trial for first, end in pairwise(ends) for trial in as_population(trials[first:end]))


def tasks_of(trials: Iterable[Trial]) -> list[Task]:
    """Return what the workers do at once for trials: each single trial and each population is one task."""
    members: dict[str, dict[str, Trial]] = {}
    for trial in trials:
        members.setdefault(trial.execution.population or trial.digest, {})[trial.digest] = trial
    tasks = [Task(trials=tuple(together.values())) for together in members.values()]
    for task in tasks:
        whole = task.digest == task.trials[0].digest or as_population(task.trials) == task.trials
        assert whole, "a population is trained whole, in its order"
    return tasks


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
