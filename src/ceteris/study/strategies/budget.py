"""What may still be spent on more repetitions: the whole run's budget, shared evenly by the models.

Only recorded training times are counted, never the clock, so that a run that goes on after a stop decides as it would have.
"""

from collections.abc import Iterable

from ceteris.records import Failed, Record
from ceteris.study.trials import ExperimentContext, confirmation_trials, final_trials

# What a run takes besides training, in wall-clock seconds: starting and reporting, of which explaining and drawing each model.
SECONDS_TO_START, SECONDS_TO_REPORT, SECONDS_TO_REPORT_MODEL = 5.0, 5.0, 5.0


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
            besides = SECONDS_TO_START + SECONDS_TO_REPORT + SECONDS_TO_REPORT_MODEL * models
            self.share = max(0.0, extension.budget_seconds - besides) * max(1, extension.workers) / models

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
    if context.extension is None:
        return 0.0
    recipe, size_of = sample.trial.recipe, context.extension.size_of
    versions = 3 if recipe.model.kind == "resnet" else 2
    trials = 2 * confirmation_trials(context, recipe) + versions * final_trials(context, recipe)
    return seconds_of(sample) / size_of(sample.trial) * sum(map(size_of, trials))
