from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ceteris.errors import ConfigError
from ceteris.findings import Comparison
from ceteris.records import FloatArray
from ceteris.report.search_words import comparison_sentence
from ceteris.stats import Outcomes, compare_levels, corrected_t_test, holm

INCUMBENT = np.array([0.950, 0.961, 0.942, 0.955, 0.949])
NOISE = np.array([0.001, -0.002, 0.003, 0.000, -0.002])


def compare(margin: float = 0.005, **levels: FloatArray) -> dict[str, Comparison]:
    return compared(INCUMBENT, levels, margin)


def compared(incumbent: FloatArray, levels: dict[str, FloatArray], margin: float = 0.005) -> dict[str, Comparison]:
    """Compare by the figures of blocks alone, which the corrected t-test judges."""
    figures = {label: Outcomes.of_figures(level, folds=5) for label, level in levels.items()}
    return compare_levels(Outcomes.of_figures(incumbent, folds=5), figures, folds=5, margin=margin)


def test_clear_gains_and_losses_are_called_so_and_told_in_points() -> None:
    found = compare(adam=INCUMBENT + 0.018 + NOISE, tanh=INCUMBENT - 0.03 + NOISE)
    assert found["adam"].verdict == "better"
    assert found["tanh"].verdict == "worse"
    assert comparison_sentence(found["adam"], "adam", "sgd").startswith(
        "adam was shown to be better than sgd: +1.80 points (+1.4"
    )
    told = comparison_sentence(found["tanh"], "tanh", "sgd")
    assert told.startswith("tanh was shown to be worse than sgd: −3.00 points (−3.4")
    assert told.endswith("after Holm over 2).")


def test_numbers_are_those_of_the_corrected_test_adjusted_by_holm_over_the_factor() -> None:
    levels = {"a": INCUMBENT + 0.002 + NOISE, "b": INCUMBENT + 0.004 - NOISE, "c": INCUMBENT - NOISE[::-1]}
    found = compare(**levels)
    tests = {label: corrected_t_test(results - INCUMBENT, test_share=1 / 4) for label, results in levels.items()}
    np.testing.assert_allclose(
        [found[label].adjusted_p for label in levels], holm([tests[label].p_value for label in levels])
    )
    for label, test in tests.items():
        assert (found[label].difference, found[label].low, found[label].high) == (test.difference, test.low, test.high)
        assert (found[label].p_value, found[label].standard_error) == (test.p_value, test.standard_error)
        assert found[label].blocks == 5


def test_a_small_difference_within_a_narrow_interval_is_equivalent() -> None:
    found = compare(margin=0.01, elu=INCUMBENT + NOISE)["elu"]
    assert found.verdict == "equivalent"
    told = comparison_sentence(found, "elu", "sgd")
    assert "90 % interval" in told
    assert told.endswith("inside the margin of ±1 points.")
    assert -found.margin < found.narrow_low < found.narrow_high < found.margin
    assert found.probability_equivalent > 0.95


def test_the_same_difference_is_undecided_when_the_margin_is_small() -> None:
    found = compare(margin=0.001, elu=INCUMBENT + NOISE)["elu"]
    assert found.verdict == "undecided"
    told = comparison_sentence(found, "elu", "sgd")
    assert told.startswith("No difference between elu and sgd was shown: ±0.00 points (−0.")


def test_the_same_recipe_is_equivalent_with_difference_exactly_zero_even_without_margin() -> None:
    found = compare(margin=0.0, again=INCUMBENT.copy())["again"]
    assert found.verdict == "equivalent"
    assert (found.difference, found.low, found.high, found.adjusted_p) == (0, 0, 0, 1)
    told = comparison_sentence(replace(found, identical=True), "again", "sgd")
    assert told == "again and sgd were the same training: nothing differed on any of 5 blocks."


def test_a_gain_that_one_of_many_levels_shows_by_chance_is_not_claimed() -> None:
    lucky = INCUMBENT + np.array([0.006, 0.002, 0.008, 0.003, 0.005])
    alone = compare(margin=0.0, lucky=lucky)["lucky"]
    others = {f"level {i}": INCUMBENT + NOISE[::-1] * (1 + i / 10) for i in range(9)}
    among_many = compare(margin=0.0, lucky=lucky, **others)["lucky"]
    assert (alone.verdict, among_many.verdict) == ("better", "undecided")
    assert (alone.levels, among_many.levels) == (1, 10)
    assert "Holm" not in comparison_sentence(alone, "lucky", "sgd")
    assert among_many.p_value == alone.p_value


def test_blocks_where_either_training_failed_are_left_out() -> None:
    level = INCUMBENT + 0.01 + NOISE
    level[1] = np.nan
    incumbent = INCUMBENT.copy()
    incumbent[3] = np.nan
    found = compared(incumbent, {"level": level})["level"]
    kept = [0, 2, 4]
    assert found.blocks == 3
    assert found.difference == pytest.approx((level - INCUMBENT)[kept].mean())


def test_levels_that_cannot_be_compared_have_no_entry_and_do_not_count_for_holm() -> None:
    diverged = np.array([np.nan, np.nan, 0.1, np.nan, np.nan])
    found = compare(diverged=diverged, adam=INCUMBENT + 0.02 + NOISE)
    assert list(found) == ["adam"]
    assert found["adam"].adjusted_p == found["adam"].p_value
    assert compare(diverged=diverged) == {}


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.02), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_a_verdict_never_contradicts_its_numbers(seed: int, scale: float, count: int) -> None:
    generator = np.random.default_rng(seed)
    levels = {f"l{i}": INCUMBENT + generator.normal(0, scale) + generator.normal(0, 0.004, 5) for i in range(count)}
    for found in compare(margin=0.005, **levels).values():
        if found.verdict in ("better", "worse"):
            assert found.adjusted_p < 0.05
            assert (found.low > 0) if found.verdict == "better" else (found.high < 0)
        else:
            assert found.adjusted_p >= 0.05
        if found.verdict == "equivalent":
            assert abs(found.difference) < 0.005
        assert found.adjusted_p >= found.p_value
        total = found.probability_worse + found.probability_equivalent + found.probability_better
        assert total == pytest.approx(1)


def test_an_undecided_comparison_says_what_would_be_found() -> None:
    lucky = INCUMBENT + np.array([0.0072, 0.0024, 0.0104, 0.0033, 0.0098])
    found = compare(margin=0.0, lucky=lucky)["lucky"]
    assert found.verdict == "undecided"
    assert found.difference < found.detectable_with_more < found.detectable


def test_the_same_gain_on_every_block_gives_no_measure_of_what_would_be_found() -> None:
    found = compare(margin=0.0, steady=INCUMBENT + 0.01)["steady"]
    assert (found.verdict, found.detectable) == ("undecided", 0)
    twice = compared(np.tile(INCUMBENT, 2), {"steady": np.tile(INCUMBENT, 2) + 0.01}, 0.0)
    assert twice["steady"].verdict == "better"


def test_swapping_incumbent_and_level_turns_better_into_worse() -> None:
    level = INCUMBENT + 0.018 + NOISE
    forth = compare(adam=level)["adam"]
    back = compared(level, {"sgd": INCUMBENT})["sgd"]
    assert (forth.verdict, back.verdict) == ("better", "worse")
    assert comparison_sentence(forth, "adam", "sgd").startswith("adam was shown to be better than sgd: +1.80 points")
    assert comparison_sentence(back, "sgd", "adam").startswith("sgd was shown to be worse than adam: −1.80 points")


@pytest.mark.parametrize(
    ("folds", "significance", "margin", "told"),
    [
        (1, 0.05, 0.0, "folds must be at least 2, received 1"),
        (5, 0.5, 0.0, r"significance must lie between 0 and 0\.5, both excluded, received 0\.5"),
        (5, 0.05, -1.0, "margin must be a finite number of at least 0"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(folds: int, significance: float, margin: float, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        compare_levels(
            Outcomes.of_figures(INCUMBENT, folds=5), {}, folds=folds, significance=significance, margin=margin
        )


def test_a_level_with_another_number_of_blocks_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r'level "short" must have one result per block .* received 3 and 5'):
        compare(short=INCUMBENT[:3])
