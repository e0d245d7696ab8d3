"""Columns of encoded pictures and labels: Parquet files (needs pyarrow) and sets of the Hugging Face hub (needs datasets)."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ceteris.data.formats.csv_file import LABEL_COLUMNS
from ceteris.data.formats.entries import open_file, read_errors
from ceteris.data.formats.picture_parts import (
    Picture,
    check_pictures,
    class_numbers,
    fill_pictures,
    sorted_classes,
)
from ceteris.data.named import Location
from ceteris.data.source import Part, Reader, ReadOptions, Source, filled_part
from ceteris.errors import CeterisError, ConfigError, DataError

_IMAGE_COLUMNS = ("image", "img", "picture", "bytes", "image_bytes", "data", "pixel_values")
_LABEL_COLUMNS = (*LABEL_COLUMNS, "fine_label", "digit", "character")
_ROWS = 256
_HUB = "hf:"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def detect(location: Location) -> Reader | None:
    """Return the reader of a Parquet file, or of a folder with such files in it or in its folder data/; else None."""
    path, read = location.path, partial(parquet_source, location.path, location.options)
    if path.is_file() and path.name.lower().endswith(".parquet"):
        return Reader(kind="parquet", files=(path,), read=read)
    if location.known is not None or not path.is_dir():
        return None
    if not any(below.suffix.lower() == ".parquet" for below in (*path.iterdir(), *path.glob("data/*.parquet"))):
        return None
    return Reader(kind="parquet folder", files=tuple(sorted(path.rglob("*.parquet"))), read=read)


def detect_hub(name: str, options: ReadOptions) -> Reader | None:
    """Return the reader of the set ``hf:owner/name[:configuration]`` of the hub, or None for another name."""
    return Reader(kind=name, files=(), read=partial(_hub_source, name, options)) if name.startswith(_HUB) else None


class _ParquetFile:
    """One Parquet file, a few rows of which are in memory at a time; a cell of pictures holds one, encoded."""

    def __init__(self, path: Path) -> None:
        try:
            parquet = import_module("pyarrow.parquet")
        except ImportError as error:
            raise ConfigError("Reading Parquet needs the package pyarrow: pip install pyarrow.") from error
        self.name = str(path)
        with open_file(path):  # refuses what is no regular file
            pass
        self._file = parquet.ParquetFile(path, memory_map=False)
        if self._file.metadata.num_rows > path.stat().st_size:
            raise DataError(f"{path}: claims {self._file.metadata.num_rows:,} rows, more than it has bytes.")
        self.columns: list[str] = list(self._file.schema_arrow.names)

    def values(self, column: str) -> list[Any]:
        return list(self._file.read(columns=[column]).column(column).to_pylist())

    def cells(self, column: str) -> Iterator[Any]:
        for batch in self._file.iter_batches(batch_size=_ROWS, columns=[column]):
            yield from batch.column(0).to_pylist()

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """Return the names that Hugging Face's metadata gives for a column, if there are any."""
        metadata = self._file.schema_arrow.metadata or {}
        try:
            names = json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"]
        except (KeyError, TypeError, ValueError, RecursionError):
            return None
        if isinstance(names, dict):
            names = [names[key] for key in sorted(names, key=lambda key: int(key))]
        return tuple(str(name) for name in names) or None


class _Split:
    """One split of a set, its pictures left encoded."""

    def __init__(self, name: str, split: Any, datasets: Any) -> None:
        self.name = name
        self.columns: list[str] = list(split.features)
        self._split = split.cast_column(_find(self, _IMAGE_COLUMNS, "image"), datasets.Image(decode=False))

    def values(self, column: str) -> list[Any]:
        return list(self._split[column])

    def cells(self, column: str) -> Iterator[Any]:
        return iter(self._split[column])

    def class_names(self, column: str) -> tuple[str, ...] | None:
        names = getattr(self._split.features[column], "names", None)
        return tuple(map(str, names)) if names else None


Rows = _ParquetFile | _Split


def rows_source(train: Sequence[Rows], test: Sequence[Rows], options: ReadOptions, *, name: str, title: str) -> Source:
    """Return rows of encoded pictures with labels as a source.

    Raises:
        DataError: no such columns, missing values, or pictures that do not fit together.
    """
    wanted = (options.label_column,) if options.label_column else _LABEL_COLUMNS
    values = {rows.name: _labels(rows, _find(rows, wanted, "label")) for rows in (*train, *test)}
    names = train[0].class_names(_find(train[0], wanted, "label"))
    classes = names or sorted_classes(str(label) for labels in values.values() for label in labels)
    numbered = names and all(isinstance(label, int) for labels in values.values() for label in labels)
    parts = [found for found in (train, test) if found]
    checked = check_pictures([partial(_pictures, found) for found in parts], options)

    def part(number: int) -> Part:
        kept = checked.readable[number].tolist()
        labels = [label for rows in parts[number] for label in values[rows.name]]
        numbers = np.array(labels, dtype=np.int64) if numbered else class_numbers([str(v) for v in labels], classes)
        groups = None
        if options.group_column is not None:
            columns = [_labels(rows, _find(rows, (options.group_column,), "group")) for rows in parts[number]]
            every = [str(value) for column in columns for value in column]
            groups = tuple(every[index] for index in kept)
        pictures = partial(_pictures, parts[number], frozenset(kept))
        fill = partial(fill_pictures, pictures, checked.shape, checked.reading)
        return filled_part(numbers[kept], checked.shape, fill, groups)

    source = Source(
        name=name,
        title=title,
        classes=classes,
        train=part(0),
        test=part(1) if test else None,
        label_meaning="the class given in the label column",
    )
    return checked.told_in(source)


def _hub_source(name: str, options: ReadOptions) -> Source:
    """Return a set of the hub; its test split, else its validation split, is the test part.

    Raises:
        ConfigError: the package ``datasets`` is not installed.
        DataError: the set cannot be fetched, or has no image or label column.
    """
    path, _, configuration = name.removeprefix(_HUB).partition(":")
    if not _HUB_NAME.fullmatch(path) or Path(path).exists():  # a folder would be taken for a set, with code of its own
        raise DataError(
            f"{name}: a set of the hub is written hf:owner/name[:configuration], and no folder here may have its name."
        )
    try:
        datasets = import_module("datasets")
    except ImportError as error:
        raise ConfigError(f"{name}: needs the package datasets: pip install datasets.") from error
    try:
        loaded = datasets.load_dataset(path, configuration or None)
    except Exception as error:  # the hub's client raises many types of its own
        raise DataError(f"{name}: cannot be fetched from the Hugging Face hub ({str(error)[:300]}).") from error
    if "train" not in loaded:
        raise DataError(f"{name}: has no split 'train'; its splits are {', '.join(loaded)}.")
    test = next((split for split in ("test", "validation", "valid") if split in loaded), None)
    splits = [_Split(f"{name}, {split}", loaded[split], datasets) for split in ("train", test) if split]
    source = rows_source(splits[:1], splits[1:], options, name=path.rpartition("/")[2], title=path)
    return replace(source, source=f"Hugging Face hub, {path}", licence="see the set's card on the hub")


def parquet_source(path: Path, options: ReadOptions) -> Source:
    """Return a Parquet file, or a folder of them (train*, validation*, test*), as a source.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: no Parquet, no such columns, missing values, or pictures that do not fit together.
    """
    with read_errors(path):
        try:
            train, test = ([_ParquetFile(file) for file in files] for files in _files_of_parts(path))
            source = rows_source(train, test, options, name=path.stem, title=f"Parquet {path.name}")
        except (CeterisError, FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # pyarrow raises its own types for damaged files
            raise DataError(f"{path}: no readable Parquet file ({str(error)[:200]}).") from error
    return source


def _files_of_parts(path: Path) -> tuple[list[Path], list[Path]]:
    if path.is_file():
        return [path], []
    files = sorted(path.rglob("*.parquet"))
    test = [file for file in files if file.name.lower().startswith("test")]
    validation = [file for file in files if file.name.lower().startswith("val")]
    rest = [file for file in files if file not in test and file not in validation]
    if not rest:
        raise DataError(f"{path}: no Parquet file with training images in it.")
    return ([*rest, *validation], test) if test else (rest, validation)


def _find(rows: Rows, names: Sequence[str], what: str) -> str:
    found = next((column for name in names for column in rows.columns if column.lower() == name.lower()), None)
    if found is None:
        raise DataError(
            f"{rows.name}: no {what} column. Looked for {', '.join(names)}; "
            f"the columns are {', '.join(rows.columns[:12])}."
        )
    return found


def _labels(rows: Rows, column: str) -> list[int | str]:
    values = rows.values(column)
    if any(not isinstance(value, int | str | bytes) for value in values):
        raise DataError(
            f"{rows.name}: the column {column!r} has gaps or values that are neither whole numbers nor texts."
        )
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]


def _pictures(parts: Sequence[Rows], kept: frozenset[int] | None = None) -> Iterator[Picture]:
    """Yield the pictures of all rows, or of those with the indices ``kept``."""
    index = 0
    for rows in parts:
        for number, cell in enumerate(rows.cells(_find(rows, _IMAGE_COLUMNS, "image"))):
            content = cell.get("bytes") if isinstance(cell, dict) else cell
            encoded = isinstance(content, bytes)
            problem = "" if encoded else f" holds no encoded picture (PNG, JPEG, ...) but {type(content).__name__}"
            if kept is None or index in kept:
                yield f"{rows.name} (row {number}{problem})", content if encoded else b""
            index += 1
