"""Numbers that judge predicted probabilities: loss, top-k accuracy, Brier score and calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ceteris.errors import ConfigError, DataError
from ceteris.records import FloatArray, IntArray

Probabilities = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How far confidence and accuracy agree, in bins of equal width; each array (bins,), edges (bins + 1,).

    ``error`` is the expected calibration error, ``maximum_error`` the largest gap of a bin that holds images. Empty bins
    have count 0 and nan for confidence and accuracy.
    """

    error: float
    maximum_error: float
    edges: FloatArray
    counts: IntArray
    confidence: FloatArray
    accuracy: FloatArray


def top_k_accuracy(probabilities: Probabilities, labels: IntArray, k: int) -> float:
    """Return the share of images whose true class is among the k most probable, 0..1; ties go to the lower class.

    Raises:
        ConfigError: k is not in 1..classes.
        DataError: probabilities (n, classes) and labels (n,) do not fit together.
    """
    check_probabilities(probabilities, labels)
    if not 1 <= k <= probabilities.shape[1]:
        raise ConfigError(f"k must lie in 1..{probabilities.shape[1]} (the number of classes), received {k}")
    own = _of_true_class(probabilities, labels)[:, None]  # (n, 1)
    earlier = np.arange(probabilities.shape[1]) < labels[:, None]  # (n, classes)
    ahead = (probabilities > own) | ((probabilities == own) & earlier)
    return float(np.mean(ahead.sum(axis=1) < k))


def log_loss(probabilities: Probabilities, labels: IntArray) -> float:
    """Return the mean cross-entropy -log p(true class) in nats; probabilities below the type's epsilon count as that.

    Raises:
        DataError: probabilities (n, classes) and labels (n,) do not fit together.
    """
    check_probabilities(probabilities, labels)
    own = _of_true_class(probabilities, labels)
    return float(-np.log(np.clip(own, np.finfo(own.dtype).eps, 1).astype(np.float64)).mean())


def brier_score(probabilities: Probabilities, labels: IntArray) -> float:
    """Return the mean squared distance of the probabilities from the truth, 0..2 (Brier 1950).

    Raises:
        DataError: probabilities (n, classes) and labels (n,) do not fit together.
    """
    check_probabilities(probabilities, labels)
    squares = np.einsum("ij,ij->i", probabilities, probabilities, dtype=np.float64)
    # |p - e|^2 = |p|^2 - 2 p(true) + 1 needs no one-hot matrix.
    return float((squares - 2 * _of_true_class(probabilities, labels).astype(np.float64) + 1).mean())


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
        maximum_error=float(gaps.max()),
        edges=edges,
        counts=counts.astype(np.int64),
        confidence=confidence,
        accuracy=correct,
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


def _of_true_class(probabilities: Probabilities, labels: IntArray) -> Probabilities:
    own: Probabilities = probabilities[np.arange(len(labels)), labels]
    return own


def _mean_per_bin(place: NDArray[np.intp], values: FloatArray, counts: NDArray[np.intp]) -> FloatArray:
    sums = np.bincount(place, weights=values, minlength=len(counts))
    means: FloatArray = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return means
