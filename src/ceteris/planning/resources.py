"""Memory and disk that a study will need, in bytes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

from ceteris.data import DataSet
from ceteris.planning.stages import images_fitted, images_held_out
from ceteris.planning.timing import Speeds, Training
from ceteris.recipe import Recipe
from ceteris.records import Trial
from ceteris.training.speed import steps_of

_FLOAT = 4
# A record's predictions have a label and a place of 8 bytes each; its header and its epochs take the rest.
_BYTES_PER_PREDICTION, _BYTES_PER_STEP, _BYTES_PER_EPOCH, _BYTES_PER_HEADER = 16, 12, 72, 6_000


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Peak memory of one worker, and of all workers with this process, the images that they share counted once.

    On a GPU, ``per_worker`` is memory of the device.
    """

    per_worker: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Disk:
    """What the trainings that are still to be done will write."""

    records: int
    weights: int
    snapshots: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.records + self.weights + self.snapshots


def memory_of(
    trainings: Iterable[Training], speeds: Speeds, data_set: DataSet, parameters: Callable[[Recipe], int], workers: int
) -> Memory:
    """Predict the memory of the largest training, and of as many of them at a time as there are workers."""
    trainings, train = tuple(trainings), data_set.train
    bytes_per_image = train.images.nbytes // len(train)
    used = [_used(trial, len(train)) for training in trainings for trial in training]
    shared = max(used, default=0) * bytes_per_image
    own = max((_own_bytes(each, speeds, bytes_per_image, len(train), parameters) for each in trainings), default=0)
    here = int(psutil.Process().memory_info().rss)
    return Memory(per_worker=own + shared if own else 0, total=here + max(1, workers) * own + shared)


def disk_of(trials: Iterable[Trial], data_set: DataSet, parameters: Callable[[Recipe], int]) -> Disk:
    """Predict the files of trials; those of the final models lie in the store and, without snapshots, in the result."""
    trials = tuple(trials)
    kept = [(trial, _FLOAT * parameters(trial.recipe)) for trial in trials if trial.keep_weights]
    return Disk(
        records=sum(_record_bytes(trial, data_set) for trial in trials),
        weights=2 * sum(size for _, size in kept),
        snapshots=sum(size * trial.recipe.epochs for trial, size in kept if trial.keep_snapshots),
    )


def _own_bytes(
    training: Training, speeds: Speeds, bytes_per_image: int, count: int, parameters: Callable[[Recipe], int]
) -> int:
    speed = speeds.of(training)
    if not speed.peak_bytes:
        return 0
    copied = sum(max(0, _used(trial, count) - speed.images) for trial in training) * bytes_per_image
    kept = [trial for trial in training if trial.keep_snapshots]
    return speed.peak_bytes + copied + sum(trial.recipe.epochs * _FLOAT * parameters(trial.recipe) for trial in kept)


def _used(trial: Trial, count: int) -> int:
    return images_fitted(trial, count) + images_held_out(trial, count)


def _record_bytes(trial: Trial, data_set: DataSet) -> int:
    train, epochs = data_set.train, trial.recipe.epochs
    held_out = images_held_out(trial, len(train))
    steps = epochs * steps_of(trial, images_fitted(trial, len(train)))
    predictions = held_out * (_FLOAT * len(train.classes) + _BYTES_PER_PREDICTION)
    return predictions + steps * _BYTES_PER_STEP + epochs * _BYTES_PER_EPOCH + _BYTES_PER_HEADER
