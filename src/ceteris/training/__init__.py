"""From a recipe to a trained model and its record; ``build`` is the only place that turns a recipe into objects."""

from ceteris.training.device import (
    available_devices,
    environment,
    execution_of,
    has_fast_bfloat16,
    one_thread,
    resolve_device,
)
from ceteris.training.history import predict
from ceteris.training.population import run_population, shape_key
from ceteris.training.trial import TrialResult, failed_record, measure_step, run_trial, standardisation_of

__all__ = [
    "TrialResult",
    "available_devices",
    "environment",
    "execution_of",
    "failed_record",
    "has_fast_bfloat16",
    "measure_step",
    "one_thread",
    "predict",
    "resolve_device",
    "run_population",
    "run_trial",
    "shape_key",
    "standardisation_of",
]
