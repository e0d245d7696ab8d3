"""Where the variation of a result comes from: data split, initialisation, order of the images, test set.

Bouthillier et al., Accounting for variance in machine learning benchmarks, MLSys 2021, vary one source at a time with
the others held. Jordan, Calibrated chaos: variance between runs of neural network training is harmless and inevitable
(2023), separates what differs between runs on the whole distribution from what a finite test set adds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.stats.arguments import all_equal, check_between, paired_differences
from ceteris.stats.proportions import Interval

Source = TypeVar("Source", bound=str)


@dataclass(frozen=True, kw_only=True)
class SourceVariance:
    """One source of variation: its standard deviation with a chi-square interval, and its share of the total variance."""

    deviation: Interval
    share: float


@dataclass(frozen=True, kw_only=True)
class RunVariance:
    """Variances of accuracy between runs: observed on this test set, and of that, on the whole distribution.

    ``distribution`` is unbiased and so may fall below 0; ``test_set`` is larger by what single images add by luck.
    """

    test_set: float
    distribution: float


@dataclass(frozen=True, kw_only=True)
class CrossedVariance:
    """Variances of a crossed design: between rows, between columns, and what remains. Negative estimates are set to 0."""

    rows: float
    columns: float
    rest: float


def variance_by_source(
    results: Mapping[Source, ArrayLike], *, confidence: float = 0.95
) -> dict[Source, SourceVariance]:
    """Return how much each source varies a result, from runs (runs,) in which only that source was varied.

    The standard deviation's interval is that of normal results: (n - 1) s^2 / chi-square quantiles. The shares are of the
    sum over the given sources, which takes them as independent.

    Raises:
        ConfigError: a source with fewer than 2 runs or one that is not finite, or confidence outside (0, 1).
    """
    check_between("confidence", confidence, 0, 1)
    runs = {source: paired_differences(values, purpose=f'the source "{source}"') for source, values in results.items()}
    variances = {source: 0.0 if all_equal(values) else float(values.var(ddof=1)) for source, values in runs.items()}
    total = sum(variances.values())
    found = dict[Source, SourceVariance]()
    for source, variance in variances.items():
        degrees = len(runs[source]) - 1
        quantiles = stats.chi2.ppf([(1 + confidence) / 2, (1 - confidence) / 2], degrees)
        low, high = np.sqrt(degrees * variance / quantiles)
        deviation = Interval(estimate=float(np.sqrt(variance)), low=float(low), high=float(high))
        found[source] = SourceVariance(deviation=deviation, share=variance / total if total else 0.0)
    return found


def sampling_deviation(accuracy: float, images: int) -> float:
    """Return the standard deviation sqrt(p (1 - p) / n) that drawing another test set of n images gives an accuracy.

    Raises:
        ConfigError: accuracy outside 0..1 or no images.
    """
    if not 0 <= accuracy <= 1 or images < 1:
        raise ConfigError(f"accuracy must lie in 0..1 and images be at least 1, received {accuracy} and {images}")
    return float(np.sqrt(accuracy * (1 - accuracy) / images))


def run_variance(correct: NDArray[np.bool_]) -> RunVariance:
    """Split the variance of accuracy between runs by what each run got right, correct (runs, images) (Jordan 2023).

    With s^2 the variance between runs on these n images and v_i that of image i, the variance on the whole
    distribution is estimated without bias by (n s^2 - mean v_i) / (n - 1).

    Raises:
        ConfigError: fewer than 2 runs or 2 images.
    """
    if correct.ndim != 2 or min(correct.shape) < 2:
        raise ConfigError(f"correct must have shape (runs, images) with at least 2 of each, received {correct.shape}")
    runs, images = correct.shape
    observed = float(correct.mean(axis=1).var(ddof=1))
    often = correct.mean(axis=0)
    of_image = float((often * (1 - often)).mean()) * runs / (runs - 1)
    return RunVariance(test_set=observed, distribution=(images * observed - of_image) / (images - 1))


def crossed_variance(results: ArrayLike) -> CrossedVariance:
    """Split the variance of results (rows, columns), for example splits × initialisations, one run in each cell.

    The method of moments for the two-way random model without replication (Searle, Casella & McCulloch 1992): mean
    squares of rows and columns minus that of the rest, over the number of runs in a row or column.

    Raises:
        ConfigError: fewer than 2 rows or columns, or a result that is not finite.
    """
    table = np.asarray(results, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ConfigError(f"results must be finite with at least 2 rows and 2 columns, received shape {table.shape}")
    rows, columns = table.shape
    row_means, column_means = table.mean(axis=1), table.mean(axis=0)
    remainder = table - row_means[:, None] - column_means + table.mean()
    rest = float((remainder**2).sum()) / ((rows - 1) * (columns - 1))
    return CrossedVariance(
        rows=max(0.0, float(row_means.var(ddof=1)) - rest / columns),
        columns=max(0.0, float(column_means.var(ddof=1)) - rest / rows),
        rest=rest,
    )
