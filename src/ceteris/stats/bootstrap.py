"""Bootstrap intervals for what is measured on a test set: accuracy, macro F1 and anything else counted in a table.

The answers to a test set are counted in a table (strata, outcomes): one row per true class, one column per answer (or
one row for all, where classes are not strata). Drawing n images with replacement is then one multinomial draw per row,
which makes thousands of resamples cheap and needs the metric of tables only.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray, IntArray
from ceteris.stats.arguments import check_between
from ceteris.stats.proportions import Interval

Method = Literal["bca", "percentile"]
Metric = Callable[[IntArray], FloatArray]


def bootstrap_interval(
    table: IntArray,
    metric: Metric,
    *,
    generator: np.random.Generator,
    stratified: bool = True,
    method: Method = "bca",
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Return the bootstrap interval of a metric of a table of counts, for example of a confusion matrix.

    Percentile and bias-corrected accelerated (BCa) limits follow Efron & Tibshirani (An Introduction to the Bootstrap,
    1993, chapters 13 and 14); the acceleration of a stratified sample Davison & Hinkley (1997, equation 5.26).

    Args:
        table: counts (strata, outcomes).
        metric: maps a stack of tables (resamples, strata, outcomes) to (resamples,).
        generator: the source of the draws.
        stratified: keep the number of images of every row, as a test set with fixed class sizes has.
        method: "bca", or "percentile" for the plain quantiles.
        confidence: of the interval, in (0, 1).
        resamples: how many test sets are drawn.

    Raises:
        ConfigError: an empty table or an argument out of its range.
    """
    check_between("confidence", confidence, 0, 1)
    if table.ndim != 2 or table.sum() < 1 or (table < 0).any():
        raise ConfigError(f"table must hold counts (strata, outcomes) of at least one image, received {table.shape}")
    if resamples < 100:
        raise ConfigError(f"resamples must be at least 100 for an interval, received {resamples}")
    estimate = float(metric(table[None])[0])
    draws = np.sort(_resampled_values(table, metric, resamples, generator, stratified))
    shares = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if method == "bca":
        shares = _bca_shares(shares, draws, estimate, _influence(table, metric, stratified))
    low, high = np.quantile(draws, shares)
    return Interval(estimate=estimate, low=float(low), high=float(high))


def bootstrap_accuracy(
    correct: NDArray[np.bool_],
    *,
    generator: np.random.Generator,
    strata: IntArray | None = None,
    method: Method = "bca",
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Return the bootstrap interval of the share of right answers (n,), drawn within ``strata`` (n,) where given.

    Raises:
        ConfigError: no answers, strata of another shape, or an argument out of its range; see bootstrap_interval.
    """
    rows = np.zeros(len(correct), dtype=np.int64) if strata is None else strata
    if rows.shape != correct.shape or not correct.size:
        raise ConfigError(f"strata must have one entry per answer, received {rows.shape} for answers {correct.shape}")
    _, rows = np.unique(rows, return_inverse=True)
    table = np.bincount(2 * rows + correct, minlength=2 * (int(rows.max()) + 1)).reshape(-1, 2).astype(np.int64)

    def share_right(tables: IntArray) -> FloatArray:
        return np.asarray(tables[..., -1].sum(axis=-1) / tables.sum(axis=(-2, -1)))

    return bootstrap_interval(
        table, share_right, generator=generator, method=method, confidence=confidence, resamples=resamples
    )


def _resampled_values(
    table: IntArray, metric: Metric, resamples: int, generator: np.random.Generator, stratified: bool
) -> FloatArray:
    """Return the metric (resamples,) of tables with as many images as the given one, drawn chunk by chunk."""
    rows = table if stratified else table.reshape(1, -1)
    totals = rows.sum(axis=1)
    shares = rows / np.maximum(totals, 1)[:, None]
    shares[:, -1] += totals == 0  # an empty row draws nothing, but its shares must add up to 1
    chunk = _tables_per_chunk(table)
    values = []
    for start in range(0, resamples, chunk):
        drawn = generator.multinomial(totals, shares, size=(min(chunk, resamples - start), len(rows)))
        values.append(metric(drawn.reshape(-1, *table.shape)))
    return np.concatenate(values).astype(np.float64)


def _influence(table: IntArray, metric: Metric, stratified: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return per occupied cell: its images, their influence on the metric (jackknife), and its stratum's images."""
    row, column = np.nonzero(table)
    counts = table[row, column].astype(np.float64)
    values, chunk = np.empty(len(row)), _tables_per_chunk(table)
    for start in range(0, len(row), chunk):
        cells = slice(start, start + chunk)
        without_one = np.repeat(table[None], len(row[cells]), axis=0)
        without_one[np.arange(len(without_one)), row[cells], column[cells]] -= 1
        values[cells] = metric(without_one)
    group = row if stratified else np.zeros_like(row)
    sizes = np.bincount(group, weights=counts)
    means = np.bincount(group, weights=counts * values) / np.maximum(sizes, 1)
    sizes_of_cell = np.asarray(sizes[group], dtype=np.float64)
    return counts, (sizes_of_cell - 1) * (means[group] - values), sizes_of_cell


def _tables_per_chunk(table: IntArray) -> int:
    """Bound the memory of a stack of tables to 16 MiB."""
    return max(1, 2**21 // table.size)


def _bca_shares(
    shares: FloatArray, draws: FloatArray, estimate: float, influence: tuple[FloatArray, FloatArray, FloatArray]
) -> FloatArray:
    """Move the quantiles by bias and acceleration; without spread they stay where they are."""
    counts, values, sizes = influence
    spread = float((counts * values**2 / sizes**2).sum())
    # Half of the draws that equal the estimate count as below it: accuracies are whole numbers over n.
    below = (np.searchsorted(draws, estimate, "left") + np.searchsorted(draws, estimate, "right")) / 2 / len(draws)
    if spread == 0 or not 0 < below < 1:
        return shares
    acceleration = float((counts * values**3 / sizes**3).sum()) / (6 * spread**1.5)
    bias = float(stats.norm.ppf(below))
    moved = bias + stats.norm.ppf(shares)
    return np.asarray(stats.norm.cdf(bias + moved / (1 - acceleration * moved)))
