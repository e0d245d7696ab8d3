"""Tests that assume no distribution, for independent blocks: sign-flips, Wilcoxon, Friedman with Nemenyi."""

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray, IntArray
from ceteris.stats.arguments import check_between, paired_differences

MOST_BLOCKS = 40  # two halves of 2^20 sums each; counting takes about a second


@dataclass(frozen=True, kw_only=True)
class SignFlipResult:
    """The mean difference, its exact two-sided p, and the smallest p that so many blocks can give."""

    difference: float
    p_value: float
    smallest_p: float


@dataclass(frozen=True, kw_only=True)
class WilcoxonResult:
    """Rank sums of the gains and of the losses and the exact two-sided p; ``pairs`` counts differences other than 0."""

    gains: float
    losses: float
    pairs: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class FriedmanResult:
    """Mean ranks (arms,), 1 is best, with Friedman's test and Nemenyi's critical difference of two mean ranks.

    ``chi_square`` is corrected for ties; ``statistic`` is Iman & Davenport's F, of which ``p_value`` is taken.
    ``pairwise_p`` (arms, arms) are Nemenyi's, adjusted for all pairs.
    """

    mean_ranks: FloatArray
    chi_square: float
    statistic: float
    p_value: float
    critical_difference: float
    pairwise_p: FloatArray


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
    half = len(values) // 2  # the sum of an assignment of signs is that of one half plus that of the other
    first, second = np.sort(_signed_sums(values[:half])), np.sort(_signed_sums(values[half:]))
    missing = np.searchsorted(second, observed - tolerance - first, side="left")
    at_least = int((len(second) - missing).sum())
    p_value = 1.0 if observed <= tolerance else 2 * at_least / 2.0 ** len(values)
    return SignFlipResult(
        difference=float(values.mean()), p_value=min(1.0, p_value), smallest_p=2.0 ** (1 - len(values))
    )


def _signed_sums(values: FloatArray) -> FloatArray:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums + value, sums - value))
    return sums


def wilcoxon_test(differences: ArrayLike, *, significance: float = 0.05) -> WilcoxonResult:
    """Return the exact signed-rank test of paired differences (blocks,) (Wilcoxon 1945).

    Differences of 0 are dropped; ties share ranks and the null distribution is that of the ranks at hand. The blocks
    must be independent (data sets, or seeds with a fixed split), which the folds of one cross-validation are not.

    Raises:
        ConfigError: so few blocks that no outcome at all can reach ``significance``, or one that is not finite.
    """
    check_between("significance", significance, 0, 1)
    values = paired_differences(differences, purpose="Wilcoxon's signed-rank test")
    needed = wilcoxon_blocks_needed(significance)
    if len(values) < needed:
        raise ConfigError(
            f"Wilcoxon's signed-rank test on {len(values)} blocks can never give p < {significance:g}: its smallest p is "
            f"{2.0 ** (1 - len(values)):.3g}; at least {needed} blocks are needed, or the corrected t-test"
        )
    values = values[values != 0]
    if len(values):  # what subtracting left in the last bits is rounded away, so that ties are ties
        values = np.round(values / np.abs(values).max(), 10)
    ranks = stats.rankdata(np.abs(values))
    gains, losses = float(ranks[values > 0].sum()), float(ranks[values < 0].sum())
    return WilcoxonResult(
        gains=gains, losses=losses, pairs=len(values), p_value=_signed_rank_p(ranks, min(gains, losses))
    )


def wilcoxon_blocks_needed(significance: float) -> int:
    """Return the smallest number of blocks whose most extreme outcome, 2^(1 - n), lies below ``significance``."""
    return int(np.floor(1 - np.log2(significance))) + 1


def friedman_test(results: ArrayLike, *, significance: float = 0.05) -> FriedmanResult:
    """Rank the arms inside every block of results (blocks, arms), higher is better, and test whether all are alike.

    Friedman (1937) with the F of Iman & Davenport (1980) and the critical difference q * sqrt(k (k + 1) / (6 n)) of
    Nemenyi (1963), as Demšar (Statistical comparisons of classifiers over multiple data sets, JMLR 7, 2006) describes
    them. The blocks must be independent.

    Raises:
        ConfigError: fewer than 2 blocks or arms, or a result that is not finite.
    """
    table = np.asarray(results, dtype=np.float64)
    check_between("significance", significance, 0, 1)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ConfigError(
            f"Friedman's test needs finite results (blocks, arms) of at least 2 blocks and 2 arms, received {table.shape}"
        )
    blocks, arms = table.shape
    ranks = stats.rankdata(-table, axis=1)  # (blocks, arms)
    mean_ranks = ranks.mean(axis=0)
    chi_square, statistic, p_value = _friedman_statistics(ranks)
    error = float(np.sqrt(arms * (arms + 1) / (6 * blocks)))
    apart = np.abs(mean_ranks[:, None] - mean_ranks) / error * np.sqrt(2)
    return FriedmanResult(
        mean_ranks=mean_ranks,
        chi_square=chi_square,
        statistic=statistic,
        p_value=p_value,
        critical_difference=float(stats.studentized_range.isf(significance, arms, np.inf) / np.sqrt(2) * error),
        pairwise_p=np.clip(stats.studentized_range.sf(apart, arms, np.inf), 0, 1),
    )


def _signed_rank_p(ranks: FloatArray, smaller: float) -> float:
    """Count exactly, in half ranks, how often random signs give a rank sum of at most the smaller one; times two."""
    halves: IntArray = np.rint(2 * ranks).astype(np.int64)
    chances = np.zeros(int(halves.sum()) + 1)
    chances[0] = 1
    for rank in halves:
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[: len(chances) - rank]
        chances = (chances + shifted) / 2
    return min(1.0, float(2 * chances[: round(2 * smaller) + 1].sum()))


def _friedman_statistics(ranks: FloatArray) -> tuple[float, float, float]:
    """Return chi-square (0 when every block is one tie), Iman & Davenport's F and its p-value of ranks (blocks, arms)."""
    blocks, arms = ranks.shape
    total = float(((ranks - (arms + 1) / 2) ** 2).sum()) / (arms - 1)
    between = blocks**2 * float(((ranks.mean(axis=0) - (arms + 1) / 2) ** 2).sum())
    chi_square = between / total if total > 0 else 0.0
    rest = blocks * (arms - 1) - chi_square
    if rest <= 1e-9 * blocks:
        # All blocks rank the arms alike: the chance of that among the arms! orders of every block.
        return chi_square, float("inf"), float(factorial(arms)) ** (1 - blocks)
    statistic = (blocks - 1) * chi_square / rest
    return chi_square, statistic, float(stats.f.sf(statistic, arms - 1, (arms - 1) * (blocks - 1)))
