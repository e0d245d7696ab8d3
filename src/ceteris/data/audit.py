"""What is wrong with a data set: copies, leaks, blank images, unbalanced classes, a test part unlike the training part."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ceteris.data.dataset import DataSet
from ceteris.data.imageset import ImageSet, class_counts, pieces
from ceteris.data.near_duplicates import Pairs, near_pairs, signatures
from ceteris.data.prepared import image_prints, leakage_warning, open_for_audit
from ceteris.records import ByteArray, FloatArray, IntArray

NEAR_SEARCH_LIMIT = 150_000  # images; the search compares all pairs
LARGE_DRIFT = 0.5  # in standard deviations; Cohen (1988) calls 0.5 a medium effect
LARGE_IMBALANCE = 10.0
LARGE_SHARE_DISTANCE = 0.1


@dataclass(frozen=True, kw_only=True)
class DataAudit:
    """What was found in a data set; of test images only counts and places are told, never pixels.

    Attributes:
        train_distinct: number of different training images.
        test_distinct: number of different test images.
        train_copies: (k, 2) a training image and the first one that is equal to it.
        test_copies: the same in the test part.
        shared: (k, 2) a training image and an equal test image.
        conflicting: (k, 2) equal training images with different labels.
        near_train: (k, 2) training images that are nearly the same (equal ones left out).
        near_shared: (k, 2) a training and a test image that are nearly the same (equal ones left out).
        near_searched: whether near duplicates were looked for (not in very large sets).
        constant_train: places of training images of a single colour.
        constant_test: number of such test images.
        imbalance: largest class divided by the smallest that is not empty, training part.
        share_distance: total variation between the class shares of training and test part, 0..1.
        brightness_drift: per class, mean brightness of test minus training images in standard deviations, (classes,);
            NaN where a part has fewer than two images of the class.
        class_means: mean training image of every class, uint8 (classes, channels, height, width).
        warnings: what endangers the conclusions, one sentence each.
    """

    train_distinct: int
    test_distinct: int
    train_copies: Pairs
    test_copies: Pairs
    shared: Pairs
    conflicting: Pairs
    near_train: Pairs
    near_shared: Pairs
    near_searched: bool
    constant_train: IntArray
    constant_test: int
    imbalance: float
    share_distance: float
    brightness_drift: FloatArray
    class_means: ByteArray
    warnings: tuple[str, ...]


def audit(data_set: DataSet, *, folds: int = 0, near: bool = True) -> DataAudit:
    """Look for everything that endangers conclusions drawn from a data set.

    The test part is compared inside this function only; it gives out counts and places, so that it is no look at the
    test set in the sense of the ledger.

    Args:
        data_set: the set.
        folds: number of cross-validation folds that are planned, 0 for none.
        near: whether to search near duplicates too (seconds for 60,000 images).
    """
    train, test = data_set.train, open_for_audit(data_set.prepared)
    prints = [_keys(image_prints(data_set.prepared, part)) for part in ("train", "test")]
    copies = [_copies(part) for part in prints]
    shared = _shared(*prints)
    searched = near and len(train) + len(test) <= NEAR_SEARCH_LIMIT
    near_train, near_shared = _near(train, test, prints) if searched else (_NONE, _NONE)
    constant = [_constant(part.images) for part in (train, test)]
    counts = [class_counts(part.labels, train.classes) for part in (train, test)]
    found = DataAudit(
        train_distinct=len(np.unique(prints[0])),
        test_distinct=len(np.unique(prints[1])),
        train_copies=copies[0],
        test_copies=copies[1],
        shared=shared,
        conflicting=copies[0][train.labels[copies[0][:, 0]] != train.labels[copies[0][:, 1]]],
        near_train=near_train,
        near_shared=near_shared,
        near_searched=searched,
        constant_train=constant[0],
        constant_test=len(constant[1]),
        imbalance=float(counts[0].max() / counts[0][counts[0] > 0].min()),
        share_distance=float(np.abs(counts[0] / counts[0].sum() - counts[1] / counts[1].sum()).sum() / 2),
        brightness_drift=_drift(train, test),
        class_means=_class_means(train),
        warnings=(),
    )
    return _with_warnings(found, data_set, folds)


_NONE: Pairs = np.empty((0, 2), dtype=np.int64)


def _keys(prints: NDArray[np.uint64]) -> NDArray[np.void]:
    return np.ascontiguousarray(prints).view("V16")[:, 0]


def _copies(keys: NDArray[np.void]) -> Pairs:
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    original = first[inverse]
    later = np.flatnonzero(original != np.arange(len(keys)))
    return np.stack([later, original[later]], axis=1)


def _shared(train: NDArray[np.void], test: NDArray[np.void]) -> Pairs:
    _, train_places, test_places = np.intersect1d(train, test, return_indices=True)
    pairs = np.stack([train_places, test_places], axis=1)
    return pairs[np.argsort(pairs[:, 0])].astype(np.int64)


def _near(train: ImageSet, test: ImageSet, prints: list[NDArray[np.void]]) -> tuple[Pairs, Pairs]:
    vectors = [signatures(part.images) for part in (train, test)]
    inside = near_pairs(train.images, vectors[0], train.images, vectors[0])
    across = near_pairs(train.images, vectors[0], test.images, vectors[1])
    different = prints[0][inside[:, 0]] != prints[0][inside[:, 1]]
    return inside[different], across[prints[0][across[:, 0]] != prints[1][across[:, 1]]]


def _constant(images: ByteArray) -> IntArray:
    flags = [
        (piece.min(axis=(2, 3)) == piece.max(axis=(2, 3))).all(axis=1) for piece in pieces(images)
    ]  # one colour: every channel is constant
    return np.flatnonzero(np.concatenate(flags))


def _drift(train: ImageSet, test: ImageSet) -> FloatArray:
    train_light, test_light = (
        np.concatenate([piece.mean(axis=(1, 2, 3)) for piece in pieces(part.images)]) for part in (train, test)
    )
    drift = np.full(len(train.classes), np.nan)
    for label in range(len(train.classes)):
        first, second = train_light[train.labels == label], test_light[test.labels == label]
        if min(len(first), len(second)) >= 2:
            spread = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
            drift[label] = (second.mean() - first.mean()) / spread if spread > 0 else 0.0
    return drift


def _class_means(train: ImageSet) -> ByteArray:
    sums = np.zeros((len(train.classes), *train.shape))
    start = 0
    for piece in pieces(train.images):
        labels = train.labels[start : start + len(piece)]
        for label in np.unique(labels):
            sums[label] += piece[labels == label].sum(axis=0, dtype=np.int64)
        start += len(piece)
    counts = np.maximum(class_counts(train.labels, train.classes), 1)
    return np.round(sums / counts[:, None, None, None]).astype(np.uint8)


def _with_warnings(found: DataAudit, data_set: DataSet, folds: int) -> DataAudit:
    names = data_set.train.classes
    counts = class_counts(data_set.train.labels, names)
    drifting = [
        names[label]
        for label in np.flatnonzero(np.nan_to_num(np.abs(found.brightness_drift)) > LARGE_DRIFT)
        if min(counts[label], data_set.test.class_counts[label]) >= 30
    ]
    small = [f"{names[label]} ({counts[label]})" for label in np.flatnonzero(counts < folds)]
    lines = [
        (len(found.shared), leakage_warning(len(found.shared))),
        (len(found.near_shared), "Pairs of a training and a test image that are nearly the same: {}."),
        (len(found.conflicting), "Training images that have a copy with another label: {}."),
        (len(found.train_copies), "Training images that are copies of others: {}; a fold and the rest may share them."),
        (len(found.constant_train) + found.constant_test, "Images of a single colour: {}."),
        (
            int(found.imbalance >= LARGE_IMBALANCE),
            f"The largest class has {found.imbalance:.0f} times the images of the smallest.",
        ),
        (
            int(found.share_distance > LARGE_SHARE_DISTANCE),
            f"The class shares of training and test part differ by {found.share_distance:.0%}.",
        ),
        (len(drifting), f"Test images are brighter or darker than training images in: {', '.join(drifting[:10])}."),
        (len(small), f"Classes with fewer training images than the {folds} folds: {', '.join(small[:10])}."),
    ]
    return replace(found, warnings=tuple(text.replace("{}", str(count)) for count, text in lines if count))
