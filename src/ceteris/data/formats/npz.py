"""Arrays in .npz files: keys as Keras (x_train), MedMNIST (train_images) and others write them."""

import math
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ceteris.data.formats.arrays import Pair, arrays_source
from ceteris.data.formats.entries import most_unpacked, open_file, read_errors
from ceteris.data.named import Location, official
from ceteris.data.source import Reader, ReadOptions, Source
from ceteris.errors import DataError

_IMAGE_WORDS = ("images", "image", "x", "data", "imgs")
_LABEL_WORDS = ("labels", "label", "y", "targets", "target")
_PARTS = {"train": ("train", "training"), "test": ("test", "testing"), "val": ("val", "valid", "validation"), "": ("",)}
_CLASS_KEYS = ("classes", "class_names", "label_names")
_MAX_ARRAYS = 1000


def detect(location: Location) -> Reader | None:
    """Return the reader of an .npz file, or of that of a named set in a folder; None for anything else."""
    known, path = location.known, location.path
    if known is not None:
        path = path / known.files[0].name if known.format == "npz" else path
    if not path.name.lower().endswith(".npz") or not path.is_file():
        return None
    if known is None:
        location.options.only(str(path), "test_fraction")
        return Reader(
            kind="npz",
            files=(path,),
            read=partial(npz_source, path, name=path.stem, options=location.options, to_evaluate=location.to_evaluate),
        )
    return Reader(
        kind=f"{known.name} npz",
        files=(path,),
        read=lambda: official(known, npz_source(path, name=known.name, classes=known.classes)),
    )


def npz_source(
    path: Path,
    *,
    name: str,
    classes: tuple[str, ...] | None = None,
    options: ReadOptions | None = None,
    to_evaluate: bool = False,
) -> Source:
    """Return the arrays of an .npz file as a source; validation images join the training part.

    Args:
        path: the file.
        name: name of the set.
        options: how the arrays are read.
        classes: class names; without them an array ``classes`` in the file counts, then the labels themselves.
        to_evaluate: whether test images alone will do.

    Raises:
        DataError: no .npz file, Python objects inside, no arrays of images and labels, or contents that do not fit.
    """
    arrays = _arrays(path)
    listed = (tuple(map(str, arrays[key].ravel().tolist())) for key in _CLASS_KEYS if key in arrays)
    named = classes or next(listed, None)
    with read_errors(path):
        found = {part: pair for part in _PARTS if (pair := _pair(arrays, part, path)) is not None}
        train, test, validation = found.get("train") or found.get(""), found.get("test"), found.get("val")
        if train is None and to_evaluate:
            train, test, validation = test or validation, None, None
        if train is None:
            raise DataError(
                f"{path}: no images and labels for training found in it. Expected keys such as x_train and y_train, "
                "train_images and train_labels, or images and labels."
            )
        joined = validation is not None and test is not None
        if validation is not None and test is not None:
            train = np.concatenate([train[0], validation[0]]), np.concatenate([train[1], validation[1]])
    source = arrays_source(train, test or validation, name=str(path), classes=named, options=options)
    note = "the file's validation images joined the training part; validation is drawn from it"
    return replace(source, name=name, title=name, source="the user's own file", preprocessing=(note,) if joined else ())


def _pair(arrays: dict[str, NDArray[Any]], part: str, path: Path) -> Pair | None:
    """Return images and labels of a part, found by the names of their arrays."""
    found = []
    for words in (_IMAGE_WORDS, _LABEL_WORDS):
        pairs = [(word, name) for word in words for name in _PARTS[part]]
        spellings = {text for word, name in pairs for text in (f"{word}_{name}", f"{name}_{word}", f"{word}{name}")}
        keys = (key for key in arrays if key.lower() in spellings or key.lower().strip("_") in spellings)
        found.append(next((arrays[key] for key in keys), None))
    images, labels = found
    if (images is None) != (labels is None):
        raise DataError(
            f"{path}: {'labels' if labels is None else 'images'} of the part {part or 'all'!r} are missing."
        )
    return None if images is None or labels is None else (images, labels)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with open_file(path) as file, zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        if len(members) > _MAX_ARRAYS:
            raise DataError(f"{path}: holds {len(members)} arrays; at most {_MAX_ARRAYS} are read.")
        arrays, left = {}, most_unpacked(path.stat().st_size)
        for member in members:
            available = min(member.file_size, left)
            with archive.open(member) as stream:
                try:
                    arrays[member.filename[:-4]] = read_npy(stream, available)
                except (
                    Exception
                ) as error:  # numpy reads the header with Python's own parser, which raises almost anything
                    raise DataError(f"{path}: the array {member.filename} cannot be read ({error}).") from error
            left -= available
    return arrays


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
