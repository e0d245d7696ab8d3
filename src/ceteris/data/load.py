"""From a name or a path to a DataSet: locate or fetch, reuse the prepared copy, otherwise read, split and prepare."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ceteris.data.catalogue import BuiltIn, NamedSet
from ceteris.data.dataset import DataSet
from ceteris.data.download import Progress, fetch
from ceteris.data.formats.arrays import images_from_array, labels_from_array, number_labels
from ceteris.data.formats.digits import digits_source
from ceteris.data.formats.entries import damage_told
from ceteris.data.formats.hugging_face import PREFIX, hugging_face_source
from ceteris.data.formats.synthetic import synthetic_source
from ceteris.data.held_out import with_test
from ceteris.data.imageset import content_digest
from ceteris.data.locate import Located, find_files, not_found
from ceteris.data.named import find_named, unknown_name
from ceteris.data.options import ReadOptions
from ceteris.data.paths import locate_path
from ceteris.data.prepared import PREPARED_FORMAT, is_prepared, open_prepared, prepare
from ceteris.data.source import Source, array_part, without_classes_missing
from ceteris.errors import DataError

READERS = 2  # counted up when a reader makes other pixels of the same files, so that older copies are not used
DATA_VARIABLE = "CETERIS_DATA"
OFFLINE_VARIABLE = "CETERIS_OFFLINE"


def load(
    name_or_path: str,
    *,
    data_dir: Path | None = None,
    cache_dir: Path,
    options: ReadOptions | None = None,
    offline: bool | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> DataSet:
    """Return the data set of that name, or the one that lies at that path.

    The first time it is read (a named set that is not in ``data_dir`` is downloaded) and a prepared copy is written to
    ``cache_dir``; afterwards that copy is opened.

    Args:
        name_or_path: a known name (see ``named_sets``), ``hf:owner/name``, or the path of a file or folder; that of a
            prepared copy is opened as it is.
        data_dir: folder in which named sets are looked for; without it the environment variable CETERIS_DATA counts.
        cache_dir: folder for prepared copies, downloads and splits.
        options: how the source is to be read.
        offline: never touch the network; without it the environment variable CETERIS_OFFLINE counts.
        progress: told how far a download is.

    Raises:
        DataError: unknown, not found, damaged, or not fitting together; the message says what and how to mend it.
    """
    copy = Path(name_or_path).expanduser()
    if (copy / "train_prints.npy").is_file() and is_prepared(copy):
        return open_prepared(copy)
    chosen, cache = options or ReadOptions(), Path(cache_dir).resolve()
    no_network = bool(os.environ.get(OFFLINE_VARIABLE)) if offline is None else offline
    located = _located(name_or_path, data_dir or default_data_dir(), cache, chosen, no_network, progress)
    folder = cache / "prepared" / _key(located, chosen, cache)
    return open_prepared(folder) if is_prepared(folder) else _prepared(located.read(), chosen, folder, cache)


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
    source = _arrays_source(train_images, train_labels, test_images, test_labels, name, classes)
    digest = hashlib.sha256(f"arrays {PREPARED_FORMAT} {name}".encode())
    for part in (source.train, source.test):
        if part is not None:
            images = np.empty((len(part.labels), *part.shape), dtype=np.uint8)
            part.fill(images)
            digest.update(content_digest(images, part.labels, source.classes).encode())
    cache = Path(cache_dir).resolve()
    folder = cache / "prepared" / digest.hexdigest()[:32]
    return open_prepared(folder) if is_prepared(folder) else _prepared(source, ReadOptions(), folder, cache)


def default_data_dir() -> Path | None:
    """Return the folder named by the environment variable CETERIS_DATA, or None."""
    value = os.environ.get(DATA_VARIABLE)
    return Path(value) if value else None


def search_roots(data_dir: Path | None, cache_dir: Path) -> tuple[Path, ...]:
    """Return the folders in which named sets are looked for: the user's, then the one for downloads."""
    downloads = Path(cache_dir) / "downloads"
    return (Path(data_dir), downloads) if data_dir is not None else (downloads,)


def _prepared(source: Source, options: ReadOptions, folder: Path, cache: Path) -> DataSet:
    return prepare(without_classes_missing(with_test(source, options, cache / "splits")), folder)


def _located(
    name_or_path: str,
    data_dir: Path | None,
    cache: Path,
    options: ReadOptions,
    offline: bool,
    progress: Callable[[Progress], None] | None,
) -> Located:
    if name_or_path.startswith(PREFIX):
        return Located(kind=name_or_path, files=(), read=lambda: hugging_face_source(name_or_path, options))
    known = find_named(name_or_path)
    if known is not None:
        options.only(f"the named set {known.name}", *(("test_fraction",) if known.name == "digits" else ()))
        return _located_by_name(known, data_dir, cache, offline, progress)
    path = Path(name_or_path).expanduser()
    if not path.exists():
        raise unknown_name(name_or_path)
    return locate_path(path, options)


def _located_by_name(
    known: NamedSet, data_dir: Path | None, cache: Path, offline: bool, progress: Callable[[Progress], None] | None
) -> Located:
    if isinstance(known.layout, BuiltIn):
        read = {"digits": digits_source, "synthetic": synthetic_source}[known.name]
        return Located(kind=known.name, files=(), read=read)
    roots = search_roots(data_dir, cache)
    found = find_files(known, roots) or _downloaded(known, roots, offline, progress)
    if found is None:
        raise DataError(f"{not_found(known, roots)} Put the files there; this set cannot be downloaded.")
    return found


def _downloaded(
    known: NamedSet, roots: tuple[Path, ...], offline: bool, progress: Callable[[Progress], None] | None
) -> Located | None:
    try:
        for remote in known.remote:
            fetch(remote, roots[-1] / known.folders[0], offline=offline, progress=progress)
    except DataError as error:
        raise DataError(f"{not_found(known, roots)} {error}") from error
    return find_files(known, roots)


def _key(located: Located, options: ReadOptions, cache: Path) -> str:
    """Return the key of the prepared copy: of the content of the source, looked up by its files' sizes and times."""
    groups = " with groups" if options.group_column else ""  # earlier copies did not keep them
    reading = f"{PREPARED_FORMAT} {READERS} {located.kind} {options.key()}{groups}\n{located.stamp()}"
    stamp = hashlib.sha256(reading.encode("utf-8", "surrogateescape"))
    with damage_told(located.kind):
        for path in located.files:
            state = path.stat()
            place = f"{path.resolve()} {state.st_size} {state.st_mtime_ns} {state.st_ino}\n"
            stamp.update(place.encode("utf-8", "surrogateescape"))
    if not located.files:
        return stamp.hexdigest()[:32]
    known = cache / "stamps" / stamp.hexdigest()[:32]
    if known.is_file():
        return known.read_text(encoding="ascii").strip()
    key = _content_key(located, reading)
    _write_stamp(known, key)
    return key


def _content_key(located: Located, reading: str) -> str:
    digest = hashlib.sha256(reading.encode("utf-8", "surrogateescape"))
    for path in located.files:
        with damage_told(path), path.open("rb") as stream:
            digest.update(path.name.encode("utf-8", "surrogateescape") + hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:32]


def _write_stamp(place: Path, key: str) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_name(f"{place.name}.{os.getpid()}")
        unfinished.write_text(key, encoding="ascii")
        unfinished.replace(place)
    except OSError as error:
        raise DataError(
            f"{place}: cannot be written ({error.strerror or error}). Name another cache folder."
        ) from error


def _arrays_source(
    train_images: NDArray[Any],
    train_labels: NDArray[Any],
    test_images: NDArray[Any] | None,
    test_labels: NDArray[Any] | None,
    name: str,
    classes: tuple[str, ...] | None,
) -> Source:
    if (test_images is None) != (test_labels is None):
        raise DataError("test_images and test_labels: give both or none.")
    labels, texts = labels_from_array(train_labels, "train_labels")
    tests = [] if test_labels is None else [labels_from_array(test_labels, "test_labels")[0]]
    numbered, names = number_labels([labels, *tests], texts, classes)
    images = [images_from_array(train_images, "train_images")]
    if test_images is not None:
        images.append(images_from_array(test_images, "test_images"))
    for pixels, numbers, part in zip(images, numbered, ("train", "test"), strict=False):
        if len(pixels) != len(numbers):
            raise DataError(f"{part}: {len(pixels)} images, but {len(numbers)} labels.")
    parts = [array_part(pixels, numbers) for pixels, numbers in zip(images, numbered, strict=True)]
    return Source(
        name=name,
        title=name,
        citation="the user's own arrays",
        licence="not stated",
        classes=names,
        train=parts[0],
        test=parts[1] if len(parts) > 1 else None,
        label_meaning="the class given with each image",
    )
