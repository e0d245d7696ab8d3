"""From a name or a path to a DataSet: find or fetch it, reuse its prepared copy, otherwise read, split and prepare it."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ceteris.data import named
from ceteris.data.download import Progress, fetch
from ceteris.data.formats import built_in, cifar, folders, idx, npz, parquet, tables
from ceteris.data.formats.arrays import arrays_source
from ceteris.data.formats.entries import open_file, read_errors
from ceteris.data.imageset import ImageSet, content_digest, make_image_set
from ceteris.data.named import Location, NamedSet, SetRow
from ceteris.data.prepared import PREPARED_FORMAT, is_prepared, open_prepared, prepare, write_whole
from ceteris.data.sealed import DataSet, SealedTest, seal
from ceteris.data.source import Part, Reader, ReadOptions, Source
from ceteris.data.splits import held_out_share
from ceteris.errors import ConfigError, DataError
from ceteris.files import file_name, json_tree
from ceteris.records import IntArray
from ceteris.seeds import generator

# Every format recognises and reads itself; the first that recognises what lies there reads it.
FORMATS: tuple[Callable[[Location], Reader | None], ...] = (
    built_in.detect,
    idx.detect,
    tables.detect,
    npz.detect,
    parquet.detect,
    cifar.detect,
    folders.detect,
)
READERS = 5  # counted up when a reader makes other pixels of the same files, so that older copies are not used
_MOST_TAGGED = 1000  # classes; all pairs are compared
OFFLINE_VARIABLE = "CETERIS_OFFLINE"
_KNOWN_FORMATS = (
    "a folder of class folders, IDX files (a folder with images and labels), .csv, .npz, .parquet, "
    "a CIFAR archive (.tar.gz, .tar.xz, .zip) or its folder"
)


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
        progress: called with how far a download is.

    Raises:
        DataError: unknown, not found, damaged, or not fitting together; the message says what and how to mend it.
    """
    path = _path_of(name_or_path)
    if (path / "train_prints.npy").is_file() and is_prepared(path):
        return open_prepared(path)
    reading, cache = options or ReadOptions(), Path(cache_dir).resolve()
    roots = named.search_roots(data_dir, cache)
    reader = _reader(name_or_path, Location(path=path, options=reading), roots, offline=offline, progress=progress)
    return _prepared(cache / "prepared" / _key(reader, reading, cache), reader.read, reading, cache)


def _path_of(name: str) -> Path:
    try:
        path = Path(name).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError):  # a name too long, a user that nobody knows, a zero in it
        raise named.unknown_name(name) from None
    return path


def _reader(
    name: str,
    location: Location,
    roots: tuple[Path, ...],
    *,
    offline: bool | None,
    progress: Callable[[Progress], None] | None,
) -> Reader:
    """Return the reader of the set of that name, which may be fetched, or of what lies at that path."""
    known, reader = named.find_named(name), parquet.detect_hub(name, location.options)
    if reader is None and known is not None:
        allowed = ("test_fraction",) if known.name == "digits" else ()
        location.options.only(f"the named set {known.name}", *allowed)
        wished = os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in ("", "0", "false", "no")
        reader = _find_or_fetch(known, roots, wished if offline is None else offline, progress)
    elif reader is None:
        if not location.path.exists():
            raise named.unknown_name(name)
        reader = detect(location)
    if reader is None:
        raise DataError(f"{location.path}: no data set in a format that is known. Known: {_KNOWN_FORMATS}.")
    return reader


def detect(location: Location) -> Reader | None:
    """Return the reader of the first format that recognises what lies there, or None."""
    return next((reader for recognise in FORMATS if (reader := recognise(location)) is not None), None)


def list_sets(data_dir: Path | None, *, cache_dir: Path) -> tuple[SetRow, ...]:
    """Return a row for every named set, found below ``data_dir`` (default: CETERIS_DATA) or among the downloads."""
    roots, rows = named.search_roots(data_dir, cache_dir), []
    for known in named.named_sets():
        try:
            reader = _find(known, roots)
            files = () if reader is None else reader.files
            where = str(files[0].parent if len(files) > 1 else files[0]) if files else ""
        except DataError as error:
            where = f"damaged: {error}"
        rows.append(SetRow.of(known, where="built in" if known.format == "built in" else where))
    return tuple(rows)


def from_arrays(
    train_images: Any,
    train_labels: Any,
    test_images: Any = None,
    test_labels: Any = None,
    *,
    name: str = "arrays",
    cache_dir: Path,
    classes: tuple[str, ...] | None = None,
    options: ReadOptions | None = None,
) -> DataSet:
    """Return a data set made from arrays in memory; without a test part a stratified fifth is held out as one.

    Args:
        train_images: (n, h, w), (n, c, h, w) or (n, h, w, c) of bytes, 16 bits, or floats in 0..1, as array, tensor, data
            frame or list; or a list of Pillow's pictures.
        train_labels: (n,) class numbers or class names, or one-hot (n, classes).
        test_images: like ``train_images``.
        test_labels: like ``train_labels``.
        name: what the set is called in reports.
        cache_dir: folder for the prepared copy, which worker processes share.
        classes: class names, where the labels are numbers from 0.
        options: the reading; of arrays ``white``, ``leaks`` and ``test_fraction`` count, of pictures size and channels too.

    Raises:
        DataError: shapes, types or values that do not fit; see :func:`ceteris.data.read_images`.
    """
    if (test_images is None) != (test_labels is None):
        raise DataError("test_images and test_labels: give both or none.")
    test = None if test_images is None else (test_images, test_labels)
    reading = options or ReadOptions()
    source = arrays_source((train_images, train_labels), test, name=name, classes=classes, options=reading)
    form = (name, reading.key(), source.understood, source.white)
    digest = hashlib.sha256(f"arrays {PREPARED_FORMAT} {form}".encode())
    for part in (source.train, source.test):
        if part is not None:
            images = np.empty((len(part.labels), *part.shape), dtype=np.uint8)
            part.fill(images)
            digest.update(content_digest(images, part.labels, source.classes).encode())
    cache = Path(cache_dir).resolve()
    return _prepared(cache / "prepared" / digest.hexdigest()[:32], lambda: source, reading, cache)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Labelled images that models are evaluated on, under seal, with what they are called and what has to be said of them."""

    title: str
    note: str
    images: SealedTest


def load_labelled(
    data: str,
    *,
    part: Literal["train", "test", "all"] | None = None,
    shape: tuple[int, int, int],
    trained_on: str = "",
    data_dir: Path | None = None,
    cache_dir: Path,
    options: ReadOptions | None = None,
    offline: bool | None = None,
) -> Labelled:
    """Return the labelled images of a data set on which a model is to be evaluated.

    Args:
        data: as for :func:`load`; one part or one class alone will do.
        part: which part; without it the test part, or all images where the source has no parts.
        shape: (channels, height, width) that pictures are brought to, by the rule of ``options``.
        trained_on: content digest of the images that the model was trained on. Where a share of a source without parts was
            held out from them, that share is returned.
        data_dir: see :func:`load`.
        cache_dir: see :func:`load`.
        options: how the model's study read its pictures.
        offline: see :func:`load`.

    Raises:
        DataError: as :func:`load` does; also for a part that the source does not have.
    """
    cache, reading = Path(cache_dir).resolve(), replace(options or ReadOptions(), leaks="keep")
    path = _path_of(data)
    if named.find_named(data) or (path / "train_prints.npy").is_file():
        if part in (None, "test"):
            data_set = load(data, data_dir=data_dir, cache_dir=cache, options=None, offline=offline)
            return Labelled(title=data_set.title, note=data_set.note, images=data_set.test)
        reading = ReadOptions()
    roots = named.search_roots(data_dir, cache)

    def read(options: ReadOptions) -> Source:
        location = Location(path=path, options=options, to_evaluate=True)
        return _reader(data, location, roots, offline=offline, progress=None).read()

    try:
        source = read(replace(reading, size=shape[1:], channels=1 if shape[0] == 1 else 3))
    except ConfigError:  # arrays have the size that they have
        source = read(reading)
    return _labelled(source, part, trained_on, reading, cache)


def _labelled(source: Source, part: str | None, trained_on: str, options: ReadOptions, cache: Path) -> Labelled:
    notes = [source.note] if source.note else []
    if source.test is None and part is not None:
        raise DataError(
            f"part: {source.title} has no parts; leave it out to evaluate all {len(source.train.labels):,} images."
        )
    chosen = [source.test] if source.test and part in (None, "test") else [source.train]
    if source.test and part == "all":
        chosen.append(source.test)
    if source.test is None and trained_on:
        with suppress(DataError):
            drawn = _with_test(source, options, cache / "splits")
            if drawn.test and _images(source, [drawn.train]).digest == trained_on:
                chosen = [drawn.test]
                notes = ["The model was trained on these data; the share that was held out from it is evaluated."]
    return Labelled(title=source.title, note=" ".join(notes), images=seal(_images(source, chosen)))


def _images(source: Source, parts: Sequence[Part]) -> ImageSet:
    images = np.empty((sum(len(part.labels) for part in parts), *parts[0].shape), dtype=np.uint8)
    start = 0
    for part in parts:
        part.fill(images[start : start + len(part.labels)])
        start += len(part.labels)
    groups = parts[0].groups if len(parts) == 1 else None
    named = None if groups is None else np.array(groups)
    return make_image_set(images, np.concatenate([part.labels for part in parts]), source.classes, named)


def _find_or_fetch(
    known: NamedSet, roots: tuple[Path, ...], offline: bool, progress: Callable[[Progress], None] | None
) -> Reader:
    found = _find(known, roots)
    if found is not None:
        return found
    missing = f"{known.name}: not found. Looked for {known.wanted} in: "
    missing += f"{', '.join(map(str, named.search_folders(known, roots)))}."
    if not known.files:
        raise DataError(f"{missing} Put the files there; this set cannot be downloaded.")
    try:
        for remote in known.files:
            fetch(remote, roots[-1] / known.folders[0], offline=offline, progress=progress)
    except DataError as error:
        raise DataError(f"{missing} {error}") from error
    found = _find(known, roots)
    if found is None:
        raise DataError(f"{missing} What was downloaded does not hold it.")
    return found


def _find(known: NamedSet, roots: tuple[Path, ...]) -> Reader | None:
    """Return the reader of a named set that lies below one of the folders ``roots``, or None.

    Raises:
        DataError: not found, and an archive in which it may be cannot be opened.
    """
    problems = []
    for folder in (folder for folder in named.search_folders(known, roots) if folder.is_dir()):
        try:
            found = detect(Location(path=folder, known=known))
        except DataError as error:
            problems.append(error)
        else:
            if found:
                return found
    if problems:
        raise problems[0]
    return None


def _prepared(folder: Path, read: Callable[[], Source], options: ReadOptions, cache: Path) -> DataSet:
    if is_prepared(folder):
        return open_prepared(folder)
    source = read()
    labels = np.concatenate([part.labels for part in (source.train, source.test) if part is not None])
    if len(labels) and np.all(labels == labels[0]) and 0 <= labels[0] < len(source.classes):
        raise DataError(
            f"{source.name}: all {len(labels):,} images have one label, {source.classes[labels[0]]!r}. Two classes at least "
            "are needed; is the label elsewhere?"
        )
    source = replace(source, warnings=(*source.warnings, *_odd_classes(source.classes)))
    return prepare(_with_test(source, options, cache / "splits"), folder, options)


def _odd_classes(classes: tuple[str, ...]) -> Iterator[str]:
    """Yield a warning where a class looks like a mark for "no label", or classes like several tags of one picture."""
    if "-1" in classes and all(name.isdigit() for name in classes if name != "-1"):
        yield 'The label -1 is taken for a class of its own; where it means "not labelled", leave these images out.'
    if len(classes) >= _MOST_TAGGED:
        return
    tags = [frozenset(re.split(r"[\s,;|]+", name.strip())) for name in classes]
    inside = [name for name, own in zip(classes, tags, strict=True) if any(own < other for other in tags)]
    around = [name for name, own in zip(classes, tags, strict=True) if any(other < own for other in tags)]
    if 2 * len({*inside, *around}) >= max(len(classes), 5):
        yield (
            f"Classes look like several tags of one picture, such as {inside[0]!r} and {around[0]!r}; each is taken for one "
            "class, since one label per picture is read."
        )


def _with_test(source: Source, options: ReadOptions, folder: Path) -> Source:
    """Return the source with a test part; where it has none, a stratified share is held out.

    The choice is written to ``folder`` and read from there the next time, so that it outlives every change of the way
    in which it is drawn.

    Raises:
        DataError: a class with a single image, a source that knows no groups, or fewer than two of them.
    """
    if options.group_column is not None and source.train.groups is None:
        raise DataError(
            f"group_column: this source has no column {options.group_column!r}; groups come from a table's column."
        )
    if source.test is not None:
        return source
    groups = source.train.groups if options.group_column else None
    digest = hashlib.sha256(repr((source.name, source.classes, options.test_fraction, groups)).encode())
    digest.update(np.ascontiguousarray(source.train.labels).data)
    file = folder / f"{digest.hexdigest()[:32]}.json"
    held_out = _held_out(file, len(source.train.labels))
    if held_out is None:
        part, random = source.train, generator(0, 0, "split")
        held_out = held_out_share(part.labels, part.groups, options.test_fraction, random, source.classes)
        write_whole(file, json.dumps({"name": source.name, "test": held_out.tolist()}))
    rest = np.setdiff1d(np.arange(len(source.train.labels)), held_out)
    kept_together = f" with every {options.group_column} on one side" if options.group_column else ""
    note = (
        f"{source.note} The source has no test part; a stratified {len(held_out) / len(source.train.labels):.0%} was drawn "
        f"by ceteris{kept_together}."
    )
    return replace(source, train=source.train.take(rest), test=source.train.take(held_out), note=note.strip())


def _held_out(file: Path, count: int) -> IntArray | None:
    try:
        held_out = np.array(json_tree(file.read_bytes())["test"], dtype=np.int64)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    usable = held_out.ndim == 1 and 0 < len(held_out) < count and held_out.min() >= 0 and held_out.max() < count
    return np.unique(held_out) if usable else None


def _key(reader: Reader, options: ReadOptions, cache: Path) -> str:
    """Return the key of the prepared copy: of the content of the source, looked up by its files' sizes and times."""
    groups = " with groups" if options.group_column else ""  # earlier copies did not keep them
    reading = f"{PREPARED_FORMAT} {READERS} {reader.kind} {options.key()}{groups}\n{reader.stamp()}"
    stamp = hashlib.sha256(reading.encode("utf-8", "surrogateescape"))
    with read_errors(reader.kind):
        for path in reader.files:
            state = path.stat()
            file = f"{path.resolve()} {state.st_size} {state.st_mtime_ns} {state.st_ino}\n"
            stamp.update(file.encode("utf-8", "surrogateescape"))
    if not reader.files:
        return stamp.hexdigest()[:32]
    known = cache / "stamps" / stamp.hexdigest()[:32]
    if known.is_file():
        with open_file(known, limit=100) as stream:
            return file_name(stream.read().decode("ascii").strip())
    content = hashlib.sha256(reading.encode("utf-8", "surrogateescape"))
    for path in reader.files:
        with open_file(path) as stream:
            name = path.name.encode("utf-8", "surrogateescape")
            content.update(name + hashlib.file_digest(stream, "sha256").digest())
    key = content.hexdigest()[:32]
    write_whole(known, key)
    return key
