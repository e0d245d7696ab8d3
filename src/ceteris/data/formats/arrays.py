"""Arrays in memory, as the user of a notebook has them, to images uint8 (n, channels, height, width)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray


def images_from_array(array: NDArray[Any], name: str = "images") -> ByteArray:
    """Return images uint8 (n, c, h, w) from (n, h, w), (n, c, h, w) or (n, h, w, c); c is 1 to 4, fourth channel dropped.

    Unsigned bytes stay as they are, 16-bit values are divided by 257, floats must lie in 0..1 (multiplied by 255) or
    0..255, and are rounded.

    Raises:
        DataError: another shape or type, values outside these ranges, or missing values (NaN).
    """
    images = _four_dimensions(array, name)
    if images.shape[1] in (2, 4):  # an alpha channel says nothing about the class in any set we know
        images = images[:, : images.shape[1] - 1]
    return _bytes(images, name)


def labels_from_array(array: NDArray[Any], name: str = "labels") -> tuple[NDArray[Any], bool]:
    """Return labels (n,), from (n,), (n, 1) or one-hot (n, classes), and whether they are texts.

    Raises:
        DataError: another shape, or numbers that are not whole.
    """
    labels = np.asarray(array)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2 and labels.dtype.kind in "biuf" and _one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.ndim != 1:
        raise DataError(f"{name}: expected one label per image or one-hot rows, received the shape {np.shape(array)}.")
    if labels.dtype.kind in "UST":
        return labels.astype(str), True
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels):
        return labels.astype(str), True
    if labels.dtype.kind == "b":
        return labels.astype(np.int64), False
    if labels.dtype.kind not in "iuf" or not bool(np.all(np.isfinite(labels))) or np.any(labels != np.round(labels)):
        raise DataError(
            f"{name}: whole numbers or texts are expected, received {labels.dtype} such as {labels[:3].tolist()}."
        )
    if np.any(np.abs(labels.astype(np.float64)) > 2**53):
        raise DataError(f"{name}: class numbers are expected, received values as large as {labels.max()}.")
    return labels.astype(np.int64), False


def number_labels(
    parts: list[NDArray[Any]], texts: bool, names: tuple[str, ...] | None = None
) -> tuple[list[IntArray], tuple[str, ...]]:
    """Return labels 0..classes-1 of every part and the class names.

    Texts are sorted into classes; numbers that start at 0 (or 1) and leave no gap too large stay in their order.

    Args:
        parts: labels of the training part and, where there is one, of the test part.
        texts: whether the labels are class names.
        names: names of the classes where they are known; numbers then count from 0.
    """
    if names is not None and not texts:
        return [part.astype(np.int64) for part in parts], names
    values = np.unique(np.concatenate(parts))
    known = np.array(names) if names is not None else values
    order = np.argsort(known, kind="stable")
    places = [np.searchsorted(known, part, sorter=order) for part in parts]
    numbered = [order[np.minimum(place, len(known) - 1)].astype(np.int64) for place in places]
    for part, numbers in zip(parts, numbered, strict=True):
        if np.any(known[numbers] != part):
            raise DataError(
                f"labels: {str(part[known[numbers] != part][0])!r} is none of the classes {', '.join(map(str, known[:20]))}."
            )
    return numbered, tuple(str(value) for value in known)


def _four_dimensions(array: NDArray[Any], name: str) -> NDArray[Any]:
    images = np.asarray(array)
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[-1] in (1, 2, 3, 4) and images.shape[1] not in (1, 3):
        return images.transpose(0, 3, 1, 2)
    if images.ndim == 4 and images.shape[1] in (1, 2, 3, 4):
        return images
    raise DataError(
        f"{name}: expected the shape (n, height, width), (n, channels, height, width) or (n, height, width, channels) "
        f"with 1 to 4 channels, received {images.shape}."
    )


def _bytes(images: NDArray[Any], name: str) -> ByteArray:
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "biuf":
        raise DataError(f"{name}: numbers are expected, received the type {images.dtype}.")
    if images.size == 0:
        return images.astype(np.uint8)
    low, high = float(images.min()), float(images.max())
    if np.isnan(low):
        raise DataError(f"{name}: {int(np.isnan(images).sum())} missing values (NaN). Fill or remove them.")
    scale = _scale(images.dtype, low, high, name)
    return np.round(images * scale).astype(np.uint8) if scale != 1.0 else np.round(images).astype(np.uint8)


def _scale(dtype: np.dtype[Any], low: float, high: float, name: str) -> float:
    if dtype.kind == "b" or (dtype.kind == "f" and low >= 0 and high <= 1):
        return 255.0
    if low >= 0 and high <= 255:
        return 1.0
    if dtype == np.uint16:
        return 1 / 257
    raise DataError(
        f"{name}: values in 0..255 (or 0..1 as floats, 0..65535 as uint16) are expected, received {low:g} to {high:g}."
    )


def _one_hot(labels: NDArray[Any]) -> bool:
    return bool(np.all((labels == 0) | (labels == 1)) and np.all(labels.sum(axis=1) == 1))
