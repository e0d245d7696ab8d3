"""The Bayesian correlated t-test with a region of practical equivalence.

Benavoli, Corani, Demšar & Zaffalon, Time for a change: a tutorial for comparing multiple classifiers through Bayesian
analysis, JMLR 18 (2017), section 3: with a matching prior the mean difference is, a posteriori, Student-distributed
around the sample mean with n - 1 degrees of freedom and squared scale (1/n + rho / (1 - rho)) * variance, where
rho = n_test / (n_test + n_train), so that rho / (1 - rho) = n_test / n_train.
"""

from dataclasses import dataclass

from numpy.typing import ArrayLike
from scipy import stats

from ceteris.stats.arguments import all_equal, check_not_negative, paired_differences
from ceteris.stats.corrected import corrected_standard_error


@dataclass(frozen=True, kw_only=True)
class RopeProbabilities:
    """Probabilities that the mean difference lies below, inside and above ±margin; they add up to 1."""

    worse: float
    equivalent: float
    better: float


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
        return _point_mass(float(values.mean()), margin)
    posterior = stats.t(len(values) - 1, loc=values.mean(), scale=corrected_standard_error(values, test_share))
    worse, better = float(posterior.cdf(-margin)), float(posterior.sf(margin))
    return RopeProbabilities(worse=worse, equivalent=max(0.0, 1 - worse - better), better=better)


def _point_mass(difference: float, margin: float) -> RopeProbabilities:
    inside = abs(difference) <= margin + 1e-12
    return RopeProbabilities(
        worse=float(difference < 0 and not inside),
        equivalent=float(inside),
        better=float(difference > 0 and not inside),
    )
