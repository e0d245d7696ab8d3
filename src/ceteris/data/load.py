"""From a name or a path to a DataSet: locate, reuse the prepared copy, otherwise read, split and prepare."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ceteris.data.catalogue import find_named, unknown_name
from ceteris.data.dataset import DataSet
from ceteris.data.formats.arrays import images_from_array, labels_from_array, number_labels
from ceteris.data.formats.entries import damage_told
from ceteris.data.imageset import content_digest
from ceteris.data.locate import Located, locate_named, locate_path
from ceteris.data.options import ReadOptions
from ceteris.data.prepared import PREPARED_FORMAT, is_prepared, open_prepared, prepare
from ceteris.data.source import Part, Source, array_part, without_classes_missing
from ceteris.data.splits import stratified_share
from ceteris.seeds import generator

DATA_VARIABLE = "CETERIS_DATA"


def load(
    name_or_path: str, *, data_dir: Path | None = None, cache_dir: Path, options: ReadOptions | None = None
) -> DataSet:
    """Return the data set of that name, or the one that lies at that path.

    The first time it is read and a prepared copy is written to ``cache_dir``; afterwards that copy is opened.

    Args:
        name_or_path: a known name (see ``named_sets``) or the path of a file or folder.
        data_dir: folder in which named sets are looked for; without it the environment variable CETERIS_DATA counts.
        cache_dir: folder for prepared copies.
        options: how the source is to be read.

    Raises:
        DataError: unknown, not found, damaged, or not fitting together; the message says what and how to mend it.
    """
    chosen = options or ReadOptions()
    located = _located(name_or_path, data_dir, chosen)
    folder = Path(cache_dir).resolve() / "prepared" / _content_key(located, chosen, Path(cache_dir))
    if is_prepared(folder):
        return open_prepared(folder)
    return prepare(without_classes_missing(_with_test(located.read(), chosen)), folder)


def from_arrays(
    train_images: NDArray[Any],
    train_labels: NDArray[Any],
    test_images: NDArray[Any] | None = None,
    test_labels: NDArray[Any] | None = None,
    *,
    name: str,
    cache_dir: Path,
    classes: tuple[str, ...] | None = None,
) -> DataSet:
    """Return a data set made from arrays in memory; without a test part a stratified fifth is held out as one.

    Args:
        train_images: (n, h, w), (n, c, h, w) or (n, h, w, c); bytes, 16 bits, or floats in 0..1.
        train_labels: (n,) class numbers or class names, or one-hot (n, classes).
        test_images: like ``train_images``.
        test_labels: like ``train_labels``.
        name: what the set is called in reports.
        cache_dir: folder for the prepared copy, which worker processes share.
        classes: class names, where the labels are numbers from 0.

    Raises:
        DataError: shapes, types or values that do not fit; see ``make_image_set``.
    """
    source = arrays_source(train_images, train_labels, test_images, test_labels, name=name, classes=classes)
    source = _with_test(source, ReadOptions())
    assert source.test is not None
    images = [np.empty((len(part.labels), *part.shape), np.uint8) for part in (source.train, source.test)]
    for part, target in zip((source.train, source.test), images, strict=True):
        part.fill(target)
    digests = [
        content_digest(pixels, part.labels, source.classes)
        for pixels, part in zip(images, (source.train, source.test), strict=True)
    ]
    key = hashlib.sha256(f"arrays {PREPARED_FORMAT} {name} {digests}".encode()).hexdigest()[:32]
    folder = Path(cache_dir).resolve() / "prepared" / key
    return open_prepared(folder) if is_prepared(folder) else prepare(without_classes_missing(source), folder)


def arrays_source(
    train_images: NDArray[Any],
    train_labels: NDArray[Any],
    test_images: NDArray[Any] | None = None,
    test_labels: NDArray[Any] | None = None,
    *,
    name: str,
    classes: tuple[str, ...] | None = None,
) -> Source:
    """Return arrays as a source; see :func:`from_arrays` for what they may be."""
    labels, texts = labels_from_array(train_labels, "train_labels")
    parts = [labels]
    if test_images is not None and test_labels is not None:
        parts.append(labels_from_array(test_labels, "test_labels")[0])
    numbered, names = number_labels(parts, texts, classes)
    train = array_part(images_from_array(train_images, "train_images"), numbered[0])
    test = array_part(images_from_array(test_images, "test_images"), numbered[1]) if test_images is not None else None
    return Source(
        name=name, title=name, citation="the user's own arrays", licence="not stated", classes=names, train=train,
        test=test, label_meaning="the class given with each image",
    )  # fmt: skip


def default_data_dir() -> Path | None:
    """Return the folder named by the environment variable CETERIS_DATA, or None."""
    value = os.environ.get(DATA_VARIABLE)
    return Path(value) if value else None


def _located(name_or_path: str, data_dir: Path | None, options: ReadOptions) -> Located:
    known = find_named(name_or_path)
    if known is not None:
        return locate_named(known, data_dir or default_data_dir())
    path = Path(name_or_path).expanduser()
    if not path.exists():
        raise unknown_name(name_or_path)
    return locate_path(path, options)


def _content_key(located: Located, options: ReadOptions, cache_dir: Path) -> str:
    digest = hashlib.sha256(f"{PREPARED_FORMAT} {located.kind} {options.key()}\n".encode())
    for path in located.files:
        with damage_told(path):
            state = path.stat()
            digest.update(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}\n".encode())
    digest.update(located.stamp().encode())
    return digest.hexdigest()[:32]


def _with_test(source: Source, options: ReadOptions) -> Source:
    """Hold a stratified, always equal part of the images out as test part where the source has none."""
    if source.test is not None:
        return source
    held_out = stratified_share(source.train.labels, options.test_fraction, generator(0, 0, "split"))
    rest = np.setdiff1d(np.arange(len(source.train.labels)), held_out)
    train, test = _taken(source.train, rest), _taken(source.train, held_out)
    note = f"{source.note} The test part is a stratified {options.test_fraction:.0%} drawn by ceteris; the source has none.".strip()
    return replace(source, train=train, test=test, note=note)


def _taken(part: Part, places: NDArray[np.int64]) -> Part:
    return part.take(places)
