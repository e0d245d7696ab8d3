import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats import friedman_test


@given(
    arrays(np.float64, st.tuples(st.integers(3, 12), st.integers(3, 5)), elements=st.sampled_from([0.1, 0.2, 0.3, 0.4]))
)
@settings(max_examples=40, deadline=None)
def test_friedman_chi_square_agrees_with_scipy_also_with_ties(results: FloatArray) -> None:
    if (results == results[:, :1]).all():
        assert friedman_test(results).p_value == 1
        return
    assert friedman_test(results).chi_square == pytest.approx(stats.friedmanchisquare(*results.T).statistic)


def test_the_best_arm_has_the_lowest_mean_rank() -> None:
    table = np.array(
        [[0.91, 0.93, 0.95], [0.90, 0.94, 0.93], [0.88, 0.90, 0.92], [0.92, 0.91, 0.96], [0.85, 0.86, 0.9]]
    )
    np.testing.assert_allclose(friedman_test(table).mean_ranks, [2.8, 2.0, 1.2])


def test_iman_davenport_f_is_that_of_its_formula() -> None:
    table = np.random.default_rng(0).normal(size=(14, 4)) + np.arange(4) / 2
    chi_square = stats.friedmanchisquare(*table.T).statistic
    f = 13 * chi_square / (14 * 3 - chi_square)
    result = friedman_test(table)
    assert result.statistic == pytest.approx(f)
    assert result.p_value == pytest.approx(stats.f.sf(f, 3, 39))


def test_blocks_that_all_agree_give_the_exact_chance_of_agreeing() -> None:
    assert friedman_test(np.tile([0.1, 0.2, 0.3], (4, 1))).p_value == pytest.approx(6.0**-3)


def test_results_that_cannot_be_ranked_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"at least 2 blocks and 2 arms, received \(1, 3\)"):
        friedman_test(np.zeros((1, 3)))
