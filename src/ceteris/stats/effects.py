"""How large a difference is, on scales that do not depend on the unit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray, IntArray
from ceteris.stats.arguments import all_equal, on_common_scale, paired_differences
from ceteris.stats.bootstrap import bootstrap_interval
from ceteris.stats.proportions import Interval


@dataclass(frozen=True, kw_only=True)
class EffectSizes:
    """Effect sizes of paired differences.

    ``standardised`` is mean / standard deviation (Cohen's d_z, 1988), ``unbiased`` the same with Hedges' small-sample
    factor (1981), ``rank_biserial`` the rank sums' (gains - losses) / all in -1..1 (Kerby 2014).
    """

    standardised: float
    unbiased: float
    rank_biserial: float


def effect_sizes(differences: ArrayLike) -> EffectSizes:
    """Return the effect sizes of paired differences (blocks,); infinite where they are one number other than 0.

    Raises:
        ConfigError: fewer than 2 differences or one that is not finite.
    """
    values = paired_differences(differences, purpose="an effect size")
    mean = float(values.mean())
    if all_equal(values):
        standardised = float(np.sign(mean) * np.inf) if abs(mean) > 1e-12 else 0.0
    else:
        standardised = mean / float(values.std(ddof=1))
    degrees = len(values) - 1
    return EffectSizes(
        standardised=standardised,
        unbiased=standardised * _hedges_factor(degrees) if degrees > 1 else standardised,
        rank_biserial=_rank_biserial(values),
    )


def probability_of_improvement(
    differences: ArrayLike, *, generator: np.random.Generator, confidence: float = 0.95
) -> Interval:
    """Return the share of blocks (blocks,) that improve, ties counting half, with its percentile bootstrap interval.

    Bouthillier et al. (Accounting for variance in machine learning benchmarks, MLSys 2021) call an improvement
    meaningful where the interval lies above 0.5 and reaches 0.75.

    Raises:
        ConfigError: fewer than 2 differences or one that is not finite.
    """
    values = paired_differences(differences, purpose="the probability of improvement")
    table = np.bincount(np.sign(values).astype(np.int64) + 1, minlength=3)[None].astype(np.int64)
    return bootstrap_interval(
        table, _share_improved, generator=generator, method="percentile", confidence=confidence, resamples=10_000
    )


def probability_of_superiority(first: ArrayLike, second: ArrayLike) -> float:
    """Return the chance that a run of the second arm beats one of the first, ties counting half, for unpaired runs.

    The Mann-Whitney U of (m,) and (n,) results over m n (Agarwal et al. 2021 call it probability of improvement).

    Raises:
        ConfigError: an arm without results or with one that is not finite.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not (one.ndim == other.ndim == 1 and one.size and other.size and np.isfinite(one.sum() + other.sum())):
        raise ConfigError(f"both arms need finite results (runs,), received {one.shape} and {other.shape}")
    return float((np.sign(other[:, None] - one).mean() + 1) / 2)


def _share_improved(tables: IntArray) -> FloatArray:
    """Share of the third outcome (improved) plus half of the second (tied), tables (resamples, 1, 3)."""
    counts = tables[:, 0]
    return np.asarray((counts[:, 2] + counts[:, 1] / 2) / counts.sum(axis=1))


def _hedges_factor(degrees: int) -> float:
    """Return the exact factor gamma(v/2) / (sqrt(v/2) gamma((v-1)/2)) of Hedges (1981)."""
    return float(np.exp(special.gammaln(degrees / 2) - special.gammaln((degrees - 1) / 2)) / np.sqrt(degrees / 2))


def _rank_biserial(values: FloatArray) -> float:
    values = on_common_scale(values)
    values = values[values != 0]
    ranks = stats.rankdata(np.abs(values))
    return float((np.sign(values) * ranks).sum() / ranks.sum()) if values.size else 0.0
