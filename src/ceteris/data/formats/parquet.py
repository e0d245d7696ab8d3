"""Parquet files with encoded pictures and labels, as Hugging Face and others write them (needs the package pyarrow)."""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ceteris.data.formats.entries import damage_told
from ceteris.data.formats.picture_parts import (
    PictureStream,
    class_numbers,
    common_shape,
    preprocessing_of,
    sorted_classes,
    stream_headers,
    stream_part,
)
from ceteris.data.formats.tables import LABEL_COLUMNS
from ceteris.data.options import ReadOptions
from ceteris.data.source import Part, Source
from ceteris.errors import ConfigError, DataError

IMAGE_COLUMNS = ("image", "img", "picture", "bytes", "image_bytes", "data", "pixel_values")
_LABEL_COLUMNS = (*LABEL_COLUMNS, "fine_label", "digit", "character")
_ROWS = 256


def parquet_source(path: Path, options: ReadOptions) -> Source:
    """Return a Parquet file, or a folder of them (train*, validation*, test*), as a source.

    The image column holds encoded pictures, as bytes or as a struct with the field ``bytes``.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: no Parquet, no such columns, missing values, or pictures that do not fit together.
    """
    train_files, test_files = _files(path)
    try:
        with damage_told(path):
            return _source(path, train_files, test_files, options)
    except Exception as error:  # pyarrow raises its own types for damaged files
        if isinstance(error, DataError | ConfigError):
            raise
        raise DataError(f"{path}: no readable Parquet file ({str(error)[:200]}).") from error


def _source(path: Path, train_files: list[Path], test_files: list[Path], options: ReadOptions) -> Source:
    labels = {place: _column_values(place, options) for place in (*train_files, *test_files)}
    classes = _class_names(train_files[0], options) or sorted_classes(
        str(label) for values in labels.values() for label in values
    )
    numbered = all(isinstance(label, int) for values in labels.values() for label in values) and _class_names(
        train_files[0], options
    )
    headers = (header for place in labels for header in stream_headers(_pictures([place])))
    shape = common_shape(headers, options)

    def part(files: list[Path]) -> Part:
        values = [label for place in files for label in labels[place]]
        numbers = np.array(values, dtype=np.int64) if numbered else class_numbers([str(v) for v in values], classes)
        groups = _groups(files, options)
        return stream_part(_pictures(files), numbers, shape, options, groups)

    return Source(
        name=path.stem,
        title=f"Parquet {path.name}",
        citation="the user's own file",
        licence="not stated",
        classes=classes,
        train=part(train_files),
        test=part(test_files) if test_files else None,
        label_meaning="the class given in the label column",
        preprocessing=preprocessing_of(options),
    )


def _files(path: Path) -> tuple[list[Path], list[Path]]:
    if path.is_file():
        return [path], []
    with damage_told(path):
        files = sorted(path.rglob("*.parquet"))
    test = [file for file in files if file.name.lower().startswith("test")]
    validation = [file for file in files if file.name.lower().startswith("val")]
    rest = [file for file in files if file not in test and file not in validation]
    if not rest:
        raise DataError(f"{path}: no Parquet file with training images in it.")
    return ([*rest, *validation], test) if test else (rest, validation)


def _parquet(path: Path) -> Any:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError("Reading Parquet needs the package pyarrow: pip install pyarrow.") from error
    return parquet.ParquetFile(path, memory_map=False)


def _column(path: Path, names: tuple[str, ...], what: str) -> str:
    columns = list(_parquet(path).schema_arrow.names)
    found = next((column for name in names for column in columns if column.lower() == name.lower()), None)
    if found is None:
        raise DataError(
            f"{path}: no {what} column. Looked for {', '.join(names)}; the columns are {', '.join(columns[:12])}."
        )
    return str(found)


def _label_column(path: Path, options: ReadOptions) -> str:
    return _column(path, (options.label_column,) if options.label_column else _LABEL_COLUMNS, "label")


def _column_values(path: Path, options: ReadOptions) -> list[Any]:
    return _values(path, _label_column(path, options))


def _values(path: Path, column: str) -> list[Any]:
    values = _parquet(path).read(columns=[column]).column(column).to_pylist()
    if any(value is None or not isinstance(value, int | str | bytes) for value in values):
        raise DataError(f"{path}: the column {column!r} has gaps or values that are neither whole numbers nor texts.")
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]


def _groups(files: list[Path], options: ReadOptions) -> tuple[str, ...] | None:
    if options.group_column is None:
        return None
    wanted = (options.group_column,)
    return tuple(str(value) for file in files for value in _values(file, _column(file, wanted, "group")))


def _class_names(path: Path, options: ReadOptions) -> tuple[str, ...] | None:
    """Return the names that Hugging Face's metadata gives for the label column, if there are any."""
    metadata = _parquet(path).schema_arrow.metadata or {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        names = features[_label_column(path, options)]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names, key=lambda key: int(key))]
    return tuple(str(name) for name in names) or None


def _pictures(files: list[Path]) -> PictureStream:
    def pictures() -> Iterator[tuple[str, bytes]]:
        for file in files:
            column = _column(file, IMAGE_COLUMNS, "image")
            row = 0
            for batch in _parquet(file).iter_batches(batch_size=_ROWS, columns=[column]):
                for cell in batch.column(0).to_pylist():
                    yield f"{file} (row {row})", _encoded(cell, file, row)
                    row += 1

    return pictures


def _encoded(cell: Any, file: Path, row: int) -> bytes:
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        raise DataError(f"{file}: row {row} holds no encoded picture (PNG, JPEG, ...) but {type(content).__name__}.")
    return content
