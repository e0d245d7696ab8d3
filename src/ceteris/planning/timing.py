"""Every different training of a plan, measured once, by as many processes at a time as will train."""

import multiprocessing
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ceteris.data import DataSet
from ceteris.digests import digest_of, plain
from ceteris.errors import ConfigError
from ceteris.planning.stages import images_fitted, images_held_out
from ceteris.records import Trial
from ceteris.training.speed import Speed, begin_measuring, is_ready, measure_here, measure_training, steps_of
from ceteris.user_code import ImportPolicy

# What a worker spends on a trial besides training it: reading the task, writing and sending the record.
_SECONDS_PER_RECORD = 0.015


Training = tuple[Trial, ...]  # one trial, or the members of a population: what a worker does at once


@dataclass
class Speeds:
    """What trainings take on this machine. Those that differ only in numbers (a rate, a seed) share a measurement."""

    train_count: int
    start_seconds: float = 0.0
    _by_kind: dict[str, Speed] = field(default_factory=dict)

    def missing(self, trainings: Iterable[Training]) -> list[Training]:
        """Return one training of every kind that was not measured yet."""
        kinds = {kind_of(training): training for training in trainings}
        return [training for kind, training in kinds.items() if kind not in self._by_kind]

    def learn(self, training: Training, speed: Speed) -> None:
        """Take a measurement."""
        self._by_kind[kind_of(training)] = speed

    def of(self, training: Training) -> Speed:
        """Return the measurement of a training's kind."""
        return self._by_kind[kind_of(training)]

    def seconds(self, training: Training) -> float:
        """Return the predicted seconds of a training on one worker, all its epochs counted."""
        first = training[0]
        return _SECONDS_PER_RECORD * len(training) + self.of(training).seconds(
            epochs=first.recipe.epochs,
            steps=steps_of(first, images_fitted(first, self.train_count)),
            held_out=images_held_out(first, self.train_count),
        )


def trainings_of(trials: Iterable[Trial]) -> list[Training]:
    """Divide trials into what a worker does at once; the same population may come more than once."""
    found: list[list[Trial]] = []
    filling: dict[str, list[Trial]] = {}
    for trial in trials:
        members = filling.get(trial.execution.population)
        if members is None or len(members) == trial.execution.members:
            members = filling[trial.execution.population] = []
            found.append(members)
        members.append(trial)
    return [tuple(members) for members in found]


def kind_of(training: Training) -> str:
    """Return what decides on a training's speed: its recipes without the sizes of numbers, and how it is executed."""
    return digest_of([len(training), sorted({_kind(trial) for trial in training})])


def _kind(trial: Trial) -> str:
    recipe = {key: value for key, value in plain(trial.recipe).items() if key != "epochs"}
    execution = replace(trial.execution, population="")
    return digest_of([_without_sizes(recipe), execution, trial.code, trial.split.kind])


def _without_sizes(value: Any) -> Any:
    """Whether a number with a fraction is 0 can switch something on (dropout, momentum); how large it is costs nothing."""
    if isinstance(value, dict):
        return {key: _without_sizes(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_sizes(part) for part in value]
    return value != 0 if isinstance(value, float) else value


def measure(
    speeds: Speeds,
    trainings: Iterable[Training],
    data_set: DataSet,
    *,
    workers: int,
    imports: ImportPolicy,
    progress: Callable[[str], None],
) -> None:
    """Measure what is not known yet about the trainings.

    Raises:
        ConfigError: when a recipe's model cannot be built or a measuring process died.
    """
    kinds = speeds.missing(trainings)
    if not kinds:
        return
    if workers == 0:
        for number, training in enumerate(kinds, start=1):
            progress(f"measuring training {number} of {len(kinds)}")
            speeds.learn(training, measure_training(training, data_set.train, imports=imports))
        return
    try:
        _measure_together(speeds, kinds, data_set, workers, imports, progress)
    except BrokenProcessPool:
        raise ConfigError(
            "a process that measured the speed of a training died, probably for lack of memory. Plan with fewer workers "
            "(--workers 1) or smaller models."
        ) from None


def _measure_together(
    speeds: Speeds,
    kinds: list[Training],
    data_set: DataSet,
    workers: int,
    imports: ImportPolicy,
    progress: Callable[[str], None],
) -> None:
    began, processes = time.perf_counter(), min(workers, len(kinds))
    with ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=begin_measuring,
        initargs=(data_set.prepared, imports),
    ) as pool:
        progress(f"starting {processes} processes")
        _everywhere(pool, is_ready, processes)
        speeds.start_seconds = max(speeds.start_seconds, time.perf_counter() - began)
        # the first training of a process loads what the later ones find loaded
        _everywhere(pool, partial(measure_here, kinds[0]), processes)
        for number, (training, speed) in enumerate(zip(kinds, pool.map(measure_here, kinds), strict=True), start=1):
            progress(f"measured {number} of {len(kinds)} trainings")
            speeds.learn(training, speed)


def _everywhere(pool: ProcessPoolExecutor, task: Callable[[], object], processes: int) -> None:
    """Run a task as often as there are processes and wait for all of them."""
    for running in [pool.submit(task) for _ in range(processes)]:
        running.result()
