"""The corrected resampled t-test: two arms compared on the figures of blocks whose training sets overlap.

Differences of one cross-validation are correlated, because any two training sets share most of their images; their
spread therefore understates how far the mean can be off. Nadeau & Bengio (Inference for the generalization error,
Machine Learning 52, 2003) put 1/n + n_test/n_train in the place of 1/n; Bouckaert & Frank (2004) do so for repeated
cross-validation. Where single images are known, the two-part test (:mod:`ceteris.stats.twopart`) finds more.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.stats.arguments import all_equal, check_not_negative, paired_differences
from ceteris.stats.student import StudentTest

# What is added to 1 / (k - 1) on repeated cross-validation. Learners that follow single images share more between
# repetitions than Nadeau & Bengio assume: without it 10 x 10 folds of a nearest-neighbour learner make 9.5 % false claims
# instead of 5 (docs/methodology.md, calibration).
_REPEATED_OVERLAP = 0.05


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
    p_value = float(2 * stats.t.sf(abs(mean / error), degrees))
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
