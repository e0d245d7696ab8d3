"""Stochastic curtailment: what the corrected t-test will say once all blocks are trained, by the first of them.

Stochastic curtailment (Lan, Simon & Halperin, Stochastically curtailed tests in long-term clinical trials, Sequential
Analysis 1, 1982) with predictive probabilities (Spiegelhalter, Freedman & Blackburn, Monitoring clinical trials:
conditional or predictive power?, Controlled Clinical Trials 7, 1986): a comparison may end as soon as its last verdict is
all but certain. The chance of a false claim then stays that of the one test at the end, plus at most the chance of
foretelling wrongly.

In the model of the corrected t-test any two blocks of a study are equally correlated, so that each difference is what is
common to all blocks, d + c, plus an own part e_i; the overlap share q in the test's variance is the variance of c over
that of e_i. Given the study, c is fixed and the blocks are independent: the correlation widens the test but does not blur
the forecast. With n blocks done (mean m, sum of squares S around it), r = N - n to come and the reference prior for d + c
and the spread, the mean of the blocks to come, less m, is sqrt(N / (n r)) * sigma * z, their sum of squares is
sigma^2 * W, and sigma^2 = S / V, with independent z ~ N(0, 1), W ~ chi2(r - 1), V ~ chi2(n - 1). Therefore
X = (z^2 + W) / (z^2 + W + V) ~ Beta(r/2, (n-1)/2), and independent of it B = z / sqrt(z^2 + W) is one coordinate of a
uniformly random direction in r dimensions. The test at the end says "better" if and only if

    sqrt(1 - X) * m / sqrt(S)  +  sqrt(r / (n N)) * sqrt(X) * B  >  t * sqrt((1/N + q) / (N - 1))

with t the critical value of N - 1 degrees of freedom. The differences enter by their effect size m / s alone.
"""

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats.arguments import all_equal, check_between, check_not_negative, paired_differences
from ceteris.stats.corrected import overlap_share

_NODES = 96  # of the Gauss-Legendre rule over the quantiles of X: four digits of a probability


@dataclass(frozen=True, kw_only=True)
class StoppingBounds:
    """Effect sizes (mean / standard deviation, any sign) on the blocks so far at which a comparison may end.

    At most ``futile``: nothing will be found; below 0 where no effect is small enough yet. From ``decided`` on it will be.
    """

    futile: float
    decided: float


def chance_of_gain(effect_size: float, *, blocks: int, of: int, folds: int, significance: float = 0.05) -> float:
    """Return how probably the two-sided corrected t-test on all blocks will say "better"; "worse" is that of -effect_size.

    Args:
        effect_size: mean over standard deviation of the differences so far.
        blocks: that it rests on, at least 2.
        of: blocks in all, more than ``blocks``.
        folds: of the cross-validation that made the blocks, at least 2.
        significance: of the test at the end.

    Raises:
        ConfigError: an argument out of its range.
    """
    _check(blocks, of, significance)
    rest = of - blocks
    now = effect_size / np.sqrt(blocks - 1)  # m / sqrt(S)
    critical = _critical(of, folds, significance) / np.sqrt(of - 1)
    share, weight = _shares(blocks, rest)
    least = (critical - now * np.sqrt(1 - share)) / (np.sqrt(rest / (blocks * of)) * np.sqrt(share))
    return float(weight @ _coordinate_above(least, rest))


def chance_of_equivalence(
    differences: ArrayLike, *, of: int, folds: int, margin: float, significance: float = 0.05
) -> float:
    """Return how probably two one-sided corrected t-tests on all blocks will find a difference inside ±margin.

    Args:
        differences: of the blocks so far, at least 2.
        of: blocks in all, more than those.
        folds: of the cross-validation that made the blocks, at least 2.
        margin: of equivalence, in the unit of the differences.
        significance: of each of the two tests.

    Raises:
        ConfigError: an argument out of its range, or differences that are not finite.
    """
    values = paired_differences(differences, purpose="a forecast")
    blocks, rest = len(values), of - len(values)
    _check(blocks, of, significance)
    check_not_negative("margin", margin)
    if all_equal(values):
        return float(abs(values.mean()) < margin)
    squares = float(np.sqrt(values.var() * blocks))  # sqrt(S)
    reach = _critical(of, folds, 2 * significance) / np.sqrt(of - 1)
    share, weight = _shares(blocks, rest)
    now, room = np.sqrt(1 - share) * values.mean() / squares, np.sqrt(1 - share) * margin / squares - reach
    scale = np.sqrt(rest / (blocks * of)) * np.sqrt(share)
    inside = _coordinate_above((-room - now) / scale, rest) - _coordinate_above((room - now) / scale, rest)
    return float(weight @ np.where(room > 0, inside, 0.0))


def chance_of_lead(differences: ArrayLike, *, of: int, lead: float = 0.0) -> float:
    """Return how probably the mean difference over all blocks will exceed ``lead``.

    The mean of all ``of`` blocks is, given the first n, Student-distributed around theirs with n - 1 degrees of freedom and
    scale sqrt((1/n - 1/of) * variance); what is common to all blocks of the study is in both means.

    Raises:
        ConfigError: fewer than 2 differences, one that is not finite, or not fewer than ``of``.
    """
    values = paired_differences(differences, purpose="a forecast")
    blocks = len(values)
    _check(blocks, of, 0.5)
    ahead = float(values.mean()) - lead
    if all_equal(values):
        return float(ahead > 0)
    return float(special.stdtr(blocks - 1, ahead / np.sqrt((1 / blocks - 1 / of) * values.var(ddof=1))))


@cache
def stopping_bounds(*, blocks: int, of: int, folds: int, significance: float, risk: float) -> StoppingBounds:
    """Return from which effect size on a comparison may end before all blocks are trained; see :func:`chance_of_gain`.

    It may end as decided when the last test will claim the same with probability 1 - ``risk`` and the test on the blocks
    so far claims it too, as futile when the last test will claim anything with probability ``risk`` at most and the test
    so far claims nothing. So what is said of the blocks so far agrees with what is expected of all of them.

    Raises:
        ConfigError: an argument out of its range.
    """
    _check(blocks, of, significance)
    check_between("risk", risk, 0, 0.5)
    critical = _critical(blocks, folds, significance)
    gain = partial(chance_of_gain, blocks=blocks, of=of, folds=folds, significance=significance)

    def decided(effect_size: float) -> float:
        return gain(effect_size) - (1 - risk)

    def futile(effect_size: float) -> float:
        return gain(effect_size) + gain(-effect_size) - risk

    upper = critical
    while decided(upper) < 0:
        upper *= 2
    high = float(optimize.brentq(decided, critical, upper, xtol=1e-6)) if upper > critical else critical
    low = float(optimize.brentq(futile, 0.0, upper, xtol=1e-6)) if futile(0.0) < 0 else -1.0
    return StoppingBounds(futile=min(low, critical), decided=high)


def _check(blocks: int, of: int, significance: float) -> None:
    if not 2 <= blocks < of:
        raise ConfigError(f"blocks must be at least 2 and fewer than all {of}, received {blocks}")
    check_between("significance", significance, 0, 1)


def _critical(blocks: int, folds: int, significance: float) -> float:
    """Return the effect size from which on the two-sided corrected t-test finds a difference."""
    error = np.sqrt(1 / blocks + overlap_share(folds=folds, blocks=blocks))
    return float(stats.t.isf(significance / 2, blocks - 1) * error)


@cache
def _shares(blocks: int, rest: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights that average over X, the share of the squares that is still to come."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return special.betaincinv(rest / 2, (blocks - 1) / 2, (nodes + 1) / 2), weights / 2


def _coordinate_above(least: FloatArray, dimensions: int) -> FloatArray:
    """Return P(B > least) for one coordinate B of a uniformly random direction; in one dimension B is -1 or 1."""
    if dimensions == 1:
        return np.where(least < -1, 1.0, np.where(least < 1, 0.5, 0.0))
    half = (dimensions - 1) / 2
    return np.asarray(special.betainc(half, half, (1 - np.clip(least, -1, 1)) / 2))
