"""What a study will cost and what it can find out, before it trains: trainings, time, memory, disk, detectable differences.

A design that fits into a time has fewer repetitions first, then fewer images, then fewer folds; never fewer epochs.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import psutil

from ceteris.data import DataSet, reading_lines
from ceteris.execution.worker import Task
from ceteris.planning.dry_run import DryRun, PlannedStage, dry_run
from ceteris.planning.power import Spread, detectable, spread_of
from ceteris.planning.timing import Timing, calibrate, images_fitted, images_held_out
from ceteris.records import Trial
from ceteris.store import Store
from ceteris.study import ExperimentContext, Exploration, Study, exploration_trials, strategy_of
from ceteris.study.strategies.comparison import SECONDS_TO_REPORT, SECONDS_TO_REPORT_MODEL, SECONDS_TO_START
from ceteris.study.trials import RunOptions, context_of, open_data
from ceteris.training.compiler import put_off_compiler

# More repetitions for which the plan says what they would find.
MORE_REPETITIONS = 4
LEAST_IMAGES, LEAST_FOLDS = 1000, 3  # of a design that is made smaller to fit into a time

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

    ``spreads`` says by model what the detectable differences rest on. ``at_most`` says that trainings may be saved, and
    ``data`` how the images were read and what endangers the conclusions.
    """

    study: Study
    data: tuple[str, ...]
    stages: tuple[PlannedStage, ...]
    workers: int
    preparing_seconds: float
    training_seconds: float
    report_seconds: float
    memory: Memory
    disk: Disk
    spreads: dict[str, Spread]
    at_most: bool

    @property
    def seconds(self) -> float:
        """The predicted wall-clock seconds of the run."""
        return self.preparing_seconds + self.training_seconds + self.report_seconds

    @property
    def trials(self) -> int:
        """The number of trainings."""
        return sum(len(stage.trials) for stage in self.stages)

    @property
    def known(self) -> int:
        """How many of them the store has already."""
        return sum(stage.known for stage in self.stages)


def plan_study(
    study: Study, options: RunOptions, *, progress: Callable[[str], None] = lambda text: None
) -> PlanEstimate:
    """Return what a study would train and how long that takes, measured for a few seconds on this machine.

    Raises:
        ConfigError, DataError: as for running it.
    """
    return Planner(study, options, progress=progress).estimate(study)


class Planner:
    """Estimates designs of one study: the store is read and the machine measured once."""

    def __init__(self, study: Study, options: RunOptions, *, progress: Callable[[str], None]) -> None:
        put_off_compiler()  # nothing is compiled here, and importing it takes more than a second
        self._options, self._progress = options, progress
        self._store, self._workers = Store(options.store), options.processes
        progress(f"reading the data: {study.data} (prepared the first time, which may take a minute)")
        self.data_set: DataSet = open_data(study, options, progress)
        context = context_of(study, self.data_set, options)
        self._on_cpu = context.device == "cpu"
        self._timing = Timing(self.data_set.train, imports=options.imports, table=context.stacking.table)
        self._recorded = list(self._store.finished(context.data))
        self._calibrated = False

    def estimate(self, study: Study) -> PlanEstimate:
        """Return the plan of the study in one of its designs."""
        context = context_of(study, self.data_set, self._options)
        self._progress("going through the design")
        run = self._dry_run(context)
        if not self._calibrated:
            trials, imports = [trial for task in run.tasks for trial in task.trials], self._options.imports
            self._timing.learn_records(self._recorded, like=trials)
            calibrate(
                self._timing, trials, self.data_set, workers=self._workers, imports=imports, progress=self._progress
            )
            self._calibrated = True
            run = self._dry_run(context)
        missing = [trial for task in run.tasks for trial in task.trials]
        spreads: dict[str, Spread] = {}
        for model in study.models:
            trial = exploration_trials(context, model.recipe)[0]
            held_out = images_held_out(trial, len(self.data_set.train))
            spreads[model.name] = spread_of(self._recorded, trial, held_out)
        return PlanEstimate(
            study=study,
            data=tuple(reading_lines(self.data_set)),
            stages=tuple(
                replace(
                    stage,
                    detectable=detectable(study, stage, spreads[stage.model]),
                    detectable_with_more=detectable(study, stage, spreads[stage.model], repetitions=MORE_REPETITIONS),
                )
                for stage in run.stages
            ),
            workers=self._workers,
            preparing_seconds=SECONDS_TO_START,
            training_seconds=run.seconds,
            report_seconds=self._report_seconds(study, missing),
            memory=self._memory(run.tasks),
            disk=self._disk(missing),
            spreads=spreads,
            at_most=strategy_of(study).leaves_early(study.strategy),
        )

    def _dry_run(self, context: ExperimentContext) -> DryRun:
        return dry_run(context, workers=self._workers, seconds_of=self._timing.seconds, is_known=self._store.holds)

    def _report_seconds(self, study: Study, trials: Iterable[Trial]) -> float:
        """Return the time after the last training: finals answer on the test set, once and after every epoch for curves."""
        answering = sum(
            (1 + trial.recipe.epochs * trial.keep_snapshots) * self._timing.evaluation_seconds(trial)
            for trial in trials
            if trial.keep_weights
        )
        drawing = SECONDS_TO_REPORT + SECONDS_TO_REPORT_MODEL * len(study.models)
        return drawing + self.data_set.test.count * answering / max(1, self._workers)

    def _memory(self, tasks: Iterable[Task]) -> Memory:
        """Predict the memory of the largest task, and of as many of them at a time as there are workers."""
        train, largest = self.data_set.train, 0
        for task in tasks:
            size = 0
            for trial in task.trials:
                network, recipe = self._timing.network(trial.recipe), trial.recipe
                floats = _FLOATS_PER_WEIGHT * network.weights + _FLOATS_PER_VALUE * network.values * recipe.batch_size
                floats += trial.keep_snapshots * recipe.epochs * network.weights
                images = images_fitted(trial, len(train)) + images_held_out(trial, len(train))
                size += round(_FLOAT * floats) + images * (train.images.nbytes // len(train))
            largest = max(largest, size)
        if not largest:
            return Memory(per_worker=0, total=0)
        if self._on_cpu:
            largest += _BYTES_PER_WORKER
        here, mapped = int(psutil.Process().memory_info().rss), train.images.nbytes if self._on_cpu else 0
        return Memory(per_worker=largest + mapped, total=here + max(1, self._workers) * largest + mapped)

    def _disk(self, trials: Iterable[Trial]) -> Disk:
        """Predict the files of trials; those of the finals lie in the store and, without snapshots, in the result."""
        train = self.data_set.train
        records = weights = snapshots = 0
        for trial in trials:
            recipe, held_out = trial.recipe, images_held_out(trial, len(train))
            steps = recipe.epochs * max(1, images_fitted(trial, len(train)) // recipe.batch_size)
            records += held_out * (_FLOAT * len(train.classes) + _BYTES_PER_PREDICTION)
            records += steps * _BYTES_PER_STEP + recipe.epochs * _BYTES_PER_EPOCH + _BYTES_PER_HEADER
            size = _FLOAT * self._timing.network(recipe).weights
            weights += 2 * size * trial.keep_weights
            snapshots += recipe.epochs * size * trial.keep_snapshots
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
    study: Study, options: RunOptions, budget_seconds: float, *, progress: Callable[[str], None] = lambda text: None
) -> FittedPlan:
    """Return the largest design of a study's exploration whose predicted time is within the budget.

    Raises:
        ConfigError, DataError: as for running it.
    """
    planner = Planner(study, options, progress=progress)
    designs = list(smaller_designs(study.exploration, len(planner.data_set.train)))

    @cache
    def estimate(number: int) -> PlanEstimate:
        return planner.estimate(replace(study, exploration=designs[number]))

    # each design takes less time than the one before
    first = bisect_left(range(len(designs) - 1), True, key=lambda number: estimate(number).seconds <= budget_seconds)
    return FittedPlan(
        budget_seconds=budget_seconds,
        asked=estimate(0),
        fitted=estimate(first),
        fits=estimate(first).seconds <= budget_seconds,
        settings=settings_of(study.exploration, designs[first]),
    )


def smaller_designs(asked: Exploration, images: int) -> Iterator[Exploration]:
    """Yield the design that is asked for, then ever smaller ones."""
    yield asked
    for seeds in range(asked.seeds - 1, 0, -1):
        asked = replace(asked, seeds=seeds)
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
        for name in ("folds", "seeds", "images")
        if getattr(fitted, name) != getattr(asked, name)
    )
