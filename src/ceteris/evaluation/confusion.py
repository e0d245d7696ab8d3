"""Numbers counted from true and predicted classes: the confusion matrix and all that follows from it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ceteris.errors import DataError
from ceteris.records import FloatArray, IntArray

Counts = NDArray[np.number[Any]]


@dataclass(frozen=True, kw_only=True)
class Averages:
    """Precision, recall and F1 averaged over the classes in one way, each in 0..1."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Precision, recall and F1 of every class, (classes,) in 0..1, with their averages.

    ``support`` counts the true images of each class. Macro averages weigh all classes alike, weighted ones by support,
    micro ones pool all decisions (and equal the accuracy when every image gets one class).
    """

    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    support: IntArray
    macro: Averages
    micro: Averages
    weighted: Averages


def confusion_matrix(labels: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """Count how often each true class (row) was given each predicted class (column), (classes, classes).

    Raises:
        DataError: the two arrays differ in shape or hold a class outside 0..classes - 1.
    """
    _check_classes("labels", labels, classes)
    _check_classes("predicted", predicted, classes)
    if labels.shape != predicted.shape:
        raise DataError(
            f"labels and predicted must have one entry per image, received {labels.shape} and {predicted.shape}"
        )
    cells = np.asarray(labels, dtype=np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64, copy=False)


def accuracy(labels: IntArray, predicted: IntArray) -> float:
    """Return the share of images whose predicted class is the true one, 0..1 (nan without images).

    Raises:
        DataError: the two arrays differ in shape.
    """
    if labels.shape != predicted.shape:
        raise DataError(
            f"labels and predicted must have one entry per image, received {labels.shape} and {predicted.shape}"
        )
    return float(np.mean(labels == predicted)) if labels.size else float("nan")


def per_class_accuracy(confusion: IntArray) -> FloatArray:
    """Return the share of each true class that was recognised, (classes,); nan for a class without images."""
    correct, total = confusion.diagonal().astype(np.float64), confusion.sum(axis=1)
    shares: FloatArray = np.divide(correct, total, out=np.full(correct.shape, np.nan), where=total > 0)
    return shares


def precision_recall_f1(confusion: IntArray) -> ClassScores:
    """Return precision, recall and F1 per class and averaged; a ratio with denominator 0 counts as 0."""
    true, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    correct = confusion.diagonal()
    precision, recall, f1 = (
        _ratio(correct, predicted),
        _ratio(correct, true),
        _ratio(2 * correct, true + predicted),
    )
    micro = float(_ratio(correct.sum(), confusion.sum()))
    return ClassScores(
        precision=precision,
        recall=recall,
        f1=f1,
        support=true.astype(np.int64),
        macro=Averages(precision=float(precision.mean()), recall=float(recall.mean()), f1=float(f1.mean())),
        micro=Averages(precision=micro, recall=micro, f1=micro),
        weighted=_weighted(precision, recall, f1, true),
    )


def macro_f1(confusion: Counts) -> float:
    """Return the mean F1 over all classes, 0..1; a class that is neither present nor predicted counts as 0."""
    return float(macro_f1_of_each(confusion))


def macro_f1_of_each(confusions: Counts) -> FloatArray:
    """Return the macro F1 of each matrix of a stack (..., classes, classes), for example of bootstrap resamples."""
    correct = np.diagonal(confusions, axis1=-2, axis2=-1)
    margins = confusions.sum(axis=-1) + confusions.sum(axis=-2)
    return np.asarray(_ratio(2 * correct, margins).mean(axis=-1), dtype=np.float64)


def _weighted(precision: FloatArray, recall: FloatArray, f1: FloatArray, support: IntArray) -> Averages:
    weights = _ratio(support, np.broadcast_to(support.sum(), support.shape))
    return Averages(precision=float(weights @ precision), recall=float(weights @ recall), f1=float(weights @ f1))


def _ratio(numerator: Counts, denominator: Counts) -> FloatArray:
    ratio: FloatArray = np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator > 0)
    return ratio


def _check_classes(name: str, values: IntArray, classes: int) -> None:
    if values.ndim != 1:
        raise DataError(f"{name} must have one entry per image, shape (n,), received shape {values.shape}")
    if values.size and (values.min() < 0 or values.max() >= classes):
        raise DataError(
            f"{name} must lie in 0..{classes - 1} for {classes} classes, received {values.min()}..{values.max()}; "
            "check the number of classes"
        )
