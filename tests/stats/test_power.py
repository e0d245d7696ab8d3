"""The power of tests: against statsmodels, against simulated tests, and at the limits where their answers are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from ceteris.errors import ConfigError
from ceteris.stats import corrected_t_test, detectable_difference, equivalence_power, t_test_power


@pytest.mark.parametrize("effect", [0.0, 0.2, 0.7, 3.0])
@pytest.mark.parametrize("blocks", [2, 5, 30, 500])
def test_power_of_a_paired_t_test_agrees_with_statsmodels(effect: float, blocks: int) -> None:
    expected = TTestPower().power(effect, blocks, 0.05, alternative="two-sided")
    expected = 1.0 if np.isnan(expected) else expected  # its series fails where power is 1
    assert t_test_power(effect, error=blocks**-0.5, degrees=blocks - 1) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(("effect", "needed"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_published_sample_sizes_of_paired_t_tests_are_just_enough(effect: float, needed: int) -> None:
    # Cohen's small, medium and large effect at power 0.8, two-sided 0.05.
    enough, too_few = (t_test_power(effect, error=n**-0.5, degrees=n - 1) for n in (needed, needed - 1))
    assert enough >= 0.8 > too_few


def test_power_with_overlap_is_that_of_simulated_correlated_folds() -> None:
    generator, studies, blocks, rho = np.random.default_rng(0), 4000, 5, 0.2
    common, own = generator.normal(size=(studies, 1)), generator.normal(size=(studies, blocks))
    differences = 2.0 + np.sqrt(rho) * common + np.sqrt(1 - rho) * own
    found = np.mean([corrected_t_test(study, test_share=1 / 4).p_value < 0.05 for study in differences])
    formula = t_test_power(2.0, error=np.sqrt((1 - rho) * (1 / blocks + 1 / 4)), degrees=blocks - 1)
    assert found == pytest.approx(formula, abs=0.025)


@given(st.floats(1, 5000), st.floats(1e-3, 10), st.floats(0.3, 0.99), st.floats(0.001, 0.2))
@settings(max_examples=40, deadline=None)
def test_the_detectable_difference_is_found_with_exactly_its_power(
    degrees: float, error: float, power: float, significance: float
) -> None:
    difference = detectable_difference(error=error, degrees=degrees, power=power, significance=significance)
    again = t_test_power(difference, error=error, degrees=degrees, significance=significance)
    assert again == pytest.approx(power, abs=1e-5)


def test_power_grows_with_degrees_even_where_the_exact_distribution_gives_way_to_its_limit() -> None:
    powers = [t_test_power(2.5, error=1, degrees=n) for n in (1, 4, 33.3, 900, 1000, 1001, 1100, 10**6)]
    assert powers == sorted(powers)
    assert powers[5] - powers[4] < 1e-3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"error": -1.0}, "error must be a finite number of at least 0, received -1.0"),
        ({"degrees": 0}, "degrees must be a finite number above 0, received 0"),
        ({"power": 0.01}, r"power must lie between 0.05 and 1, both excluded, received 0.01"),
    ],
)
def test_tests_that_cannot_be_meant_are_refused(options: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        detectable_difference(**{"error": 1.0, "degrees": 4.0, **options})


@pytest.mark.parametrize(
    ("difference", "spread", "margin", "blocks"),
    [(0.0, 1, 1.0, 10), (0.3, 1, 1.0, 10), (-0.5, 1, 1.0, 40), (0.0, 0.5, 0.5, 5), (0, 1, 0.6, 5), (0.2, 0.2, 1, 3)],
)
def test_equivalence_power_is_that_of_simulated_one_sided_tests(
    difference: float, spread: float, margin: float, blocks: int
) -> None:
    runs = np.random.default_rng(1).normal(difference, spread, (100_000, blocks))
    reach = stats.t.isf(0.05, blocks - 1) * runs.std(axis=1, ddof=1) / np.sqrt(blocks)
    found = np.mean((runs.mean(axis=1) - reach > -margin) & (runs.mean(axis=1) + reach < margin))
    formula = equivalence_power(difference, error=spread / np.sqrt(blocks), degrees=blocks - 1, margin=margin)
    assert found == pytest.approx(formula, abs=0.005)  # three standard errors of the simulation


def test_recipes_that_answer_alike_leave_nothing_to_be_found() -> None:
    assert detectable_difference(error=0.0, degrees=4) == 0


@pytest.mark.parametrize("margin", [1.5, 2.0, 2.5])
def test_equivalence_is_shown_more_often_than_the_two_sides_alone_would_say(margin: float) -> None:
    # P(T > t; margin / error) twice, less 1, is but a lower bound (Phillips 1990)
    bound = 2 * stats.nct.sf(stats.t.isf(0.05, 4), 4, margin) - 1
    assert equivalence_power(0.0, error=1, degrees=4, margin=margin) > max(0.0, bound) + 0.05


@pytest.mark.parametrize("degrees", [1.0, 4.0, 49.0, 1e5, 1e9])
def test_a_difference_at_the_margin_is_shown_to_be_equivalent_by_chance_alone(degrees: float) -> None:
    assert equivalence_power(0.005, error=1e-5, degrees=degrees, margin=0.005) == pytest.approx(0.05, abs=1e-3)
    assert equivalence_power(0.0, error=1e-5, degrees=degrees, margin=0.005) == pytest.approx(1, abs=2e-2)
    assert equivalence_power(0.0, error=1e-5, degrees=degrees, margin=0.0) == 0
