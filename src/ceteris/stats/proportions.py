"""Intervals and tests for shares of right answers on one test set: Wilson and McNemar."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.stats.arguments import check_between

FEW_DISCORDANT = 25  # below this McNemar's test is exact; Edwards' approximation is customary from here on


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with the bounds of its confidence interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class McNemarResult:
    """Two models on the same images: how many only the first and only the second got right, and the two-sided p."""

    only_first: int
    only_second: int
    difference: float
    p_value: float
    exact: bool


def wilson_interval(successes: int, total: int, confidence: float = 0.95) -> Interval:
    """Return the score interval of a proportion (Wilson 1927), which stays inside 0..1 and never has width 0.

    Raises:
        ConfigError: total below 1, successes outside 0..total or confidence outside (0, 1).
    """
    check_between("confidence", confidence, 0, 1)
    if total < 1 or not 0 <= successes <= total:
        raise ConfigError(f"successes must lie in 0..total with total at least 1, received {successes} of {total}")
    z = float(stats.norm.ppf((1 + confidence) / 2))
    share, scale = successes / total, 1 + z**2 / total
    centre = (share + z**2 / (2 * total)) / scale
    reach = z / scale * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    # Rounding must not push a bound beyond the estimate where that is 0 or 1.
    low, high = min(float(centre - reach), share), max(float(centre + reach), share)
    return Interval(estimate=share, low=max(0.0, low), high=min(1.0, high))


def mcnemar(first_correct: NDArray[np.bool_], second_correct: NDArray[np.bool_]) -> McNemarResult:
    """Test whether two models are right equally often on the same images (n,) (McNemar 1947).

    Exact binomial below 25 discordant images, from there chi-square with continuity correction (Edwards 1948):
    (|b - c| - 1)^2 / (b + c) with one degree of freedom. ``difference`` is second minus first, in 0..1.

    Raises:
        ConfigError: the arrays differ in shape or are empty.
    """
    if first_correct.shape != second_correct.shape or first_correct.ndim != 1 or not first_correct.size:
        raise ConfigError(
            "McNemar's test needs the answers of both models to the same images, two arrays (n,) with n > 0, "
            f"received {first_correct.shape} and {second_correct.shape}"
        )
    only_first = int(np.count_nonzero(first_correct & ~second_correct))
    only_second = int(np.count_nonzero(second_correct & ~first_correct))
    discordant = only_first + only_second
    exact = discordant < FEW_DISCORDANT
    if exact:
        p_value = min(1.0, float(2 * stats.binom.cdf(min(only_first, only_second), discordant, 0.5)))
    else:
        p_value = float(stats.chi2.sf(max(0, abs(only_first - only_second) - 1) ** 2 / discordant, 1))
    return McNemarResult(
        only_first=only_first,
        only_second=only_second,
        difference=(only_second - only_first) / first_correct.size,
        p_value=p_value,
        exact=exact,
    )
