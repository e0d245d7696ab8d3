"""Images and labels in memory, as the user of a notebook has them: one reader for training, evaluation and prediction.

:func:`read_images` turns them into uint8 (n, channels, height, width). What cannot be told from the array itself (the order
of its axes, the value that stands for white) follows from the shape and the reading of the model where there is one.
"""

from dataclasses import replace
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ceteris.data.formats.pictures import GREY_MODES, bytes_of, picture_pixels, white_of, white_of_pictures
from ceteris.data.imageset import check_labels
from ceteris.data.source import Part, ReadOptions, Source, Understood, array_part
from ceteris.errors import ConfigError, DataError
from ceteris.records import ByteArray, IntArray

Pair = tuple[Any, Any]  # images, labels; whatever read_images and read_labels take
Shape = tuple[int, int, int]  # channels, height, width
_BELOW_0 = "Bring values of -1 to 1 to 0..1 by (images + 1) / 2; undo any other standardisation."


def read_images(
    images: Any, options: ReadOptions | None = None, *, shape: Shape | None = None, name: str = "images"
) -> ByteArray:
    """Return images in memory as uint8 (n, channels, height, width).

    Args:
        images: an array, a tensor, a data frame or a list of them, (n, h, w), (n, c, h, w), (n, h, w, c) or (n, h·w) with 1 to
            4 channels (transparency is dropped), or a list of Pillow's pictures. Bytes stay as they are, truth values and
            floats in 0..1 are multiplied by 255, other values are divided by the reading's ``white`` first.
        options: how the training images were read; ``size`` and ``fit`` count for pictures alone.
        shape: (channels, height, width) that a model takes, where there is one; a single image is then one too.
        name: what the array is called in messages.

    Raises:
        DataError: another shape or type, values outside these ranges, missing values (NaN), or no image at all.
    """
    options = options or ReadOptions()
    pictures = _pictures(images)
    if pictures is not None:
        brought = options if shape is None else replace(options, size=shape[1:])
        return _read_pictures(pictures, brought, shape[0] if shape else None, name)
    array = _with_axes(_as_array(images, name), shape, name)
    return bytes_of(array, _white(array, options.white, name, training=shape is None))


def read_labels(labels: Any, name: str = "labels") -> tuple[NDArray[Any], bool]:
    """Return labels (n,), from (n,), (n, 1) or one-hot (n, classes), and whether they are texts.

    Raises:
        DataError: another shape, missing labels, or numbers that are not whole.
    """
    array = found = _as_array(labels, name)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    elif array.ndim == 2 and array.dtype.kind in "biuf":
        one_hot = np.all((array == 0) | (array == 1)) and np.all(array.sum(axis=1) == 1)
        array = array.argmax(axis=1) if one_hot else array
    if array.ndim != 1:
        raise DataError(f"{name}: expected one label per image or one-hot rows, received the shape {found.shape}.")
    gaps = ("None", "nan", "<NA>", "NaT")
    missing = [n for n, label in enumerate(array.tolist()) if not isinstance(label, str) and str(label) in gaps]
    if missing:
        raise DataError(
            f"{name}: {len(missing)} labels are missing, the first at index {missing[0]}. Fill or remove them."
        )
    if array.dtype.kind == "O" and all(isinstance(label, int) for label in array):
        array = array.astype(np.int64)
    if array.dtype.kind in "UST" or (array.dtype.kind == "O" and all(isinstance(label, str) for label in array)):
        return np.char.strip(array.astype(str)), True
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and np.any(array != np.round(array))):
        raise DataError(
            f"{name}: whole numbers or texts are expected, received {array.dtype} such as {array[:3].tolist()}."
        )
    if np.any(np.abs(array.astype(np.float64)) > 2**53):
        raise DataError(f"{name}: class numbers are expected, received values as large as {array.max()}.")
    return array.astype(np.int64), False


def number_labels(
    parts: list[NDArray[Any]], texts: bool, names: tuple[str, ...] | None = None
) -> tuple[list[IntArray], tuple[str, ...]]:
    """Return labels 0..classes-1 of every part and the class names, sorted where they come from the labels.

    Args:
        parts: labels of the training part and, where there is one, of the test part.
        texts: whether the labels are class names.
        names: names of the classes where they are known; numbers then count from 0.

    Raises:
        DataError: a label that is none of the names.
    """
    if names is not None and not texts:
        for part in parts:
            check_labels(part.astype(np.int64), names, count=len(part))
        return [part.astype(np.int64) for part in parts], names
    values = np.unique(np.concatenate(parts))
    known = np.array(names) if names is not None else values
    order = np.argsort(known, kind="stable")
    numbered = []
    for part in parts:
        numbers = order[np.minimum(np.searchsorted(known, part, sorter=order), len(known) - 1)].astype(np.int64)
        unknown = part[known[numbers] != part]
        if len(unknown):
            listed = ", ".join(map(str, known[:20]))
            raise DataError(f"labels: {str(unknown[0])!r} is none of the classes {listed}.")
        numbered.append(numbers)
    return numbered, tuple(str(value) for value in known)


def labels_among(labels: Any, classes: tuple[str, ...], name: str = "labels") -> IntArray:
    """Return the class numbers of labels, for a model whose classes have these names.

    Args:
        labels: names of classes, numbers that are such names, one-hot rows, or else numbers that count classes from 0.
        classes: the names.
        name: what the labels are called in messages.

    Raises:
        DataError: a label that is none of the classes; see also :func:`read_labels`.
    """
    array, texts = read_labels(labels, name)
    one_hot = np.ndim(labels) == 2 and np.shape(labels)[1] == len(classes)
    if texts or (not one_hot and set(map(str, np.unique(array))) <= set(classes)):
        return number_labels([array.astype(str)], True, classes)[0][0]
    if len(array) and not 0 <= array.min() <= array.max() < len(classes):
        wrong = next(label for label in array.tolist() if not 0 <= label < len(classes))
        raise DataError(f"{name}: {wrong} is none of the classes {', '.join(classes[:20])}.")
    return array


def parts_of(data: Any) -> tuple[Pair, Pair | None]:
    """Return training and test part of what a run is given: (x, y), (x, y, x, y), or ((x, y), (x, y)) as Keras gives it.

    Raises:
        ConfigError: a path, or anything else.
    """
    if isinstance(data, list | tuple) and len(data) == 4:
        return (data[0], data[1]), (data[2], data[3])
    if isinstance(data, list | tuple) and len(data) == 2:
        first, second = data
        keras = all(isinstance(part, list | tuple) and len(part) == 2 for part in data) and np.ndim(second[0]) >= 2
        return (tuple(first), tuple(second)) if keras else ((first, second), None)
    received = f"the text {data!r}; a path or name belongs into the study (data = ...)" if isinstance(data, str) else ""
    if not received:
        received = f"{len(data)} parts" if isinstance(data, list | tuple) else type(data).__name__
    raise ConfigError(
        "data: arrays are (train images, train labels), these and (test images, test labels), or the pairs of both parts "
        f"((x, y), (x, y)); received {received}."
    )


def arrays_source(
    train: Pair,
    test: Pair | None,
    *,
    name: str,
    classes: tuple[str, ...] | None = None,
    options: ReadOptions | None = None,
) -> Source:
    """Return images and labels in memory as a source.

    Args:
        train: images and labels, see :func:`read_images` and :func:`read_labels`.
        test: the same for the test part, where there is one.
        name: what the set is called in messages and reports.
        classes: names of the classes where the labels are numbers from 0; without them the labels name the classes.
        options: how they are read; the test part is read as the training part was.

    Raises:
        DataError: shapes, types or values that do not fit, no images, or other numbers of labels than of images.
    """
    pairs = {"train": train} if test is None else {"train": train, "test": test}
    read = [read_labels(labels, f"{name}: {part} labels") for part, (_, labels) in pairs.items()]
    if len({texts for _, texts in read}) > 1:
        raise DataError(f"{name}: the labels of one part are texts, those of the other numbers. Give both alike.")
    numbered, names = number_labels([labels for labels, _ in read], read[0][1], classes)
    reading, notes = options or ReadOptions(), []
    parts: list[Part] = []
    for (part, (given, _)), labels in zip(pairs.items(), numbered, strict=True):
        title = f"{name}: {part} images"
        white: float | None
        pictures = _pictures(given)
        if pictures is None:
            reading.only(f"arrays in memory ({name})", "test_fraction")
            array = _with_axes(_as_array(given, title), None, title)
            found = _white(array, reading.white, title, training=not parts)
            white, images = found, bytes_of(array, found)
            form = f"{np.shape(given)} {array.dtype}, white is {found:,g}"
        else:
            white = reading.white or white_of_pictures(pictures)
            channels = parts[0].shape[0] if parts else None
            images = _read_pictures(pictures, replace(reading, white=white), channels, title)
            form = f"{len(pictures)} pictures"
        if len(images) != len(labels) or not len(images):
            raise DataError(
                f"{name}: {part}: {len(images)} images, but {len(labels)} labels; they do not belong together."
            )
        reading = reading if parts else replace(reading, white=white)
        notes.append(f"{part}: {form}")
        parts.append(array_part(images, labels))
    return Source(
        name=name,
        title=f"Arrays in memory ({name})" if name != "arrays" else "Arrays in memory",
        source="the user's own arrays",
        classes=names,
        train=parts[0],
        test=parts[1] if len(parts) > 1 else None,
        label_meaning="the class given with each image",
        understood=Understood(notes=tuple(notes)),
        white=reading.white,
    )


def _pictures(images: Any) -> list[Image.Image] | None:
    """Return Pillow's pictures where these are given, alone or in a list."""
    if isinstance(images, Image.Image):
        return [images]
    listed = images.tolist() if str(getattr(images, "dtype", "")) == "object" else images
    if isinstance(listed, list | tuple) and listed and all(isinstance(image, Image.Image) for image in listed):
        return list(listed)
    return None


def _read_pictures(pictures: list[Image.Image], options: ReadOptions, channels: int | None, name: str) -> ByteArray:
    coloured = any(image.mode not in GREY_MODES for image in pictures)
    count = channels or options.channels or (3 if coloured else 1)
    pixels = [picture_pixels(image, f"{name}: picture {n}", count, options) for n, image in enumerate(pictures)]
    wanted = pixels[0].shape
    for number, picture in enumerate(pixels):
        if picture.shape != wanted:
            raise DataError(
                f"{name}: picture {number} has {picture.shape[1]} x {picture.shape[2]} pixels (height x width), "
                f"{wanted[1]} x {wanted[2]} are expected. Bring them to one size (reading.size)."
            )
    return np.stack(pixels)


def _as_array(values: Any, name: str) -> NDArray[Any]:
    """Return arrays, tensors, data frames, and lists of them, as one array."""
    if isinstance(values, str | bytes) or values is None or isinstance(values, dict):
        raise DataError(
            f"{name}: an array or a list is expected, received {type(values).__name__} {str(values)[:40]!r}."
        )
    if hasattr(values, "detach"):  # a tensor of torch, which this room does not import
        values = values.detach().cpu()
        values = values.float() if "bfloat16" in str(values.dtype) else values
    elif hasattr(values, "to_numpy"):  # pandas and its kin
        values = values.to_numpy()
    several = isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.dtype.kind == "O")
    if several and len(values) and (hasattr(values[0], "shape") or hasattr(values[0], "to_numpy")):
        values = [_as_array(value, name) for value in values]
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        sizes = sorted({value.shape for value in values if hasattr(value, "shape")}) if isinstance(values, list) else []
        listed = f": they have the shapes {', '.join(map(str, sizes[:4]))}" if len(sizes) > 1 else f" ({error})"
        raise DataError(f"{name}: cannot be made one array{listed}. Bring all images to one size first.") from error
    return array


def _with_axes(array: NDArray[Any], shape: Shape | None, name: str) -> NDArray[Any]:
    """Return the array as (n, channels, height, width); ``shape`` is (channels, height, width) where it is known."""
    images = array
    if shape is not None and array.shape in (shape, (*shape[1:], shape[0]), (shape[1:] if shape[0] == 1 else shape)):
        images = array[None]
    if images.ndim == 2:
        side = isqrt(images.shape[1])
        height, width = (side, side) if shape is None else shape[1:]
        if height * width == images.shape[1] and side > 1 and (shape is None or shape[0] == 1):
            images = images.reshape(-1, height, width)
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or (images.shape[1] not in (1, 2, 3, 4) and images.shape[-1] not in (1, 2, 3, 4)):
        raise DataError(
            f"{name}: expected the shape (n, height, width), (n, channels, height, width) or (n, height, width, channels) "
            f"with 1 to 4 channels, received {array.shape}. Rows of pixels need .reshape with the right order of channels."
        )
    orders = (images, images.transpose(0, 3, 1, 2))  # channels first, channels last; without transparency
    candidates = [order[:, : (0, 1, 1, 3, 3)[order.shape[1]]] for order in orders if order.shape[1] in (1, 2, 3, 4)]
    if shape is None:
        return candidates[0 if images.shape[1] in (1, 3) or len(candidates) == 1 else -1]
    found = next((order for order in candidates if order.shape[1:] == shape), None)
    if found is None:
        raise DataError(
            f"{name}: images of {shape[0]} x {shape[1]} x {shape[2]} (channels, height, width) are expected, as in "
            f"training; received an array of the shape {array.shape}."
        )
    return found


def _white(images: NDArray[Any], given: float | None, name: str, *, training: bool) -> float:
    """Return the value that stands for white: 255 for bytes, 1 for truth values and for floats in 0..1.

    Training images of 0 and 1 have the white 1, whatever their type, and so have others when training had. Wider whole
    numbers have the white of the reading, or the one that their largest value fits.
    """
    if images.dtype.kind not in "biuf":
        raise DataError(f"{name}: numbers are expected, received the type {images.dtype}.")
    if images.size == 0:
        raise DataError(f"{name}: holds no image, its shape is {images.shape}; at least one is needed.")
    low, high = float(images.min()), float(images.max())
    if np.isnan(low):
        raise DataError(f"{name}: {int(np.isnan(images).sum())} missing values (NaN). Fill or remove them.")
    if low >= 0:
        if high <= 1 and (images.dtype.kind in "bf" or given == 1 or (training and given is None)):
            return 1.0
        if given is not None and given > 255 and high <= given and (images.dtype == np.uint16 or high > 255):
            return given
        if given is not None and given > 255 and images.dtype != np.uint8:
            raise DataError(
                f"{name}: training had values of 0 to {given:g}; {low:g} to {high:g} as {images.dtype} can be dark images as "
                "well as bytes. Give them as uint16 or as uint8."
            )
        if high <= 255:
            return 255.0
        if images.dtype == np.uint16:
            return white_of(high)
    fix = _BELOW_0 if low < 0 else "Say with reading.white which value is white."
    raise DataError(
        f"{name}: values in 0..255 (or 0..1 as floats, 0..65535 as uint16) are expected, received {low:g} to {high:g}. {fix}"
    )
