"""Prepared copies: every set once as .npy files that all worker processes map into memory and share.

A prepared folder holds train_images.npy, train_labels.npy, test_images.npy, test_labels.npy, a 128-bit fingerprint of
every image (train_prints.npy, test_prints.npy), the groups of the training part where they are known (train_groups.npy) and
meta.json. It appears by a rename when it is complete.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from ceteris.data.formats.entries import MAX_BYTES
from ceteris.data.hazards import Hazards, find_hazards
from ceteris.data.imageset import ImageSet, check_labels, class_counts, content_digest, group_numbers, pieces
from ceteris.data.likeness import Appearance, appearance_of
from ceteris.data.sealed import DataSet, SealedTest
from ceteris.data.source import About, Part, ReadOptions, Source
from ceteris.errors import DataError
from ceteris.files import check_regular, open_regular, replace_file
from ceteris.recipe import Count, WholeNumber
from ceteris.records import ByteArray, Digest, IntArray

PREPARED_FORMAT = 1
LONGEST_NAME = 1000  # letters, of a class
_ABANDONED_AFTER = 24 * 3600  # seconds
_MOST_META_BYTES = 1 << 26
_META = cache(lambda: TypeAdapter(Meta))  # made when it is first needed


def prepare(source: Source, folder: Path, options: ReadOptions | None = None) -> DataSet:
    """Write the prepared copy of ``source``, which was read as ``options`` say, to ``folder`` and open it.

    Where another process has written the folder meanwhile, its copy is used. With ``leaks = "drop"`` training images that
    are in the test part too, or whose group is, are left out.

    Raises:
        DataError: the source is damaged, or the copy cannot be written (for example on a full disk).
    """
    if source.test is None:
        raise DataError(f"{source.name}: a source without a test part has to be split before it is prepared.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for abandoned in folder.parent.glob(".unfinished-*"):  # a killed process left it
            with suppress(OSError):
                if time.time() - abandoned.stat().st_mtime > _ABANDONED_AFTER:
                    shutil.rmtree(abandoned, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
        try:
            _write(source, source.test, unfinished, replace(options or ReadOptions(), white=source.white))
            try:
                unfinished.rename(folder)
            except OSError:
                if not is_prepared(folder):  # a copy of an older format or a damaged one is in the way
                    shutil.rmtree(folder, ignore_errors=True)
                    unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        fix = "The disk is full: free some space" if full else "Check the folder's permissions"
        raise DataError(
            f"{folder}: the prepared copy cannot be written ({error.strerror or error}). {fix} or name another cache folder."
        ) from error
    return open_prepared(folder)


def is_prepared(folder: Path) -> bool:
    """Tell whether ``folder`` holds a complete prepared copy of the current format."""
    try:
        return _meta(folder).format == PREPARED_FORMAT
    except DataError:
        return False


def open_prepared(folder: Path) -> DataSet:
    """Open a prepared copy; images stay on disk until they are used.

    Raises:
        DataError: the folder is missing or damaged.
    """
    meta = _meta(folder)
    test = SealedTest(
        read=partial(open_part, folder, "test"),
        class_counts=np.array(meta.test.class_counts, dtype=np.int64),
        image_shape=meta.image_shape,
        classes=meta.classes,
        fingerprint=meta.test.digest,
    )
    as_written = (
        *_about(meta).items(),
        *((name, getattr(meta, name)) for name in ("reading", "hazards", "appearance")),
    )
    return DataSet(
        **dict[str, Any](as_written) | {"warnings": (*meta.warnings, *(meta.hazards.lines if meta.hazards else ()))},
        train=open_train(folder),
        test=test,
        prepared=folder,
    )


def open_train(folder: Path) -> ImageSet:
    """Open the training part of a prepared copy; the files of the test part are not touched.

    Raises:
        DataError: the folder is missing or damaged.
    """
    return open_part(folder, "train")


def image_prints(folder: Path, part: str) -> NDArray[np.void]:
    """Return a 128-bit fingerprint per image (n,); equal images have equal fingerprints. ``part``: train or test."""
    return np.ascontiguousarray(_mapped(folder / f"{part}_prints.npy")).view("V16")[:, 0]


def write_whole(path: Path, text: str) -> None:
    """Write a text file that appears complete or not at all, whoever else writes it.

    Raises:
        DataError: it cannot be written.
    """
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}). Name another folder.") from error


def prints(images: ByteArray) -> NDArray[np.uint64]:
    """Return BLAKE2b fingerprints of 128 bits, uint64 (n, 2), of images (n, c, h, w)."""
    digests = bytearray()
    for piece in pieces(images):
        for image in np.ascontiguousarray(piece).reshape(len(piece), -1):
            digests += hashlib.blake2b(image.data, digest_size=16).digest()
    return np.frombuffer(bytes(digests), dtype="<u8").reshape(-1, 2)


def open_part(folder: Path, part: str) -> ImageSet:
    """Open a part for the data room: the test part for comparisons that give out no pixels; everybody else asks the seal."""
    meta = _meta(folder)
    about: PartMeta = getattr(meta, part)
    images: ByteArray = _mapped(folder / f"{part}_images.npy")
    labels: IntArray = _mapped(folder / f"{part}_labels.npy")
    groups: IntArray | None = _mapped(folder / f"{part}_groups.npy") if about.grouped else None
    fits = images.dtype == np.uint8 and images.shape == (sum(about.class_counts), *meta.image_shape)
    fits &= all(
        array is None or (array.dtype == np.int64 and array.shape == images.shape[:1]) for array in (labels, groups)
    )
    if not fits or not 0 <= labels.min(initial=0) <= labels.max(initial=0) < len(meta.classes):
        raise DataError(
            f"{folder}: the prepared copy does not fit its description. Delete the folder; it is made again."
        )
    return ImageSet(images=images, labels=labels, classes=meta.classes, digest=about.digest, groups=groups)


def _mapped(path: Path) -> NDArray[Any]:
    try:
        check_regular(path, MAX_BYTES)
        mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except Exception as error:  # numpy reads the header with Python's own parser, which raises almost anything
        message = f"{path}: the prepared copy is damaged ({error}). Delete the folder {path.parent}; it is made again."
        raise DataError(message) from error
    return mapped


@dataclass(frozen=True, kw_only=True)
class PartMeta:
    """What the description of a prepared copy says of one part."""

    digest: Digest
    class_counts: tuple[WholeNumber, ...]
    grouped: bool = False


@dataclass(frozen=True, kw_only=True)
class Meta(About):
    """The description of a prepared copy, ``meta.json``; copies of an earlier version do not hold the last three."""

    format: int
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    image_shape: tuple[Count, Count, Count]
    train: PartMeta
    test: PartMeta
    reading: ReadOptions = field(default_factory=ReadOptions)
    hazards: Hazards | None = None
    appearance: Appearance | None = None


def _about(known: About) -> dict[str, Any]:
    return {part.name: getattr(known, part.name) for part in fields(About)}


def _meta(folder: Path) -> Meta:
    try:
        with open_regular(folder / "meta.json", _MOST_META_BYTES) as file:
            return _META().validate_json(file.read())
    except (OSError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise DataError(
            f"{folder}: no prepared copy of a data set ({reason}). Load the set again by its name."
        ) from error


def _write(source: Source, test: Part, folder: Path, reading: ReadOptions) -> None:
    train, long = source.train, next((name for name in source.classes if len(name) > LONGEST_NAME), None)
    if long is not None:
        raise DataError(
            f"{source.name}: a class has a name of {len(long):,} letters, {long[:40]}…; at most {LONGEST_NAME} are read."
        )
    if train.shape != test.shape:
        raise DataError(
            f"{source.name}: training images have the shape {train.shape} (channels, height, width), test images "
            f"{test.shape}. They must agree; give a size to bring them to."
        )
    # No split touches the test part; without groups its fingerprint, under which looks are counted, stays the same.
    about = {"test": _write_part(replace(test, groups=None), source.classes, folder, "test")}
    about["train"] = _write_part(train, source.classes, folder, "train")
    before = len(train.labels)
    if reading.leaks == "drop":
        leaked = np.isin(image_prints(folder, "train"), image_prints(folder, "test"))
        leaked |= np.isin(np.array(train.groups or [""] * before), sorted(set(test.groups or ())))
        if leaked.all():
            raise DataError(
                f'{source.name}: leaks = "drop" leaves no training image: all {before} are in the test part too.'
            )
        if leaked.any():
            train = train.take(np.flatnonzero(~leaked))
            about["train"] = _write_part(train, source.classes, folder, "train")
            what = ("training images that are in the test part too", int(leaked.sum()))
            understood = replace(source.understood, left_out=(*source.understood.left_out, what))
            source = replace(source, understood=understood)
    keys = [image_prints(folder, part) for part in ("train", "test")]
    seen = ImageSet(images=_mapped(folder / "train_images.npy"), labels=train.labels, classes=source.classes, digest="")
    hazards = find_hazards(
        seen,
        test.labels,
        (np.isin(keys[0], keys[1]), np.isin(keys[1], keys[0])),
        sorted(set(train.groups or ()) & set(test.groups or ())),
        before - len(train.labels),
    )
    meta = {
        "format": PREPARED_FORMAT,
        **_about(source),
        "classes": source.classes,
        "image_shape": train.shape,
        "reading": reading,
        "hazards": hazards,
        "appearance": appearance_of(seen.images, source.sizes or (train.shape[1:],)),
        **about,
    }
    (folder / "meta.json").write_bytes(json.dumps(meta, indent=1, ensure_ascii=False, default=asdict).encode())
    _sync(folder / "meta.json")


def _write_part(part: Part, classes: tuple[str, ...], folder: Path, name: str) -> dict[str, Any]:
    if len(part.labels) == 0:
        raise DataError(f"The {name} part holds no image; at least one is needed.")
    labels = check_labels(part.labels, classes, count=len(part.labels))
    images = _reserved(folder / f"{name}_images.npy", (len(labels), *part.shape))
    part.fill(images.view(np.ndarray))  # without the bookkeeping that a memmap does at every access
    images.flush()
    groups = None if part.groups is None else group_numbers(part.groups, count=len(labels))
    arrays = {"labels": labels, "prints": prints(images)} | ({} if groups is None else {"groups": groups})
    for kind, array in arrays.items():
        np.save(folder / f"{name}_{kind}.npy", array)
    for kind in ("images", *arrays):
        _sync(folder / f"{name}_{kind}.npy")
    about: dict[str, Any] = {
        "digest": content_digest(images, labels, classes, groups),
        "class_counts": class_counts(labels, classes).tolist(),
    }
    return about if groups is None else about | {"grouped": True}


def _reserved(path: Path, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]]:
    """Make the .npy file with all its space reserved, since writing to a map on a full disk would end the process."""
    images: np.memmap[tuple[int, ...], np.dtype[np.uint8]] = open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    elif shutil.disk_usage(path.parent).free < images.nbytes:
        raise OSError(errno.ENOSPC, "no space left on device")
    return images


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
