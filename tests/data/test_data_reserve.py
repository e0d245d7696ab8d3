"""A reserve that no cross-validation touches, and images for early stopping alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ceteris.data import split_images, split_indices
from ceteris.digests import digest_of
from ceteris.errors import DataError
from ceteris.records import CrossValidationSplit, HoldoutSplit, ReserveSplit

LABELS = np.arange(400) % 4
GROUPS = np.arange(400) // 5


@given(seed=st.integers(0, 10**6), index=st.integers(0, 4), grouped=st.booleans(), images=st.sampled_from([0, 100]))
def test_what_is_reserved_is_in_no_fold_and_is_what_the_reserve_holds_out(
    seed: int, index: int, grouped: bool, images: int
) -> None:
    groups = GROUPS if grouped else None
    fold = CrossValidationSplit(folds=5, index=index, seed=seed, images=images, reserve=0.2, reserve_seed=3)
    fit, out = split_indices(fold, LABELS, groups)
    reserve = ReserveSplit(reserve=0.2, reserve_seed=3, seed=seed, validation=0.1)
    others, reserved = split_indices(reserve, LABELS, groups)
    assert not set(reserved) & {*fit, *out}
    assert len(fit) + len(out) == (images or len(others))
    assert len(reserved) + len(others) == 400
    assert 60 <= len(reserved) <= 100
    if grouped:
        assert not set(GROUPS[reserved]) & set(GROUPS[others])
    else:
        np.testing.assert_array_equal(np.bincount(LABELS[reserved]), [20] * 4)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(
    "split",
    [
        CrossValidationSplit(folds=5, index=1, seed=2, validation=0.1),
        ReserveSplit(reserve=0.2, reserve_seed=3, seed=2, validation=0.1),
    ],
)
def test_early_stopping_looks_at_a_share_of_what_would_be_fitted_on(
    split: CrossValidationSplit | ReserveSplit, grouped: bool
) -> None:
    groups = GROUPS if grouped else None
    fit, out = split_indices(split, LABELS, groups)
    images = split_images(split, LABELS, groups)
    assert images.watched is not None
    np.testing.assert_array_equal(images.held_out, out)
    np.testing.assert_array_equal(np.sort([*images.fitted, *images.watched]), fit)
    assert 0.05 * len(fit) < len(images.watched) < 0.15 * len(fit)


def test_without_images_of_their_own_the_held_out_ones_are_watched() -> None:
    for split in (CrossValidationSplit(folds=5, index=1, seed=2), HoldoutSplit(fraction=0.1, seed=1)):
        images = split_images(split, LABELS)
        assert images.watched is None
        np.testing.assert_array_equal(images.fitted, split_indices(split, LABELS)[0])


def test_a_reserve_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="fraction"):
        split_indices(ReserveSplit(reserve=0.0, reserve_seed=0, seed=0, validation=0.1), LABELS)


def test_splits_without_the_new_parts_keep_their_digests() -> None:
    assert digest_of(CrossValidationSplit(folds=5, index=1, seed=2, images=9)) == PINNED[0]
    assert digest_of(HoldoutSplit(fraction=0.1, seed=1)) == PINNED[1]
    assert digest_of(CrossValidationSplit(folds=5, index=1, seed=2, images=9, reserve=0.2)) != PINNED[0]


PINNED = (
    "dc8f27343ccc75d503be08e69916ef28e826d369425ecc234891587e805a1591",
    "8ffde31a243f5ae2347dfa2e5bc2f0f0a96508fe55216d1fcb65d84a36a8c39c",
)
