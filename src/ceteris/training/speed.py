"""What a training will take: a few epochs of it on a sample of the images, timed like the trial itself.

Processes that measure at the same time share memory and caches as the workers of a study do; what they measure includes
what that costs.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ceteris.data import ImageSet, open_train
from ceteris.errors import CeterisError
from ceteris.records import CrossValidationSplit, Finished, Trial
from ceteris.training.compiler import put_off_compiler
from ceteris.training.device import one_thread
from ceteris.training.population import run_population
from ceteris.training.trial import measure_speed, standardisation_of
from ceteris.user_code import NO_IMPORTS, ImportPolicy

_SECONDS = 0.4
_MOST_EPOCHS = 20
_LEAST_STEPS = 8
_LARGEST_HALF = 1024  # images: no device evaluates more at once, which decides how much memory it takes


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What one training takes in one process; the training of a population is one for all its members together.

    ``step_seconds`` belongs to one mini-batch (of every member), ``held_out_seconds`` to the evaluation of one held-out
    image (of every member) after an epoch, ``setup_seconds`` to everything once per training. ``peak_bytes`` was reached
    with ``images`` images of each member in memory.
    """

    setup_seconds: float
    step_seconds: float
    held_out_seconds: float
    peak_bytes: int
    images: int

    def seconds(self, *, epochs: int, steps: int, held_out: int) -> float:
        """Return the seconds of a training of so many epochs, of ``steps`` mini-batches each."""
        return self.setup_seconds + epochs * (steps * self.step_seconds + held_out * self.held_out_seconds)


@dataclass(frozen=True, kw_only=True)
class _Timed:
    """The records of a sample's training, its seconds, and when its epochs ended."""

    records: tuple[Finished, ...]
    wall: float
    ends: tuple[float, ...]


class _DidNotFinishError(Exception):
    """The sample was too small or the rate too large: there are no epochs to be timed."""


def measure_training(trials: Sequence[Trial], train: ImageSet, *, imports: ImportPolicy = NO_IMPORTS) -> Speed:
    """Measure the training of one trial, or of the members of a population.

    Where one does not finish on the sample, it is timed step by step without learning.

    Raises:
        CeterisError: when its model or loss cannot be built.
    """
    samples, fitted = _samples(trials, train)
    try:
        with one_thread():
            timed = _timed(samples, 2, train, imports)
            more = min(_MOST_EPOCHS, int(_SECONDS / max(1e-6, timed.ends[1] - timed.ends[0])))
            timed = _timed(samples, 1 + more, train, imports) if more >= 2 else timed
    except _DidNotFinishError:
        return _without_learning(trials, train, imports)
    splitting = len(trials) * (_split_seconds(trials[0], train) - _split_seconds(samples[0], train))
    whole = float(np.median(np.diff(timed.ends)))
    # every member of a population has its share of an epoch's seconds
    fitting = sum(float(np.median(np.diff(record.epochs.seconds))) for record in timed.records if record.epochs)
    held_out = min(len(record.predictions.labels) for record in timed.records if record.predictions)
    return Speed(
        setup_seconds=max(0.0, timed.wall - len(timed.ends) * whole) + max(0.0, splitting),
        step_seconds=fitting / steps_of(trials[0], fitted),
        held_out_seconds=max(0.0, whole - fitting) / held_out,
        peak_bytes=max(record.cost.peak_memory_bytes for record in timed.records),
        images=fitted + held_out,
    )


def steps_of(trial: Trial, fitted: int) -> int:
    """Return the mini-batches of one epoch on so many images."""
    return max(1, fitted // trial.recipe.batch_size)


def _samples(trials: Sequence[Trial], train: ImageSet) -> tuple[list[Trial], int]:
    """Return the trials on small samples, half of each held out, and on how many images they fit."""
    split = trials[0].split
    share = split.fraction if split.kind == "holdout" else 1 / split.folds
    available = len(train) if split.kind == "holdout" else min(split.images or len(train), len(train))
    half = max(min(round(share * available), _LARGEST_HALF), _LEAST_STEPS * trials[0].recipe.batch_size)
    half = min(half, len(train) // 2)
    samples = [
        replace(
            trial,
            split=CrossValidationSplit(folds=2, index=0, seed=trial.seed, images=2 * half),
            patience=0,
            keep_weights=False,
            keep_snapshots=False,
        )
        for trial in trials
    ]
    return samples, half


def _timed(samples: Sequence[Trial], epochs: int, train: ImageSet, imports: ImportPolicy) -> _Timed:
    ends: list[float] = []
    trials = [replace(sample, recipe=replace(sample.recipe, epochs=epochs)) for sample in samples]
    began = time.perf_counter()
    try:
        results = run_population(
            trials, train, on_epoch=lambda epoch: ends.append(time.perf_counter()), imports=imports
        )
    except CeterisError:
        raise _DidNotFinishError from None
    records = tuple(result.record for result in results if isinstance(result.record, Finished))
    if len(records) < len(results) or len(ends) != epochs:
        raise _DidNotFinishError
    return _Timed(records=records, wall=time.perf_counter() - began, ends=tuple(ends))


def _split_seconds(trial: Trial, train: ImageSet) -> float:
    """Time what grows with the number of images: the split and the standardisation."""
    began = time.perf_counter()
    standardisation_of(trial, train)
    return time.perf_counter() - began


def _without_learning(trials: Sequence[Trial], train: ImageSet, imports: ImportPolicy) -> Speed:
    measured = [measure_speed(trial, train, imports=imports) for trial in trials]
    return Speed(
        setup_seconds=0.0,
        step_seconds=sum(fitting for fitting, _ in measured) * trials[0].recipe.batch_size,
        held_out_seconds=sum(predicting for _, predicting in measured),
        peak_bytes=0,
        images=0,
    )


# ---------------------------------------------------------------------------------------------------------------------
# In a process of its own

_STATE: dict[str, object] = {}


def begin_measuring(train: Path, imports: ImportPolicy) -> None:
    """Open the training images in a measuring process, which is like a worker's."""
    torch.set_num_threads(1)
    put_off_compiler()
    _STATE["train"], _STATE["imports"] = open_train(train), imports


def is_ready() -> bool:
    """Say that this process has begun; a moment's rest leaves the next task to another process."""
    time.sleep(0.05)
    return isinstance(_STATE["train"], ImageSet)


def measure_here(trials: Sequence[Trial]) -> Speed:
    """Measure a training in a process that has begun."""
    train = _STATE["train"]
    imports = _STATE["imports"]
    assert isinstance(train, ImageSet)
    assert isinstance(imports, ImportPolicy)
    return measure_training(trials, train, imports=imports)
