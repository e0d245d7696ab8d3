"""The test of a test set: seeds and images both count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray, IntArray
from ceteris.stats import two_way_bootstrap, two_way_interval, two_way_test, wilson_interval


def drawn(seed: int, seeds: int = 5, images: int = 400, luck: float = 0.02) -> FloatArray:
    generator = np.random.default_rng(seed)
    chance = 0.1 + 0.1 * generator.random(images) + luck * generator.normal(size=(seeds, 1))
    return generator.choice([-1.0, 1.0], (seeds, images)) * (generator.random((seeds, images)) < chance)


def test_variances_and_degrees_are_those_of_the_formula() -> None:
    table = drawn(1)
    found = two_way_test(table)
    by_image, by_seed = stats.sem(table.mean(axis=0)) ** 2, stats.sem(table.mean(axis=1)) ** 2
    np.testing.assert_allclose([found.image_variance, found.seed_variance], [by_image, by_seed])
    degrees = (by_image + by_seed) ** 2 / (by_image**2 / 399 + by_seed**2 / 4)
    expected = 2 * stats.t.sf(abs(table.mean()) / np.sqrt(by_image + by_seed), degrees)
    np.testing.assert_allclose([found.degrees, found.p_value], [degrees, expected])
    assert (found.seeds, found.images) == (5, 400)


def test_seeds_that_agree_leave_a_t_test_of_images() -> None:
    row = drawn(2, seeds=1)[0]
    found = two_way_test(np.tile(row, (5, 1)))
    assert found.seed_variance == pytest.approx(0)
    assert found.p_value == pytest.approx(stats.ttest_1samp(row, 0).pvalue)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_swapping_the_recipes_turns_the_signs_around(seed: int) -> None:
    forth, back = two_way_test(drawn(seed)), two_way_test(-drawn(seed))
    assert (back.difference, back.p_value) == (-forth.difference, forth.p_value)
    assert (back.low, back.high) == (-forth.high, -forth.low)


def test_the_same_recipe_differs_by_nothing_and_few_images_ask_the_sign_test() -> None:
    nothing = two_way_test(np.zeros((5, 100)))
    assert (nothing.difference, nothing.p_value, nothing.low, nothing.high) == (0, 1, 0, 0)
    few = np.zeros((5, 1000))
    few[:, :5] = 1
    assert two_way_test(few).p_value >= 2 * 0.5**5
    assert two_way_test(few).low <= 0


def test_images_of_one_group_count_as_one() -> None:
    table = drawn(4)
    twice = np.repeat(table, 2, axis=1)
    alone, together = two_way_test(table), two_way_test(twice, groups=np.arange(800) // 2)
    np.testing.assert_allclose([together.image_variance, together.p_value], [alone.image_variance, alone.p_value])


def test_the_interval_of_one_seed_is_wilsons_and_more_seeds_widen_it_by_their_luck() -> None:
    right = (np.arange(1000) >= 20).astype(np.float64)[None]
    one, wilson = two_way_interval(right), wilson_interval(980, 1000)
    np.testing.assert_allclose((one.low, one.high), (wilson.low, wilson.high), atol=2e-4)
    spread = np.stack([np.arange(1000) >= wrong for wrong in (2, 10, 20, 30, 38)]).astype(np.float64)
    several = two_way_interval(spread)
    assert several.estimate == pytest.approx(0.98)
    assert several.low < one.low < one.high < several.high <= 1


def test_an_interval_stays_inside_its_range_and_never_has_width_zero() -> None:
    for value in (0.0, 1.0):
        found = two_way_interval(np.full((5, 50), value))
        assert found.estimate == value
        assert 0 <= found.low < found.high <= 1
    loss = two_way_interval(np.random.default_rng(1).exponential(size=(5, 300)), bounded=False)
    assert loss.estimate - loss.low == pytest.approx(loss.high - loss.estimate)


def test_the_bootstrap_of_a_mean_is_at_least_as_wide_as_its_two_parts() -> None:
    table = drawn(6, images=300, luck=0.05)

    def mean(seed: int, images: IntArray) -> float:
        return float(table[seed, images].mean())

    generator = np.random.default_rng(3)
    found = two_way_bootstrap(mean, seeds=5, images=300, generator=generator, resamples=2000)
    error = np.sqrt(stats.sem(table.mean(axis=0)) ** 2 + stats.sem(table.mean(axis=1)) ** 2)
    assert found.estimate == pytest.approx(table.mean())
    assert 0.85 < (found.high - found.low) / 2 / (1.96 * error) < 1.4  # what is in neither part alone counts twice


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"at least 2 of the one and 2 of the other, received shape \(1, 9\)"):
        two_way_test(np.zeros((1, 9)))
    with pytest.raises(ConfigError, match="finite numbers"):
        two_way_interval(np.full((2, 9), np.nan))
    with pytest.raises(ConfigError, match="at least 1 seed, 2 images and 100 resamples, received 5, 10 and 99"):
        two_way_bootstrap(lambda *_: 0.0, seeds=5, images=10, generator=np.random.default_rng(0), resamples=99)
