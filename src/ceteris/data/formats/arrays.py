"""Arrays in memory, as the user of a notebook has them, to images uint8 (n, channels, height, width)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ceteris.data.source import Source, array_part
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

Pair = tuple[NDArray[Any], NDArray[Any]]  # images, labels


def array_parts(arrays: Sequence[Any]) -> tuple[Pair, Pair | None]:
    """Return training and test pair from (images, labels), the same with (images, labels) of a test part, or two pairs.

    Raises:
        DataError: anything else.
    """
    parts = list(arrays)
    if all(isinstance(part, tuple | list) and len(part) == 2 and np.ndim(part[0]) > np.ndim(part[1]) for part in parts):
        parts = [array for pair in parts for array in pair]  # as Keras gives them: ((images, labels), (images, labels))
    if len(parts) not in (2, 4):
        raise DataError(
            "data: arrays are (train images, train labels), these and (test images, test labels), or both as two pairs; "
            f"received {len(parts)}."
        )
    return (parts[0], parts[1]), ((parts[2], parts[3]) if len(parts) == 4 else None)


def arrays_source(train: Pair, test: Pair | None, *, name: str, classes: tuple[str, ...] | None = None) -> Source:
    """Return images and labels in memory as a source.

    Args:
        train: images and labels, see :func:`images_from_array` and :func:`labels_from_array`.
        test: the same for the test part, where there is one.
        name: what the set is called in messages and reports.
        classes: names of the classes where the labels are numbers from 0; without them the labels name the classes.

    Raises:
        DataError: shapes, types or values that do not fit, no images, or other numbers of labels than of images.
    """
    pairs = {"train": train} if test is None else {"train": train, "test": test}
    found = [labels_from_array(labels, f"{name}: {part} labels") for part, (_, labels) in pairs.items()]
    numbered, names = number_labels([labels for labels, _ in found], found[0][1], classes)
    parts = []
    for (part, (pixels, _)), labels in zip(pairs.items(), numbered, strict=True):
        images = images_from_array(pixels, f"{name}: {part} images")
        if len(images) != len(labels) or not len(images):
            raise DataError(
                f"{name}: {part}: {len(images)} images, but {len(labels)} labels; they do not belong together."
            )
        parts.append(array_part(images, labels))
    return Source(
        name=name,
        title=name,
        citation="the user's own arrays",
        classes=names,
        train=parts[0],
        test=parts[1] if len(parts) > 1 else None,
        label_meaning="the class given with each image",
    )


def images_from_array(array: NDArray[Any], name: str = "images") -> ByteArray:
    """Return images uint8 (n, c, h, w) from (n, h, w), (n, c, h, w) or (n, h, w, c); c is 1 to 4, fourth channel dropped.

    Unsigned bytes stay as they are, 16-bit values are divided by 257, floats must lie in 0..1 (multiplied by 255) or
    0..255, and are rounded.

    Raises:
        DataError: another shape or type, values outside these ranges, or missing values (NaN).
    """
    images = np.asarray(array)
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[-1] in (1, 2, 3, 4) and images.shape[1] not in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 2, 3, 4):
        raise DataError(
            f"{name}: expected the shape (n, height, width), (n, channels, height, width) or (n, height, width, channels) "
            f"with 1 to 4 channels, received {images.shape}."
        )
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
    elif labels.ndim == 2 and labels.dtype.kind in "biuf":
        one_hot = np.all((labels == 0) | (labels == 1)) and np.all(labels.sum(axis=1) == 1)
        labels = labels.argmax(axis=1) if one_hot else labels
    if labels.ndim != 1:
        raise DataError(f"{name}: expected one label per image or one-hot rows, received the shape {np.shape(array)}.")
    if labels.dtype.kind in "UST" or (labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels)):
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
    """Return labels 0..classes-1 of every part and the class names, sorted where they come from the labels.

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
    positions = [np.searchsorted(known, part, sorter=order) for part in parts]
    numbered = [order[np.minimum(position, len(known) - 1)].astype(np.int64) for position in positions]
    for part, numbers in zip(parts, numbered, strict=True):
        if np.any(known[numbers] != part):
            raise DataError(
                f"labels: {str(part[known[numbers] != part][0])!r} is none of the classes {', '.join(map(str, known[:20]))}."
            )
    return numbered, tuple(str(value) for value in known)


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
    if images.dtype.kind == "b" or (images.dtype.kind == "f" and low >= 0 and high <= 1):
        return np.round(images * 255.0).astype(np.uint8)
    if low >= 0 and high <= 255:
        return np.round(images).astype(np.uint8)
    if images.dtype == np.uint16:
        return np.round(images * (1 / 257)).astype(np.uint8)
    raise DataError(
        f"{name}: values in 0..255 (or 0..1 as floats, 0..65535 as uint16) are expected, received {low:g} to {high:g}."
    )
