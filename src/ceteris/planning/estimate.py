"""What a study will cost and what it can find out, before it trains: trainings, time, memory, disk, detectable differences."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import psutil

from ceteris.data import DataSet
from ceteris.execution.worker import Task
from ceteris.planning.dry_run import DryRun, PlannedStage, dry_run, leaves_early
from ceteris.planning.power import Spread, detectable, spread_of
from ceteris.planning.timing import Timing, calibrate, images_fitted, images_held_out
from ceteris.recipe import Recipe
from ceteris.records import Trial
from ceteris.store import Store, recorded_trials
from ceteris.study import ExperimentContext, Study, exploration_trials
from ceteris.study.context import RunOptions, open_data, setting_of
from ceteris.training.compiler import put_off_compiler

# More repetitions for which the plan says what they would find.
MORE_REPETITIONS = 4

# What a whole run takes besides training, on one core of a present server processor; see benchmarks/plan_accuracy.py.
_SECONDS_PREPARING = 5.0
_SECONDS_PER_REPORT, _SECONDS_PER_MODEL_IN_REPORT = 4.0, 3.0

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

    ``spreads`` says by model what the detectable differences rest on. ``at_most`` says that trainings may be saved.
    """

    study: Study
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
        context = setting_of(study, self.data_set, options)
        self._on_cpu = context.device == "cpu"
        self._timing = Timing(self.data_set.train, imports=options.imports, table=context.stacking.table)
        self._recorded = list(recorded_trials(self._store, context.data))
        self._calibrated = False

    def estimate(self, study: Study) -> PlanEstimate:
        """Return the plan of the study in one of its designs."""
        context = setting_of(study, self.data_set, self._options)
        self._progress("going through the design")
        run = self._dry_run(context)
        if not self._calibrated:
            self._calibrate(run)
            run = self._dry_run(context)
        spreads = {model.name: self._spread(context, model.recipe) for model in study.models}
        missing = [trial for task in run.tasks for trial in task.trials]
        return PlanEstimate(
            study=study,
            stages=tuple(
                replace(
                    stage,
                    detectable=detectable(study, stage, spreads[stage.model]),
                    detectable_with_more=detectable(study, stage, spreads[stage.model], repetitions=MORE_REPETITIONS),
                )
                for stage in run.stages
            ),
            workers=self._workers,
            preparing_seconds=_SECONDS_PREPARING,
            training_seconds=run.seconds,
            report_seconds=self._report_seconds(study, missing),
            memory=self._memory(run.tasks),
            disk=self._disk(missing),
            spreads=spreads,
            at_most=leaves_early(study.strategy),
        )

    def _dry_run(self, context: ExperimentContext) -> DryRun:
        return dry_run(context, workers=self._workers, seconds_of=self._timing.seconds, is_known=self._store.holds)

    def _calibrate(self, run: DryRun) -> None:
        trials = [trial for task in run.tasks for trial in task.trials]
        self._timing.learn_records(self._recorded, like=trials)
        calibrate(
            self._timing,
            trials,
            self.data_set,
            workers=self._workers,
            imports=self._options.imports,
            progress=self._progress,
        )
        self._calibrated = True

    def _report_seconds(self, study: Study, trials: Iterable[Trial]) -> float:
        """Return the time after the last training: finals answer on the test set, once and after every epoch for curves."""
        answering = sum(
            (1 + trial.recipe.epochs * trial.keep_snapshots) * self._timing.evaluation_seconds(trial)
            for trial in trials
            if trial.keep_weights
        )
        drawing = _SECONDS_PER_REPORT + _SECONDS_PER_MODEL_IN_REPORT * len(study.models)
        return drawing + self.data_set.test.count * answering / max(1, self._workers)

    def _spread(self, context: ExperimentContext, recipe: Recipe) -> Spread:
        trial = exploration_trials(context, recipe)[0]
        return spread_of(self._recorded, trial, images_held_out(trial, len(self.data_set.train)))

    def _memory(self, tasks: Iterable[Task]) -> Memory:
        """Predict the memory of the largest task, and of as many of them at a time as there are workers."""
        own = max((sum(map(self._training_bytes, task.trials)) for task in tasks), default=0)
        mapped = self.data_set.train.images.nbytes if self._on_cpu else 0
        if own and self._on_cpu:
            own += _BYTES_PER_WORKER
        here = int(psutil.Process().memory_info().rss)
        return Memory(per_worker=own + mapped if own else 0, total=here + max(1, self._workers) * own + mapped)

    def _training_bytes(self, trial: Trial) -> int:
        train, network = self.data_set.train, self._timing.network(trial.recipe)
        images = images_fitted(trial, len(train)) + images_held_out(trial, len(train))
        floats = _FLOATS_PER_WEIGHT * network.weights + _FLOATS_PER_VALUE * network.values * trial.recipe.batch_size
        floats += trial.keep_snapshots * trial.recipe.epochs * network.weights
        return round(_FLOAT * floats) + images * (train.images.nbytes // len(train))

    def _disk(self, trials: Iterable[Trial]) -> Disk:
        """Predict the files of trials; those of the finals lie in the store and, without snapshots, in the result."""
        records = weights = snapshots = 0
        for trial in trials:
            size = _FLOAT * self._timing.network(trial.recipe).weights
            records += _record_bytes(trial, self.data_set)
            weights += 2 * size * trial.keep_weights
            snapshots += trial.recipe.epochs * size * trial.keep_snapshots
        return Disk(records=records, weights=weights, snapshots=snapshots)


def _record_bytes(trial: Trial, data_set: DataSet) -> int:
    epochs, fitted = trial.recipe.epochs, images_fitted(trial, len(data_set.train))
    steps = epochs * max(1, fitted // trial.recipe.batch_size)
    classes = len(data_set.train.classes)
    predictions = images_held_out(trial, len(data_set.train)) * (_FLOAT * classes + _BYTES_PER_PREDICTION)
    return predictions + steps * _BYTES_PER_STEP + epochs * _BYTES_PER_EPOCH + _BYTES_PER_HEADER
