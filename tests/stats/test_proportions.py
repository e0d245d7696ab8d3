import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.proportion import proportion_confint

from ceteris.errors import ConfigError
from ceteris.stats import mcnemar, wilson_interval


@given(st.integers(1, 2000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
@settings(max_examples=60, deadline=None)
def test_wilson_interval_agrees_with_statsmodels_and_holds_the_estimate(case: tuple[int, int]) -> None:
    successes, total = case
    interval = wilson_interval(successes, total)
    expected = proportion_confint(successes, total, alpha=0.05, method="wilson")
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-9)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    assert interval.low < interval.high


def test_wilson_interval_gives_the_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263, score method without continuity correction, 0.2553 to 0.3662.
    interval = wilson_interval(81, 263)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)


def answers(both: int, first: int, second: int, none: int) -> tuple[np.ndarray, np.ndarray]:
    counts = (both, first, second, none)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_mcnemar_agrees_with_statsmodels_exact_and_approximate(first: int, second: int, both: int) -> None:
    result = mcnemar(*answers(both, first, second, 3))
    assert (result.only_first, result.only_second) == (first, second)
    assert result.exact == (first + second < 25)
    expected = reference_mcnemar([[both, first], [second, 3]], exact=result.exact, correction=True)
    if abs(first - second) >= 1 or result.exact:  # statsmodels squares -1 when the counts are equal
        assert result.p_value == pytest.approx(expected.pvalue)
    else:
        assert result.p_value == 1
    assert result.difference == pytest.approx((second - first) / (first + second + both + 3))


def test_mcnemar_of_the_same_answers_is_one() -> None:
    assert mcnemar(*answers(10, 0, 0, 2)).p_value == 1


def test_counts_and_answers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"successes must lie in 0..total .*, received 5 of 4"):
        wilson_interval(5, 4)
    with pytest.raises(ConfigError, match=r"same images, two arrays \(n,\) with n > 0, received \(2,\) and \(3,\)"):
        mcnemar(np.ones(2, dtype=bool), np.ones(3, dtype=bool))
