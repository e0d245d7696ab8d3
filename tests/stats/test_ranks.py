import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats import friedman_test, wilcoxon_blocks_needed, wilcoxon_test

# Demšar 2006, table 2: area under the curve of C4.5 without and with tuned m on 14 data sets.
WITHOUT = [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.940, 0.619, 0.972, 0.957]
WITH = [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978]


def test_wilcoxon_gives_the_published_rank_sums() -> None:
    # Demšar prints R+ = 93 and R- = 12 with the two zeros ranked and split; dropping them takes 2 off each rank and
    # 1.5 off each sum.
    result = wilcoxon_test(np.subtract(WITH, WITHOUT))
    assert (result.pairs, result.gains, result.losses) == (12, 93 - 1.5 - 10 * 2, 12 - 1.5 - 2 * 2)


@given(st.lists(st.sampled_from([-1, 1]), min_size=6, max_size=20), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_wilcoxon_without_ties_agrees_with_scipy(signs: list[int], seed: int) -> None:
    differences = np.random.default_rng(seed).permutation(np.arange(1, len(signs) + 1)) ** 1.5 * signs
    expected = stats.wilcoxon(differences, method="exact")
    result = wilcoxon_test(differences)
    assert result.p_value == pytest.approx(expected.pvalue)
    assert min(result.gains, result.losses) == expected.statistic


def test_wilcoxon_with_ties_counts_the_ranks_at_hand() -> None:
    differences = np.array([0.01, 0.01, -0.01, 0.02, 0.02, 0.03, 0.02, -0.03])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1)
    ranks = stats.rankdata(np.abs(differences))
    gains = (ranks[:, None] * (signs > 0)).sum(axis=0)
    observed = ranks[differences > 0].sum()
    expected = 2 * np.mean(gains >= observed)
    assert wilcoxon_test(differences).p_value == pytest.approx(expected)


def test_equal_gains_that_differ_in_their_last_bits_are_ties() -> None:
    rounded = wilcoxon_test(np.array([0.768 - 0.763, 0.931 - 0.936, 0.02, 0.03, 0.04, 0.05]))
    assert rounded.losses == 1.5


@pytest.mark.parametrize(("significance", "needed"), [(0.05, 6), (0.01, 8), (0.0625, 6), (0.07, 5)])
def test_wilcoxon_refuses_what_it_can_never_claim_and_says_how_many_blocks_it_takes(
    significance: float, needed: int
) -> None:
    assert wilcoxon_blocks_needed(significance) == needed
    assert wilcoxon_test(np.arange(1.0, needed + 1), significance=significance).p_value < significance
    with pytest.raises(
        ConfigError, match=f"on {needed - 1} blocks can never give .* at least {needed} blocks are needed"
    ):
        wilcoxon_test(np.arange(1.0, needed), significance=significance)


@given(
    arrays(np.float64, st.tuples(st.integers(3, 12), st.integers(3, 5)), elements=st.sampled_from([0.1, 0.2, 0.3, 0.4]))
)
@settings(max_examples=40, deadline=None)
def test_friedman_chi_square_agrees_with_scipy_also_with_ties(results: FloatArray) -> None:
    if (results == results[:, :1]).all():
        assert friedman_test(results).p_value == 1
        return
    assert friedman_test(results).chi_square == pytest.approx(stats.friedmanchisquare(*results.T).statistic)


def test_friedman_ranks_the_best_arm_first_and_nemenyi_agrees_with_its_critical_difference() -> None:
    table = np.array(
        [[0.91, 0.93, 0.95], [0.90, 0.94, 0.93], [0.88, 0.90, 0.92], [0.92, 0.91, 0.96], [0.85, 0.86, 0.9]]
    )
    result = friedman_test(table)
    np.testing.assert_allclose(result.mean_ranks, [2.8, 2.0, 1.2])
    apart = np.abs(result.mean_ranks[:, None] - result.mean_ranks)
    np.testing.assert_array_equal(apart > result.critical_difference, result.pairwise_p < 0.05)
    np.testing.assert_allclose(np.diag(result.pairwise_p), 1)


def test_iman_davenport_f_is_that_of_its_formula() -> None:
    table = np.random.default_rng(0).normal(size=(14, 4)) + np.arange(4) / 2
    chi_square = stats.friedmanchisquare(*table.T).statistic
    f = 13 * chi_square / (14 * 3 - chi_square)
    result = friedman_test(table)
    assert result.statistic == pytest.approx(f)
    assert result.p_value == pytest.approx(stats.f.sf(f, 3, 39))


@pytest.mark.parametrize(
    ("arms", "q"),
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (9, 3.102), (10, 3.164)],
)
def test_critical_difference_uses_the_published_quantiles(arms: int, q: float) -> None:
    # Demšar 2006, table 5(a), significance 0.05.
    table = np.random.default_rng(arms).normal(size=(14, arms))
    expected = q * np.sqrt(arms * (arms + 1) / (6 * 14))
    assert friedman_test(table).critical_difference == pytest.approx(expected, rel=4e-4)


def test_blocks_that_all_agree_give_the_exact_chance_of_agreeing() -> None:
    assert friedman_test(np.tile([0.1, 0.2, 0.3], (4, 1))).p_value == pytest.approx(6.0**-3)


def test_results_that_cannot_be_ranked_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"at least 2 blocks and 2 arms, received \(1, 3\)"):
        friedman_test(np.zeros((1, 3)))
