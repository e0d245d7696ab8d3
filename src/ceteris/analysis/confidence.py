"""Can a model's confidence be believed, and which training labels its answers speak against: probabilities in, numbers out."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from ceteris.analysis.metrics import Probabilities, check_probabilities, log_loss
from ceteris.records import FloatArray, IntArray

LEVELS = (0.9, 0.95, 0.99)  # of conformal sets
_TEMPERATURES = (0.05, 20.0)


def fitted_temperature(probabilities: Probabilities, labels: IntArray) -> float:
    """Return the temperature that logits are to be divided by so that the log loss of these images is smallest (Guo
    et al. 2017).

    It lies in 0.05..20. Probabilities are (n, classes), labels (n,).
    """
    check_probabilities(probabilities, labels)
    low, high = map(math.log, _TEMPERATURES)
    found = minimize_scalar(
        lambda power: log_loss(at_temperature(probabilities, math.exp(power)), labels),
        bounds=(low, high),
        method="bounded",
    )
    return math.exp(float(found.x))


def at_temperature(probabilities: Probabilities, temperature: float) -> FloatArray:
    """Return the probabilities (n, classes) that the same logits divided by a temperature give."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-45)) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def conformal_quantile(probabilities: Probabilities, labels: IntArray, level: float) -> float:
    """Return the smallest q so that sets of all classes with probability >= 1 - q hold the true one at this level.

    It is the ceil((n + 1) * level)-th smallest of 1 - p(true class) (Vovk et al. 2005; Sadinle et al. 2019), 1 where
    n is too small for the level: then every class is in the set.
    """
    check_probabilities(probabilities, labels)
    scores = np.sort(1 - probabilities[np.arange(len(labels)), labels].astype(np.float64))
    rank = math.ceil((len(scores) + 1) * level)
    return float(scores[rank - 1]) if rank <= len(scores) else 1.0


def conformal_sets(probabilities: Probabilities, quantile: float) -> NDArray[np.bool_]:
    """Return which classes (n, classes) belong to each image's set."""
    return np.asarray(1 - probabilities.astype(np.float64) <= quantile)


def coverage_risk(probabilities: Probabilities, labels: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the share of images answered, the surest first, and the error rate among them, each (n,)."""
    check_probabilities(probabilities, labels)
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    wrong = (probabilities.argmax(axis=1) != labels)[order]
    counts = np.arange(1, len(labels) + 1)
    return counts / len(labels), np.cumsum(wrong) / counts


def likely_label_errors(probabilities: Probabilities, labels: IntArray) -> IntArray:
    """Return the images (m,) whose label is likely to be wrong, the surest first (confident learning, Northcutt et
    al. 2021).

    Probabilities (n, classes) must be those of models that were not fitted on these images. An image counts as one of
    a class where its probability reaches the mean of that class's own images; it is a candidate where the most
    probable such class is not its label. They are ranked by how far the label lies behind.
    """
    check_probabilities(probabilities, labels)
    values, rows = probabilities.astype(np.float64), np.arange(len(labels))
    own = values[rows, labels]
    thresholds = np.array([own[labels == c].mean() if (labels == c).any() else 2.0 for c in range(values.shape[1])])
    confident = np.where(values >= thresholds, values, -1.0)
    found = np.flatnonzero((confident.max(axis=1) > 0) & (confident.argmax(axis=1) != labels))
    margin = own[found] - values[found].max(axis=1)
    return found[np.argsort(margin, kind="stable")].astype(np.int64)


def merged(classes: NDArray[np.integer], groups: Sequence[Sequence[int]]) -> IntArray:
    """Return classes (n,) with every member of a group replaced by the group's first."""
    representative = {member: group[0] for group in groups for member in group}
    return np.array([representative.get(int(label), int(label)) for label in classes], dtype=np.int64)
