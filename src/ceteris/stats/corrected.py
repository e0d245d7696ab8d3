"""The corrected resampled t-test and its Bayesian sister: two arms compared on blocks whose training sets overlap.

Differences of one cross-validation are correlated, because any two training sets share most of their images; their
spread therefore understates how far the mean can be off. Nadeau & Bengio (Inference for the generalization error,
Machine Learning 52, 2003) put 1/n + n_test/n_train in the place of 1/n; Bouckaert & Frank (2004) do so for repeated
cross-validation.

With a matching prior the mean difference is, a posteriori, Student-distributed around the sample mean with n - 1 degrees
of freedom and the same squared scale (Benavoli, Corani, Demšar & Zaffalon, Time for a change: a tutorial for comparing
multiple classifiers through Bayesian analysis, JMLR 18, 2017, section 3: rho / (1 - rho) = n_test / n_train).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats.arguments import all_equal, check_between, check_not_negative, paired_differences

# What is added to 1 / (k - 1) on repeated cross-validation. Learners that follow single images share more between
# repetitions than Nadeau & Bengio assume: without it 10 x 10 folds of a nearest-neighbour learner make 9.5 % false claims
# instead of 5 (docs/methodology.md, calibration).
_REPEATED_OVERLAP = 0.05


@dataclass(frozen=True, kw_only=True)
class PairedResult:
    """A mean paired difference with its interval, two-sided p-value and effect size (mean / standard deviation).

    Where all differences are the same number but not 0 there is no spread to judge by: the interval is that number,
    statistic and effect size are infinite, and p is that of the sign test, 2^(1 - blocks).
    """

    difference: float
    low: float
    high: float
    statistic: float
    degrees: int
    p_value: float
    effect_size: float


@dataclass(frozen=True, kw_only=True)
class RopeProbabilities:
    """Probabilities that the mean difference lies below, inside and above ±margin; they add up to 1."""

    worse: float
    equivalent: float
    better: float


def corrected_t_test(differences: ArrayLike, *, test_share: float, confidence: float = 0.95) -> PairedResult:
    """Return the corrected resampled t-test of paired differences (blocks,) against 0 (Nadeau & Bengio 2003).

    The statistic is mean / sqrt((1/n + test_share) * variance) with n - 1 degrees of freedom.

    Args:
        differences: one per block, in any unit, at least 2.
        test_share: images held out over images fitted; 1 / (k - 1) for k folds. 0 gives the usual paired t-test.
        confidence: of the interval, in (0, 1).

    Raises:
        ConfigError: fewer than 2 differences, one that is not finite, or an argument out of its range.
    """
    values = paired_differences(differences, purpose="the corrected t-test")
    check_not_negative("test_share", test_share)
    check_between("confidence", confidence, 0, 1)
    if all_equal(values):
        return _without_spread(values)
    mean, degrees = float(values.mean()), len(values) - 1
    error = corrected_standard_error(values, test_share)
    reach = float(stats.t.ppf((1 + confidence) / 2, degrees)) * error
    return PairedResult(
        difference=mean,
        low=mean - reach,
        high=mean + reach,
        statistic=mean / error,
        degrees=degrees,
        p_value=float(2 * stats.t.sf(abs(mean / error), degrees)),
        effect_size=mean / float(values.std(ddof=1)),
    )


def overlap_share(*, folds: int, blocks: int) -> float:
    """Return the ``test_share`` with which verdicts are made: 1 / (k - 1) on one cross-validation, 0.05 more on several.

    Args:
        folds: k of the cross-validation, at least 2.
        blocks: that a comparison rests on; more than ``folds`` when the cross-validation was repeated.

    Raises:
        ConfigError: fewer than 2 folds.
    """
    if folds < 2:
        raise ConfigError(f"folds must be at least 2, received {folds}")
    return 1 / (folds - 1) + (_REPEATED_OVERLAP if blocks > folds else 0.0)


def corrected_standard_error(differences: FloatArray, test_share: float) -> float:
    """Return sqrt((1/n + test_share) * variance), the standard error that allows for overlapping training sets."""
    return float(np.sqrt((1 / len(differences) + test_share) * differences.var(ddof=1)))


def _without_spread(values: FloatArray) -> PairedResult:
    difference = 0.0 if np.abs(values).max() <= 1e-12 else float(values.mean())
    endless = float(np.sign(difference) * np.inf) if difference else 0.0
    return PairedResult(
        difference=difference,
        low=difference,
        high=difference,
        statistic=endless,
        degrees=len(values) - 1,
        p_value=2.0 ** (1 - len(values)) if difference else 1.0,
        effect_size=endless,
    )


def bayesian_correlated_t_test(differences: ArrayLike, *, test_share: float, margin: float) -> RopeProbabilities:
    """Return P(worse), P(equivalent), P(better) of paired differences (blocks,) (Benavoli et al. 2017).

    Args:
        differences: one per block, positive where the level is better, at least 2.
        test_share: images held out over images fitted; 1 / (k - 1) for k folds.
        margin: differences up to this size do not matter in practice, in the unit of the differences.

    Raises:
        ConfigError: fewer than 2 differences, one that is not finite, or an argument out of its range.
    """
    values = paired_differences(differences, purpose="the Bayesian correlated t-test")
    check_not_negative("test_share", test_share)
    check_not_negative("margin", margin)
    if all_equal(values):
        difference = float(values.mean())
        inside = abs(difference) <= margin + 1e-12
        worse, better = float(difference < 0 and not inside), float(difference > 0 and not inside)
        return RopeProbabilities(worse=worse, equivalent=float(inside), better=better)
    posterior = stats.t(len(values) - 1, loc=values.mean(), scale=corrected_standard_error(values, test_share))
    worse, better = float(posterior.cdf(-margin)), float(posterior.sf(margin))
    return RopeProbabilities(worse=worse, equivalent=max(0.0, 1 - worse - better), better=better)
