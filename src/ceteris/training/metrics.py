"""The scores of one epoch, in numpy alone: a worker must not wait for scikit-learn to be imported."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ceteris.records import IntArray


def confusion_matrix(labels: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """Count how often each true class (row) was given each predicted class (column), (classes, classes).

    ``labels`` and ``predicted`` are (n,) with classes in 0..classes - 1.
    """
    cells = np.asarray(labels, dtype=np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64, copy=False)


def macro_f1(confusion: NDArray[np.number[Any]]) -> float:
    """Return the mean F1 over all classes, 0..1; a class that is neither present nor predicted counts as 0."""
    margins = confusion.sum(axis=1) + confusion.sum(axis=0)
    each = np.divide(2 * confusion.diagonal(), margins, out=np.zeros(len(confusion)), where=margins > 0)
    return float(each.mean())
