"""What may still be spent on more repetitions: the whole run's budget, shared evenly by the models.

Only recorded training times are counted, never the clock, so that a run that goes on after a stop decides as it would have.
"""

from collections.abc import Iterable

from ceteris.records import Failed, HoldoutSplit, Record
from ceteris.study.trials import ExperimentContext

# What a run takes besides training, in wall-clock seconds: starting, and per model explaining and drawing.
_SECONDS_BESIDES = 10.0
_SECONDS_PER_MODEL_BESIDES = 5.0


class Budget:
    """The core-seconds of one model; what the confirmation and the final trainings will take is put aside.

    ``share`` is an even part of what the run's budget leaves for training, without limit where there is no budget.
    """

    def __init__(self, context: ExperimentContext) -> None:
        self._context = context
        self._counted: set[str] = set()
        self.spent = 0.0
        self.share = float("inf")
        extension, models = context.extension, len(context.study.models)
        if extension is not None and extension.budget_seconds is not None:
            training = extension.budget_seconds - _SECONDS_BESIDES - _SECONDS_PER_MODEL_BESIDES * models
            self.share = max(0.0, training) * max(1, extension.workers) / models

    def add(self, records: Iterable[Record]) -> None:
        """Count trainings, each once."""
        for record in records:
            if record.digest not in self._counted:
                self._counted.add(record.digest)
                self.spent += seconds_of(record)

    def allows(self, seconds: float, sample: Record | None) -> bool:
        """Say whether so many core-seconds are left, when a recipe like that of ``sample`` goes into the finals."""
        return self.spent + seconds + (reserve(self._context, sample) if sample else 0.0) <= self.share


def seconds_of(record: Record) -> float:
    """Return the training and evaluation time of a record in core-seconds."""
    if isinstance(record, Failed):
        return 0.0
    return record.cost.train_seconds + record.epoch_count * record.cost.evaluation_seconds


def reserve(context: ExperimentContext, sample: Record) -> float:
    """Return the core-seconds that confirmation and finals will take if all recipes cost what ``sample`` did."""
    study, recipe = context.study, sample.trial.recipe
    confirmation = 2 * study.exploration.folds * study.confirmation.seeds * seconds_of(sample)
    if isinstance(sample, Failed) or isinstance(sample.trial.split, HoldoutSplit):
        return confirmation
    epochs = sample.epoch_count
    fitted = sample.cost.images_per_second * sample.cost.train_seconds / epochs
    per_image_and_epoch = seconds_of(sample) / max(1.0, fitted * epochs)
    per_epoch = per_image_and_epoch * context.images * (1 - study.final.validation)
    versions = 3 if recipe.model.kind == "resnet" else 2
    return confirmation + versions * study.final.seeds * (per_epoch * (study.final.epochs or recipe.epochs))
