"""Arrays in .npz files: keys as Keras (x_train), MedMNIST (train_images) and others write them."""

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ceteris.data.formats.arrays import images_from_array, labels_from_array, number_labels
from ceteris.data.formats.entries import damage_told
from ceteris.data.source import Source, array_part
from ceteris.errors import DataError
from ceteris.records import IntArray

_IMAGE_WORDS = ("images", "image", "x", "data", "imgs")
_LABEL_WORDS = ("labels", "label", "y", "targets", "target")
_PARTS = {"train": ("train", "training"), "test": ("test", "testing"), "val": ("val", "valid", "validation"), "": ("",)}
_CLASS_KEYS = ("classes", "class_names", "label_names")
_MAX_BYTES = 64 << 30

Pair = tuple[NDArray[Any], NDArray[Any]]


def npz_source(path: Path, *, name: str, classes: tuple[str, ...] | None = None) -> Source:
    """Return the arrays of an .npz file as a source; validation images join the training part.

    Args:
        path: the file.
        name: name of the set.
        classes: class names; without them an array ``classes`` in the file counts, then the labels themselves.

    Raises:
        DataError: no .npz file, Python objects inside, no arrays of images and labels, or contents that do not fit.
    """
    arrays = _arrays(path)
    with damage_told(path):
        found = {part: pair for part in _PARTS if (pair := _pair(arrays, part, path)) is not None}
        train, test = _train_and_test(found, path)
    named = classes or next((tuple(map(str, arrays[key].tolist())) for key in _CLASS_KEYS if key in arrays), None)
    labels = [labels_from_array(pair[1], f"{path}: labels") for pair in (train, test) if pair is not None]
    numbered, names = number_labels([label for label, _ in labels], labels[0][1], named)
    joined = ("the file's validation images joined the training part; validation is drawn from it",)
    return Source(
        name=name,
        title=name,
        citation="the user's own file",
        licence="not stated",
        classes=names,
        train=_part(train, numbered[0], path),
        test=_part(test, numbered[1], path) if test is not None else None,
        label_meaning="the class given with each image",
        preprocessing=joined if "val" in found and "test" in found else (),
    )


def _part(pair: Pair, labels: IntArray, path: Path) -> Any:
    images = images_from_array(pair[0], f"{path}: images")
    if len(images) != len(labels) or not len(images):
        raise DataError(f"{path}: {len(images)} images, but {len(labels)} labels; they do not belong together.")
    return array_part(images, labels)


def _train_and_test(found: dict[str, Pair], path: Path) -> tuple[Pair, Pair | None]:
    train = found.get("train") or found.get("")
    if train is None:
        raise DataError(
            f"{path}: no images and labels for training found in it. Expected keys such as x_train and y_train, "
            "train_images and train_labels, or images and labels."
        )
    test, validation = found.get("test"), found.get("val")
    if test is None:
        return train, validation
    if validation is not None:
        train = np.concatenate([train[0], validation[0]]), np.concatenate([train[1], validation[1]])
    return train, test


def _pair(arrays: dict[str, NDArray[Any]], part: str, path: Path) -> Pair | None:
    images = _by_words(arrays, _IMAGE_WORDS, _PARTS[part])
    labels = _by_words(arrays, _LABEL_WORDS, _PARTS[part])
    if (images is None) != (labels is None):
        raise DataError(
            f"{path}: {'labels' if labels is None else 'images'} of the part {part or 'all'!r} are missing."
        )
    return None if images is None or labels is None else (images, labels)


def _by_words(arrays: dict[str, NDArray[Any]], words: tuple[str, ...], parts: tuple[str, ...]) -> NDArray[Any] | None:
    spellings = {
        text for word in words for part in parts for text in (f"{word}_{part}", f"{part}_{word}", f"{word}{part}")
    }
    return next(
        (array for key, array in arrays.items() if key.lower() in spellings or key.lower().strip("_") in spellings),
        None,
    )


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with damage_told(path), zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        if len(members) > 1000:
            raise DataError(f"{path}: holds {len(members)} arrays; at most 1000 are read.")
        return {member.filename[:-4]: _read_member(archive, member, path) for member in members}


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    available = min(member.file_size, 1040 * member.compress_size + 1040, _MAX_BYTES)
    with archive.open(member) as stream:
        try:
            return read_npy(stream, available)
        except Exception as error:  # numpy reads the header with Python's own parser, which raises almost anything
            raise DataError(f"{path}: the array {member.filename} cannot be read ({error}).") from error


def read_npy(stream: IO[bytes], available: int) -> NDArray[Any]:
    """Return the array of a .npy stream of plain numbers or texts; nothing is unpickled.

    Raises:
        ValueError: Python objects, or a header that claims more than ``available`` bytes.
    """
    version = npy.read_magic(stream)
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(stream, max_header_size=10_000)
    if dtype.hasobject or dtype.fields is not None or dtype.subdtype is not None:
        raise ValueError("it holds Python objects or records, which are not read")
    size = math.prod(shape) * dtype.itemsize
    if any(side < 0 for side in shape) or size > available:
        raise ValueError(f"its header claims {size} bytes, but the file holds {available} at most")
    content = stream.read(size)
    if len(content) < size:
        raise ValueError("it is truncated")
    array: NDArray[Any] = np.frombuffer(content, dtype=dtype, count=math.prod(shape)) if size else np.empty(0, dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)
