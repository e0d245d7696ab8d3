"""Where the variation of a result comes from: data split, initialisation, order of the images, test set.

Bouthillier et al., Accounting for variance in machine learning benchmarks, MLSys 2021, vary one source at a time with
the others held.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike
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
