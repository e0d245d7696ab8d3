"""Everything that is planned is built once before anything is trained, so that mistakes cost nothing."""

from collections.abc import Sequence

from ceteris.data import DataSet, split_indices
from ceteris.digests import digest_of
from ceteris.errors import ConfigError
from ceteris.planning.stages import PlannedStage
from ceteris.training.build import build_loss, summary_of
from ceteris.user_code import ImportPolicy


def check_plan(stages: Sequence[PlannedStage], data_set: DataSet, *, imports: ImportPolicy) -> None:
    """Build the model and the loss of every planned recipe, and make every planned split, once.

    Raises:
        ConfigError: when one cannot be built for these images; the message names the model and the stage.
        DataError: when the images cannot be split as planned.
    """
    seen: set[str] = set()
    for stage in stages:
        for trial in stage.trials:
            if _is_new(seen, trial.split):
                split_indices(trial.split, data_set.train.labels, data_set.train.groups)
            if not _is_new(seen, (trial.recipe.model, trial.recipe.loss)):
                continue
            try:
                summary_of(trial.recipe, data_set.train, imports=imports)
                build_loss(trial.recipe.loss, imports=imports)
            except ConfigError as error:
                raise ConfigError(f"model {stage.model}, {stage.stage}: {error}") from None
            except Exception:
                continue  # the user's own code failed: a row of the report will say how, and the study goes on


def _is_new(seen: set[str], value: object) -> bool:
    key = digest_of(value)
    if key in seen:
        return False
    seen.add(key)
    return True
