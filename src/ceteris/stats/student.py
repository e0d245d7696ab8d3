"""Tests of a mean difference by Student's distribution: what all have in common, and the corrected resampled t-test.

The corrected t-test compares two arms on the figures of blocks whose training sets overlap. Differences of one
cross-validation are correlated, because any two training sets share most of their images; their spread therefore
understates how far the mean can be off. Nadeau & Bengio (Inference for the generalization error, Machine Learning 52,
2003) put 1/n + n_test/n_train in the place of 1/n; Bouckaert & Frank (2004) do so for repeated cross-validation. Where
single images are known, the two-part test (:mod:`ceteris.stats.twopart`) finds more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ceteris.errors import ConfigError
from ceteris.stats.arguments import all_equal, check_not_negative, paired_differences

# What is added to 1 / (k - 1) on repeated cross-validation. Learners that follow single images share more between
# repetitions than Nadeau & Bengio assume: without it 10 x 10 folds of a nearest-neighbour learner make 9.5 % false claims
# instead of 5 (docs/methodology.md, calibration).
_REPEATED_OVERLAP = 0.05


@dataclass(frozen=True, kw_only=True)
class StudentTest:
    """A difference with its standard error, degrees of freedom and two-sided p-value against 0.

    ``p_value`` may be larger than Student's where few images differ, or where no spread is there to judge by.
    """

    difference: float
    standard_error: float
    degrees: float
    p_value: float

    @property
    def low(self) -> float:
        """Lower bound of the 95 % interval."""
        return self.interval(0.95)[0]

    @property
    def high(self) -> float:
        """Upper bound of the 95 % interval."""
        return self.interval(0.95)[1]

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the confidence interval; it holds 0 wherever the test does not refuse 0 at that level."""
        reach = float(special.stdtrit(self.degrees, (1 + confidence) / 2)) * self.standard_error
        low, high = self.difference - reach, self.difference + reach
        return (min(low, 0.0), max(high, 0.0)) if self.p_value > 1 - confidence else (low, high)

    def shares_beyond(self, margin: float) -> tuple[float, float]:
        """Return the probabilities that the true difference lies below -margin and above margin, under a flat prior.

        For the corrected t-test they are those of Benavoli, Corani, Demšar & Zaffalon (Time for a change: a tutorial for
        comparing multiple classifiers through Bayesian analysis, JMLR 18, 2017, section 3).
        """
        if not self.standard_error:
            return float(self.difference < -margin), float(self.difference > margin)
        beyond = (np.array([-margin, -margin]) + np.array([-1, 1]) * self.difference) / self.standard_error
        below, above = special.stdtr(self.degrees, beyond)
        return float(below), float(above)


def corrected_t_test(differences: ArrayLike, *, test_share: float) -> StudentTest:
    """Return the corrected resampled t-test of paired differences (blocks,) against 0 (Nadeau & Bengio 2003).

    The statistic is mean / sqrt((1/n + test_share) * variance) with n - 1 degrees of freedom. Where all differences are the
    same number but not 0 there is no spread to judge by: p is that of the sign test, 2^(1 - blocks).

    Args:
        differences: one per block, in any unit, at least 2.
        test_share: images held out over images fitted; 1 / (k - 1) for k folds. 0 gives the usual paired t-test.

    Raises:
        ConfigError: fewer than 2 differences, one that is not finite, or a negative share.
    """
    values = paired_differences(differences, purpose="the corrected t-test")
    check_not_negative("test_share", test_share)
    mean, degrees = float(values.mean()), len(values) - 1
    if all_equal(values):
        nothing = float(np.abs(values).max()) <= 1e-12
        p_value = 1.0 if nothing else 2.0 ** (1 - len(values))
        return StudentTest(difference=0.0 if nothing else mean, standard_error=0.0, degrees=degrees, p_value=p_value)
    error = float(np.sqrt((1 / len(values) + test_share) * values.var(ddof=1)))
    p_value = float(2 * special.stdtr(degrees, -abs(mean / error)))
    return StudentTest(difference=mean, standard_error=error, degrees=degrees, p_value=p_value)


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
