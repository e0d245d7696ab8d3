"""Tests and intervals on a test set, where several seeds of a recipe answer the same images.

A figure there varies with the images and with the seed of the training. Both count: with images alone (McNemar's test at
one seed) a lucky seed passes for a better recipe, with seeds alone the test set passes for the world. For values x_si over
S seeds and n images the mean has the squared error

    SE^2 = Var_i(mean_s x_si) / n + Var_s(mean_i x_si) / S

with degrees of freedom by Satterthwaite (1946). What belongs to neither seeds nor images alone is in both parts, which
errs on the side of caution (Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007). The training set is
taken as given: the statement is about recipes trained on these images.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ceteris.errors import ConfigError
from ceteris.records import FloatArray, IntArray
from ceteris.stats.arguments import check_between
from ceteris.stats.proportions import FEW_DISCORDANT, Interval
from ceteris.stats.student import StudentTest


@dataclass(frozen=True, kw_only=True)
class TwoWay(StudentTest):
    """A mean over seeds and images; ``image_variance`` and ``seed_variance`` add up to the squared standard error."""

    image_variance: float
    seed_variance: float
    seeds: int
    images: int
    discordant: int

    @property
    def choice_error(self) -> float:
        """The standard error by which a choice weighs the difference: that of the claim."""
        return self.standard_error


def two_way_test(differences: ArrayLike, *, groups: IntArray | None = None) -> TwoWay:
    """Return the test of paired differences (seeds, images) against 0.

    Fewer than 25 images with a difference: p is never below that of the exact sign test on them.

    Args:
        differences: of two recipes for every seed and image of the test set, at least 2 seeds and 2 images.
        groups: (images,), equal for images that belong together, which then count as one.

    Raises:
        ConfigError: too few seeds or images, or a difference that is not finite.
    """
    table = _table(differences)
    mean, of_image = float(table.mean()), table.mean(axis=0)
    images, seeds, degrees = _two_parts(table, groups)
    gains, losses = int((of_image > 1e-12).sum()), int((of_image < -1e-12).sum())
    if 0 < gains + losses < FEW_DISCORDANT:
        images += 1 / table.shape[1] ** 2  # one image more could differ
    error = float(np.sqrt(images + seeds))
    p_value = float(2 * special.stdtr(degrees, -abs(mean) / error)) if error else float(mean == 0)
    if gains + losses < FEW_DISCORDANT or not error:
        p_value = max(p_value, min(1.0, float(2 * special.bdtr(min(gains, losses), gains + losses, 0.5))))
    return TwoWay(
        difference=mean,
        standard_error=error,
        degrees=degrees,
        p_value=p_value,
        image_variance=images,
        seed_variance=seeds,
        seeds=table.shape[0],
        images=table.shape[1],
        discordant=gains + losses,
    )


def two_way_interval(
    values: ArrayLike, *, groups: IntArray | None = None, bounded: bool = True, confidence: float = 0.95
) -> Interval:
    """Return the interval of a recipe's figure from values (seeds, images) whose mean it is.

    Where the figure is a share (``bounded``: accuracy, 0..1) it is Wilson's (1927) with as many images as would give the same
    standard error and with Student's quantile; it stays inside 0..1 and never has width 0. Otherwise it is symmetric. One
    seed gives the interval for that seed's images alone.

    Raises:
        ConfigError: no seeds or fewer than 2 images, a value that is not finite, or confidence out of its range.
    """
    table = _table(values, seeds=1)
    check_between("confidence", confidence, 0, 1)
    estimate = float(table.mean())
    images, seeds, degrees = _two_parts(table, groups)
    variance, quantile = images + seeds, float(special.stdtrit(degrees, (1 + confidence) / 2))
    if not bounded:
        reach = quantile * float(np.sqrt(variance))
        return Interval(estimate=estimate, low=estimate - reach, high=estimate + reach)
    binomial = estimate * (1 - estimate)
    count = min(float(table.size), binomial / variance) if variance > 0 and binomial > 0 else float(table.shape[1])
    scale = 1 + quantile**2 / count
    centre = (estimate + quantile**2 / (2 * count)) / scale
    reach = quantile / scale * float(np.sqrt(max(0.0, binomial) / count + quantile**2 / (4 * count**2)))
    low, high = min(centre - reach, estimate), max(centre + reach, estimate)
    return Interval(estimate=estimate, low=max(0.0, low), high=min(1.0, high))


def two_way_bootstrap(
    metric: Callable[[int, IntArray], float],
    *,
    seeds: int,
    images: int,
    generator: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> Interval:
    """Return the percentile interval of a metric that is no mean over images, by drawing seeds and images (Owen 2007).

    Args:
        metric: (seed, drawn images (n,)) -> figure of that seed on these images; NaN where it has none.
        seeds: of the recipe, numbered from 0.
        images: of the test set.
        generator: the source of the draws.
        confidence: of the interval, in (0, 1).
        resamples: how many test sets are drawn, each with as many seeds.

    Raises:
        ConfigError: an argument out of its range.
    """
    check_between("confidence", confidence, 0, 1)
    if seeds < 1 or images < 2 or resamples < 100:
        raise ConfigError(
            "a bootstrap interval needs at least 1 seed, 2 images and 100 resamples, "
            f"received {seeds}, {images} and {resamples}"
        )
    estimate = float(np.mean([metric(seed, np.arange(images)) for seed in range(seeds)]))
    draws = []
    for _ in range(resamples):
        drawn = generator.integers(images, size=images)
        chosen, times = np.unique(generator.integers(seeds, size=seeds), return_counts=True)
        draws.append(sum(count * metric(int(seed), drawn) for seed, count in zip(chosen, times, strict=True)) / seeds)
    low, high = np.nanquantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(estimate=estimate, low=min(float(low), estimate), high=max(float(high), estimate))


def _two_parts(table: FloatArray, groups: IntArray | None) -> tuple[float, float, float]:
    """Return the variance of the mean by images (or groups) and by seeds, and the degrees of freedom of their sum."""
    seeds, images = table.shape
    shares = (table.mean(axis=0) - table.mean()) / images
    if groups is not None:
        shares = np.bincount(np.unique(groups, return_inverse=True)[1], shares)
    by_image = float((shares**2).sum()) * len(shares) / max(1, len(shares) - 1)
    by_seed = float(table.mean(axis=1).var(ddof=1)) / seeds if seeds > 1 else 0.0
    scatter = by_image**2 / max(1, len(shares) - 1) + by_seed**2 / max(1, seeds - 1)
    return by_image, by_seed, float(np.clip((by_image + by_seed) ** 2 / scatter, 1.0, 1e6)) if scatter > 0 else 1e6


def _table(values: ArrayLike, *, seeds: int = 2) -> FloatArray:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < seeds or table.shape[1] < 2 or not np.isfinite(table).all():
        raise ConfigError(
            f"results on a test set must be finite numbers (seeds, images) with at least {seeds} of the one and 2 of the "
            f"other, received shape {table.shape}"
        )
    return table
