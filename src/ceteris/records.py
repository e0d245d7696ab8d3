"""The vocabulary that comes out of a single training: everything that was observed, frozen, without behaviour."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, Literal, Protocol, assert_never

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic_core import core_schema

from ceteris.digests import ADDED, digest_of
from ceteris.recipe import Recipe

ARRAY_KEY = "$array"  # in plain values a table with this key stands for the array of that name


@dataclass(frozen=True)
class ArrayOf:
    """Says what kind of numbers an array holds, so that pydantic checks one that is read back; its context holds the arrays."""

    kind: type[np.generic]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(self._array)

    def _array(self, value: Any, info: core_schema.ValidationInfo) -> NDArray[Any]:
        name = value.get(ARRAY_KEY) if isinstance(value, dict) else None
        found = (info.context or {}).get(name) if isinstance(name, str) else None
        if found is None or found.dtype != self.kind:
            raise ValueError(f"an array of {self.kind.__name__} is needed")
        return found  # type: ignore[no-any-return]


FloatArray = Annotated[NDArray[np.float64], ArrayOf(np.float64)]
Float32Array = Annotated[NDArray[np.float32], ArrayOf(np.float32)]
IntArray = Annotated[NDArray[np.int64], ArrayOf(np.int64)]
ByteArray = Annotated[NDArray[np.uint8], ArrayOf(np.uint8)]
ClassArray = ByteArray | Annotated[NDArray[np.uint16], ArrayOf(np.uint16)]
Float16Array = Annotated[NDArray[np.float16], ArrayOf(np.float16)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def check_shapes(value: Any, **shapes: str) -> None:
    """Check that arrays of a dataclass fit together: ``labels="n", images="n channels height width"``; None is passed over.

    Raises:
        ValueError: naming the array that does not fit.
    """
    known: dict[str, int] = {}
    for name, sides in shapes.items():
        array, words = getattr(value, name), sides.split()
        if array is None:
            continue
        fits = array.ndim == len(words)
        for word, size in zip(words, array.shape, strict=False):
            fits &= known.setdefault(word, size) == size
        if not fits:
            raise ValueError(f"{name} has the shape {array.shape}, which does not fit ({sides}) beside the others")


def check_indices(name: str, indices: IntArray, count: int) -> None:
    """Check that all indices lie in 0..count-1.

    Raises:
        ValueError: naming the array with one that does not.
    """
    if len(indices) and not 0 <= indices.min() <= indices.max() < count:
        raise ValueError(f"{name}: 0 to {count - 1} are allowed, received {indices.min()} to {indices.max()}")


@dataclass(frozen=True, kw_only=True)
class CrossValidationSplit:
    """Fold ``index`` of ``folds`` stratified folds is held out; ``images`` > 0 first draws a stratified sample of that size.

    A share ``reserve`` of all images, drawn with ``reserve_seed``, takes no part; see :class:`ReserveSplit`. Early stopping
    looks at a share ``validation`` of the images that would be fitted on; at 0 it looks at the held-out ones.
    """

    folds: int
    index: int
    seed: int
    images: int = 0
    kind: Literal["cross-validation"] = "cross-validation"
    reserve: float = field(default=0.0, metadata=ADDED)
    reserve_seed: int = field(default=0, metadata=ADDED)
    validation: float = field(default=0.0, metadata=ADDED)


@dataclass(frozen=True, kw_only=True)
class HoldoutSplit:
    """A stratified ``fraction`` of the training set is held out for early stopping; at 0 all images are fitted on.

    ``images`` > 0 first draws a stratified sample of that size.
    """

    fraction: float
    seed: int
    kind: Literal["holdout"] = "holdout"
    images: int = field(default=0, metadata=ADDED)


@dataclass(frozen=True, kw_only=True)
class ReserveSplit:
    """The share ``reserve`` that the cross-validations with this ``reserve_seed`` left alone is held out.

    Of all other images, or of a sample of ``images`` of them, a share ``validation``, drawn with ``seed``, is what early
    stopping looks at.
    """

    reserve: float
    reserve_seed: int
    seed: int
    validation: float
    kind: Literal["reserve"] = "reserve"
    images: int = field(default=0, metadata=ADDED)


Split = CrossValidationSplit | HoldoutSplit | ReserveSplit
Criterion = Literal["accuracy", "macro-f1", "balanced-accuracy", "log-loss"]


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
    population: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training to be done: recipe × block; its digest is its address in the store.

    ``patience`` is 0 when the training runs all its epochs; otherwise it stops early and restores the epoch that is best by
    the ``criterion``, which is "accuracy" where nothing stops early.
    ``code`` is the digest of the user's own code that the recipe names by import path, '' where it names none.
    ``keep_weights`` stores the weights, ``keep_snapshots`` those of every epoch too (for curves drawn afterwards).
    ``order_seed`` draws the order of the images, augmentation and dropout; None leaves them to ``seed``, which draws the
    initial weights.
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
    order_seed: int | None = field(default=None, metadata=ADDED)
    criterion: Criterion = field(default="accuracy", metadata=ADDED)

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

    def __post_init__(self) -> None:
        check_shapes(self, **dict.fromkeys(self.__dataclass_fields__, "epochs"))


@dataclass(frozen=True, kw_only=True)
class IterationHistory:
    """One entry per mini-batch, each array (iterations,)."""

    loss: Float32Array
    accuracy: Float32Array
    learning_rate: Float32Array

    def __post_init__(self) -> None:
        check_shapes(self, **dict.fromkeys(self.__dataclass_fields__, "iterations"))


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Class probabilities float32 (n, classes), true labels (n,) and the images' places in their ImageSet (n,)."""

    probabilities: Float32Array
    labels: IntArray
    indices: IntArray

    def __post_init__(self) -> None:
        check_shapes(self, probabilities="images classes", labels="images", indices="images")


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
    trained. ``predicted`` is the class given to every held-out image, (n,) in the rising order of the images, and
    ``log_likelihood`` the natural logarithm of the probability of its true class, (n,). The histories and full
    predictions are None in a light record, which is what travels between processes.

    ``clean_train_accuracy`` and ``clean_train_loss`` are those of the restored weights on images that were fitted on, in
    evaluation mode: without augmentation, dropout, class weights or label smoothing; None in records of earlier versions,
    as is ``balanced_accuracy``, the mean share of right answers over the classes that are held out.
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
    predicted: ClassArray | None = None
    log_likelihood: Float16Array | None = None
    balanced_accuracy: float | None = None
    clean_train_accuracy: float | None = None
    clean_train_loss: float | None = None

    def __post_init__(self) -> None:
        check_shapes(self, predicted="images", log_likelihood="images")

    @property
    def digest(self) -> str:
        """The trial's address."""
        return self.trial.digest

    def light(self) -> "Finished":
        """Return the record without its histories and full predictions."""
        found = self if self.balanced_accuracy is not None or self.predictions is None else self.per_image()
        return replace(found, epochs=None, iterations=None, predictions=None)

    def per_image(self) -> "Finished":
        """Return the record with what its full predictions say of every image, in 3 bytes each (4 from 257 classes on)."""
        assert self.predictions is not None, "a light record has no predictions"
        order = np.argsort(self.predictions.indices)
        probabilities, labels = self.predictions.probabilities[order], self.predictions.labels[order]
        of_class = np.maximum(probabilities[np.arange(len(labels)), labels], np.finfo(np.float32).tiny)
        kind = np.uint8 if probabilities.shape[1] <= 256 else np.uint16
        predicted = probabilities.argmax(axis=1).astype(kind)
        return replace(
            self,
            predicted=predicted,
            log_likelihood=np.log(of_class).astype(np.float16),
            balanced_accuracy=balanced_accuracy(labels, predicted),
        )


def balanced_accuracy(labels: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]]) -> float:
    """Return the mean over the classes present in ``labels`` (n,) of the share of their images predicted right, 0..1.

    Without any image it is NaN.
    """
    if not len(labels):
        return float("nan")
    counts = np.bincount(labels)
    right = np.bincount(labels[labels == predicted], minlength=len(counts))
    return float((right[counts > 0] / counts[counts > 0]).mean())


class Scored(Protocol):
    """What a model scored on some images: mean cross-entropy in nats; accuracies and macro-averaged F1 in 0..1."""

    @property
    def loss(self) -> float: ...  # noqa: D102
    @property
    def accuracy(self) -> float: ...  # noqa: D102
    @property
    def f1(self) -> float: ...  # noqa: D102
    @property
    def balanced_accuracy(self) -> float | None: ...  # noqa: D102


def score_of(observed: Scored, criterion: Criterion) -> float:
    """Return what a criterion says of a record or of the scores after an epoch, larger is better: the log loss is negated.

    Raises:
        RuntimeError: for the balanced accuracy of a record that an earlier version wrote without it.
    """
    match criterion:
        case "accuracy":
            return observed.accuracy
        case "macro-f1":
            return observed.f1
        case "log-loss":
            return -observed.loss
        case "balanced-accuracy":
            if observed.balanced_accuracy is None:
                raise RuntimeError(
                    "this record was written without its balanced accuracy; delete it and train it again"
                )
            return observed.balanced_accuracy
        case _:
            assert_never(criterion)


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
