"""The combined 5×2cv F-test: five times two-fold cross-validation, whose two training sets share no image.

Alpaydin, Combined 5×2 cv F test for comparing supervised classification learning algorithms, Neural Computation 11
(1999), after Dietterich's 5×2cv t-test (1998).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.stats.arguments import paired_differences


@dataclass(frozen=True, kw_only=True)
class FiveByTwoResult:
    """The mean difference, Alpaydin's F with (10, 5) degrees of freedom and its p-value."""

    difference: float
    statistic: float
    p_value: float


def five_by_two_f_test(differences: ArrayLike) -> FiveByTwoResult:
    """Return the combined 5×2cv F-test of differences (5 repeats, 2 folds) (Alpaydin 1999).

    F = sum of the squared differences / (2 * sum over the repeats of their squared deviations from the repeat's mean).
    Where the two folds of every repeat agree exactly, p is that of the sign test over the ten folds.

    Raises:
        ConfigError: not five repeats of two folds, or a difference that is not finite.
    """
    table = np.asarray(differences, dtype=np.float64)
    if table.shape != (5, 2):
        raise ConfigError(
            f"the 5x2cv F-test needs the differences of five repeats of two folds, shape (5, 2), received {table.shape}; "
            "use the corrected t-test for other designs"
        )
    paired_differences(table.ravel(), purpose="the 5x2cv F-test")
    squares = float((table**2).sum())
    # Two folds deviate from their mean by half their difference each.
    variance = float(((table[:, 0] - table[:, 1]) ** 2).sum() / 2)
    if variance <= 1e-24:
        unanimous = squares > 1e-24
        return FiveByTwoResult(
            difference=float(table.mean()),
            statistic=float("inf") if unanimous else 0.0,
            p_value=2.0**-9 if unanimous else 1.0,
        )
    statistic = squares / (2 * variance)
    return FiveByTwoResult(
        difference=float(table.mean()), statistic=statistic, p_value=float(stats.f.sf(statistic, 10, 5))
    )
