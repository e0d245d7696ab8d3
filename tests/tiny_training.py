"""Trains tiny trials, with one thread as workers do."""

from typing import Any

from ceteris import recipe as r
from ceteris.data import ImageSet
from ceteris.records import Finished, Float32Array, Trial, finished
from ceteris.training.device import one_thread
from ceteris.training.trial import TrialResult, run_trial
from ceteris.user_code import NO_IMPORTS, ImportPolicy
from tests.tiny_trials import MLP, tiny_images, tiny_trial


def train(trial: Trial, images: ImageSet | None = None, *, imports: ImportPolicy = NO_IMPORTS) -> TrialResult:
    with one_thread():
        return run_trial(trial, images or tiny_images(), imports=imports)


def record_of(recipe: r.Recipe = MLP, images: ImageSet | None = None, **trial: Any) -> Finished:
    """The record of a training that must have finished."""
    return finished(train(tiny_trial(recipe, **trial), images).record)


def losses(recipe: r.Recipe = MLP, **trial: Any) -> Float32Array:
    """The loss of every iteration, (iterations,)."""
    iterations = record_of(recipe, **trial).iterations
    assert iterations is not None
    return iterations.loss
