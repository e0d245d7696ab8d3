"""What a study will cost and what it can find out, before it trains: trainings, time, memory, disk, detectable differences."""

import operator
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ceteris.data import DataSet
from ceteris.digests import digest_of
from ceteris.planning.clock import preparing_seconds, queue_seconds, report_seconds
from ceteris.planning.power import Spread, detectable, spread_of
from ceteris.planning.rehearsal import leaves_early
from ceteris.planning.resources import Disk, Memory, disk_of, memory_of
from ceteris.planning.stages import PlannedStage, images_held_out, planned_stages
from ceteris.planning.timing import Speeds, Training, measure, trainings_of
from ceteris.recipe import Recipe
from ceteris.store import Store
from ceteris.store.headers import RecordedAccuracy, recorded_accuracies
from ceteris.study import ExperimentContext, Study, exploration_trials
from ceteris.study.context import RunOptions, open_data, setting_of, worker_count
from ceteris.training.build import summary_of

# More repetitions for which the plan says what they would find.
MORE_REPETITIONS = 4


@dataclass(frozen=True, kw_only=True)
class StageEstimate:
    """One stage of a plan; ``seconds`` is the time of one core for the trainings that are not in the store yet.

    ``detectable`` is the smallest true difference of accuracy (0..1) that its comparisons find with power 0.8, and
    ``detectable_with_more`` that of MORE_REPETITIONS times as many repetitions; None where it compares nothing by pairs.
    """

    stage: PlannedStage
    known: int
    seconds: float
    detectable: float | None
    detectable_with_more: float | None


@dataclass(frozen=True, kw_only=True)
class PlanEstimate:
    """A whole plan; ``seconds`` is the predicted wall-clock time of the run: preparing, training and the report.

    ``spreads`` says by model what the detectable differences rest on. ``at_most`` says that trainings may be saved.
    """

    study: Study
    stages: tuple[StageEstimate, ...]
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
        return sum(len(stage.stage.trials) for stage in self.stages)

    @property
    def known(self) -> int:
        """How many of them the store has already."""
        return sum(stage.known for stage in self.stages)


def plan_study(
    study: Study, options: RunOptions, *, progress: Callable[[str], None] = lambda text: None
) -> PlanEstimate:
    """Return what a study would train, with times predicted from a few epochs of every training on this machine.

    Raises:
        ConfigError, DataError: as for running it.
    """
    return Planner(study, options, progress=progress).estimate(study)


class Planner:
    """Estimates designs of one study: every kind of training is measured once, the store is read once."""

    def __init__(self, study: Study, options: RunOptions, *, progress: Callable[[str], None]) -> None:
        self._options, self._progress = options, progress
        self._store, self._workers = Store(options.store), worker_count(options.workers)
        progress("reading the data")
        self.data_set: DataSet = open_data(study, options)
        self._speeds = Speeds(train_count=len(self.data_set.train))
        self._recorded: list[RecordedAccuracy] | None = None
        self._parameters: dict[str, int] = {}

    def estimate(self, study: Study) -> PlanEstimate:
        """Return the plan of the study in one of its designs."""
        setting = setting_of(study, self.data_set, self._options)
        self._progress("going through the design")
        missing = [self._missing(stage) for stage in planned_stages(setting)]
        trainings = [training for stage in missing for trainings in stage.rounds for training in trainings]
        self._measure(trainings)
        spreads = {model.name: self._spread(setting, model.recipe) for model in study.models}
        return PlanEstimate(
            study=study,
            stages=tuple(self._stage(study, stage, spreads[stage.stage.model]) for stage in missing),
            workers=self._workers,
            preparing_seconds=preparing_seconds(self._speeds.start_seconds),
            training_seconds=self._training_seconds(missing),
            report_seconds=report_seconds(len(study.models), self._answering_seconds(trainings), self._workers),
            memory=memory_of(trainings, self._speeds, self.data_set, self._parameter_count, self._workers),
            disk=disk_of([trial for training in trainings for trial in training], self.data_set, self._parameter_count),
            spreads=spreads,
            at_most=leaves_early(study.strategy),
        )

    def _missing(self, stage: PlannedStage) -> "_Missing":
        rounds = [[t for t in trials if not self._store.holds(t)] for trials in stage.rounds]
        return _Missing(stage=stage, rounds=[trainings_of(trials) for trials in rounds])

    def _measure(self, trainings: Sequence[Training]) -> None:
        measure(
            self._speeds,
            trainings,
            self.data_set,
            workers=self._workers,
            imports=self._options.imports,
            progress=self._progress,
        )

    def _stage(self, study: Study, missing: "_Missing", spread: Spread) -> StageEstimate:
        stage = missing.stage
        trainings = [training for trainings in missing.rounds for training in trainings]
        return StageEstimate(
            stage=stage,
            known=len(stage.trials) - sum(map(len, trainings)),
            seconds=sum(map(self._speeds.seconds, trainings)),
            detectable=detectable(study, stage, spread),
            detectable_with_more=detectable(study, stage, spread, repetitions=MORE_REPETITIONS),
        )

    def _training_seconds(self, missing: Sequence["_Missing"]) -> float:
        models: dict[str, list[list[float]]] = defaultdict(list)
        for stage in missing:
            models[stage.stage.model] += [[*map(self._speeds.seconds, trainings)] for trainings in stage.rounds]
        return queue_seconds(list(models.values()), self._workers)

    def _answering_seconds(self, trainings: Sequence[Training]) -> float:
        """Return the seconds in which finals answer on the test set: once, and with the weights of every epoch for curves."""
        finals = [training for training in trainings if training[0].keep_weights]
        looks = [1 + trial.recipe.epochs * trial.keep_snapshots for trial, *_ in finals]
        seconds = [self._speeds.of(training).held_out_seconds for training in finals]
        return self.data_set.test.count * float(sum(map(operator.mul, looks, seconds)))

    def _spread(self, setting: ExperimentContext, recipe: Recipe) -> Spread:
        if self._recorded is None:
            self._recorded = list(recorded_accuracies(self._store, setting.data))
        trial = exploration_trials(setting, recipe)[0]
        return spread_of(self._recorded, trial, images_held_out(trial, len(self.data_set.train)))

    def _parameter_count(self, recipe: Recipe) -> int:
        key = digest_of(recipe.model)
        if key not in self._parameters:
            summary = summary_of(recipe, self.data_set.train, imports=self._options.imports)
            self._parameters[key] = summary.parameters
        return self._parameters[key]


@dataclass(frozen=True, kw_only=True)
class _Missing:
    """The trainings of a stage that the store does not have, round after round."""

    stage: PlannedStage
    rounds: list[list[Training]]
