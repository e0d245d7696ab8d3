"""What is wrong with a data set: copies, leaks, blank images, unbalanced classes, a test part unlike the training part."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ceteris.data.imageset import ImageSet, class_counts, pieces
from ceteris.data.prepared import image_prints, open_part
from ceteris.data.sealed import DataSet
from ceteris.records import ByteArray, Float32Array, FloatArray, IntArray

NEAR_SEARCH_LIMIT = 150_000  # images; the search compares all pairs
LARGE_DRIFT = 0.5  # in standard deviations; Cohen (1988) calls 0.5 a medium effect
LARGE_SHARE_DISTANCE = 0.1
SIGNATURE_SIDE = 8
# Correlation of all pixels: such pictures differ by noise, compression or brightness, not by what they show.
NEAR_CORRELATION = 0.99
# Correlation of the signatures; blurring brings similar pictures closer together, seldom further apart.
_CANDIDATE_CORRELATION = 0.985
_BLOCK = 4096
_MAX_PAIRS = 100_000

Pairs = IntArray  # (k, 2) indices


@dataclass(frozen=True, kw_only=True)
class DataAudit:
    """What was found in a data set; of test images only counts and indices are given, never pixels.

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
        constant_train: indices of training images of a single colour.
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

    The test part is compared inside this function only; it gives out counts and indices, so that it is no look at the
    test set in the sense of the ledger.

    Args:
        data_set: the set.
        folds: number of cross-validation folds that are planned, 0 for none.
        near: whether to search near duplicates too (seconds for 60,000 images).
    """
    train, test = data_set.train, open_part(data_set.prepared, "test")
    prints = [image_prints(data_set.prepared, part) for part in ("train", "test")]
    copies = []
    for part in prints:
        _, first, inverse = np.unique(part, return_index=True, return_inverse=True)
        later = np.flatnonzero(first[inverse] != np.arange(len(part)))
        copies.append(np.stack([later, first[inverse][later]], axis=1))
    _, *common = np.intersect1d(prints[0], prints[1], return_indices=True)
    shared = np.stack(common, axis=1).astype(np.int64)
    near_train = near_shared = np.empty((0, 2), dtype=np.int64)
    searched = near and len(train) + len(test) <= NEAR_SEARCH_LIMIT
    if searched:
        vectors = [signatures(part.images) for part in (train, test)]
        inside = near_pairs(train.images, vectors[0], train.images, vectors[0])
        across = near_pairs(train.images, vectors[0], test.images, vectors[1])
        near_train = inside[prints[0][inside[:, 0]] != prints[0][inside[:, 1]]]
        near_shared = across[prints[0][across[:, 0]] != prints[1][across[:, 1]]]
    one_colour = [  # every channel of the image is constant
        np.concatenate([(piece == piece[:, :, :1, :1]).all(axis=(1, 2, 3)) for piece in pieces(part.images)])
        for part in (train, test)
    ]
    counts = [class_counts(part.labels, train.classes) for part in (train, test)]
    found = DataAudit(
        train_distinct=len(np.unique(prints[0])),
        test_distinct=len(np.unique(prints[1])),
        train_copies=copies[0],
        test_copies=copies[1],
        shared=shared[np.argsort(shared[:, 0])],
        conflicting=copies[0][train.labels[copies[0][:, 0]] != train.labels[copies[0][:, 1]]],
        near_train=near_train,
        near_shared=near_shared,
        near_searched=searched,
        constant_train=np.flatnonzero(one_colour[0]),
        constant_test=int(one_colour[1].sum()),
        imbalance=float(counts[0].max() / counts[0][counts[0] > 0].min()),
        share_distance=float(np.abs(counts[0] / counts[0].sum() - counts[1] / counts[1].sum()).sum() / 2),
        brightness_drift=_drift(train, test),
        class_means=_class_means(train),
        warnings=(),
    )
    return _with_warnings(found, data_set, folds)


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
    lines = [
        (len(found.near_shared), "Pairs of a training and a test image that are nearly the same: {}."),
        (len(found.conflicting), "Training images that have a copy with another label: {}."),
        (len(found.train_copies), "Training images that are copies of others: {}; a fold and the rest may share them."),
        (len(found.constant_train) + found.constant_test, "Images of a single colour: {}."),
        (
            int(found.share_distance > LARGE_SHARE_DISTANCE),
            f"The class shares of training and test part differ by {found.share_distance:.0%}.",
        ),
        (len(drifting), f"Test images are brighter or darker than training images in: {', '.join(drifting[:10])}."),
    ]
    warnings = [text.replace("{}", str(count)) for count, text in lines if count]
    known = data_set.hazards.lines if data_set.hazards else ()
    return replace(found, warnings=(*known, *warnings, *small_classes(data_set.train, folds)))


def small_classes(train: ImageSet, folds: int) -> tuple[str, ...]:
    """Return a warning where a class has fewer training images than there are folds."""
    counts = class_counts(train.labels, train.classes)
    small = [f"{train.classes[label]} ({counts[label]})" for label in np.flatnonzero((counts > 0) & (counts < folds))]
    if not small:
        return ()
    return (f"Classes with fewer training images than the {folds} folds: {', '.join(small[:10])}.",)


def signatures(images: ByteArray) -> Float32Array:
    """Return one vector of length 1 per image, float32 (n, 64): grey, shrunk to 8 x 8 means, centred.

    A constant image has the vector 0 and is therefore near to none.
    """
    found = []
    for piece in pieces(images):
        grey = piece.mean(axis=1, dtype=np.float32)  # (b, h, w)
        rows, columns = (
            np.unique(np.linspace(0, size, min(size, SIGNATURE_SIDE) + 1).astype(np.int64)[:-1])
            for size in grey.shape[1:]
        )
        sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=1), columns, axis=2)
        cells = np.outer(np.diff(rows, append=grey.shape[1]), np.diff(columns, append=grey.shape[2]))
        vectors = (sums / cells.astype(np.float32)).reshape(len(piece), -1)
        vectors -= vectors.mean(axis=1, keepdims=True)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        found.append(np.where(lengths > 1e-3, vectors / np.maximum(lengths, 1e-3), 0).astype(np.float32))
    return np.concatenate(found)


def near_pairs(images: ByteArray, vectors: Float32Array, others: ByteArray, other_vectors: Float32Array) -> Pairs:
    """Return indices (k, 2) of pairs, one of each set, whose pixels correlate by at least NEAR_CORRELATION.

    Equal pictures are not left out. When a set is compared with itself every pair comes once, the smaller index first.
    At most 100,000 pairs are returned.

    Args:
        images: uint8 (n, c, h, w).
        vectors: their :func:`signatures`.
        others: uint8 (m, c, h, w); ``images`` itself for pairs inside one set.
        other_vectors: their signatures.
    """
    found, count = [], 0
    for candidates in _candidates(vectors, other_vectors, same=images is others):
        near = candidates[_correlations(images, others, candidates) >= NEAR_CORRELATION]
        found.append(near)
        count += len(near)
        if count >= _MAX_PAIRS:
            break
    return np.concatenate(found)[:_MAX_PAIRS] if found else np.empty((0, 2), dtype=np.int64)


def _candidates(vectors: Float32Array, others: Float32Array, *, same: bool) -> Iterator[Pairs]:
    for start in range(0, len(vectors), _BLOCK):
        for other in range(start if same else 0, len(others), _BLOCK):
            likeness = vectors[start : start + _BLOCK] @ others[other : other + _BLOCK].T
            rows, columns = np.nonzero(likeness >= _CANDIDATE_CORRELATION)
            pairs = np.stack([rows + start, columns + other], axis=1)
            yield pairs[pairs[:, 0] < pairs[:, 1]] if same else pairs


def _correlations(images: ByteArray, others: ByteArray, pairs: Pairs) -> Float32Array:
    step = max(1, (1 << 22) // max(1, images[:1].nbytes))
    found = [np.empty(0, dtype=np.float32)]
    for start in range(0, len(pairs), step):
        centred = []
        for side, part in enumerate((images, others)):
            chosen = part[pairs[start : start + step, side]]
            flat = chosen.reshape(len(chosen), -1).astype(np.float32)
            flat -= flat.mean(axis=1, keepdims=True)
            centred.append(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-3))
        found.append(np.einsum("ij,ij->i", *centred))
    return np.concatenate(found)
