"""The exact paired permutation test: every way of swapping the two arms inside the blocks is counted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats.arguments import paired_differences

MOST_BLOCKS = 40  # two halves of 2^20 sums each; counting takes about a second


@dataclass(frozen=True, kw_only=True)
class SignFlipResult:
    """The mean difference, its exact two-sided p, and the smallest p that so many blocks can give."""

    difference: float
    p_value: float
    smallest_p: float


def sign_flip_test(differences: ArrayLike) -> SignFlipResult:
    """Return the exact sign-flip test of paired differences (blocks,) (Fisher 1935; Pitman 1937).

    p is the share of the 2^n assignments of signs whose sum is at least as far from 0 as the observed one. Its null
    is that the blocks are independent and each difference as likely as its opposite; blocks of one cross-validation
    are not independent, and there the test claims too much (docs/methodology.md has the numbers).

    Raises:
        ConfigError: fewer than 2 or more than 40 differences, or one that is not finite.
    """
    values = paired_differences(differences, purpose="the sign-flip test")
    if len(values) > MOST_BLOCKS:
        raise ConfigError(
            f"the sign-flip test counts exactly for up to {MOST_BLOCKS} blocks, received {len(values)}; "
            "use the corrected t-test, which the normal limit serves well at that size"
        )
    observed = abs(float(values.sum()))
    tolerance = 1e-9 * max(float(np.abs(values).sum()), 1e-300)
    at_least = _count_sums_from(values, observed - tolerance)
    p_value = 1.0 if observed <= tolerance else 2 * at_least / 2.0 ** len(values)
    return SignFlipResult(
        difference=float(values.mean()), p_value=min(1.0, p_value), smallest_p=2.0 ** (1 - len(values))
    )


def _count_sums_from(values: FloatArray, threshold: float) -> int:
    """Count the assignments of signs whose sum reaches the threshold: each sum is one of either half."""
    half = len(values) // 2
    first, second = _signed_sums(values[:half]), np.sort(_signed_sums(values[half:]))
    missing = np.searchsorted(second, threshold - np.sort(first), side="left")
    return int((len(second) - missing).sum())


def _signed_sums(values: FloatArray) -> FloatArray:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums + value, sums - value))
    return sums
