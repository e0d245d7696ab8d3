"""CSV files: a label column and pixel columns (as on Kaggle), or a column of picture paths and a label column."""

import csv
import io
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from ceteris.data.formats.entries import Entry, damage_told
from ceteris.data.formats.picture_parts import (
    class_numbers,
    common_shape,
    file_headers,
    file_part,
    preprocessing_of,
    sorted_classes,
)  # fmt: skip
from ceteris.data.options import ReadOptions
from ceteris.data.source import Part, Source, array_part
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

LABEL_COLUMNS = ("label", "labels", "class", "target", "y", "category")
PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path", "filepath", "img")
SPLIT_COLUMNS = ("split", "part", "subset", "set")
MAX_COLUMNS = 200_000
_MAX_LINE = 1 << 21
_MAX_ROWS = 20_000_000
_CHUNK = 1 << 23
_SEPARATOR, _NEWLINE, _ZERO = ord(","), ord("\n"), ord("0")


def pixel_table(
    entry: Entry, options: ReadOptions, *, transposed: bool = False
) -> tuple[ByteArray, list[str] | IntArray]:
    """Return images uint8 (n, c, h, w) and the label column of a table of pixels.

    Without a header line the first column is the label. 3 · s² pixel columns are read as colour images with the
    channels last, s² as grey ones.

    Raises:
        DataError: rows of unequal length, values that are no whole numbers in 0..255, or no square number of columns.
    """
    with entry.open() as stream:
        header, first = _header(stream, entry)
        column = _label_place(header, options, entry) if header else 0
        columns = len(header or first.split(b","))
        side, channels = _side(columns - 1, entry)
        values = _values(stream, b"" if header else first + b"\n", columns, entry)
    labels = values[:, column]
    pixels = np.delete(values, column, axis=1) if column else values[:, 1:]
    images = pixels.reshape(-1, side, side, channels).transpose(0, 3, 1, 2)
    if pixels.size and (pixels.min() < 0 or pixels.max() > 255):
        raise DataError(f"{entry}: pixel values lie in 0..255, found {pixels.min()} to {pixels.max()}.")
    return (images.swapaxes(2, 3) if transposed else images).astype(np.uint8), labels.astype(np.int64)


def table_source(path: Path, options: ReadOptions) -> Source:
    """Return a CSV file as a source: of pixels, or of picture paths relative to the file's folder.

    A column named split (or part, subset, set) with train, val and test makes the test part; validation images join the
    training part. ``options.group_column`` names what the split must not tear apart.

    Raises:
        DataError: no such columns, or contents that do not fit; see :func:`pixel_table`.
    """
    entry = Entry(path)
    with entry.open() as stream:
        header, _ = _header(stream, entry)
    if header and _place(header, PATH_COLUMNS) is not None:
        return _path_source(path, entry, header, options)
    images, labels = pixel_table(entry, options, transposed=path.name.lower().startswith("emnist-"))
    values = np.unique(np.asarray(labels))
    classes = tuple(str(value) for value in values)
    numbers = np.searchsorted(values, np.asarray(labels)).astype(np.int64)
    return _source(path, classes, array_part(images, numbers), None, options)


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
    line = stream.readline(_MAX_LINE)
    if len(line) >= _MAX_LINE or line.count(b",") >= MAX_COLUMNS:
        raise DataError(
            f"{entry}: the first line is longer than {_MAX_LINE} bytes or {MAX_COLUMNS} columns; not read on."
        )
    text = line.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise DataError(
            f"{entry}: the table is empty; a label and pixel columns, or a path and a label column, are expected."
        )
    if all(_is_number(cell) for cell in text.split(b",")):
        return None, text
    names = next(_cells(text, entry))
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


def _side(pixels: int, entry: Entry) -> tuple[int, int]:
    for channels in (1, 3):
        side = math.isqrt(max(pixels, 0) // channels)
        if side and side * side * channels == pixels:
            return side, channels
    raise DataError(
        f"{entry}: {pixels} pixel columns beside the label make no square image, grey (s²) or with three channels (3·s²)."
    )


def _values(stream: IO[bytes], start: bytes, columns: int, entry: Entry) -> IntArray:
    parts, rest, rows = [], start, 0
    while True:
        chunk = stream.read(_CHUNK)
        text = rest + chunk
        end = text.rfind(b"\n") + 1 if chunk else len(text)
        if len(text) - end > _MAX_LINE:
            raise DataError(f"{entry}: a line is longer than {_MAX_LINE} bytes; not read on.")
        whole, rest = text[:end].replace(b"\r\n", b"\n"), text[end:]
        if whole.strip():
            parts.append(_parsed(whole if whole.endswith(b"\n") else whole + b"\n", columns, entry))
            rows += len(parts[-1])
        if not chunk or rows > _MAX_ROWS:
            break
    if not parts:
        raise DataError(f"{entry}: the table has no rows.")
    return np.concatenate(parts)


def _parsed(text: bytes, columns: int, entry: Entry) -> IntArray:
    fast = _whole_numbers(np.frombuffer(text, dtype=np.uint8), columns)
    return _slowly_parsed(text, columns, entry) if fast is None else fast


def _whole_numbers(text: ByteArray, columns: int) -> IntArray | None:
    """Return the numbers of a table of 1 to 3 digits per cell, or None when it holds anything else.

    A vectorised parser: it reads about 100 MB/s, and tables of pixels are large.
    """
    ends = np.flatnonzero((text == _SEPARATOR) | (text == _NEWLINE))
    lengths = np.diff(ends, prepend=-1) - 1
    digits = text - np.uint8(_ZERO)  # everything that is no digit becomes larger than 9
    separators = len(ends)
    if (
        separators % columns
        or lengths.min() < 1
        or lengths.max() > 3
        or int((digits < 10).sum()) != len(text) - separators
    ):
        return None
    if np.any((text[ends] == _NEWLINE) != (np.arange(separators) % columns == columns - 1)):
        return None
    numbers = digits[ends - 1].astype(np.int16)
    for place, weight in ((2, 10), (3, 100)):
        longer = np.flatnonzero(lengths >= place)
        numbers[longer] += digits[ends[longer] - place].astype(np.int16) * np.int16(weight)
    return numbers.reshape(-1, columns)  # type: ignore[return-value]


def _slowly_parsed(text: bytes, columns: int, entry: Entry) -> IntArray:
    rows = []
    for number, row in enumerate(_cells(text, entry), start=1):
        if not row:
            continue
        if len(row) != columns:
            raise DataError(f"{entry}: row {number} has {len(row)} columns, the first line has {columns}.")
        rows.append(_numbers(row, number, entry))
    return np.array(rows, dtype=np.int64).reshape(-1, columns)


def _cells(text: bytes, entry: Entry) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text.decode("utf-8", "replace"), newline=""))
    except csv.Error as error:
        raise DataError(f"{entry}: no readable CSV ({error}).") from error


def _numbers(row: list[str], number: int, entry: Entry) -> list[int]:
    try:
        values = [float(cell) for cell in row]
        if any(value != int(value) for value in values) or max(map(abs, values)) > 2**31:
            raise ValueError
        return [int(value) for value in values]
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{entry}: row {number} should hold whole numbers (label, then pixels 0 to 255), received {','.join(row)[:80]!r}."
        ) from error


def _rows(entry: Entry, columns: int) -> Iterator[list[str]]:
    with entry.open() as stream, damage_told(entry):
        lines = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""))
        try:
            next(lines)
            for number, row in enumerate(lines, start=2):
                if row and len(row) != columns:
                    raise DataError(f"{entry}: row {number} has {len(row)} columns, the header has {columns}.")
                if number > _MAX_ROWS:
                    raise DataError(f"{entry}: more than {_MAX_ROWS} rows; not read on.")
                if row:
                    yield row
        except csv.Error as error:
            raise DataError(f"{entry}: no readable CSV ({error}).") from error
