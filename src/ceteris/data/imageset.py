"""Labelled images in memory or in a read-only map of a file: what every other part of ceteris trains on."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ceteris.errors import DataError
from ceteris.records import ByteArray, FloatArray, IntArray

CHUNK_BYTES = 1 << 22  # images are read through in pieces of this size, so that a map larger than memory is no problem


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """Images uint8 (n, channels, height, width), labels int64 (n,) in 0..classes-1, class names and a content digest.

    Made by :func:`make_image_set`, which checks it. Two sets hold the same images, labels, names and groups exactly when
    their ``digest`` (sha256 in hexadecimal) is the same. ``groups`` is equal for images that belong together (one writer,
    one patient), which no split may tear apart; None where nothing is known of that.
    """

    images: ByteArray  # (n, c, h, w)
    labels: IntArray  # (n,)
    classes: tuple[str, ...]
    digest: str
    groups: IntArray | None = None  # (n,)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: (channels, height, width)."""
        _, channels, height, width = self.images.shape
        return channels, height, width


def make_image_set(
    images: NDArray[Any], labels: NDArray[Any], classes: tuple[str, ...], groups: NDArray[Any] | None = None
) -> ImageSet:
    """Check images uint8 (n, c, h, w), labels (n,) of any integer type and class names, and return them as an ImageSet.

    ``groups`` (n,), of any type that can be sorted, is equal for images that a split must keep together.

    Raises:
        DataError: wrong type or shape, no images, counts that differ, or a label outside the classes.
    """
    check_images(images)
    checked = check_labels(labels, classes, count=len(images))
    names = tuple(str(name) for name in classes)
    numbers = None if groups is None else group_numbers(groups, count=len(images))
    digest = content_digest(images, checked, names, numbers)
    return ImageSet(images=images, labels=checked, classes=names, digest=digest, groups=numbers)


def check_images(images: NDArray[Any]) -> None:
    """Raise DataError unless ``images`` is a uint8 array (n, c, h, w) with at least one pixel."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        raise DataError(
            "images: expected an array of type uint8 (values 0 to 255), received "
            f"{getattr(images, 'dtype', type(images).__name__)}. Scale the values to 0..255, "
            "round them and convert with .astype(numpy.uint8), or use data.from_arrays."
        )
    if images.ndim != 4:
        raise DataError(
            f"images: expected the shape (images, channels, height, width), received {images.shape}. "
            "Grey images of shape (n, h, w) become (n, 1, h, w) with images[:, None]."
        )
    if 0 in images.shape:
        raise DataError(f"images: the set is empty, its shape is {images.shape}; at least one image is needed.")


def check_labels(labels: NDArray[Any], classes: tuple[str, ...], *, count: int) -> IntArray:
    """Return ``labels`` as int64 (count,) after checking that every one names one of ``classes``.

    Raises:
        DataError: no integers, another number than ``count``, outside 0..classes-1, or doubled class names.
    """
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        gaps = int(np.isnan(labels).sum()) if isinstance(labels, np.ndarray) and labels.dtype.kind == "f" else 0
        missing = f" with {gaps} missing values (NaN)" if gaps else ""
        raise DataError(
            "labels: expected an array of integers (the class numbers), received "
            f"{getattr(labels, 'dtype', type(labels).__name__)}{missing}. Convert with .astype(numpy.int64)."
        )
    if labels.shape != (count,):
        raise DataError(f"labels: expected one label per image, shape ({count},), received shape {labels.shape}.")
    doubled = sorted(name for name, times in Counter(classes).items() if times > 1)
    if not classes or doubled:
        problem = f"{doubled[0]!r} occurs more than once" if doubled else "there is none"
        raise DataError(f"classes: every class needs a name of its own, {problem}.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(classes):
        wrong = low if low < 0 else high
        raise DataError(
            f"labels: image {int(np.argmax(labels == wrong))} has the label {wrong}, but there are {len(classes)} "
            f"classes, so labels run from 0 to {len(classes) - 1}. Name all classes or mend the label."
        )
    return labels.astype(np.int64, copy=False)


def group_numbers(groups: NDArray[Any] | Sequence[str], *, count: int) -> IntArray:
    """Return groups (count,) of any type as int64, numbered from 0 in the order in which they first occur.

    Raises:
        DataError: another number than ``count``.
    """
    named = np.asarray(groups)
    if named.shape != (count,):
        raise DataError(f"groups: expected one group per image, shape ({count},), received shape {named.shape}.")
    _, first, numbers = np.unique(named, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbers].astype(np.int64)


def content_digest(
    images: ByteArray, labels: IntArray, classes: tuple[str, ...], groups: IntArray | None = None
) -> str:
    """Return the sha256 (hexadecimal) of shape, pixels, labels and class names, and of the groups where there are any."""
    digest = hashlib.sha256(repr((images.shape, tuple(classes))).encode())
    for piece in pieces(images):
        digest.update(np.ascontiguousarray(piece).data)
    digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    if groups is not None:
        digest.update(b"groups")
        digest.update(np.ascontiguousarray(groups, dtype="<i8").data)
    return digest.hexdigest()


def pieces(images: ByteArray) -> Iterator[ByteArray]:
    """Yield ``images`` (n, ...) in consecutive pieces of about four megabytes."""
    step = max(1, CHUNK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(images), step):
        yield images[start : start + step]


def class_counts(labels: IntArray, classes: tuple[str, ...]) -> IntArray:
    """Return the number of images per class, int64 (classes,)."""
    return np.bincount(labels, minlength=len(classes)).astype(np.int64)


def standardisation(images: ByteArray, indices: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation per channel, each (channels,), in units of 0..255.

    The sums are sums of integers below 2**53 and therefore exact, whatever the order of the images. A channel that does
    not vary gets the standard deviation 1, so that one can always divide by it.

    Args:
        images: uint8 (n, c, h, w).
        indices: which images count, (m,), m ≥ 1.
    """
    channels = images.shape[1]
    totals, squares = np.zeros(channels), np.zeros(channels)
    step = max(1, CHUNK_BYTES // 8 // max(1, images[:1].nbytes))
    for start in range(0, len(indices), step):
        piece = images[indices[start : start + step]]  # (b, c, h, w)
        for channel in range(channels):
            values = piece[:, channel].astype(np.float64).ravel()
            totals[channel] += values.sum()
            squares[channel] += np.einsum("i,i->", values, values)  # a dot product would start the threads of numpy
    count = len(indices) * images.shape[2] * images.shape[3]
    # N·Σx² - (Σx)² in Python's unbounded integers: no cancellation, so a constant channel gives exactly 0.
    spread = [count * int(square) - int(total) ** 2 for total, square in zip(totals, squares, strict=True)]
    std = np.array([np.sqrt(float(value)) / count if value > 0 else 1.0 for value in spread])
    return totals / count, std
