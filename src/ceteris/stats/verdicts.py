"""From paired results to a verdict with its numbers: better, worse, equivalent or undecided."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ceteris.errors import ConfigError
from ceteris.findings import Comparison, Verdict
from ceteris.records import FloatArray
from ceteris.stats.arguments import all_equal, check_between, check_not_negative
from ceteris.stats.corrected import PairedResult, bayesian_correlated_t_test, corrected_t_test, overlap_share
from ceteris.stats.nonparametric import wilcoxon_blocks_needed
from ceteris.stats.power import blocks_to_decide


@dataclass(frozen=True, kw_only=True)
class _Rules:
    """What the levels of one factor are judged by."""

    folds: int
    significance: float
    margin: float

    def share(self, blocks: int) -> float:
        return overlap_share(folds=self.folds, blocks=blocks)

    def comparison(self, differences: FloatArray, adjusted_p: float, levels: int) -> Comparison:
        share = self.share(len(differences))
        test = corrected_t_test(differences, test_share=share)
        narrow = corrected_t_test(differences, test_share=share, confidence=1 - 2 * self.significance)
        probability = bayesian_correlated_t_test(differences, test_share=share, margin=self.margin)
        verdict = self.verdict(test.difference, narrow, adjusted_p)
        return Comparison(
            difference=test.difference,
            low=test.low,
            high=test.high,
            p_value=test.p_value,
            adjusted_p=adjusted_p,
            probability_worse=probability.worse,
            probability_equivalent=probability.equivalent,
            probability_better=probability.better,
            effect_size=test.effect_size,
            blocks=len(differences),
            verdict=verdict,
            levels=levels,
            folds=self.folds,
            margin=self.margin,
            narrow_low=narrow.low,
            narrow_high=narrow.high,
            confidence=1 - 2 * self.significance,
            blocks_to_decide=self.blocks_to_decide(differences, levels) if verdict == "undecided" else 0,
        )

    def verdict(self, difference: float, narrow: PairedResult, adjusted_p: float) -> Verdict:
        if adjusted_p < self.significance:
            return "better" if difference > 0 else "worse"
        exactly_zero = narrow.low == narrow.high == 0
        if exactly_zero or (-self.margin < narrow.low and narrow.high < self.margin):
            return "equivalent"
        return "undecided"

    def blocks_to_decide(self, differences: FloatArray, levels: int) -> int:
        """Return the fewest blocks, in whole cross-validations, if the observed difference and spread are the true ones."""
        significance = self.significance / levels
        if all_equal(differences):  # judged by the sign test: see corrected_t_test
            return -(-wilcoxon_blocks_needed(significance) // self.folds) * self.folds
        return blocks_to_decide(
            float(differences.mean()),
            spread=float(differences.std(ddof=1)),
            test_share=self.share(max(len(differences), self.folds) + 1),  # more blocks are repetitions
            margin=self.margin,
            significance=self.significance,
            difference_significance=significance,
            multiple_of=self.folds,
        )


def compare_levels(
    incumbent: FloatArray, levels: Mapping[str, FloatArray], *, folds: int, significance: float = 0.05, margin: float
) -> dict[str, Comparison]:
    """Compare every level of a factor with the incumbent over the blocks that both finished.

    The test is :func:`corrected_t_test` with the overlap of :func:`overlap_share`. A level is better or worse if its
    Holm-adjusted p is below ``significance``; else equivalent if the corrected interval at confidence 1 - 2 * significance
    lies inside ±margin (two one-sided tests, Schuirmann 1987) or if the difference is exactly 0 on every block; else
    undecided, and ``blocks_to_decide`` says how many blocks would find the observed difference (Bonferroni's bound on
    Holm) or show it to be equivalent with power 0.8.

    Args:
        incumbent: accuracy in 0..1 on every block, (blocks,); nan where the training failed.
        levels: the same for each other level by its label.
        folds: of the cross-validation that made the blocks, at least 2.
        significance: chance of a false claim over the whole factor, in (0, 0.5).
        margin: a difference up to this size does not matter in practice, in the unit of the results.

    Returns:
        One comparison per level that shares at least 2 finished blocks with the incumbent.

    Raises:
        ConfigError: an argument out of its range or a level with another number of blocks than the incumbent.
    """
    if folds < 2:
        raise ConfigError(f"folds must be at least 2, received {folds}")
    check_between("significance", significance, 0, 0.5)
    check_not_negative("margin", margin)
    rules = _Rules(folds=folds, significance=significance, margin=margin)
    paired = {}
    for label, results in levels.items():
        if incumbent.shape != results.shape or incumbent.ndim != 1:
            raise ConfigError(
                f'level "{label}" must have one result per block as the incumbent has (nan where a training failed), '
                f"received {results.shape} and {incumbent.shape}"
            )
        differences = results - incumbent
        if np.isfinite(differences).sum() >= 2:
            paired[label] = differences[np.isfinite(differences)]
    p_values = [corrected_t_test(d, test_share=rules.share(len(d))).p_value for d in paired.values()]
    return {
        label: rules.comparison(differences, float(adjusted_p), len(paired))
        for (label, differences), adjusted_p in zip(paired.items(), holm(p_values), strict=True)
    }


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
