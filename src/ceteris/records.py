"""The vocabulary that comes out of a single training: everything that was observed, frozen, without behaviour."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

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
class TrialRecord:
    """Everything observed in one trial.

    ``status`` is "finished", "diverged" (the loss stopped being finite) or "failed" (an error, told in ``error``).
    ``accuracy`` and ``f1`` are those of the held-out images at the restored epoch (the last one without early
    stopping); 0 for a trial that diverged or failed.
    """

    digest: str
    trial: Trial
    status: Literal["finished", "diverged", "failed"]
    error: str
    accuracy: float
    f1: float
    loss: float
    train_accuracy: float
    best_epoch: int
    epochs: EpochHistory | None
    iterations: IterationHistory | None
    predictions: Predictions | None
    cost: Cost | None
    environment: dict[str, str]
