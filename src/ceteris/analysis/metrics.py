"""Numbers computed from a model's answers: accuracy, F1, ROC curves, loss and calibration. Arrays in, plain values out.

Counts, F1 and the points of ROC curves come from scikit-learn. Own code: the loss (which treats float32 probabilities of 0
as that type's epsilon, in float64), the macro-averaged curve and the calibration, which scikit-learn does not have.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

from ceteris.errors import ConfigError, DataError
from ceteris.records import FloatArray, IntArray
from ceteris.seeds import generator

Probabilities = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Precision, recall and F1 of every class, (classes,) in 0..1; ``support`` counts the true images of each class.

    A ratio with denominator 0 counts as 0.
    """

    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    support: IntArray


@dataclass(frozen=True, kw_only=True)
class RocCurve:
    """The corners of one ROC curve from (0, 0) to (1, 1), each array (points,), and the area under it.

    Where the data hold no positive or no negative case the curve is not defined: empty arrays and auc nan.
    """

    false_positive_rate: FloatArray
    true_positive_rate: FloatArray
    auc: float


@dataclass(frozen=True, kw_only=True)
class RocCurves:
    """Every class against the rest, and two averages.

    The macro curve is the mean of the classes' curves at each false positive rate, its area the mean of their areas
    (over the classes that have one); the micro curve pools all (image, class) decisions.
    """

    per_class: tuple[RocCurve, ...]
    macro: RocCurve
    micro: RocCurve


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How far confidence and accuracy agree, in bins of equal width; each array (bins,), edges (bins + 1,).

    ``error`` is the expected calibration error, ``maximum_error`` the largest gap of a bin that holds images. A model whose
    confidence is right stays below ``by_chance`` in 95 % of such test sets. Empty bins have count 0 and nan for confidence
    and accuracy.
    """

    error: float
    by_chance: float
    maximum_error: float
    edges: FloatArray
    counts: IntArray
    confidence: FloatArray
    accuracy: FloatArray


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What one model's answers to one set of images are worth; precision, recall, F1 and AUC are macro averages.

    They are taken over the classes that have images: of the others nothing can be measured.

    All lie in 0..1 but ``loss``, in nats, and ``brier``, the mean squared distance from the true class in 0..2. ``confusion``
    (classes, classes) counts how often each true class (row) was given each predicted class (column).
    """

    accuracy: float
    precision: float
    recall: float
    f1: float
    auc: float
    loss: float
    brier: float
    confusion: IntArray
    per_class: ClassScores
    roc: RocCurves
    calibration: Calibration


def scores(probabilities: Probabilities, labels: IntArray) -> Scores:
    """Judge probabilities (n, classes) against the true classes (n,).

    Raises:
        DataError: the two do not fit together.
    """
    check_probabilities(probabilities, labels)
    predicted = probabilities.argmax(axis=1)
    per_class, roc = class_scores(labels, predicted, probabilities.shape[1]), roc_one_vs_rest(probabilities, labels)
    measured = per_class.support > 0
    return Scores(
        accuracy=float(np.mean(labels == predicted)),
        precision=float(per_class.precision[measured].mean()),
        recall=float(per_class.recall[measured].mean()),
        f1=float(per_class.f1[measured].mean()),
        auc=roc.macro.auc,
        loss=log_loss(probabilities, labels),
        brier=float(1 + ((probabilities**2).sum(axis=1) - 2 * probabilities[np.arange(len(labels)), labels]).mean()),
        confusion=metrics.confusion_matrix(labels, predicted, labels=np.arange(probabilities.shape[1])),
        per_class=per_class,
        roc=roc,
        calibration=calibration(probabilities, labels),
    )


def check_probabilities(probabilities: Probabilities, labels: IntArray) -> None:
    """Raise DataError unless probabilities are (n, classes) and labels (n,) classes of them, n > 0."""
    if probabilities.ndim != 2 or labels.ndim != 1 or len(probabilities) != len(labels) or not len(labels):
        raise DataError(
            "probabilities must have shape (n, classes) and labels (n,) with the same n > 0, "
            f"received {probabilities.shape} and {labels.shape}"
        )
    classes = probabilities.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"labels must lie in 0..{classes - 1}, received {labels.min()}..{labels.max()}")


def class_scores(labels: IntArray, predicted: IntArray, classes: int) -> ClassScores:
    """Return precision, recall and F1 of each of ``classes`` classes, those without images included."""
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=np.arange(classes), zero_division=0.0
    )
    return ClassScores(precision=precision, recall=recall, f1=f1, support=support)


def most_confused(confusion: IntArray | FloatArray, count: int) -> list[tuple[int, int, float]]:
    """Return (true class, predicted class, images) of the ``count`` most frequent mistakes, most frequent first.

    The images are whole numbers where the ``confusion`` has them, and otherwise a mean over trainings.
    """
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = (np.unravel_index(cell, wrong.shape) for cell in order if wrong.flat[cell] > 0)
    return [(int(true), int(taken), wrong[true, taken].item()) for true, taken in pairs]


def log_loss(probabilities: Probabilities, labels: IntArray) -> float:
    """Return the mean cross-entropy -log p(true class) in nats; probabilities below the type's epsilon count as that.

    Raises:
        DataError: probabilities (n, classes) and labels (n,) do not fit together.
    """
    check_probabilities(probabilities, labels)
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(own, np.finfo(own.dtype).eps, 1).astype(np.float64)).mean())


def roc_curve(scores: Probabilities, positives: NDArray[np.bool_]) -> RocCurve:
    """Return the ROC curve of scores (n,) for the cases marked in positives (n,); equal scores make one step (Fawcett 2006).

    Raises:
        DataError: the arrays differ in shape.
    """
    if scores.ndim != 1 or scores.shape != positives.shape:
        raise DataError(
            f"scores and positives must both have shape (n,), received {scores.shape} and {positives.shape}"
        )
    total = int(np.count_nonzero(positives))
    if total in (0, len(positives)):
        return RocCurve(false_positive_rate=np.empty(0), true_positive_rate=np.empty(0), auc=float("nan"))
    x, y, _ = metrics.roc_curve(positives, scores, drop_intermediate=False)
    # Points on straight lines are left out; in whole numbers of cases, so that no rounding decides what is straight.
    dx, dy = np.diff(np.rint(x * (len(positives) - total))), np.diff(np.rint(y * total))
    corners = np.concatenate(([True], dx[1:] * dy[:-1] != dx[:-1] * dy[1:], [True]))
    return RocCurve(
        false_positive_rate=x[corners], true_positive_rate=y[corners], auc=metrics.auc(x[corners], y[corners])
    )


def roc_one_vs_rest(probabilities: Probabilities, labels: IntArray) -> RocCurves:
    """Return the ROC curve of every class against the rest with the macro and micro averages.

    Raises:
        DataError: probabilities (n, classes) and labels (n,) do not fit together.
    """
    check_probabilities(probabilities, labels)
    truth = labels[:, None] == np.arange(probabilities.shape[1])  # (n, classes)
    curves = tuple(roc_curve(probabilities[:, c], truth[:, c]) for c in range(probabilities.shape[1]))
    return RocCurves(per_class=curves, macro=_mean_curve(curves), micro=roc_curve(probabilities.ravel(), truth.ravel()))


def auc_values(probabilities: Probabilities, labels: IntArray) -> FloatArray:
    """Return one value per image (n,) whose mean is the macro AUC, so that its variance is that of their mean.

    They are the structural components of DeLong, DeLong & Clarke-Pearson (1988): how often a case of a class is ranked above
    the cases of others, and these below it, each weighted by n over the number of such cases; NaN where no class has both.

    Raises:
        DataError: probabilities (n, classes) and labels (n,) do not fit together.
    """
    check_probabilities(probabilities, labels)
    count, values = len(labels), []
    for scores, positives in ((probabilities[:, c], labels == c) for c in range(probabilities.shape[1])):
        if (own := int(np.count_nonzero(positives))) not in (0, count):
            ranks, others = stats.rankdata(scores), np.empty(count)
            others[positives] = (ranks[positives] - stats.rankdata(scores[positives])) / (count - own)
            others[~positives] = 1 - (ranks[~positives] - stats.rankdata(scores[~positives])) / own
            area = others[positives].mean()
            values.append(area + (others - area) * count / np.where(positives, own, count - own))
    return np.asarray(np.mean(values, axis=0)) if values else np.full(count, np.nan)


def _mean_curve(curves: tuple[RocCurve, ...]) -> RocCurve:
    defined = [curve for curve in curves if curve.false_positive_rate.size]
    if not defined:
        return RocCurve(false_positive_rate=np.empty(0), true_positive_rate=np.empty(0), auc=float("nan"))
    x = np.unique(np.concatenate([curve.false_positive_rate for curve in defined]))
    # A curve may jump at x: the mean runs through the value just before and just after the jump.
    before, after = (
        np.mean(
            [np.interp(np.nextafter(x, side), one.false_positive_rate, one.true_positive_rate) for one in defined],
            axis=0,
        )
        for side in (-1, 2)
    )
    return RocCurve(
        false_positive_rate=np.repeat(x, 2),
        true_positive_rate=np.column_stack((before, after)).ravel(),
        auc=float(np.mean([curve.auc for curve in defined])),
    )


def calibration(probabilities: Probabilities, labels: IntArray, bins: int = 15) -> Calibration:
    """Return the expected calibration error with its reliability bins, closed on the right (Guo et al. 2017).

    Raises:
        ConfigError: bins is below 1.
        DataError: probabilities (n, classes) and labels (n,) do not fit together.
    """
    check_probabilities(probabilities, labels)
    if bins < 1:
        raise ConfigError(f"bins must be at least 1, received {bins}")
    edges = np.linspace(0, 1, bins + 1)
    predicted = probabilities.argmax(axis=1)
    sureness = probabilities[np.arange(len(labels)), predicted].astype(np.float64)
    place = np.clip(np.searchsorted(edges, sureness, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    confidence = _mean_per_bin(place, sureness, counts)
    correct = _mean_per_bin(place, (predicted == labels).astype(np.float64), counts)
    gaps = np.abs(np.nan_to_num(confidence - correct))
    return Calibration(
        error=float(gaps @ counts / len(labels)),
        by_chance=_error_by_chance(place, sureness, bins),
        maximum_error=float(gaps.max()),
        edges=edges,
        counts=counts.astype(np.int64),
        confidence=confidence,
        accuracy=correct,
    )


def _error_by_chance(place: NDArray[np.intp], sureness: FloatArray, bins: int, draws: int = 200) -> float:
    """Return the 95 % quantile of the calibration error of a model that is right as often as it is sure."""
    right = generator(0, 0, "sample").random((draws, len(sureness))) < sureness
    signed = sureness - right
    gaps = np.array([np.abs(np.bincount(place, weights=row, minlength=bins)).sum() for row in signed])
    return float(np.quantile(gaps / len(sureness), 0.95))


def _mean_per_bin(place: NDArray[np.intp], values: FloatArray, counts: NDArray[np.intp]) -> FloatArray:
    sums = np.bincount(place, weights=values, minlength=len(counts))
    means: FloatArray = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return means
