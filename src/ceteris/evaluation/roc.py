"""ROC curves and the area under them: one class against the rest, and their averages (Fawcett 2006)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ceteris.errors import DataError
from ceteris.evaluation.probabilities import Probabilities, check_probabilities
from ceteris.records import FloatArray, IntArray

_EMPTY: FloatArray = np.empty(0)


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


def roc_curve(scores: Probabilities, positives: NDArray[np.bool_]) -> RocCurve:
    """Return the ROC curve of scores (n,) for the cases marked in positives (n,); equal scores make one step.

    Raises:
        DataError: the arrays differ in shape.
    """
    if scores.ndim != 1 or scores.shape != positives.shape:
        raise DataError(
            f"scores and positives must both have shape (n,), received {scores.shape} and {positives.shape}"
        )
    total = int(np.count_nonzero(positives))
    if total in (0, len(positives)):
        return RocCurve(false_positive_rate=_EMPTY, true_positive_rate=_EMPTY, auc=float("nan"))
    hits, alarms = _cumulative_counts(scores, positives)
    corners = _corners(alarms, hits)
    x, y = alarms[corners] / (len(positives) - total), hits[corners] / total
    return RocCurve(false_positive_rate=x, true_positive_rate=y, auc=float(np.trapezoid(y, x)))


def roc_one_vs_rest(probabilities: Probabilities, labels: IntArray) -> RocCurves:
    """Return the ROC curve of every class against the rest with the macro and micro averages.

    Raises:
        DataError: probabilities (n, classes) and labels (n,) do not fit together.
    """
    check_probabilities(probabilities, labels)
    truth = labels[:, None] == np.arange(probabilities.shape[1])  # (n, classes)
    curves = tuple(roc_curve(probabilities[:, c], truth[:, c]) for c in range(probabilities.shape[1]))
    return RocCurves(per_class=curves, macro=_mean_curve(curves), micro=roc_curve(probabilities.ravel(), truth.ravel()))


def _cumulative_counts(scores: Probabilities, positives: NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """Count true and false positives as the threshold falls past each distinct score, starting from 0."""
    order = np.argsort(scores)[::-1]
    ordered = scores[order]
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(scores) - 1)
    hits = np.cumsum(positives[order], dtype=np.int64)[last]
    return np.append(0, hits), np.append(0, last + 1 - hits)


def _corners(x: IntArray, y: IntArray) -> NDArray[np.bool_]:
    """Mark the points where a line of whole numbers changes its direction; the two ends always count."""
    dx, dy = np.diff(x), np.diff(y)
    return np.concatenate(([True], dx[1:] * dy[:-1] != dx[:-1] * dy[1:], [True]))


def _mean_curve(curves: tuple[RocCurve, ...]) -> RocCurve:
    defined = [curve for curve in curves if curve.false_positive_rate.size]
    if not defined:
        return RocCurve(false_positive_rate=_EMPTY, true_positive_rate=_EMPTY, auc=float("nan"))
    x = np.unique(np.concatenate([curve.false_positive_rate for curve in defined]))
    # A curve may jump at x: the mean runs through the value before and the value after the jump.
    before = np.mean([_value(curve, x, "left") for curve in defined], axis=0)
    after = np.mean([_value(curve, x, "right") for curve in defined], axis=0)
    return RocCurve(
        false_positive_rate=np.repeat(x, 2),
        true_positive_rate=np.column_stack((before, after)).ravel(),
        auc=float(np.mean([curve.auc for curve in defined])),
    )


def _value(curve: RocCurve, x: FloatArray, side: str) -> FloatArray:
    """Return the curve's height at each x, below (left) or above (right) the jump where it jumps there."""
    xs, ys = curve.false_positive_rate, curve.true_positive_rate
    if side == "left":
        right = np.searchsorted(xs, x, side="left")
        left = np.where(xs[right] == x, right, right - 1)
    else:
        left = np.searchsorted(xs, x, side="right") - 1
        right = np.where(xs[left] == x, left, np.minimum(left + 1, len(xs) - 1))
    width = xs[right] - xs[left]
    share = np.divide(x - xs[left], width, out=np.zeros(len(x)), where=width > 0)
    return np.asarray(ys[left] + share * (ys[right] - ys[left]))
