"""The vocabulary that comes out of a single training: everything that was observed, frozen, without behaviour."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ceteris.digests import digest_of
from ceteris.recipe import Recipe

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
ByteArray = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class CrossValidationSplit:
    """Fold ``index`` of ``folds`` stratified folds is held out; ``images`` > 0 first draws a stratified sample of that size."""

    folds: int
    index: int
    seed: int
    images: int = 0
    kind: Literal["cross-validation"] = "cross-validation"


@dataclass(frozen=True, kw_only=True)
class HoldoutSplit:
    """A stratified ``fraction`` of the training set is held out for early stopping."""

    fraction: float
    seed: int
    kind: Literal["holdout"] = "holdout"


Split = CrossValidationSplit | HoldoutSplit


@dataclass(frozen=True, kw_only=True)
class Execution:
    """The part of the machine, and of the way it is used, that can change a training's digits.

    ``members`` trials are trained in lockstep as one stacked model: the *population* with this digest. 1 and "" mean
    the plain loop.
    """

    device: str
    precision: Literal["float32", "bfloat16"]
    threads: int
    torch: str
    members: int = 1
    population: str = ""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training to be done: recipe × block; its digest is its address in the store.

    ``patience`` is 0 when the training runs all its epochs; otherwise it stops early and restores the best epoch.
    ``code`` is the digest of the user's own code that the recipe names by import path, '' where it names none.
    ``keep_weights`` stores the weights, ``keep_snapshots`` those of every epoch too (for curves drawn afterwards).
    """

    recipe: Recipe
    data: str
    split: Split
    seed: int
    execution: Execution
    patience: int = 0
    keep_weights: bool = False
    keep_snapshots: bool = False
    code: str = ""
    schema: int = 2

    @cached_property
    def digest(self) -> str:
        """The trial's address: the digest of all that can change its result, 64 hexadecimal digits."""
        return digest_of(self)


@dataclass(frozen=True, kw_only=True)
class EpochHistory:
    """One entry per epoch, each array (epochs,).

    Training loss and accuracy are means over the epoch's mini-batches as they were met (with augmentation and dropout);
    validation figures are measured at the end of the epoch. Accuracy and macro-averaged F1 lie in 0..1. ``seconds`` is
    the time since the training began, measuring excluded.
    """

    train_loss: FloatArray
    train_accuracy: FloatArray
    train_f1: FloatArray
    validation_loss: FloatArray
    validation_accuracy: FloatArray
    validation_f1: FloatArray
    learning_rate: FloatArray
    gradient_norm: FloatArray
    seconds: FloatArray


@dataclass(frozen=True, kw_only=True)
class IterationHistory:
    """One entry per mini-batch, each array (iterations,)."""

    loss: Float32Array
    accuracy: Float32Array
    learning_rate: Float32Array


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Class probabilities float32 (n, classes), true labels (n,) and the images' places in their ImageSet (n,)."""

    probabilities: Float32Array
    labels: IntArray
    indices: IntArray


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a training took. FLOPs count a multiply-add as two; training counts forward, backward and all images."""

    train_seconds: float
    evaluation_seconds: float
    peak_memory_bytes: int
    parameters: int
    forward_flops_per_image: int
    training_flops: int
    images_per_second: float


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What was observed in a trial that ran to its end.

    Accuracy, F1 (both in 0..1) and loss are those of the held-out images at the restored epoch ``best_epoch`` (from 1;
    the last one without early stopping). ``epoch_count`` and ``step_count`` are the epochs and mini-batches that were
    trained. The histories and predictions are None in a light record, which is what travels between processes.
    """

    trial: Trial
    accuracy: float
    f1: float
    loss: float
    train_accuracy: float
    best_epoch: int
    epoch_count: int
    step_count: int
    cost: Cost
    environment: dict[str, str]
    epochs: EpochHistory | None = None
    iterations: IterationHistory | None = None
    predictions: Predictions | None = None
    status: Literal["finished"] = "finished"

    @property
    def digest(self) -> str:
        """The trial's address."""
        return self.trial.digest

    def light(self) -> "Finished":
        """Return the record without its arrays."""
        return replace(self, epochs=None, iterations=None, predictions=None)


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A trial without a result: its loss stopped being finite ("diverged"), or an error ended it ("failed").

    ``error`` says what happened in one line, ``traceback`` where in the code, "" for a trial that diverged.
    """

    trial: Trial
    status: Literal["diverged", "failed"]
    error: str
    environment: dict[str, str]
    traceback: str = ""

    @property
    def digest(self) -> str:
        """The trial's address."""
        return self.trial.digest

    def light(self) -> "Failed":
        """Return the record itself: it has no arrays."""
        return self


Record = Finished | Failed


def finished(record: Record) -> Finished:
    """Return the record of a training that must have finished.

    Raises:
        RuntimeError: with what ended the training, where it did not.
    """
    if isinstance(record, Failed):
        raise RuntimeError(f"{record.status}: {record.error}\n{record.traceback}")
    return record
