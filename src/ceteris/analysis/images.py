"""Which test images the figures show: the first six, ten random ones, the most telling mistakes."""

from collections.abc import Sequence

import numpy as np

from ceteris.findings import FinalFinding
from ceteris.records import Float32Array, FloatArray, IntArray
from ceteris.seeds import generator


def first_test_indices(count: int) -> IntArray:
    """Return the indices of the first six of ``count`` test images."""
    return np.arange(min(6, count), dtype=np.int64)


def random_test_indices(count: int) -> IntArray:
    """Return the indices of ten random of ``count`` test images, always the same ones, in the order of drawing."""
    return generator(0, 0, "sample").choice(count, size=min(10, count), replace=False).astype(np.int64)


def most_confident_mistakes(probabilities: Float32Array | FloatArray, labels: IntArray, count: int = 10) -> IntArray:
    """Return the indices (m,) of up to ``count`` misclassified images, ordered by true class, then by confidence.

    The most confident mistake of every class comes first; where there are more such classes than ``count`` the most
    confident of them are taken, where there are fewer the next most confident mistakes of any class fill up.
    Probabilities are (n, classes), labels (n,).
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    confidence = probabilities[wrong].max(axis=1) if wrong.size else np.empty(0)
    by_confidence = wrong[np.argsort(-confidence, kind="stable")]
    first_of_class = np.zeros(len(by_confidence), dtype=bool)
    first_of_class[np.unique(labels[by_confidence], return_index=True)[1]] = True
    chosen = np.concatenate((by_confidence[first_of_class], by_confidence[~first_of_class]))[:count]
    order = np.lexsort((-probabilities[chosen].max(axis=1), labels[chosen])) if chosen.size else slice(None)
    return chosen[order].astype(np.int64)


def images_to_show(test_labels: IntArray, finals: Sequence[FinalFinding]) -> IntArray:
    """Return the indices, sorted, of all test images that the figures show: put these into ``TestImages``."""
    count = len(test_labels)
    wanted = [first_test_indices(count), random_test_indices(count)]
    wanted += [
        most_confident_mistakes(final.probabilities, test_labels)
        for final in finals
        if final.status == "finished" and final.version == "best"
    ]
    return np.unique(np.concatenate(wanted))
