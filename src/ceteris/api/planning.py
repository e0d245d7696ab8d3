"""What a study will cost: its trainings, those that are in the store already, and hours from a few measured steps."""

from collections.abc import Callable
from dataclasses import dataclass

from ceteris.api.running import Options, open_data, worker_count
from ceteris.data import DataSet, split_indices
from ceteris.records import Trial
from ceteris.store import Store, trial_digest
from ceteris.study import PlannedStage, Setting, Study, images_fitted, planned_stages
from ceteris.training import measure_speed, resolve_device

# What a training process costs before its first step: imports and opening the data.
_START_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class StageEstimate:
    """One stage of a plan; ``seconds`` is the time of one core for the trainings that are not in the store yet."""

    stage: PlannedStage
    known: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class PlanEstimate:
    """A whole plan: stages, workers, and the predicted wall-clock seconds of all trainings."""

    stages: tuple[StageEstimate, ...]
    workers: int
    seconds: float

    @property
    def trials(self) -> int:
        """The number of trainings."""
        return sum(len(stage.stage.trials) for stage in self.stages)

    @property
    def known(self) -> int:
        """How many of them the store has already."""
        return sum(stage.known for stage in self.stages)


def plan_study(study: Study, options: Options, *, progress: Callable[[str], None] = lambda text: None) -> PlanEstimate:
    """Return what a study would train, with times predicted from a few steps of every arm on this machine.

    Raises:
        ConfigError, DataError: as for running it.
    """
    data_set = open_data(study, options)
    setting = Setting(study=study, data=data_set.train.digest, device=resolve_device(options.device))
    store, workers = Store(options.store), worker_count(options.workers)
    seconds_of = _measured(data_set, allow_imports=options.allow_imports)
    stages = []
    for stage in planned_stages(setting):
        progress(f"measuring {stage.model}, {stage.stage}")
        known = [store.holds(trial_digest(trial)) for trial in stage.trials]
        seconds = sum(seconds_of(trial) for trial, done in zip(stage.trials, known, strict=True) if not done)
        stages.append(StageEstimate(stage=stage, known=sum(known), seconds=seconds))
    total = sum(stage.seconds for stage in stages)
    wall = total / max(1, workers) + (_START_SECONDS if total else 0.0)
    return PlanEstimate(stages=tuple(stages), workers=workers, seconds=wall)


def _measured(data_set: DataSet, *, allow_imports: bool) -> Callable[[Trial], float]:
    """Return a function that predicts a trial's seconds; equal recipes are measured once."""
    per_image: dict[object, tuple[float, float]] = {}
    train = data_set.train

    def seconds(trial: Trial) -> float:
        key = repr((trial.recipe, trial.execution))
        if key not in per_image:
            per_image[key] = measure_speed(trial, train, allow_imports=allow_imports)
        fit_seconds, predict_seconds = per_image[key]
        fitted = images_fitted(trial, len(train))
        held = len(split_indices(trial.split, train.labels, train.groups)[1])
        return trial.recipe.epochs * (fitted * fit_seconds + held * predict_seconds)

    return seconds
