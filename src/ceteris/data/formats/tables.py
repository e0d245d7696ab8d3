"""CSV files: a label column and pixel columns (as on Kaggle), or a column of picture paths and a label column."""

import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ceteris.data.formats.csv_file import CsvFile, read_csv
from ceteris.data.formats.entries import Entry
from ceteris.data.formats.picture_parts import (
    class_numbers,
    common_shape,
    file_headers,
    file_part,
    preprocessing_of,
    sorted_classes,
)
from ceteris.data.options import ReadOptions
from ceteris.data.source import Located, Part, Source, array_part
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

LABEL_COLUMNS = ("label", "labels", "class", "target", "y", "category")
PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path", "filepath", "img")
SPLIT_COLUMNS = ("split", "part", "subset", "set")


def match(path: Path, options: ReadOptions) -> Located | None:
    """Return how the CSV file at ``path`` is read, or None for another file."""
    if path.is_dir() or not path.name.lower().endswith((".csv", ".csv.gz")):
        return None
    read = partial(table_source, path, options)
    return Located(kind="csv", files=(path,), read=read, stamp=partial(_picture_stamp, path))


def table_source(path: Path, options: ReadOptions) -> Source:
    """Return a CSV file as a source: of pixels, or of picture paths relative to the file's folder.

    A column named split (or part, subset, set) with train, val and test makes the test part; validation images join the
    training part. ``options.group_column`` names what the splits must not tear apart; in a table of pixels it holds
    whole numbers.

    Raises:
        DataError: no such columns, or contents that do not fit; see :func:`pixel_table`.
    """
    table = read_csv(Entry(path))
    if table.header and _find(table.header, PATH_COLUMNS) is not None:
        return _path_source(path, table, table.header, options)
    options.only(f"the table of pixels {path}", "label_column", "group_column", "test_fraction")
    images, labels, groups = _pixel_columns(table, options)
    if path.name.lower().startswith("emnist-"):
        images = images.swapaxes(2, 3)
    names = None if groups is None else tuple(map(str, groups.tolist()))
    values = np.unique(labels)
    numbers = np.searchsorted(values, labels).astype(np.int64)
    return _source(path, tuple(str(value) for value in values), array_part(images, numbers, names), None, options)


def pixel_table(entry: Entry, options: ReadOptions, *, transposed: bool = False) -> tuple[ByteArray, IntArray]:
    """Return images uint8 (n, c, h, w) and the label column (n,) of a table of pixels.

    Without a header line the first column is the label. 3 · s² pixel columns are read as colour images with the
    channels last, s² as grey ones.

    Raises:
        DataError: rows of unequal length, values that are no whole numbers in 0..255, or no square number of columns.
    """
    images, labels, _ = _pixel_columns(read_csv(entry), options)
    return images.swapaxes(2, 3) if transposed else images, labels


def _pixel_columns(table: CsvFile, options: ReadOptions) -> tuple[ByteArray, IntArray, IntArray | None]:
    """Return images uint8 (n, c, h, w), the label column (n,) and, where it is named, the column of groups (n,)."""
    beside, pixels = [], []
    columns = _columns_beside_pixels(table, options)
    side, channels = _side(table.columns - len(columns), table.entry)
    for rows in table.number_rows():
        beside.append(rows[:, columns].astype(np.int64))
        values = np.delete(rows, columns, axis=1)
        if values.min() < 0 or values.max() > 255:
            raise DataError(f"{table.entry}: pixel values lie in 0..255, found {values.min()} to {values.max()}.")
        pixels.append(values.astype(np.uint8))
    if not beside:
        raise DataError(f"{table.entry}: the table has no rows.")
    images = np.concatenate(pixels).reshape(-1, side, side, channels).transpose(0, 3, 1, 2)
    labels, *groups = np.concatenate(beside).T
    return images, labels, groups[0] if groups else None


def _columns_beside_pixels(table: CsvFile, options: ReadOptions) -> list[int]:
    """Return the index of the label column and, where it is named, that of the groups."""
    if table.header is None:
        if options.group_column is not None:
            raise DataError(
                f"{table.entry}: no column {options.group_column!r}, since the table has no header line. "
                "Add one with the names."
            )
        return [0]
    group = _group_column(table.header, options, table.entry)
    label = _label_column(table.header, options, table.entry)
    if group == label:
        raise DataError(
            f"{table.entry}: the column {table.header[label]!r} cannot be both label_column and group_column."
        )
    return [label] if group is None else [label, group]


def _path_source(path: Path, table: CsvFile, header: list[str], options: ReadOptions) -> Source:
    rows = list(table.rows())
    label, picture = _label_column(header, options, table.entry), _find(header, PATH_COLUMNS)
    split, group = _find(header, SPLIT_COLUMNS), _group_column(header, options, table.entry)
    assert picture is not None
    classes = sorted_classes(row[label] for row in rows)
    numbers = class_numbers([row[label] for row in rows], classes)
    files = [os.path.join(path.parent, row[picture]) for row in rows]
    shape = common_shape(file_headers(files), options)
    groups = None if group is None else tuple(row[group] for row in rows)
    whole = file_part(files, numbers, shape, options, groups)
    if split is None:
        return _source(path, classes, whole, None, options)
    in_test = np.array([row[split].strip().lower() in ("test", "testing") for row in rows])
    if in_test.all() or not in_test.any():
        raise DataError(f"{table.entry}: the column {header[split]!r} should hold both train and test, it does not.")
    train, test = whole.take(np.flatnonzero(~in_test)), whole.take(np.flatnonzero(in_test))
    return _source(path, classes, train, test, options)


def _picture_stamp(path: Path) -> str:
    """Return a text that changes when a picture named in the table changes; "" for a table of pixels."""
    table = read_csv(Entry(path))
    column = _find(table.header, PATH_COLUMNS) if table.header else None
    if column is None:
        return ""
    lines = []
    for row in table.rows():
        file = os.path.join(path.parent, row[column])
        try:
            state = os.stat(file)
        except (OSError, ValueError):  # refused when the picture is read
            continue
        lines.append(f"{file} {state.st_size} {state.st_mtime_ns}")
    return "\n".join(lines)


def _source(path: Path, classes: tuple[str, ...], train: Part, test: Part | None, options: ReadOptions) -> Source:
    return Source(
        name=path.stem,
        title=f"Table {path.name}",
        citation="the user's own table",
        classes=classes,
        train=train,
        test=test,
        label_meaning="the class given in the label column",
        preprocessing=preprocessing_of(options),
    )


def _find(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _label_column(header: list[str], options: ReadOptions, entry: Entry) -> int:
    names = (options.label_column.lower(),) if options.label_column else LABEL_COLUMNS
    column = _find(header, names)
    if column is None:
        raise DataError(
            f"{entry}: no label column. Looked for {', '.join(names)}; the columns are {', '.join(header[:12])}. "
            "Name it with label_column."
        )
    return column


def _group_column(header: list[str], options: ReadOptions, entry: Entry) -> int | None:
    if options.group_column is None:
        return None
    column = _find(header, (options.group_column.lower(),))
    if column is None:
        raise DataError(f"{entry}: no column {options.group_column!r}; the columns are {', '.join(header[:12])}.")
    return column


def _side(pixels: int, entry: Entry) -> tuple[int, int]:
    for channels in (1, 3):
        side = math.isqrt(max(pixels, 0) // channels)
        if side and side * side * channels == pixels:
            return side, channels
    raise DataError(
        f"{entry}: {pixels} pixel columns beside the label make no square image, grey (s²) or with three channels (3·s²)."
    )
