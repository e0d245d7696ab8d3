"""When a recipe may be left after its first blocks: when it is clearly behind the best one on the same blocks."""

import numpy as np
from scipy import stats

from ceteris.records import FloatArray

_RISK = 0.01


def expected_score(first: FloatArray, finished: FloatArray) -> float:
    """Return the mean over all blocks that a candidate can be expected to reach after its first ones.

    It is the best one's mean plus the mean difference on the blocks that both have: blocks differ in difficulty, and a
    mean of other blocks would not compare.

    Args:
        first: accuracy on the first blocks, (first blocks,).
        finished: accuracies of the candidates that were trained on all blocks, (candidates, blocks).
    """
    best = finished[finished.mean(axis=1).argmax()]
    return float(best.mean() + (first - best[: len(first)]).mean())


def clearly_behind(first: FloatArray, finished: FloatArray) -> bool:
    """Say whether a candidate would end below the best one with 99 % probability, were it trained on all blocks.

    With independent normal differences between two recipes from block to block, the mean over the first m of n blocks
    is off from the mean over all of them by s * sqrt(1/m - 1/n), and by how much does not depend on the latter. So a
    candidate that would end at or above the best one is left with a probability of at most 1 %, however small its lead.
    s comes from what is left of the finished candidates' accuracies without candidate and block means; its degrees of
    freedom, (candidates - 1) * (blocks - 1), enter by Student's t. Until two candidates have finished nobody is left.

    Args:
        first: accuracy on the first blocks, (first blocks,).
        finished: accuracies of the candidates that were trained on all blocks, (candidates, blocks).
    """
    candidates, blocks = finished.shape
    degrees = (candidates - 1) * (blocks - 1)
    if degrees < 1 or len(first) >= blocks:
        return False
    rest = finished - finished.mean(axis=1, keepdims=True) - finished.mean(axis=0) + finished.mean()
    deviation = np.sqrt(2 * (rest**2).sum() / degrees)  # of a difference between two candidates on one block
    reach = stats.t.ppf(1 - _RISK, degrees) * deviation * np.sqrt(1 / len(first) - 1 / blocks)
    best = float(finished.mean(axis=1).max())
    return bool(expected_score(first, finished) + reach < best)
