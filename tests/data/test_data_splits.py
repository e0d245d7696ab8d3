import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.data.data_samples import even_labels

from ceteris.data import split_indices
from ceteris.errors import DataError
from ceteris.records import CrossValidationSplit, HoldoutSplit, IntArray


@st.composite
def labels_and_folds(draw: st.DrawFn) -> tuple[IntArray, int]:
    folds = draw(st.integers(2, 6))
    counts = draw(st.lists(st.integers(folds, 25), min_size=1, max_size=6))
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(draw(st.integers(0, 99))).permutation(labels).astype(np.int64), folds


@settings(max_examples=60, deadline=None)
@given(case=labels_and_folds(), seed=st.integers(0, 10**6))
def test_folds_are_disjoint_cover_everything_and_spread_every_class_evenly(
    case: tuple[IntArray, int], seed: int
) -> None:
    labels, folds = case
    held_out = []
    for index in range(folds):
        fit, out = split_indices(CrossValidationSplit(folds=folds, index=index, seed=seed), labels)
        assert fit.dtype == out.dtype == np.int64
        assert np.array_equal(fit, np.unique(fit))
        assert np.array_equal(np.sort(np.concatenate([fit, out])), np.arange(len(labels)))
        held_out.append(out)
    assert np.array_equal(np.sort(np.concatenate(held_out)), np.arange(len(labels)))
    per_class = np.array([np.bincount(labels[out], minlength=labels.max() + 1) for out in held_out])
    assert np.ptp(per_class, axis=0).max() <= 1
    assert np.ptp(per_class.sum(axis=1)) <= 1


@settings(max_examples=40, deadline=None)
@given(case=labels_and_folds(), seed=st.integers(0, 10**6), share=st.floats(0.5, 1.2))
def test_a_sample_is_stratified_and_the_same_for_every_fold(
    case: tuple[IntArray, int], seed: int, share: float
) -> None:
    labels, folds = case
    counts, images = np.bincount(labels), max(1, round(share * len(labels)))
    drawn = min(images, len(labels))
    assume(np.floor(counts * drawn / len(labels)).min() >= folds)
    parts = [
        split_indices(CrossValidationSplit(folds=folds, index=index, seed=seed, images=images), labels)
        for index in range(folds)
    ]
    samples = [np.sort(np.concatenate(part)) for part in parts]
    assert all(np.array_equal(sample, samples[0]) for sample in samples)
    assert len(samples[0]) == drawn
    exact = counts * drawn / len(labels)
    assert np.abs(np.bincount(labels[samples[0]], minlength=len(counts)) - exact).max() < 1


def test_the_same_seed_gives_the_same_folds_and_another_seed_others() -> None:
    labels = even_labels(200, 4)
    first, again, other = (
        split_indices(CrossValidationSplit(folds=5, index=2, seed=seed), labels)[1] for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(max_examples=40, deadline=None)
@given(case=labels_and_folds(), fraction=st.floats(0.05, 0.95), seed=st.integers(0, 10**6))
def test_holdout_takes_the_fraction_of_every_class(case: tuple[IntArray, int], fraction: float, seed: int) -> None:
    labels, _ = case
    fit, out = split_indices(HoldoutSplit(fraction=fraction, seed=seed), labels)
    assert np.array_equal(np.sort(np.concatenate([fit, out])), np.arange(len(labels)))
    counts, held = np.bincount(labels), np.bincount(labels[out], minlength=labels.max() + 1)
    assert np.all((held >= 1) & (held <= counts - 1))
    assert np.all((np.abs(held - fraction * counts) <= 0.5) | (held == 1) | (held == counts - 1))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            CrossValidationSplit(folds=4, index=0, seed=0),
            "Class 1 has 3 images, fewer than the 4 folds.*at most 3 folds",
        ),
        (CrossValidationSplit(folds=1, index=0, seed=0), "at least 2 folds"),
        (CrossValidationSplit(folds=2, index=2, seed=0), "index=2"),
        (CrossValidationSplit(folds=2, index=0, seed=0, images=-1), "images: a number"),
        (CrossValidationSplit(folds=3, index=0, seed=0, images=6), "among the 6 images drawn.*draw more images"),
        (HoldoutSplit(fraction=-0.1, seed=0), "fraction: a share"),
        (HoldoutSplit(fraction=1.0, seed=0), "fraction: a share"),
    ],
)
def test_impossible_splits_are_refused(split: CrossValidationSplit | HoldoutSplit, message: str) -> None:
    labels = np.array([0] * 9 + [1] * 3, dtype=np.int64)
    with pytest.raises(DataError, match=message):
        split_indices(split, labels)
