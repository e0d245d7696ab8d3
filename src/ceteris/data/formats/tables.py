"""CSV files: a label column and pixel columns (as on Kaggle), or a column of picture paths and a label column."""

import csv
import io
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from ceteris.data.formats.csv_numbers import MAX_LINE, MAX_ROWS, cells_of, number_rows
from ceteris.data.formats.entries import Entry, damage_told
from ceteris.data.formats.picture_parts import (
    class_numbers,
    common_shape,
    file_headers,
    file_part,
    preprocessing_of,
    sorted_classes,
)
from ceteris.data.options import ReadOptions
from ceteris.data.source import Part, Source, array_part
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

LABEL_COLUMNS = ("label", "labels", "class", "target", "y", "category")
PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path", "filepath", "img")
SPLIT_COLUMNS = ("split", "part", "subset", "set")
MAX_COLUMNS = 200_000


def pixel_table(entry: Entry, options: ReadOptions, *, transposed: bool = False) -> tuple[ByteArray, IntArray]:
    """Return images uint8 (n, c, h, w) and the label column (n,) of a table of pixels.

    Without a header line the first column is the label. 3 · s² pixel columns are read as colour images with the
    channels last, s² as grey ones.

    Raises:
        DataError: rows of unequal length, values that are no whole numbers in 0..255, or no square number of columns.
    """
    images, labels, _ = _pixel_columns(entry, options)
    return images.swapaxes(2, 3) if transposed else images, labels


def _pixel_columns(entry: Entry, options: ReadOptions) -> tuple[ByteArray, IntArray, IntArray | None]:
    """Return images uint8 (n, c, h, w), the label column (n,) and, where it is named, the column of groups (n,)."""
    beside, pixels = [], []
    with entry.open() as stream:
        header, first = _header(stream, entry)
        columns = len(header or first.split(b","))
        places = _places_beside_pixels(header, options, entry)
        side, channels = _side(columns - len(places), entry)
        for rows in number_rows(stream, b"" if header else first + b"\n", columns, entry):
            beside.append(rows[:, places].astype(np.int64))
            pixels.append(_pixels(np.delete(rows, places, axis=1), entry))
    if not beside:
        raise DataError(f"{entry}: the table has no rows.")
    images = np.concatenate(pixels).reshape(-1, side, side, channels).transpose(0, 3, 1, 2)
    labels, *groups = np.concatenate(beside).T
    return images, labels, groups[0] if groups else None


def _places_beside_pixels(header: list[str] | None, options: ReadOptions, entry: Entry) -> list[int]:
    """Return the place of the label column and, where it is named, that of the groups."""
    if header is None:
        if options.group_column is not None:
            raise DataError(
                f"{entry}: no column {options.group_column!r}, since the table has no header line. Add one with the names."
            )
        return [0]
    group = _group_place(header, options, entry)
    label = _label_place(header, options, entry)
    if group == label:
        raise DataError(f"{entry}: the column {header[label]!r} cannot be both label_column and group_column.")
    return [label] if group is None else [label, group]


def table_source(path: Path, options: ReadOptions) -> Source:
    """Return a CSV file as a source: of pixels, or of picture paths relative to the file's folder.

    A column named split (or part, subset, set) with train, val and test makes the test part; validation images join the
    training part. ``options.group_column`` names what the splits must not tear apart; in a table of pixels it holds
    whole numbers.

    Raises:
        DataError: no such columns, or contents that do not fit; see :func:`pixel_table`.
    """
    entry = Entry(path)
    with entry.open() as stream:
        header, _ = _header(stream, entry)
    if header and _place(header, PATH_COLUMNS) is not None:
        return _path_source(path, entry, header, options)
    options.only(f"the table of pixels {path}", "label_column", "group_column", "test_fraction")
    images, labels, groups = _pixel_columns(entry, options)
    if path.name.lower().startswith("emnist-"):
        images = images.swapaxes(2, 3)
    names = None if groups is None else tuple(map(str, groups.tolist()))
    values = np.unique(labels)
    classes = tuple(str(value) for value in values)
    numbers = np.searchsorted(values, labels).astype(np.int64)
    return _source(path, classes, array_part(images, numbers, names), None, options)


def picture_stamp(path: Path) -> str:
    """Return a text that changes when a picture named in the table changes; "" for a table of pixels."""
    entry = Entry(path)
    with entry.open() as stream:
        header, _ = _header(stream, entry)
    place = _place(header, PATH_COLUMNS) if header else None
    if header is None or place is None:
        return ""
    files = (os.path.join(path.parent, row[place]) for row in _rows(entry, len(header)))
    return "\n".join(f"{file} {state.st_size} {state.st_mtime_ns}" for file in files if (state := _state(file)))


def _state(file: str) -> os.stat_result | None:
    try:
        return os.stat(file)
    except (OSError, ValueError):  # told when the picture is read
        return None


def _path_source(path: Path, entry: Entry, header: list[str], options: ReadOptions) -> Source:
    rows = list(_rows(entry, len(header)))
    label, picture = _label_place(header, options, entry), _place(header, PATH_COLUMNS)
    split, group = _place(header, SPLIT_COLUMNS), _group_place(header, options, entry)
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
        raise DataError(f"{entry}: the column {header[split]!r} should hold both train and test, it does not.")
    train, test = whole.take(np.flatnonzero(~in_test)), whole.take(np.flatnonzero(in_test))
    return _source(path, classes, train, test, options)


def _source(path: Path, classes: tuple[str, ...], train: Part, test: Part | None, options: ReadOptions) -> Source:
    return Source(
        name=path.stem,
        title=f"Table {path.name}",
        citation="the user's own table",
        licence="not stated",
        classes=classes,
        train=train,
        test=test,
        label_meaning="the class given in the label column",
        preprocessing=preprocessing_of(options),
    )


def _header(stream: IO[bytes], entry: Entry) -> tuple[list[str] | None, bytes]:
    line = stream.readline(MAX_LINE)
    if len(line) >= MAX_LINE or line.count(b",") >= MAX_COLUMNS:
        raise DataError(
            f"{entry}: the first line is longer than {MAX_LINE} bytes or {MAX_COLUMNS} columns; not read on."
        )
    text = line.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise DataError(
            f"{entry}: the table is empty; a label and pixel columns, or a path and a label column, are expected."
        )
    if all(_is_number(cell) for cell in text.split(b",")):
        return None, text
    names = next(cells_of(text, entry))
    return [name.strip().lower() for name in names], text


def _is_number(cell: bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _place(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _label_place(header: list[str], options: ReadOptions, entry: Entry) -> int:
    names = (options.label_column.lower(),) if options.label_column else LABEL_COLUMNS
    place = _place(header, names)
    if place is None:
        raise DataError(
            f"{entry}: no label column. Looked for {', '.join(names)}; the columns are {', '.join(header[:12])}. "
            "Name it with label_column."
        )
    return place


def _group_place(header: list[str], options: ReadOptions, entry: Entry) -> int | None:
    if options.group_column is None:
        return None
    place = _place(header, (options.group_column.lower(),))
    if place is None:
        raise DataError(f"{entry}: no column {options.group_column!r}; the columns are {', '.join(header[:12])}.")
    return place


def _pixels(values: IntArray, entry: Entry) -> ByteArray:
    if values.min() < 0 or values.max() > 255:
        raise DataError(f"{entry}: pixel values lie in 0..255, found {values.min()} to {values.max()}.")
    return values.astype(np.uint8)


def _side(pixels: int, entry: Entry) -> tuple[int, int]:
    for channels in (1, 3):
        side = math.isqrt(max(pixels, 0) // channels)
        if side and side * side * channels == pixels:
            return side, channels
    raise DataError(
        f"{entry}: {pixels} pixel columns beside the label make no square image, grey (s²) or with three channels (3·s²)."
    )


def _rows(entry: Entry, columns: int) -> Iterator[list[str]]:
    with entry.open() as stream, damage_told(entry):
        lines = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""))
        try:
            next(lines)
            for number, row in enumerate(lines, start=2):
                if row and len(row) != columns:
                    raise DataError(f"{entry}: row {number} has {len(row)} columns, the header has {columns}.")
                if number > MAX_ROWS:
                    raise DataError(f"{entry}: more than {MAX_ROWS} rows; not read on.")
                if row:
                    yield row
        except csv.Error as error:
            raise DataError(f"{entry}: no readable CSV ({error}).") from error
