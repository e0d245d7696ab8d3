"""The two-part test: two recipes compared on blocks whose held-out predictions are known image by image.

The difference of two recipes on a cross-validation is uncertain for two reasons, which are measured apart. The held-out
images are a sample: the differences d_i of single images (averaged over repetitions) tell by how much their mean can be
off, as in the central limit theorem of cross-validation (Bayle, Bayle, Janson & Mackey, Cross-validation confidence
intervals for test error, NeurIPS 2020). And every training has luck of its own: blocks vary by more than their images
explain. That excess is estimated from few blocks, so their variance is moderated by a weak prior (Smyth, Linear models and
empirical Bayes methods for assessing differential expression in microarray experiments, 2004) and counts with an allowance
for the overlap of training sets (Nadeau & Bengio, Inference for the generalization error, 2003).

    d_ib  difference on held-out image i in block b;  D_b its mean over a block;  N blocks, n images, k folds
    m     = mean of the D_b
    V     = n/(n-1) sum_i (sum_b (d_ib - m) / (n_b N))^2     Var(mean over repetitions of d_i) / n where blocks are complete
    b^2   = mean over blocks of Var_within(d) / n_b          what the images explain of a block
    s^2   = variance of the D_b, N - 1 degrees
    s'^2  = (d0 phi0 b^2 + (N - 1) s^2) / (d0 + N - 1)       the prior is left where the blocks clearly contradict it
    t^2   = max(0, s'^2 - b^2)                               luck of a training
    SE^2  = gamma V + (1/N + q) t^2                          gamma: 1 + 1/(k - 1), on repetitions 1 + 2.75/(k - 1)

Degrees of freedom follow Satterthwaite (1946). Where fewer than 25 images differ, p is never below that of the exact sign
test on them. Images of one group count as one. The constants were calibrated on simulated studies and on thousands of real
networks (docs/methodology.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats.outcomes import BlockDifference
from ceteris.stats.proportions import FEW_DISCORDANT
from ceteris.stats.student import StudentTest

PRIOR_RATIO = 1.5  # phi0: blocks vary so many times what their images explain
PRIOR_DEGREES = 3.0  # d0: what the prior weighs, in degrees of freedom
OVERLAP = 0.05  # q: how far the luck of trainings is shared, because their training sets overlap
REPEATED = 2.75  # images that were held out more than once count so much more for the overlap of training sets
CONTRADICTION = 0.1  # chance under the prior below which the blocks alone count
# How much of what one repetition says of an image comes back in the next one: 0 to 0.3 in real networks.
PERSISTENT = 0.3


@dataclass(frozen=True, kw_only=True)
class PairedMoments:
    """What the test takes from paired differences: numbers of one comparison, or arrays of one shape for many at once.

    ``mean`` is m, ``image_variance`` V, ``binomial`` b^2, ``spread`` s^2 of the formulas above; ``gains`` and ``losses``
    count the images on which the level is better or worse.
    """

    mean: FloatArray
    image_variance: FloatArray
    binomial: FloatArray
    spread: FloatArray
    gains: FloatArray
    losses: FloatArray
    images: int
    blocks: int
    same: bool = False

    @property
    def discordant(self) -> FloatArray:
        """The images on which the recipes differ."""
        return self.gains + self.losses


@dataclass(frozen=True, kw_only=True)
class TwoPart(StudentTest):
    """The test of a mean paired difference, in the unit of the values.

    ``image_variance`` (V) and ``training_variance`` ((1/N + q) t^2) add up to the squared error of a choice, with gamma = 1;
    ``standard_error`` is that of a claim. ``images`` counts images, or groups, and ``discordant`` those that differ.
    """

    image_variance: float
    training_variance: float
    images: int
    discordant: int

    @property
    def choice_error(self) -> float:
        """The standard error by which a choice weighs the difference; claims allow for more."""
        return float(np.sqrt(self.image_variance + self.training_variance))


def two_part_test(differences: Sequence[BlockDifference], *, folds: int, fresh_samples: bool = False) -> TwoPart:
    """Return the two-part test of paired differences against 0.

    Args:
        differences: level minus incumbent, one entry per block, at least one.
        folds: of the cross-validation that made the blocks, at least 2.
        fresh_samples: every repetition drew a sample of images of its own.

    Raises:
        ConfigError: no blocks, a difference that is not finite, or fewer than 2 folds.
    """
    if folds < 2:
        raise ConfigError(f"folds must be at least 2, received {folds}")
    moments = paired_moments(differences)
    error, degrees, p_value = judge_moments(moments, folds=folds, repeated=is_repeated(differences, fresh_samples))
    return TwoPart(
        difference=float(moments.mean),
        standard_error=float(error),
        degrees=float(degrees),
        p_value=float(p_value),
        image_variance=float(moments.image_variance),
        training_variance=float(training_variance(moments)[0]),
        images=moments.images,
        discordant=int(moments.discordant),
    )


def is_repeated(differences: Sequence[BlockDifference], fresh_samples: bool) -> bool:
    """Tell whether the same images were held out more than once."""
    return not fresh_samples and len({block.repetition for block in differences}) > 1


def paired_moments(differences: Sequence[BlockDifference]) -> PairedMoments:
    """Return the moments of the differences of at least one block.

    Raises:
        ConfigError: no blocks, or a difference that is not finite.
    """
    if not differences:
        raise ConfigError("the two-part test needs the differences of at least one block that both recipes finished")
    means = np.array([block.mean for block in differences])
    if not np.isfinite(means).all():
        raise ConfigError("the two-part test needs finite differences; leave out the blocks where a training failed")
    mean = means.mean()
    units, place = np.unique(np.concatenate([block.units for block in differences]), return_inverse=True)
    shares = np.concatenate([(block.values - mean) / len(block.values) for block in differences]) / len(differences)
    signs = np.bincount(place, np.concatenate([block.values for block in differences]))
    tolerance = 1e-12 * max(1.0, float(np.abs(signs).max()))
    gains, losses = np.count_nonzero(signs > tolerance), np.count_nonzero(signs < -tolerance)
    same = all(block.same for block in differences)
    variance = _sum_of_squares(np.bincount(place, shares))
    within = []  # the variance of each block's mean by its images, or by their groups
    for block in differences:
        _, own = np.unique(block.units, return_inverse=True)
        within.append(_sum_of_squares(np.bincount(own, (block.values - block.mean) / len(block.values))))
    if gains + losses < FEW_DISCORDANT and not same:
        variance += 1 / len(units) ** 2  # one image more could differ (as Agresti & Min, 2005, add half to each cell)
    return PairedMoments(
        mean=np.asarray(mean),
        image_variance=np.asarray(variance),
        binomial=np.asarray(np.mean(within)),
        spread=np.asarray(means.var(ddof=1) if len(means) > 1 else 0.0),
        gains=np.asarray(float(gains)),
        losses=np.asarray(float(losses)),
        images=len(units),
        blocks=len(differences),
        same=same,
    )


def _sum_of_squares(shares: NDArray[np.number[Any]]) -> float:
    """Return n / (n - 1) times the sum of squares of what each unit adds to a mean; 0 of a single unit."""
    return float((shares**2).sum()) * len(shares) / max(1, len(shares) - 1)


def training_variance(moments: PairedMoments) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (1/N + q) t^2, its share of that per unit of s'^2, and the degrees of freedom of s'^2."""
    own = moments.blocks - 1
    prior = PRIOR_RATIO * moments.binomial
    steadied = (PRIOR_DEGREES * prior + own * moments.spread) / (PRIOR_DEGREES + own)
    degrees = np.full_like(steadied, PRIOR_DEGREES + own)
    if own:
        contradicted = moments.spread > prior * special.chdtri(own, CONTRADICTION) / own
        steadied, degrees = np.where(contradicted, moments.spread, steadied), np.where(contradicted, own, degrees)
    weight = 1 / moments.blocks + OVERLAP
    luck = np.maximum(0.0, steadied - moments.binomial)
    return weight * luck, np.where(luck > 0, weight * steadied, 0.0), degrees


def judge_moments(moments: PairedMoments, *, folds: int, repeated: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return standard error, degrees of freedom and two-sided p of the moments of one comparison, or of many."""
    images = (1 + (REPEATED if repeated else 1.0) / (folds - 1)) * moments.image_variance
    trainings, uncertain, own_degrees = training_variance(moments)
    total = images + trainings
    tiny = np.finfo(np.float64).tiny
    scatter = uncertain**2 / own_degrees + images**2 / max(1, moments.images - 1)
    degrees = np.clip(total**2 / np.maximum(scatter, tiny), 1.0, 1e6)
    error = np.sqrt(total)
    p_value = np.where(
        error > 0,
        2 * special.stdtr(degrees, -np.abs(moments.mean) / np.maximum(error, tiny)),
        np.where(np.abs(moments.mean) > 1e-12, 0.0, 1.0),
    )
    exact = np.minimum(
        1.0, 2 * special.bdtr(np.minimum(moments.gains, moments.losses), moments.discordant.astype(np.int64), 0.5)
    )
    few = (moments.discordant < FEW_DISCORDANT) | (error == 0)
    return error, degrees, np.where(few, np.maximum(p_value, exact), p_value)


def with_more_repetitions(moments: PairedMoments, more: int, *, folds: int, fresh_samples: bool) -> PairedMoments:
    """Return the moments to be expected of ``more`` further cross-validations, if these differences are typical."""
    now = max(1.0, moments.blocks / folds)
    kept = moments.blocks / (moments.blocks + more * folds)
    if not fresh_samples:  # what belongs to an image comes back with it
        persistent = PERSISTENT / (PERSISTENT + (1 - PERSISTENT) / now)
        kept = persistent + (1 - persistent) * kept
    return replace(
        moments, image_variance=moments.image_variance * kept, blocks=moments.blocks + more * folds,
        images=moments.images * (1 + more) if fresh_samples else moments.images,
    )  # fmt: skip
