"""The power of a test: which true differences it finds, and which equivalences it shows. Known before anything is trained.

A test of a mean difference is described by the standard error that is expected and its degrees of freedom: those of the
two-part test, or of the corrected t-test on n blocks, whose error is spread * sqrt(1/n + test_share) on n - 1 degrees. The
statistic is then noncentral t with noncentrality difference / error.
"""

from functools import cache

import numpy as np
from scipy import optimize, special, stats

from ceteris.errors import ConfigError
from ceteris.stats.arguments import check_between, check_not_negative

_NODES = 64  # of an integral over quantiles; 200 change its sixth decimal


def t_test_power(difference: float, *, error: float, degrees: float, significance: float = 0.05) -> float:
    """Return the chance that a two-sided t-test finds a true mean difference.

    Args:
        difference: true mean difference.
        error: expected standard error of the difference, in the same unit; positive.
        degrees: of freedom of the error; positive.
        significance: of the test; divide by the number of levels for a Bonferroni bound on Holm's.

    Raises:
        ConfigError: an argument out of its range.
    """
    _check_test(error, degrees, significance)
    return _two_sided(abs(difference) / error, degrees, significance)


def detectable_difference(*, error: float, degrees: float, power: float = 0.8, significance: float = 0.05) -> float:
    """Return the smallest true difference that a two-sided t-test finds with the given power; see t_test_power.

    An ``error`` of 0, that of recipes which answer every image alike, gives 0.

    Raises:
        ConfigError: an argument out of its range; power must exceed the significance.
    """
    check_not_negative("error", error)
    _check_test(1.0, degrees, significance)
    check_between("power", power, significance, 1)
    return error * detectable_shift(degrees, significance=significance, power=power)


@cache
def detectable_shift(degrees: float, *, significance: float = 0.05, power: float = 0.8) -> float:
    """Return how many standard errors a true difference must measure for a two-sided t-test to find it with that power."""
    upper = 1.0
    while _two_sided(upper, degrees, significance) < power:
        upper *= 2
    return float(optimize.brentq(lambda shift: _two_sided(shift, degrees, significance) - power, 0, upper, xtol=1e-10))


def equivalence_power(
    difference: float, *, error: float, degrees: float, margin: float, significance: float = 0.05
) -> float:
    """Return the chance that two one-sided t-tests show a true difference to lie inside ±margin.

    Both tests share one estimate s of the error, here in units of the true one: s² degrees is chi-square. Given s, the
    difference is shown to be equivalent where the measured one lies within margin - t s of 0, t the central quantile at
    1 - significance; integrated over s this is the exact power (Phillips, Power of the two one-sided tests procedure in
    bioequivalence, J. Pharmacokinet. Biopharm. 18, 1990, who writes it with Owen's Q).

    Raises:
        ConfigError: an argument out of its range; see t_test_power.
    """
    _check_test(error, degrees, significance)
    check_not_negative("margin", margin)
    critical = float(stats.t.isf(significance, degrees))
    largest = margin / (error * critical)  # above it nothing is shown
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    share = float(special.gammainc(degrees / 2, degrees / 2 * largest**2))  # of all s that lie below it
    s = np.sqrt(special.gammaincinv(degrees / 2, share * (nodes + 1) / 2) * 2 / degrees)
    reach = margin / error - critical * s
    shown = special.ndtr(reach - difference / error) - special.ndtr(-reach - difference / error)
    return float(np.clip(share / 2 * weights @ shown, 0, 1))


def _two_sided(shift: float, degrees: float, significance: float) -> float:
    critical = float(stats.t.isf(significance / 2, degrees))
    return _beyond(critical, degrees, shift) + _beyond(critical, degrees, -shift)


def _beyond(critical: float, degrees: float, shift: float) -> float:
    """Return P(T > critical) for noncentral t; where scipy's series fails, its normal limit (Johnson & Kotz 1970)."""
    if degrees <= 1000:
        value = float(stats.nct.sf(critical, degrees, shift)) if shift else float(stats.t.sf(critical, degrees))
        if np.isfinite(value):
            return value
    centred = critical * (1 - 0.25 / degrees) - shift
    return float(stats.norm.sf(centred / np.sqrt(1 + critical**2 / (2 * degrees))))


def _check_test(error: float, degrees: float, significance: float) -> None:
    check_between("significance", significance, 0, 1)
    for name, value in (("error", error), ("degrees", degrees)):
        if not (np.isfinite(value) and value > 0):
            raise ConfigError(f"{name} must be a finite number above 0, received {value}")
