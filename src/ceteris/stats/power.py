"""The power of a design: which differences, or equivalences, it can find. Known before anything is trained.

Under the model of the corrected t-test its statistic is noncentral t with n - 1 degrees of freedom and noncentrality
difference / (spread * sqrt(1/n + test_share)). Because test_share does not shrink with n, repeating a
cross-validation on the same images does not make the detectable difference arbitrarily small.
"""

from functools import cache

import numpy as np
from scipy import optimize, stats

from ceteris.errors import ConfigError
from ceteris.stats.arguments import check_between, check_not_negative

MOST_BLOCKS = 100_000
_ENDLESS = 10**9


def corrected_t_power(
    difference: float, *, spread: float, blocks: int, test_share: float, significance: float = 0.05
) -> float:
    """Return the chance that the two-sided corrected t-test finds a true mean difference.

    Args:
        difference: true mean difference, in the unit of ``spread``.
        spread: standard deviation of the differences between blocks, as a sample of blocks shows it; positive.
        blocks: at least 2.
        test_share: images held out over images fitted; 1 / (k - 1) for k folds.
        significance: of the test; divide by the number of levels for a Bonferroni bound on Holm's.

    Raises:
        ConfigError: an argument out of its range.
    """
    _check_design(spread, blocks, test_share, significance)
    critical = float(stats.t.isf(significance / 2, blocks - 1))
    shift = abs(difference) / (spread * np.sqrt(1 / blocks + test_share))
    return float(_beyond(critical, blocks - 1, shift) + _beyond(critical, blocks - 1, -shift))


def detectable_difference(
    *, spread: float, blocks: int, test_share: float, power: float = 0.8, significance: float = 0.05
) -> float:
    """Return the smallest true difference that the corrected t-test finds with the given power; see corrected_t_power.

    Raises:
        ConfigError: an argument out of its range; power must exceed the significance.
    """
    _check_design(spread, blocks, test_share, significance)
    check_between("power", power, significance, 1)
    shift = detectable_shift(blocks - 1, significance=significance, power=power)
    return shift * spread * float(np.sqrt(1 / blocks + test_share))


@cache
def detectable_shift(degrees: float, *, significance: float = 0.05, power: float = 0.8) -> float:
    """Return how many standard errors a difference must measure for a two-sided t-test to find it with that power.

    Args:
        degrees: of freedom, positive; they need not be whole.
        significance: of the test, in (0, 1).
        power: in (significance, 1).
    """
    critical = float(stats.t.isf(significance / 2, degrees))

    def lacking(shift: float) -> float:
        return float(_beyond(critical, degrees, shift) + _beyond(critical, degrees, -shift)) - power

    upper = 1.0
    while lacking(upper) < 0:
        upper *= 2
    return float(optimize.brentq(lacking, 0, upper, xtol=1e-10))


def equivalence_power(
    difference: float, *, spread: float, blocks: int, test_share: float, margin: float, significance: float = 0.05
) -> float:
    """Return the chance that two one-sided corrected t-tests show a true difference to lie inside ±margin.

    P(T > t; (margin - d) / e) + P(T > t; (margin + d) / e) - 1, not below 0, with T noncentral t of n - 1 degrees of
    freedom, t its central quantile at 1 - significance and e = spread * sqrt(1/n + test_share) (Phillips, Power of the two
    one-sided tests procedure in bioequivalence, J. Pharmacokinet. Biopharm. 18, 1990). 0 where |d| is not below the margin.

    Raises:
        ConfigError: an argument out of its range; see corrected_t_power.
    """
    _check_design(spread, blocks, test_share, significance)
    check_not_negative("margin", margin)
    if abs(difference) >= margin:
        return 0.0
    critical = float(stats.t.isf(significance, blocks - 1))
    error = spread * float(np.sqrt(1 / blocks + test_share))
    sides = [_beyond(critical, blocks - 1, (margin + side * difference) / error) for side in (-1, 1)]
    return max(0.0, sum(sides) - 1)


def blocks_to_decide(
    difference: float,
    *,
    spread: float,
    test_share: float,
    margin: float,
    significance: float,
    difference_significance: float,
    multiple_of: int = 1,
    power: float = 0.8,
) -> int:
    """Return the fewest blocks that find a true difference or show that it is equivalent, -1 where no number does.

    Args:
        difference: true mean difference, in the unit of ``spread``.
        spread: standard deviation of the differences between blocks; positive.
        test_share: images held out over images fitted; 1 / (k - 1) for k folds.
        margin: of equivalence, in the same unit.
        significance: of each of the two one-sided tests.
        difference_significance: of the two-sided test of the difference; smaller where several levels are compared.
        multiple_of: rounds up to whole cross-validations, the number of folds.
        power: the chance that is asked for.

    Raises:
        ConfigError: an argument out of its range.
    """

    def found(blocks: int) -> float:
        design = {"spread": spread, "test_share": test_share}
        return max(
            corrected_t_power(difference, blocks=blocks, significance=difference_significance, **design),
            equivalence_power(difference, blocks=blocks, margin=margin, significance=significance, **design),
        )

    if found(_ENDLESS) < power:
        return -1
    low, high = 0, 1  # in cross-validations: too few, and enough once the loop has ended
    while found(max(2, high * multiple_of)) < power:
        low, high = high, 2 * high
        if high * multiple_of > MOST_BLOCKS:
            return -1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(max(2, middle * multiple_of)) >= power else (middle, high)
    return max(2, high * multiple_of)


def _beyond(critical: float, degrees: float, shift: float) -> float:
    """Return P(T > critical) for noncentral t; where scipy's series fails, its normal limit (Johnson & Kotz 1970)."""
    if degrees <= 1000:
        value = float(stats.nct.sf(critical, degrees, shift)) if shift else float(stats.t.sf(critical, degrees))
        if np.isfinite(value):
            return value
    centred = critical * (1 - 0.25 / degrees) - shift
    return float(stats.norm.sf(centred / np.sqrt(1 + critical**2 / (2 * degrees))))


def _check_design(spread: float, blocks: int, test_share: float, significance: float) -> None:
    check_not_negative("test_share", test_share)
    check_between("significance", significance, 0, 1)
    if not (np.isfinite(spread) and spread > 0):
        raise ConfigError(f"spread must be a finite number above 0, received {spread}")
    if blocks < 2:
        raise ConfigError(f"blocks must be at least 2, received {blocks}")
