import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats import corrected_t_test

DIFFERENCES = np.array([0.012, 0.004, 0.021, 0.009, 0.015])


def test_without_overlap_it_is_the_paired_t_test_of_scipy() -> None:
    result = corrected_t_test(DIFFERENCES, test_share=0.0)
    expected = stats.ttest_1samp(DIFFERENCES, 0)
    assert result.difference / result.standard_error == pytest.approx(expected.statistic)
    assert result.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))
    assert result.degrees == expected.df


def test_five_folds_shrink_the_statistic_by_the_published_factor() -> None:
    # Nadeau & Bengio 2003: sqrt((1/n + n_test/n_train) / (1/n)) = sqrt((1/5 + 1/4) * 5) = 1.5
    plain = corrected_t_test(DIFFERENCES, test_share=0.0)
    corrected = corrected_t_test(DIFFERENCES, test_share=1 / 4)
    assert corrected.standard_error / plain.standard_error == pytest.approx(1.5)
    assert (corrected.high - corrected.low) / (plain.high - plain.low) == pytest.approx(1.5)


def test_ten_times_ten_folds_shrink_the_statistic_as_bouckaert_and_frank_print_it() -> None:
    # Bouckaert & Frank 2004 use 1/(k r) + n2/n1 = 1/100 + 1/9 in the place of 1/(k r).
    differences = np.random.default_rng(0).normal(0.01, 0.02, 100)
    ratio = (
        corrected_t_test(differences, test_share=1 / 9).standard_error
        / corrected_t_test(differences, test_share=0).standard_error
    )
    assert ratio == pytest.approx(np.sqrt((1 / 100 + 1 / 9) * 100))


def test_interval_excludes_zero_exactly_when_p_is_below_its_level() -> None:
    generator = np.random.default_rng(5)
    for _ in range(50):
        result = corrected_t_test(generator.normal(0.01, 0.01, 5), test_share=0.25)
        low, high = result.interval(0.9)
        assert (low > 0 or high < 0) == (result.p_value < 0.1)


finite_differences = arrays(np.float64, st.integers(2, 12), elements=st.floats(-1, 1, width=32))


@given(finite_differences, st.floats(0, 1))
@settings(max_examples=80, deadline=None)
def test_swapping_the_arms_mirrors_the_result(differences: FloatArray, test_share: float) -> None:
    one, other = (corrected_t_test(sign * differences, test_share=test_share) for sign in (1, -1))
    assert other.difference == -one.difference
    assert (other.low, other.high) == (-one.high, -one.low)
    assert other.p_value == one.p_value
    assert 0 <= one.p_value <= 1
    assert one.low <= one.difference <= one.high


@given(finite_differences)
@settings(max_examples=60, deadline=None)
def test_more_overlap_never_makes_a_claim_stronger(differences: FloatArray) -> None:
    p_values = [corrected_t_test(differences, test_share=share).p_value for share in (0.0, 0.1, 0.5)]
    assert p_values == sorted(p_values)


def test_identical_arms_give_exactly_zero_and_p_one() -> None:
    result = corrected_t_test(np.zeros(5), test_share=0.25)
    assert (result.difference, result.low, result.high, result.standard_error) == (0, 0, 0, 0)
    assert result.p_value == 1


def test_the_same_gain_on_every_block_claims_no_more_than_the_sign_test() -> None:
    # 0.97 - 0.96 and 0.96 - 0.95 differ in their last bits only.
    result = corrected_t_test(np.array([0.97 - 0.96, 0.96 - 0.95, 0.95 - 0.94]), test_share=0.5)
    assert result.p_value == 0.25
    assert result.difference == result.high == pytest.approx(0.01)
    assert result.low == 0  # at 5 % nothing is refused
    assert result.interval(0.7) == (result.difference, result.difference)


@pytest.mark.parametrize(
    ("differences", "options", "told"),
    [
        ([0.1], {}, r"needs at least 2 paired blocks .*received shape \(1,\); use more folds or seeds"),
        ([[0.1, 0.2]], {}, r"received shape \(1, 2\)"),
        ([0.1, np.nan], {}, "finite differences; leave out the blocks where a training failed"),
        ([0.1, 0.2], {"test_share": -0.1}, r"test_share must be a finite number of at least 0, received -0.1"),
    ],
)
def test_what_cannot_be_tested_is_refused(differences: list[float], options: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        corrected_t_test(differences, **{"test_share": 0.25, **options})


@given(finite_differences, st.floats(0, 1), st.floats(0, 0.2))
@settings(max_examples=60, deadline=None)
def test_probabilities_beyond_a_margin_are_mirrored_and_without_margin_half_the_p_value(
    differences: FloatArray, test_share: float, margin: float
) -> None:
    one, other = (corrected_t_test(sign * differences, test_share=test_share) for sign in (1, -1))
    assert one.shares_beyond(margin) == pytest.approx(other.shares_beyond(margin)[::-1])
    assert 0 <= sum(one.shares_beyond(margin)) <= 1 + 1e-12
    if one.standard_error:  # Benavoli et al. 2017: the matching prior reproduces the one-sided p
        assert min(one.shares_beyond(0.0)) == pytest.approx(one.p_value / 2)


@pytest.mark.parametrize(
    ("runs", "margin", "expected"),
    [
        (1, 0.005, (0.0003183283237382112, 0.9532816327785708)),
        (1, 0.01, (4.2937043375924955e-05, 0.5991663435953958)),
        (2, 0.01, (7.270409239300942e-08, 0.6861495481093456)),
    ],
)
def test_probabilities_are_those_of_baycomp(runs: int, margin: float, expected: tuple[float, float]) -> None:
    # baycomp 1.0.3, two_on_single(0 * d, d, rope=margin, runs=runs): by the authors of the paper; ten folds.
    ten = np.array([0.012, 0.004, 0.021, 0.009, 0.015, -0.002, 0.018, 0.011, 0.007, 0.013])
    result = corrected_t_test(np.concatenate([ten + 0.001 * run for run in range(runs)]), test_share=1 / 9)
    assert result.shares_beyond(margin) == pytest.approx(expected, rel=1e-6)
