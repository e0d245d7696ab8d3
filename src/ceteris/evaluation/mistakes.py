"""Which mistakes to show: the most confident ones, from as many classes as possible."""

import numpy as np

from ceteris.evaluation.probabilities import Probabilities, check_probabilities
from ceteris.records import IntArray


def most_confident_mistakes(probabilities: Probabilities, labels: IntArray, count: int = 10) -> IntArray:
    """Return the places (m,) of up to ``count`` misclassified images, ordered by true class, then by confidence.

    The most confident mistake of every class comes first; where there are more such classes than ``count`` the most
    confident of them are taken, where there are fewer the next most confident mistakes of any class fill up.

    Raises:
        DataError: probabilities (n, classes) and labels (n,) do not fit together.
    """
    check_probabilities(probabilities, labels)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    confidence = probabilities[wrong].max(axis=1) if wrong.size else np.empty(0)
    by_confidence = wrong[np.argsort(-confidence, kind="stable")]
    first_of_class = np.zeros(len(by_confidence), dtype=bool)
    first_of_class[np.unique(labels[by_confidence], return_index=True)[1]] = True
    chosen = np.concatenate((by_confidence[first_of_class], by_confidence[~first_of_class]))[:count]
    order = np.lexsort((-probabilities[chosen].max(axis=1), labels[chosen])) if chosen.size else slice(None)
    return chosen[order].astype(np.int64)
