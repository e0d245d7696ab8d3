"""What a study will cost and what it can find out, before it trains: trainings, time, memory, disk, detectable differences.

A design that fits into a time has fewer repetitions first, then fewer images, then fewer folds; never fewer epochs.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import psutil

from ceteris.data import DataSet, reading_lines
from ceteris.explain.robustness import PASSES
from ceteris.planning.dry_run import DryRun, PlannedStage, dry_run
from ceteris.planning.power import Design, design_of
from ceteris.planning.timing import Timing, Workload, calibrate, images_of
from ceteris.records import CrossValidationSplit, Trial
from ceteris.stats import MORE_REPETITIONS
from ceteris.store import Store
from ceteris.study import ExperimentContext, Exploration, Study, strategy_of
from ceteris.study.strategies.comparison import (
    SECONDS_TO_REPORT,
    SECONDS_TO_REPORT_MODEL,
    SECONDS_TO_START,
    looks_of,
)
from ceteris.study.trials import RunOptions, context_of
from ceteris.training.compiler import put_off_compiler

# Integrated gradients of two classes and occlusion take so many for a mistake; a check makes all maps once for every layer.
_PASSES_OF_MAPS, _PASSES_OF_CHECKS = 650, 3000
LEAST_IMAGES, LEAST_FOLDS = 1000, 3  # of a design that is made smaller to fit into a time

Planned = tuple[Trial, Workload]

_FLOAT = 4
# A record's predictions have a label and a place of 8 bytes each; its header and its epochs take the rest.
_BYTES_PER_PREDICTION, _BYTES_PER_STEP, _BYTES_PER_EPOCH, _BYTES_PER_HEADER = 16, 12, 72, 6_000
# A worker with torch and nothing else; weights, gradients and the optimizer's two; what a batch leaves between layers
_BYTES_PER_WORKER, _FLOATS_PER_WEIGHT, _FLOATS_PER_VALUE = 220 * 2**20, 4, 1.4


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


@dataclass(frozen=True, kw_only=True)
class PlanEstimate:
    """A whole plan; ``seconds`` is the predicted wall-clock time of the run: preparing, training and the report.

    Open levels that matter get ``more_repetitions``, which take ``more_seconds`` where all levels are such.
    ``designs`` says by model what the detectable differences and gains rest on. ``at_most`` says that trainings may be saved,
    and ``data`` how the images were read and what endangers the conclusions.
    """

    study: Study
    data: tuple[str, ...]
    stages: tuple[PlannedStage, ...]
    workers: int
    preparing_seconds: float
    training_seconds: float
    report_seconds: float
    more_repetitions: int
    more_seconds: float
    memory: Memory
    disk: Disk
    designs: dict[str, Design]
    at_most: bool

    @property
    def seconds(self) -> float:
        """The predicted wall-clock seconds of the run."""
        return self.preparing_seconds + self.training_seconds + self.report_seconds

    @property
    def most_seconds(self) -> float:
        """The same where all levels that may be repeated are."""
        return self.seconds + self.more_seconds

    @property
    def trials(self) -> int:
        """The number of trainings."""
        return sum(len(stage.trials) for stage in self.stages)

    @property
    def known(self) -> int:
        """How many of them the store has already."""
        return sum(stage.known for stage in self.stages)


def plan_study(
    study: Study, data_set: DataSet, options: RunOptions, *, progress: Callable[[str], None] = lambda text: None
) -> PlanEstimate:
    """Return what a study would train on its data and how long that takes, measured for a few seconds on this machine.

    Raises:
        ConfigError, DataError: as for running it.
    """
    return Planner(study, data_set, options, progress).estimate(study)


class Planner:
    """Estimates designs of one study: the store is read and the machine measured once, by the study as it is given."""

    def __init__(
        self, study: Study, data_set: DataSet, options: RunOptions, progress: Callable[[str], None] = lambda text: None
    ) -> None:
        put_off_compiler()  # nothing is compiled here, and importing it takes more than a second
        self._data_set, self._options, self._progress = data_set, options, progress
        self._store, self._workers = Store(options.store), options.processes
        context = context_of(study, data_set, options)
        self._timing = Timing(data_set.train, imports=options.imports, table=context.stacking.table)
        self._recorded = list(self._store.finished(context.data))
        trials = [trial for task in self._dry_run(context).tasks for trial in task.trials]
        self._timing.learn_records(self._recorded, like=trials)
        calibrate(self._timing, trials, data_set, workers=self._workers, imports=options.imports, progress=progress)

    def estimate(self, study: Study) -> PlanEstimate:
        """Return the plan of the study in one of its designs."""
        context = context_of(study, self._data_set, self._options)
        study = context.study
        looks, run, train = looks_of(context), self._dry_run(context), self._data_set.train
        tasks = [[(trial, self._timing.workload(trial)) for trial in task.trials] for task in run.tasks]
        missing = [pair for task in tasks for pair in task]
        designs: dict[str, Design] = {}
        for stage in run.stages:
            trial = next(iter(stage.trials), None)
            if trial and isinstance(trial.split, CrossValidationSplit) and stage.model not in designs:
                designs[stage.model] = design_of(self._recorded, trial, train, sum(images_of(trial, len(train))))
        stages = tuple(self._with_prospects(context, run.stages, designs, looks))
        more = looks[-1][0] - study.exploration.seeds
        repetition = sum(  # core-seconds of one more repetition of all arms that were not left behind
            stage.seconds / (len(stage.trials) - stage.known) * stage.complete * study.exploration.folds
            for stage in stages
            if stage.kind == "comparison" and stage.known < len(stage.trials)
        )
        return PlanEstimate(
            study=study,
            data=tuple(reading_lines(self._data_set)),
            stages=stages,
            workers=self._workers,
            preparing_seconds=SECONDS_TO_START,
            training_seconds=run.seconds,
            report_seconds=self._report_seconds(study, missing),
            more_repetitions=more,
            more_seconds=more * repetition / max(1, self._workers),
            memory=self._memory(tasks, on_cpu=context.device == "cpu"),
            disk=self._disk(missing),
            designs=designs,
            at_most=strategy_of(study).leaves_early(study.strategy),
        )

    def _dry_run(self, context: ExperimentContext) -> DryRun:
        self._progress("going through the design")
        return dry_run(context, workers=self._workers, seconds_of=self._timing.seconds, is_known=self._store.holds)

    def _with_prospects(
        self,
        context: ExperimentContext,
        stages: Iterable[PlannedStage],
        designs: Mapping[str, Design],
        looks: Sequence[tuple[int, float]],
    ) -> Iterator[PlannedStage]:
        """Yield the stages with what they find and bring; the tuning of a factor counts among its costs."""
        study, tuning = context.study, 0.0
        first, last = looks[0], looks[-1] if len(looks) > 1 else (looks[0][0] + MORE_REPETITIONS, 1.0)
        for stage in stages:
            if not stage.comparisons:
                tuning = stage.seconds if stage.kind == "search" else 0.0
                yield stage
                continue
            design, levels = designs[stage.model], stage.comparisons
            if stage.kind == "confirmation":
                levels *= len(study.models)  # all of every model are claimed together
                reserve = round(len(self._data_set.train) * context.reserve)
                found = (
                    design.detectable_on_reserve(study, levels, stage.blocks, reserve)
                    if context.reserve
                    else design.detectable(study, levels, stage.blocks)
                )
                yield replace(stage, detectable=found)
                continue
            gain = design.expected_gain(levels, stage.blocks)
            hours = (tuning + stage.seconds) / max(1, self._workers) / 3600
            tuning = 0.0
            yield replace(
                stage,
                detectable=design.detectable(study, levels, stage.blocks, share=first[1]),
                detectable_with_more=design.detectable(study, levels, last[0] * design.folds, share=last[1]),
                expected_gain=gain,
                gain_per_hour=gain / hours if hours else None,
            )

    def _report_seconds(self, study: Study, trials: Sequence[Planned]) -> float:
        """Return the time after the last training: finals answer on the test set, once and after every epoch for curves."""
        answering = sum(
            (1 + trial.recipe.epochs * trial.keep_snapshots) * work.evaluation_seconds
            for trial, work in trials
            if trial.keep_weights
        )
        # what is looked at afterwards, in forward passes of one image
        ask = study.explain
        passes = ask.robustness * PASSES + ask.mistakes * _PASSES_OF_MAPS + ask.checks * _PASSES_OF_CHECKS
        one_image = sum(work.evaluation_seconds for trial, work in trials if trial.keep_weights)
        answering += passes * one_image / self._data_set.test.count
        drawing = SECONDS_TO_REPORT + SECONDS_TO_REPORT_MODEL * len(study.models)
        return drawing + self._data_set.test.count * answering / max(1, self._workers)

    def _memory(self, tasks: Iterable[Sequence[Planned]], *, on_cpu: bool) -> Memory:
        """Predict the memory of the largest task, and of as many of them at a time as there are workers."""
        images = self._data_set.train.images
        bytes_per_image = images.nbytes // len(images)

        def size(trial: Trial, work: Workload) -> int:
            floats = _FLOATS_PER_WEIGHT * work.network.weights + _FLOATS_PER_VALUE * work.network.values * work.batch
            floats += trial.keep_snapshots * trial.recipe.epochs * work.network.weights
            return round(_FLOAT * floats) + (work.fitted + work.held_out) * bytes_per_image

        largest = max((sum(size(*planned) for planned in task) for task in tasks), default=0)
        if not largest:
            return Memory(per_worker=0, total=0)
        if on_cpu:
            largest += _BYTES_PER_WORKER
        here, mapped = int(psutil.Process().memory_info().rss), images.nbytes if on_cpu else 0
        return Memory(per_worker=largest + mapped, total=here + max(1, self._workers) * largest + mapped)

    def _disk(self, trials: Iterable[Planned]) -> Disk:
        """Predict the files of trials; those of the finals lie in the store and, without snapshots, in the result."""
        bytes_per_prediction = _FLOAT * len(self._data_set.train.classes) + _BYTES_PER_PREDICTION
        records = weights = snapshots = 0
        for trial, work in trials:
            epochs, size = trial.recipe.epochs, _FLOAT * work.network.weights
            records += work.held_out * bytes_per_prediction + _BYTES_PER_HEADER
            records += epochs * (work.steps * _BYTES_PER_STEP + _BYTES_PER_EPOCH)
            weights += 2 * size * trial.keep_weights
            snapshots += epochs * size * trial.keep_snapshots
        return Disk(records=records, weights=weights, snapshots=snapshots)


# ---------------------------------------------------------------------------------------------------------------------
# A design that fits into a time


@dataclass(frozen=True, kw_only=True)
class FittedPlan:
    """The plan as asked, and the largest design that fits into ``budget_seconds``.

    ``fitted`` is the smallest design where ``fits`` is False. ``settings`` are the ``--set`` arguments that make it.
    """

    budget_seconds: float
    asked: PlanEstimate
    fitted: PlanEstimate
    fits: bool
    settings: tuple[str, ...]


def fit_to_budget(
    study: Study,
    data_set: DataSet,
    options: RunOptions,
    budget_seconds: float,
    *,
    progress: Callable[[str], None] = lambda text: None,
) -> FittedPlan:
    """Return the largest design of a study's exploration whose predicted time is within the budget.

    Raises:
        ConfigError, DataError: as for running it.
    """
    planner = Planner(study, data_set, options, progress)
    designs = list(smaller_designs(study.exploration, len(data_set.train)))

    @cache
    def estimate(number: int) -> PlanEstimate:
        return planner.estimate(replace(study, exploration=designs[number]))

    # each design takes less time than the one before
    first = bisect_left(
        range(len(designs) - 1), True, key=lambda number: estimate(number).most_seconds <= budget_seconds
    )
    return FittedPlan(
        budget_seconds=budget_seconds,
        asked=estimate(0),
        fitted=estimate(first),
        fits=estimate(first).most_seconds <= budget_seconds,
        settings=settings_of(study.exploration, designs[first]),
    )


def smaller_designs(asked: Exploration, images: int) -> Iterator[Exploration]:
    """Yield the design that is asked for, then ever smaller ones."""
    yield asked
    for repetitions in range(max(asked.repetitions, asked.seeds) - 1, 0, -1):
        asked = replace(asked, repetitions=repetitions, seeds=min(asked.seeds, repetitions))
        yield asked
    used = min(asked.images or images, images)
    while used > LEAST_IMAGES:
        used = max(LEAST_IMAGES, used // 2)
        asked = replace(asked, images=used)
        yield asked
    for folds in range(asked.folds - 1, LEAST_FOLDS - 1, -1):
        yield replace(asked, folds=folds)


def settings_of(asked: Exploration, fitted: Exploration) -> tuple[str, ...]:
    """Return what has to be set to turn one design into the other, as "exploration.folds=3"."""
    return tuple(
        f"exploration.{name}={getattr(fitted, name)}"
        for name in ("folds", "seeds", "repetitions", "images")
        if getattr(fitted, name) != getattr(asked, name)
    )
