import numpy as np
import pytest
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.stats import effect_sizes, probability_of_improvement, probability_of_superiority

DIFFERENCES = np.array([0.012, 0.004, 0.021, -0.009, 0.015])


def test_standardised_effect_is_the_paired_t_over_root_n() -> None:
    t = stats.ttest_1samp(DIFFERENCES, 0).statistic
    assert effect_sizes(DIFFERENCES).standardised == pytest.approx(t / np.sqrt(5))


@pytest.mark.parametrize(("degrees", "factor"), [(2, 0.5642), (3, 0.7236), (4, 0.7979), (5, 0.8408), (10, 0.9228)])
def test_small_sample_factor_is_the_one_that_hedges_tabulates(degrees: int, factor: float) -> None:
    effects = effect_sizes(np.random.default_rng(degrees).normal(1, 1, degrees + 1))
    assert effects.unbiased / effects.standardised == pytest.approx(factor, abs=1e-4)


def test_rank_biserial_is_the_share_of_ranks_won_minus_lost() -> None:
    # Sizes rank 3, 1, 5, 2 (lost), 4: won 13, lost 2 of 15.
    assert effect_sizes(DIFFERENCES).rank_biserial == pytest.approx(11 / 15)


@pytest.mark.parametrize(("gain", "expected"), [(0.0, 0.0), (0.01, np.inf), (-0.01, -np.inf)])
def test_differences_without_spread_have_no_or_an_infinite_effect(gain: float, expected: float) -> None:
    effects = effect_sizes(np.full(5, gain))
    assert effects.standardised == effects.unbiased == expected
    assert effects.rank_biserial == np.sign(gain)


def test_probability_of_improvement_counts_ties_half_and_has_the_binomial_interval() -> None:
    gains = np.repeat([0.01, -0.01, 0.0], [28, 8, 4])
    result = probability_of_improvement(gains, generator=np.random.default_rng(0))
    assert result.estimate == pytest.approx(30 / 40)
    deviation = np.sqrt((28 + 4 / 4) / 40 - 0.75**2) / np.sqrt(40)
    assert result.high - result.low == pytest.approx(2 * 1.96 * deviation, rel=0.1)


def test_probability_of_superiority_is_mann_whitneys_u() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 9, 12), generator.integers(2, 11, 15)
    expected = stats.mannwhitneyu(second, first).statistic / (12 * 15)
    assert probability_of_superiority(first, second) == pytest.approx(expected)


def test_an_arm_without_results_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"finite results \(runs,\), received \(0,\) and \(1,\)"):
        probability_of_superiority([], [0.1])
