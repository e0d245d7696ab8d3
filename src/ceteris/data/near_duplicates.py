"""Pictures that are nearly the same: found among all pairs by a small signature, then checked on all their pixels."""

from collections.abc import Iterator

import numpy as np

from ceteris.data.imageset import pieces
from ceteris.records import ByteArray, Float32Array, IntArray

SIGNATURE_SIDE = 8
NEAR_CORRELATION = (
    0.99  # of all pixels: such pictures differ by noise, compression or brightness, not by what they show
)
_CANDIDATE_CORRELATION = (
    0.985  # of the signatures; blurring brings similar pictures closer together, seldom further apart
)
_BLOCK = 4096
_MAX_PAIRS = 100_000

Pairs = IntArray


def signatures(images: ByteArray) -> Float32Array:
    """Return one vector of length 1 per image, float32 (n, 64): grey, shrunk to 8 x 8 means, centred.

    A constant image has the vector 0 and is therefore near to none.
    """
    found = [_signature(piece) for piece in pieces(images)]
    return np.concatenate(found)


def near_pairs(images: ByteArray, vectors: Float32Array, others: ByteArray, other_vectors: Float32Array) -> Pairs:
    """Return places (k, 2) of pairs, one of each set, whose pixels correlate by at least NEAR_CORRELATION.

    Equal pictures are not left out. When a set is compared with itself every pair comes once, the smaller place first.
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


def _signature(images: ByteArray) -> Float32Array:
    grey = images.mean(axis=1, dtype=np.float32)  # (b, h, w)
    rows, columns = (_cuts(size) for size in grey.shape[1:])
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=1), columns, axis=2)
    cells = np.outer(np.diff(rows, append=grey.shape[1]), np.diff(columns, append=grey.shape[2])).astype(np.float32)
    vectors = (sums / cells).reshape(len(images), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(lengths > 1e-3, vectors / np.maximum(lengths, 1e-3), 0).astype(np.float32)


def _cuts(size: int) -> IntArray:
    return np.unique(np.linspace(0, size, min(size, SIGNATURE_SIDE) + 1).astype(np.int64)[:-1])


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
        first, second = (
            _centred(part[pairs[start : start + step, side]]) for side, part in enumerate((images, others))
        )
        found.append(np.einsum("ij,ij->i", first, second))
    return np.concatenate(found)


def _centred(images: ByteArray) -> Float32Array:
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-3)
    return flat
