"""What may still be spent on more repetitions: the whole run's budget, shared evenly by the models.

Only recorded training times are counted, never the clock, so that a run that goes on after a stop decides as it would have.
"""

from collections.abc import Iterable

from ceteris.records import Failed, HoldoutSplit, Record
from ceteris.study.study import Study
from ceteris.study.trials import ExperimentContext

# What a run takes besides training, in wall-clock seconds: starting, and per model explaining and drawing.
_SECONDS_BESIDES = 10.0
_SECONDS_PER_MODEL_BESIDES = 5.0


class Purse:
    """The core-seconds of one model; what the confirmation and the final trainings will take is put aside."""

    def __init__(self, setting: ExperimentContext) -> None:
        self._setting = setting
        self._counted: set[str] = set()
        self.spent = 0.0
        self.share = _share(setting)

    def charge(self, records: Iterable[Record]) -> None:
        """Count trainings, each once."""
        for record in records:
            if record.digest not in self._counted:
                self._counted.add(record.digest)
                self.spent += seconds_of(record)

    def affords(self, seconds: float, sample: Record | None) -> bool:
        """Say whether so many core-seconds are left, when a recipe like that of ``sample`` goes into the finals."""
        return self.spent + seconds + (reserve(self._setting, sample) if sample else 0.0) <= self.share


def _share(setting: ExperimentContext) -> float:
    """Return the core-seconds of one model: an even part of what the budget leaves for training, without limit if none."""
    extension, models = setting.extension, len(setting.study.models)
    if extension is None or extension.budget_seconds is None:
        return float("inf")
    training = extension.budget_seconds - _SECONDS_BESIDES - _SECONDS_PER_MODEL_BESIDES * models
    return max(0.0, training) * max(1, extension.workers) / models


def seconds_of(record: Record) -> float:
    """Return the training and evaluation time of a record in core-seconds."""
    if isinstance(record, Failed):
        return 0.0
    return record.cost.train_seconds + record.epoch_count * record.cost.evaluation_seconds


def reserve(setting: ExperimentContext, sample: Record) -> float:
    """Return the core-seconds that confirmation and finals will take if all recipes cost what ``sample`` did."""
    study = setting.study
    confirmation = 2 * study.exploration.folds * study.confirmation.seeds * seconds_of(sample)
    return confirmation + _versions(sample) * study.final.seeds * _final_seconds(study, setting.images, sample)


def _versions(sample: Record) -> int:
    return 3 if sample.trial.recipe.model.kind == "resnet" else 2


def _final_seconds(study: Study, images: int, sample: Record) -> float:
    if isinstance(sample, Failed) or isinstance(sample.trial.split, HoldoutSplit):
        return 0.0
    epochs = sample.epoch_count
    fitted = sample.cost.images_per_second * sample.cost.train_seconds / epochs
    per_image_and_epoch = seconds_of(sample) / max(1.0, fitted * epochs)
    final_epochs = study.final.epochs or sample.trial.recipe.epochs
    return per_image_and_epoch * images * (1 - study.final.validation) * final_epochs
