"""From paired results to a comparison: what is expected of a level, and what is shown (better, worse, equivalent)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ceteris.errors import ConfigError
from ceteris.findings import Comparison, ComparisonTest, Verdict
from ceteris.records import FloatArray
from ceteris.stats.arguments import all_equal, check_between, check_not_negative
from ceteris.stats.expected_gain import Posterior, expected_gain
from ceteris.stats.outcomes import BlockDifference, Outcomes, paired_blocks
from ceteris.stats.power import detectable_difference
from ceteris.stats.student import StudentTest, corrected_t_test, overlap_share
from ceteris.stats.two_way import TwoWay, two_way_test
from ceteris.stats.twopart import (
    TwoPart,
    is_repeated,
    judge_moments,
    paired_moments,
    two_part_test,
    with_more_repetitions,
)

MORE_REPETITIONS = 2  # of which a comparison says what they would find


@dataclass(frozen=True, kw_only=True)
class _Paired:
    """One level's differences from the incumbent, block by block; ``by_image`` where more than their means is known."""

    blocks: Sequence[BlockDifference]
    folds: int
    fresh_samples: bool
    by_image: bool

    @cached_property
    def means(self) -> FloatArray:
        return np.array([block.mean for block in self.blocks])

    @cached_property
    def two_part(self) -> TwoPart:
        return two_part_test(self.blocks, folds=self.folds, fresh_samples=self.fresh_samples)

    @cached_property
    def corrected_t(self) -> StudentTest:
        share = overlap_share(folds=self.folds, blocks=len(self.blocks))
        return corrected_t_test(self.means, test_share=share)

    @property
    def on_images(self) -> TwoPart | TwoWay:
        """What the single images say."""
        return self.two_part

    def test(self, asked: ComparisonTest) -> ComparisonTest:
        """Return the test that can be made: without single images only the corrected t-test."""
        return asked if self.by_image else "corrected-t"

    def claim(self, test: ComparisonTest) -> StudentTest:
        """Return the test of a claim."""
        return self.two_part if self.test(test) == "two-part" else self.corrected_t

    def detectable(self, test: ComparisonTest, significance: float, *, more: int = 0) -> float:
        """Return the true difference that is found with power 0.8, after ``more`` further repetitions."""
        if self.test(test) == "two-part":
            moments = paired_moments(self.blocks)
            if more:
                moments = with_more_repetitions(moments, more, folds=self.folds, fresh_samples=self.fresh_samples)
            repeated = is_repeated(self.blocks, self.fresh_samples) or (more > 0 and not self.fresh_samples)
            error, degrees, _ = judge_moments(moments, folds=self.folds, repeated=repeated)
            return detectable_difference(error=float(error), degrees=float(degrees), significance=significance)
        if all_equal(self.means):
            return 0.0
        blocks = len(self.blocks) + more * self.folds
        share = overlap_share(folds=self.folds, blocks=blocks)
        expected = float(self.means.std(ddof=1) * np.sqrt(1 / blocks + share))
        return detectable_difference(error=expected, degrees=blocks - 1, significance=significance)


class _OnSameImages(_Paired):
    """One level's differences from the incumbent where every block, a seed, holds out the same images."""

    @cached_property
    def on_images(self) -> TwoWay:
        """The test over seeds and images."""
        groups = self.blocks[0].units
        return two_way_test(np.array([block.values for block in self.blocks]), groups=groups)

    def test(self, asked: ComparisonTest) -> ComparisonTest:
        """Return the one test that there is; without single images it can only be the corrected t-test."""
        return "two-way" if self.by_image else "corrected-t"

    def claim(self, test: ComparisonTest) -> StudentTest:
        """Return the test of a claim."""
        return self.on_images if self.by_image else self.corrected_t

    def detectable(self, test: ComparisonTest, significance: float, *, more: int = 0) -> float:
        """Return the true difference that is found with power 0.8; more seeds would add little where images are few."""
        claim = self.claim(test)
        return detectable_difference(error=claim.standard_error, degrees=claim.degrees, significance=significance)


def compare_levels(
    incumbent: Outcomes,
    levels: Mapping[str, Outcomes],
    *,
    folds: int,
    significance: float = 0.05,
    margin: float,
    test: ComparisonTest = "two-part",
    error: float | None = None,
    fresh_samples: bool = False,
    same_images: bool = False,
) -> dict[str, Comparison]:
    """Compare every level of a factor with the incumbent over the blocks that both finished.

    A level is better or worse if its Holm-adjusted p is below ``significance``; else equivalent if the interval at confidence
    1 - 2 * significance lies inside ±margin (two one-sided tests, Schuirmann 1987) or if its trainings came out the same as
    the incumbent's; else undecided. Expected gain and chance are those of :func:`expected_gain`, whatever the test.

    Args:
        incumbent: its results on every block, image by image; where only figures are known, see ``Outcomes.of_figures``.
        levels: the same for each other level by its label.
        folds: of the cross-validation that made the blocks, at least 2.
        significance: chance of a false claim over the whole factor, in (0, 0.5).
        margin: a difference up to this size does not matter in practice, in the unit of the results.
        test: of the claims, :func:`two_part_test` or :func:`corrected_t_test` with the overlap of :func:`overlap_share`.
        error: the incumbent's error rate or loss; without it 1 minus the mean of its figures.
        fresh_samples: every repetition drew a sample of images of its own.
        same_images: every block is a seed that holds out the same images; the test is then :func:`two_way_test`.

    Returns:
        One comparison per level that shares at least 2 finished blocks with the incumbent.

    Raises:
        ConfigError: an argument out of its range, a level with another number of blocks than the incumbent, or other images.
    """
    if folds < 2:
        raise ConfigError(f"folds must be at least 2, received {folds}")
    check_between("significance", significance, 0, 0.5)
    check_not_negative("margin", margin)
    paired = {}
    for label, results in levels.items():
        if len(results.blocks) != len(incumbent.blocks):
            raise ConfigError(
                f'level "{label}" must have one result per block as the incumbent has (None where a training failed), '
                f"received {len(results.blocks)} and {len(incumbent.blocks)}"
            )
        differences = paired_blocks(incumbent, results)
        if len(differences) >= 2:
            by_image = all(len(block.values) > 1 for block in differences)
            kind = _OnSameImages if same_images else _Paired
            paired[label] = kind(blocks=differences, folds=folds, fresh_samples=fresh_samples, by_image=by_image)
    claims = {label: level.claim(test) for label, level in paired.items()}
    if error is None:
        error = max(0.0, 1 - float(np.nanmean(incumbent.figures))) if paired else 0.0
    rules = _Rules(significance=significance, margin=margin, test=test, error=error, levels=len(paired))
    adjusted = holm([claim.p_value for claim in claims.values()])
    return {
        label: rules.comparison(paired[label], claims[label], float(p))
        for label, p in zip(paired, adjusted, strict=True)
    }


def posterior_of(comparison: Comparison) -> Posterior:
    """Return what a comparison lets one believe of the true difference."""
    return expected_gain(comparison.difference, comparison.choice_error, error=comparison.error)


@dataclass(frozen=True, kw_only=True)
class _Rules:
    """What the ``levels`` of one factor are judged by; ``error`` is the incumbent's."""

    significance: float
    margin: float
    test: ComparisonTest
    error: float
    levels: int

    def comparison(self, paired: _Paired, claim: StudentTest, adjusted_p: float) -> Comparison:
        narrow_low, narrow_high = claim.interval(1 - 2 * self.significance)
        below, above = claim.shares_beyond(self.margin)
        choice_error = paired.on_images.choice_error if paired.by_image else claim.standard_error
        posterior = expected_gain(claim.difference, choice_error, error=self.error)
        each = self.significance / self.levels  # Bonferroni's bound on Holm
        identical = all(block.same for block in paired.blocks)
        found = Comparison(
            difference=claim.difference,
            low=claim.low,
            high=claim.high,
            p_value=claim.p_value,
            adjusted_p=adjusted_p,
            probability_worse=below,
            probability_equivalent=1 - below - above,
            probability_better=above,
            effect_size=_effect_size(paired.means),
            blocks=len(paired.blocks),
            verdict="undecided",
            levels=self.levels,
            folds=paired.folds,
            margin=self.margin,
            narrow_low=narrow_low,
            narrow_high=narrow_high,
            confidence=1 - 2 * self.significance,
            test=paired.test(self.test),
            standard_error=claim.standard_error,
            degrees=claim.degrees,
            images=paired.on_images.images if paired.by_image else 0,
            discordant=paired.on_images.discordant if paired.by_image else 0,
            identical=identical,
            detectable=0.0 if identical else paired.detectable(self.test, each),
            detectable_with_more=0.0 if identical else paired.detectable(self.test, each, more=MORE_REPETITIONS),
            expected_gain=posterior.gain,
            chance=posterior.chance,
            choice_error=choice_error,
            error=self.error,
        )
        return adjusted_claim(found, adjusted_p, significance=self.significance, levels=self.levels)


def adjusted_claim(found: Comparison, adjusted_p: float, *, significance: float, levels: int) -> Comparison:
    """Return a comparison with what is shown at an adjusted p, when so many ``levels`` are compared at a time."""
    inside = -found.margin < found.narrow_low and found.narrow_high < found.margin
    verdict: Verdict = "equivalent" if inside or found.identical else "undecided"
    if adjusted_p < significance:
        verdict = "better" if found.difference > 0 else "worse"
    return replace(found, adjusted_p=adjusted_p, levels=levels, verdict=verdict)


def _effect_size(means: FloatArray) -> float:
    """Return mean over standard deviation of the blocks, endless where all are the same number but not 0."""
    mean = float(means.mean())
    if all_equal(means):
        return float(np.copysign(np.inf, mean)) if abs(mean) > 1e-12 else 0.0
    return mean / float(means.std(ddof=1))


def holm(p_values: ArrayLike) -> FloatArray:
    """Return adjusted p-values (m,) that bound the chance of any false claim (Holm 1979).

    The i-th smallest of m is multiplied by m - i + 1 and never falls below its predecessors.

    Raises:
        ConfigError: a p-value outside 0..1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ConfigError(f"p-values must be an array (m,) of numbers in 0..1, received {p.tolist()}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
