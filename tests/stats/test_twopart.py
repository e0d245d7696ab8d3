"""The two-part test against a separate implementation, scipy and its own promises."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray, IntArray
from ceteris.stats import (
    BlockDifference,
    BlockOutcome,
    Outcomes,
    compare_levels,
    judge_moments,
    paired_moments,
    two_part_test,
    twopart,
)

FOLDS = 5


def differences_of(d: FloatArray, fold: IntArray, luck: FloatArray | None = None) -> list[BlockDifference]:
    """Cut differences (repetitions, n) into blocks; ``luck`` (repetitions, folds) is added to whole blocks."""
    blocks = []
    for repetition, (values, of_image) in enumerate(zip(d, fold, strict=True)):
        for number in range(FOLDS):
            held = np.flatnonzero(of_image == number)
            shift = 0.0 if luck is None else float(luck[repetition, number])
            values_held = values[held] + shift
            blocks.append(
                BlockDifference(units=held, values=values_held, repetition=repetition, same=not values_held.any())
            )
    return blocks


def drawn(seed: int, repetitions: int, images: int = 200, gain: float = 0.07) -> tuple[FloatArray, IntArray]:
    generator = np.random.default_rng(seed)
    difficulty = generator.random(images)
    first = difficulty + 0.35 * generator.normal(size=(repetitions, images)) < 0.85
    second = difficulty + 0.35 * generator.normal(size=(repetitions, images)) < 0.85 + gain
    fold = np.stack([generator.permutation(np.arange(images) % FOLDS) for _ in range(repetitions)])
    return second.astype(np.float64) - first, fold


def outcomes(right: FloatArray, fold: IntArray) -> Outcomes:
    blocks = []
    for repetition, (values, of_image) in enumerate(zip(right, fold, strict=True)):
        for number in range(FOLDS):
            held = np.flatnonzero(of_image == number)
            blocks.append(BlockOutcome(images=held, values=values[held], repetition=repetition))
    return Outcomes(blocks=tuple(blocks))


@pytest.mark.parametrize(
    ("repetitions", "luck", "expected"),
    [
        # difference, standard error, degrees of freedom, p: of the reference script, whose constants were others
        (1, 0.0, (0.05, 0.037802382206714336, 199.0, 0.1874638098726901)),
        (1, 0.06, (0.04376623222228328, 0.04041480900432879, 7.691794259056318, 0.311617288124707)),
        (3, 0.06, (0.057566730306357325, 0.03020995040894062, 16.04353825745198, 0.07478889922635237)),
    ],
)
def test_numbers_are_those_of_the_reference_with_its_constants(
    repetitions: int, luck: float, expected: tuple[float, float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PRIOR_DEGREES": 4.0, "REPEATED": 2.0, "CONTRADICTION": 0.002}.items():
        monkeypatch.setattr(twopart, name, value)
    d, fold = drawn(12, repetitions)
    shifts = luck * np.cos(np.arange(repetitions * FOLDS)).reshape(repetitions, FOLDS)
    found = two_part_test(differences_of(d, fold, shifts), folds=FOLDS)
    numbers = (found.difference, found.standard_error, found.degrees, found.p_value)
    np.testing.assert_allclose(numbers, expected, rtol=1e-9)


def test_without_luck_of_trainings_the_image_part_alone_is_a_t_test_of_single_images() -> None:
    d, fold = drawn(3, 1)
    blocks = [replace(block, values=block.values - block.mean + 0.02) for block in differences_of(d, fold)]
    moments = paired_moments(blocks)  # all blocks have one mean: only the prior speaks for luck
    assert moments.spread == pytest.approx(0)
    found = two_part_test(blocks, folds=FOLDS)
    assert found.image_variance == pytest.approx(stats.sem(np.concatenate([block.values for block in blocks])) ** 2)


def test_degrees_lie_between_those_of_the_blocks_and_those_of_the_images() -> None:
    found = two_part_test(differences_of(*drawn(5, 2)), folds=FOLDS)
    assert 1 <= found.degrees <= 199 + 12


def test_the_interval_and_p_agree_also_where_few_images_differ() -> None:
    d, fold = np.zeros((1, 200)), np.arange(200)[None] % FOLDS
    d[0, :4] = 1  # the exact sign test gives p = 1/8
    found = two_part_test(differences_of(d, fold), folds=FOLDS)
    assert (found.discordant, found.p_value >= 0.125) == (4, True)
    assert found.low <= 0 < found.difference < found.high


def test_blocks_that_contradict_the_prior_are_believed() -> None:
    d, fold = drawn(7, 1)
    steady, wild = (differences_of(d, fold, luck * np.array([[1, -1, 1, -1, 0]])) for luck in (0.01, 0.4))
    assert two_part_test(wild, folds=FOLDS).degrees < 5
    assert two_part_test(steady, folds=FOLDS).degrees > 5


def test_images_of_one_group_count_as_one() -> None:
    d, fold = drawn(9, 1, images=400)
    twins = differences_of(np.repeat(d, 2, axis=1), np.repeat(fold, 2, axis=1))
    paired = [replace(block, units=block.units // 2) for block in twins]
    alone = two_part_test(differences_of(d, fold), folds=FOLDS)
    together = two_part_test(paired, folds=FOLDS)
    assert together.images == alone.images == 400
    np.testing.assert_allclose(together.image_variance, alone.image_variance)
    np.testing.assert_allclose(together.p_value, alone.p_value)
    assert two_part_test(twins, folds=FOLDS).image_variance == pytest.approx(alone.image_variance / 2, rel=0.01)


def test_fresh_samples_are_no_repetitions_of_the_same_images() -> None:
    d, fold = drawn(11, 2)
    same = differences_of(d, fold)
    fresh = [replace(block, units=block.units + 1000 * block.repetition) for block in same]
    first, second = two_part_test(same, folds=FOLDS), two_part_test(fresh, folds=FOLDS, fresh_samples=True)
    assert (first.images, second.images) == (200, 400)
    assert second.standard_error < first.standard_error


def test_many_comparisons_at_once_give_the_same_as_one_by_one() -> None:
    single = [paired_moments(differences_of(*drawn(seed, 1))) for seed in range(6)]
    fields = ("mean", "image_variance", "binomial", "spread", "gains", "losses")
    arrays: dict[str, Any] = {name: np.array([getattr(one, name) for one in single]) for name in fields}
    together = replace(single[0], **arrays)
    error, degrees, p_value = judge_moments(together, folds=FOLDS, repeated=False)
    for place, one in enumerate(single):
        alone = judge_moments(one, folds=FOLDS, repeated=False)
        np.testing.assert_allclose([error[place], degrees[place], p_value[place]], alone)


@given(st.integers(0, 10_000), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_swapping_the_arms_turns_the_signs_around(seed: int, repetitions: int) -> None:
    d, fold = drawn(seed, repetitions)
    forth, back = (two_part_test(differences_of(sign * d, fold), folds=FOLDS) for sign in (1.0, -1.0))
    assert back.difference == -forth.difference
    np.testing.assert_allclose((back.low, back.high), (-forth.high, -forth.low))
    np.testing.assert_allclose((back.p_value, back.degrees), (forth.p_value, forth.degrees))


@given(st.integers(0, 10_000), st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_more_images_of_the_same_kind_never_raise_the_image_part(seed: int, times: int) -> None:
    d, fold = drawn(seed, 1)
    few = two_part_test(differences_of(d, fold), folds=FOLDS)
    many = two_part_test(differences_of(np.tile(d, times), np.tile(fold, times)), folds=FOLDS)
    assert many.image_variance < few.image_variance


@given(st.integers(0, 10_000), st.floats(0.01, 0.99))
@settings(max_examples=30, deadline=None)
def test_the_interval_holds_zero_exactly_where_the_test_does_not_refuse_it(seed: int, confidence: float) -> None:
    found = two_part_test(differences_of(*drawn(seed, 1, images=40)), folds=FOLDS)
    low, high = found.interval(confidence)
    assert (low <= 0 <= high) == (found.p_value >= 1 - confidence)
    below, above = found.shares_beyond(0.02)
    assert 0 <= below + above <= 1


@given(st.integers(0, 10_000), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_identical_arms_differ_by_exactly_nothing(seed: int, repetitions: int) -> None:
    _, fold = drawn(seed, repetitions)
    right = np.random.default_rng(seed).integers(0, 2, fold.shape).astype(np.float64)
    found = compare_levels(outcomes(right, fold), {"again": outcomes(right.copy(), fold)}, folds=FOLDS, margin=0.0)
    again = found["again"]
    assert (again.difference, again.low, again.high, again.p_value, again.adjusted_p) == (0, 0, 0, 1, 1)
    assert (again.identical, again.verdict, again.discordant) == (True, "equivalent", 0)
    assert (again.expected_gain, again.chance) == (0, 0.5)


def test_trainings_that_are_right_on_the_same_images_are_not_the_same_trainings() -> None:
    fold, right = np.arange(100)[None] % FOLDS, np.ones((1, 100))
    plain = outcomes(right, fold)
    told = [
        replace(block, log_likelihood=np.full(20, value))
        for value in (-0.1, -0.2)
        for block in plain.blocks
        if block is not None
    ]
    incumbent, level = Outcomes(blocks=tuple(told[:5])), Outcomes(blocks=tuple(told[5:]))
    found = compare_levels(incumbent, {"level": level}, folds=FOLDS, margin=0.005)["level"]
    assert (found.identical, found.difference, found.p_value, found.verdict) == (False, 0, 1, "undecided")
    assert found.low < -0.005 < 0.005 < found.high  # 100 images cannot show that nothing differs by half a point
    assert compare_levels(incumbent, {"level": level}, folds=FOLDS, margin=0.05)["level"].verdict == "equivalent"


def test_what_a_design_detects_shrinks_with_repetitions_and_most_with_fresh_images() -> None:
    d, fold = drawn(2, 1)
    right = np.random.default_rng(1).integers(0, 2, fold.shape).astype(np.float64)
    pair = (outcomes(right, fold), {"level": outcomes(right + d, fold)})
    same = compare_levels(*pair, folds=FOLDS, margin=0.005)["level"]
    fresh = compare_levels(*pair, folds=FOLDS, margin=0.005, fresh_samples=True)["level"]
    assert same.detectable == fresh.detectable > same.detectable_with_more > fresh.detectable_with_more > 0


def test_what_cannot_be_meant_is_refused() -> None:
    blocks = differences_of(*drawn(1, 1))
    with pytest.raises(ConfigError, match="folds must be at least 2, received 1"):
        two_part_test(blocks, folds=1)
    with pytest.raises(ConfigError, match="at least one block"):
        two_part_test([], folds=5)
    with pytest.raises(ConfigError, match="finite differences"):
        two_part_test([replace(blocks[0], values=blocks[0].values * np.nan)], folds=5)
