"""Friedman's test: do the arms of a factor differ at all, by their ranks inside every block?"""

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray


@dataclass(frozen=True, kw_only=True)
class FriedmanResult:
    """Mean ranks (arms,), 1 is best; chi-square corrected for ties, and Iman & Davenport's F, of which ``p_value`` is taken."""

    mean_ranks: FloatArray
    chi_square: float
    statistic: float
    p_value: float


def friedman_test(results: ArrayLike) -> FriedmanResult:
    """Rank the arms inside every block of results (blocks, arms), higher is better, and test whether all are alike.

    Friedman (1937) with the F of Iman & Davenport (1980), as Demšar (Statistical comparisons of classifiers over multiple
    data sets, JMLR 7, 2006) describes them. The blocks must be independent.

    Raises:
        ConfigError: fewer than 2 blocks or arms, or a result that is not finite.
    """
    table = np.asarray(results, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ConfigError(
            f"Friedman's test needs finite results (blocks, arms) of at least 2 blocks and 2 arms, received {table.shape}"
        )
    blocks, arms = table.shape
    ranks = stats.rankdata(-table, axis=1)  # (blocks, arms)
    total = float(((ranks - (arms + 1) / 2) ** 2).sum()) / (arms - 1)
    between = blocks**2 * float(((ranks.mean(axis=0) - (arms + 1) / 2) ** 2).sum())
    chi_square = between / total if total > 0 else 0.0
    rest = blocks * (arms - 1) - chi_square
    if rest <= 1e-9 * blocks:
        # All blocks rank the arms alike: the chance of that among the arms! orders of every block.
        statistic, p_value = float("inf"), float(factorial(arms)) ** (1 - blocks)
    else:
        statistic = (blocks - 1) * chi_square / rest
        p_value = float(stats.f.sf(statistic, arms - 1, (arms - 1) * (blocks - 1)))
    return FriedmanResult(mean_ranks=ranks.mean(axis=0), chi_square=chi_square, statistic=statistic, p_value=p_value)
