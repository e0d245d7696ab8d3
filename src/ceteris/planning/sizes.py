"""How long trials take relative to each other, before any of them has run: for the progress display only."""

from collections.abc import Callable

from ceteris.data import DataSet
from ceteris.digests import digest_of
from ceteris.planning.stages import images_fitted
from ceteris.records import Trial
from ceteris.training.build import summary_of
from ceteris.user_code import ImportPolicy

# One core of a present server processor: what a step costs however small the network is, and what it computes a second.
_SECONDS_PER_LAYER_AND_STEP = 4e-5
_FLOPS_PER_SECOND = 6e10


def size_of_trials(data_set: DataSet, *, imports: ImportPolicy) -> Callable[[Trial], float]:
    """Return a function that estimates the seconds of a trial from its steps, layers and FLOPs."""
    known: dict[str, tuple[int, int]] = {}

    def layers_and_flops(trial: Trial) -> tuple[int, int]:
        key = digest_of(trial.recipe.model)
        if key not in known:
            try:
                summary = summary_of(trial.recipe, data_set.train, imports=imports)
            except Exception:
                known[key] = (1, 10**6)  # a model that cannot be built will say so in its own row
            else:
                known[key] = (len(summary.layers), summary.flops)
        return known[key]

    def seconds(trial: Trial) -> float:
        layers, flops = layers_and_flops(trial)
        images = images_fitted(trial, len(data_set.train)) * trial.recipe.epochs
        steps = images / trial.recipe.batch_size
        return steps * layers * _SECONDS_PER_LAYER_AND_STEP + 3 * flops * images / _FLOPS_PER_SECOND

    return seconds
