import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats import bayesian_correlated_t_test, corrected_t_test

DIFFERENCES = np.array([0.012, 0.004, 0.021, 0.009, 0.015, -0.002, 0.018, 0.011, 0.007, 0.013])


@given(
    arrays(np.float64, st.integers(2, 12), elements=st.floats(-0.5, 0.5, width=32)), st.floats(0, 1), st.floats(0, 0.2)
)
@settings(max_examples=60, deadline=None)
def test_probabilities_add_up_and_swapping_the_arms_mirrors_them(
    differences: FloatArray, test_share: float, margin: float
) -> None:
    one, other = (
        bayesian_correlated_t_test(sign * differences, test_share=test_share, margin=margin) for sign in (1, -1)
    )
    assert one.worse + one.equivalent + one.better == pytest.approx(1)
    assert min(one.worse, one.equivalent, one.better) >= 0
    assert (one.worse, one.better) == pytest.approx((other.better, other.worse))


def test_without_a_margin_the_tail_is_half_the_p_value_of_the_corrected_test() -> None:
    # Benavoli et al. 2017: under the matching prior the posterior reproduces the one-sided frequentist p.
    frequentist = corrected_t_test(DIFFERENCES, test_share=1 / 9)
    bayesian = bayesian_correlated_t_test(DIFFERENCES, test_share=1 / 9, margin=0)
    assert bayesian.worse == pytest.approx(frequentist.p_value / 2)
    assert bayesian.equivalent == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("difference", "expected"), [(0.0, (0, 1, 0)), (0.01, (0, 1, 0)), (0.02, (0, 0, 1)), (-0.02, (1, 0, 0))]
)
def test_differences_without_spread_are_certain(difference: float, expected: tuple[int, int, int]) -> None:
    result = bayesian_correlated_t_test(np.full(5, difference), test_share=0.25, margin=0.01)
    assert (result.worse, result.equivalent, result.better) == expected


def test_a_negative_margin_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"margin must be .* at least 0, received -0\.01"):
        bayesian_correlated_t_test(DIFFERENCES, test_share=0.25, margin=-0.01)


@pytest.mark.parametrize(
    ("runs", "margin", "expected"),
    [
        (1, 0.005, (0.0003183283237382112, 0.046400038897690954, 0.9532816327785708)),
        (1, 0.01, (4.2937043375924955e-05, 0.40079071936122834, 0.5991663435953958)),
        (2, 0.01, (7.270409239300942e-08, 0.313850379186562, 0.6861495481093456)),
    ],
)
def test_probabilities_are_those_of_baycomp(runs: int, margin: float, expected: tuple[float, float, float]) -> None:
    # baycomp 1.0.3, two_on_single(0 * d, d, rope=margin, runs=runs): by the authors of the paper; ten folds.
    differences = np.concatenate([DIFFERENCES + 0.001 * run for run in range(runs)])
    result = bayesian_correlated_t_test(differences, test_share=1 / 9, margin=margin)
    assert (result.worse, result.equivalent, result.better) == pytest.approx(expected, rel=1e-6)
