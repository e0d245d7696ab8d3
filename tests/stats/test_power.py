from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from ceteris.errors import ConfigError
from ceteris.stats import (
    blocks_to_decide,
    corrected_t_power,
    corrected_t_test,
    detectable_difference,
    equivalence_power,
)

ONE_TEST: dict[str, Any] = {"significance": 0.05, "difference_significance": 0.05}


@pytest.mark.parametrize("effect", [0.0, 0.2, 0.7, 3.0])
@pytest.mark.parametrize("blocks", [2, 5, 30, 500])
def test_power_without_overlap_agrees_with_statsmodels(effect: float, blocks: int) -> None:
    expected = TTestPower().power(effect, blocks, 0.05, alternative="two-sided")
    expected = 1.0 if np.isnan(expected) else expected  # its series fails where power is 1
    assert corrected_t_power(effect, spread=1, blocks=blocks, test_share=0) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(("effect", "needed"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_blocks_needed_are_those_of_the_published_tables_for_paired_t_tests(effect: float, needed: int) -> None:
    # Cohen's small, medium and large effect at power 0.8, two-sided 0.05.
    assert blocks_to_decide(effect, spread=1, test_share=0, margin=0, **ONE_TEST) == needed


def test_power_with_overlap_is_that_of_simulated_correlated_folds() -> None:
    generator, studies, blocks, rho = np.random.default_rng(0), 4000, 5, 0.2
    common, own = generator.normal(size=(studies, 1)), generator.normal(size=(studies, blocks))
    differences = 2.0 + np.sqrt(rho) * common + np.sqrt(1 - rho) * own
    found = np.mean([corrected_t_test(study, test_share=1 / 4).p_value < 0.05 for study in differences])
    formula = corrected_t_power(2.0, spread=np.sqrt(1 - rho), blocks=blocks, test_share=1 / 4)
    assert found == pytest.approx(formula, abs=0.025)


@given(st.integers(2, 200), st.sampled_from([0.0, 1 / 9, 1 / 4, 1.0]), st.floats(0.3, 0.99), st.floats(0.001, 0.2))
@settings(max_examples=40, deadline=None)
def test_the_detectable_difference_is_found_with_exactly_its_power(
    blocks: int, test_share: float, power: float, significance: float
) -> None:
    difference = detectable_difference(
        spread=0.02, blocks=blocks, test_share=test_share, power=power, significance=significance
    )
    again = corrected_t_power(difference, spread=0.02, blocks=blocks, test_share=test_share, significance=significance)
    assert again == pytest.approx(power, abs=1e-5)


def test_power_grows_with_blocks_even_where_the_exact_distribution_gives_way_to_its_limit() -> None:
    powers = [
        corrected_t_power(0.7, spread=1, blocks=n, test_share=0.25) for n in (2, 5, 50, 900, 1001, 1002, 1100, 10**5)
    ]
    assert powers == sorted(powers)
    assert powers[5] - powers[4] < 1e-3


def test_blocks_needed_come_in_whole_cross_validations_and_are_the_fewest() -> None:
    options = {"spread": 1.0, "test_share": 1 / 9}
    blocks = blocks_to_decide(1.2, multiple_of=10, margin=0, **options, **ONE_TEST)
    assert blocks % 10 == 0
    assert corrected_t_power(1.2, blocks=blocks, **options) >= 0.8
    assert corrected_t_power(1.2, blocks=blocks - 10, **options) < 0.8


def test_a_difference_below_the_limit_of_repeating_is_never_decided() -> None:
    # With ever more repeats the standard error tends to spread * sqrt(1/4): (1.96 + 0.84) / 2 = 1.40.
    assert blocks_to_decide(1.39, spread=1, test_share=1 / 4, margin=0, **ONE_TEST) == -1
    assert blocks_to_decide(1.45, spread=1, test_share=1 / 4, margin=0, **ONE_TEST) > 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"spread": 0.0}, "spread must be a finite number above 0, received 0.0"),
        ({"blocks": 1}, "blocks must be at least 2, received 1"),
        ({"power": 0.01}, r"power must lie between 0.05 and 1, both excluded, received 0.01"),
    ],
)
def test_designs_that_cannot_be_meant_are_refused(options: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        detectable_difference(**{"spread": 1.0, "blocks": 5, "test_share": 0.25, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(("difference", "margin", "blocks"), [(0.0, 1.0, 10), (0.3, 1.0, 10), (-0.5, 1.0, 40)])
def test_equivalence_power_is_that_of_simulated_one_sided_tests(difference: float, margin: float, blocks: int) -> None:
    runs = np.random.default_rng(1).normal(difference, 1, (20_000, blocks))
    reach = stats.t.isf(0.05, blocks - 1) * runs.std(axis=1, ddof=1) / np.sqrt(blocks)
    found = np.mean((runs.mean(axis=1) - reach > -margin) & (runs.mean(axis=1) + reach < margin))
    formula = equivalence_power(difference, spread=1, blocks=blocks, test_share=0, margin=margin)
    assert found == pytest.approx(formula, abs=0.012)


def test_a_difference_at_the_margin_is_never_equivalent() -> None:
    assert equivalence_power(0.005, spread=1e-4, blocks=50, test_share=0.25, margin=0.005) == 0
    assert equivalence_power(0.0, spread=1e-4, blocks=50, test_share=0.25, margin=0.005) == pytest.approx(1)


DECIDING = {"test_share": 1 / 9, "significance": 0.05, "difference_significance": 0.05 / 3}


def test_what_decides_soonest_counts_and_is_the_fewest_cross_validations() -> None:
    large = blocks_to_decide(0.008, spread=0.006, margin=0.001, multiple_of=10, **DECIDING)
    powers = [
        corrected_t_power(0.008, spread=0.006, blocks=blocks, test_share=1 / 9, significance=0.05 / 3)
        for blocks in (large, large - 10)
        if blocks >= 2
    ]
    assert powers[0] >= 0.8 > max(powers[1:], default=0)
    small = blocks_to_decide(0.0002, spread=0.006, margin=0.0065, multiple_of=10, **DECIDING)
    enough, too_few = (
        equivalence_power(0.0002, spread=0.006, blocks=blocks, test_share=1 / 9, margin=0.0065)
        for blocks in (small, small - 10)
    )
    assert small % 10 == 0
    assert enough >= 0.8 > too_few


def test_what_all_repetitions_together_cannot_decide_is_minus_one() -> None:
    assert blocks_to_decide(0.001, spread=0.006, margin=0.001, multiple_of=10, **DECIDING) == -1
