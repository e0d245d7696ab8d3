import numpy as np
import pytest
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.stats import five_by_two_f_test


def test_agrees_with_mlxtend_on_two_real_classifiers() -> None:
    # mlxtend 0.25 combined_ftest_5x2cv(random_seed=1) on iris, logistic regression against a tree of depth 2: the
    # differences in images of 75 and what it returned.
    differences = np.array([[2, 1], [3, -2], [1, 2], [2, 2], [0, 5]]) / 75
    result = five_by_two_f_test(differences)
    assert result.statistic == pytest.approx(1.0769230769230769)
    assert result.p_value == pytest.approx(0.49821716153277995)
    assert result.difference == pytest.approx(1.6 / 75)


def test_the_critical_value_is_the_one_that_alpaydin_prints() -> None:
    # Repeats (a + b, a - b) have squares 2 (a^2 + b^2) and variance 2 b^2, so F = (a^2 / b^2 + 1) / 2 = 4.74.
    ratio = np.sqrt(2 * 4.74 - 1)
    result = five_by_two_f_test(np.tile([ratio + 1, ratio - 1], (5, 1)))
    assert result.statistic == pytest.approx(4.74)
    assert result.p_value == pytest.approx(0.05, abs=2e-4)


def test_unit_of_measurement_and_direction_do_not_matter() -> None:
    differences = np.random.default_rng(0).normal(0.01, 0.02, (5, 2))
    one, other = five_by_two_f_test(differences), five_by_two_f_test(-100 * differences[::-1, ::-1])
    assert other.p_value == pytest.approx(one.p_value)


def test_independent_normal_differences_follow_f_only_roughly() -> None:
    draws = np.random.default_rng(1).normal(size=(4000, 5, 2))
    p_values = np.array([five_by_two_f_test(study).p_value for study in draws])
    # Numerator and denominator share their terms, which makes the nominal F(10, 5) conservative here.
    assert (p_values < 0.05).mean() < 0.05
    assert stats.kstest(p_values, "uniform").pvalue < 1e-3


def test_identical_arms_and_unanimous_folds_are_handled() -> None:
    assert five_by_two_f_test(np.zeros((5, 2))).p_value == 1
    unanimous = five_by_two_f_test(np.full((5, 2), 0.01))
    assert (unanimous.statistic, unanimous.p_value) == (np.inf, 2**-9)


def test_other_designs_are_sent_to_the_corrected_test() -> None:
    with pytest.raises(ConfigError, match=r"shape \(5, 2\), received \(2, 5\); use the corrected t-test"):
        five_by_two_f_test(np.zeros((2, 5)))
