import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.data.data_samples import even_labels

from ceteris.data import split_indices
from ceteris.data.splits import held_out_share
from ceteris.errors import DataError
from ceteris.records import CrossValidationSplit, HoldoutSplit, IntArray


@st.composite
def grouped_labels(draw: st.DrawFn) -> tuple[IntArray, IntArray, int]:
    """Labels, groups of very different sizes with arbitrary numbers, and folds: every class lies in many groups."""
    folds = draw(st.integers(2, 5))
    sizes = draw(st.lists(st.integers(1, 30), min_size=4 * folds, max_size=40))
    classes = draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    names = random.choice(10**6, len(sizes), replace=False)
    groups = random.permutation(np.repeat(names, np.array(sizes)))
    labels = np.concatenate([np.tile(np.arange(classes), folds), random.integers(0, classes, 10**4)])[: len(groups)]
    return labels.astype(np.int64), groups.astype(np.int64), folds


def folds_of(labels: IntArray, groups: IntArray, folds: int, seed: int, images: int = 0) -> list[IntArray]:
    held_out = []
    for index in range(folds):
        split = CrossValidationSplit(folds=folds, index=index, seed=seed, images=images)
        fit, out = split_indices(split, labels, groups)
        assert fit.dtype == out.dtype == np.int64
        assert np.array_equal(fit, np.unique(fit))
        assert np.array_equal(out, np.unique(out))
        assert not np.intersect1d(fit, out).size
        assert not np.intersect1d(groups[fit], groups[out]).size
        held_out.append(out)
    return held_out


@settings(max_examples=60, deadline=None)
@given(case=grouped_labels(), seed=st.integers(0, 10**6))
def test_folds_cover_everything_tear_no_group_apart_and_none_is_empty(
    case: tuple[IntArray, IntArray, int], seed: int
) -> None:
    labels, groups, folds = case
    held_out = folds_of(labels, groups, folds, seed)
    assert all(len(out) for out in held_out)
    assert np.array_equal(np.sort(np.concatenate(held_out)), np.arange(len(labels)))
    largest = np.unique(groups, return_counts=True)[1].max()
    sizes = np.array([len(out) for out in held_out])
    assert np.ptp(sizes) <= 2 * largest


@settings(max_examples=40, deadline=None)
@given(case=grouped_labels(), seed=st.integers(0, 10**6))
def test_a_sample_keeps_its_size_and_its_groups_together(case: tuple[IntArray, IntArray, int], seed: int) -> None:
    labels, groups, folds = case
    images = max(1, round(0.9 * len(labels)))
    assume(np.floor(np.bincount(labels) * images / len(labels)).min() >= folds)
    held_out = folds_of(labels, groups, folds, seed, images=images)
    plain = split_indices(CrossValidationSplit(folds=folds, index=0, seed=seed, images=images), labels)
    assert np.array_equal(np.sort(np.concatenate(held_out)), np.sort(np.concatenate(plain)))


@settings(max_examples=40, deadline=None)
@given(case=grouped_labels(), fraction=st.floats(0.05, 0.6), seed=st.integers(0, 10**6))
def test_a_holdout_tears_no_group_apart_and_leaves_every_class_to_fit_on(
    case: tuple[IntArray, IntArray, int], fraction: float, seed: int
) -> None:
    labels, groups, _ = case
    fit, out = split_indices(HoldoutSplit(fraction=fraction, seed=seed), labels, groups)
    assert np.array_equal(np.sort(np.concatenate([fit, out])), np.arange(len(labels)))
    assert len(out)
    assert not np.intersect1d(groups[fit], groups[out]).size
    assert np.array_equal(np.unique(labels[fit]), np.unique(labels))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), folds=st.integers(2, 6))
def test_many_groups_give_nearly_the_shares_of_a_split_without_groups(seed: int, folds: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.integers(0, 200, 4000)
    labels = random.choice(4, 4000, p=[0.55, 0.3, 0.1, 0.05]).astype(np.int64)
    held_out = folds_of(labels, groups, folds, seed)
    counts = np.array([np.bincount(labels[out], minlength=4) for out in held_out])
    assert np.abs(counts / np.bincount(labels) - 1 / folds).max() < 0.06
    assert np.abs(counts.sum(axis=1) / 4000 - 1 / folds).max() < 0.01


def test_groups_of_one_image_give_stratified_folds() -> None:
    labels = np.random.default_rng(0).integers(0, 5, 500).astype(np.int64)
    held_out = folds_of(labels, np.arange(500), 5, 0)
    counts = np.array([np.bincount(labels[out], minlength=5) for out in held_out])
    assert np.ptp(counts, axis=0).max() <= 1


def test_the_same_seed_gives_the_same_folds_and_another_seed_others() -> None:
    random = np.random.default_rng(0)
    groups, labels = np.repeat(np.arange(40), np.arange(40) + 1), even_labels(820, 4)
    mixed = random.permutation(groups)
    for split in (
        [CrossValidationSplit(folds=5, index=2, seed=seed) for seed in (3, 3, 4)],
        [HoldoutSplit(fraction=0.2, seed=seed) for seed in (3, 3, 4)],
    ):
        first, again, other = (split_indices(one, labels, mixed)[1] for one in split)
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([0] * 6 + [1] * 6, "2 different groups cannot be spread over 3 folds.*at most 2 folds"),
        ([0] * 12, "1 different groups cannot be spread"),
        # the last class (images 8 to 11) lies in one group
        ([0, 1, 2, 3, 0, 1, 2, 3, 4, 4, 4, 4], "Class 2 has its 4 images in too few groups"),
        ([0, 1, 2], r"one group per image, shape \(12,\), received shape \(3,\)"),
    ],
)
def test_folds_that_groups_do_not_allow_are_refused(groups: list[int], message: str) -> None:
    labels = np.repeat(np.arange(3), 4).astype(np.int64)
    with pytest.raises(DataError, match=message):
        split_indices(CrossValidationSplit(folds=3, index=0, seed=0), labels, np.array(groups))


def test_a_class_with_fewer_images_than_folds_is_refused_with_groups_too() -> None:
    labels = np.array([0] * 9 + [1] * 2, dtype=np.int64)
    with pytest.raises(DataError, match="Class 1 has 2 images, fewer than the 3 folds"):
        split_indices(CrossValidationSplit(folds=3, index=0, seed=0), labels, np.arange(11))


@pytest.mark.parametrize(("fraction", "message"), [(0.2, "at least 2 different groups"), (1.0, "fraction: a share")])
def test_impossible_holdouts_are_refused(fraction: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_indices(HoldoutSplit(fraction=fraction, seed=0), even_labels(9, 3), np.zeros(9, dtype=np.int64))


def test_one_group_that_holds_nearly_everything_is_not_held_out() -> None:
    groups = np.array([7] * 97 + [1, 2, 3])
    fit, out = split_indices(HoldoutSplit(fraction=0.1, seed=0), even_labels(100, 2), groups)
    assert 7 not in groups[out]
    assert len(out) >= 1
    assert len(fit) >= 97


def test_a_class_of_a_single_group_stays_where_it_can_be_learnt() -> None:
    labels = np.array([0] * 40 + [1] * 40 + [2] * 10, dtype=np.int64)
    groups = np.concatenate([np.arange(80) % 20, np.full(10, 20)])
    for seed in range(20):
        fit, _ = split_indices(HoldoutSplit(fraction=0.7, seed=seed), labels, groups)
        assert np.array_equal(np.unique(labels[fit]), [0, 1, 2])


@settings(max_examples=40, deadline=None)
@given(groups=st.lists(st.integers(0, 12), min_size=20, max_size=120), seed=st.integers(0, 99))
def test_no_group_is_torn_apart_by_a_share(groups: list[int], seed: int) -> None:
    if len(set(groups)) < 2:
        groups = [*groups, 99]
    names = tuple(f"writer {group}" for group in groups)
    labels = np.random.default_rng(seed).integers(0, 3, len(names))
    held = held_out_share(labels, names, 0.25, np.random.default_rng(seed))
    inside = {names[place] for place in held}
    outside = {names[place] for place in np.setdiff1d(np.arange(len(names)), held)}
    assert inside
    assert outside
    assert not inside & outside


def test_groups_of_equal_size_give_the_share_that_was_asked_for() -> None:
    labels = even_labels(1000, 5)
    names = tuple(str(place // 10) for place in range(1000))
    held = held_out_share(labels, names, 0.2, np.random.default_rng(0))
    assert np.bincount(labels[held]).tolist() == [40] * 5
