"""CSV files: a label and pixel columns (as on Kaggle), or a column of picture names and labels."""

import math
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ceteris.data.formats.csv_file import Columns, CsvFile, find_columns, is_picture_name, read_csv
from ceteris.data.formats.entries import Entry
from ceteris.data.formats.folder_layout import PartName, part_of, read_tree
from ceteris.data.formats.idx import UPRIGHT, find_mapping, mapped_classes
from ceteris.data.formats.picture_parts import (
    check_pictures,
    class_numbers,
    file_part,
    picture_files,
    sorted_classes,
)
from ceteris.data.formats.pictures import bytes_of
from ceteris.data.named import Location, NamedSet, official
from ceteris.data.source import Part, Reader, ReadOptions, Source, Understood, array_part
from ceteris.errors import DataError
from ceteris.formats import some
from ceteris.records import ByteArray, FloatArray, IntArray

_SUFFIXES = (".csv", ".tsv")
_PARTS: dict[str, PartName] = {"publictest": "validation", "privatetest": "test"}  # as FER2013 calls them
_EMPTY = ("", "nan")
_PIXEL_OPTIONS = ("label_column", "group_column", "test_fraction")

Rows = Sequence[tuple[int, Mapping[int, str] | list[str]]]  # number in the file, cells by column
_ROWS_AT_ONCE = 1024


_LONGEST_PATH = 4096


class PictureFinder:
    """Finds the pictures that a table names, as people write such names: without suffix, with backslashes, from elsewhere."""

    def __init__(self, table: Path) -> None:
        self._table = table
        self._folder = str(table.parent)

    def exists(self, cell: str) -> bool:
        """Tell whether a cell names a picture that is there."""
        try:
            return os.path.isfile(self.find(cell))
        except (DataError, ValueError):
            return False

    def find(self, cell: str) -> str:
        """Return the path of the picture; where there is none, the path at which it should be.

        Leading folders that are not here are left out one by one until what is left names a picture; letter case, the
        Unicode form and a missing suffix make no difference.

        Raises:
            DataError: several pictures of that name.
        """
        direct = os.path.join(self._folder, cell.strip())
        if "\0" in cell or len(cell) > _LONGEST_PATH or os.path.isfile(direct):
            return direct
        target = _plain(cell.strip().replace("\\", "/"))
        stem = os.path.splitext(target)[0] if is_picture_name(target) else target
        parts = [part for part in stem.split("/") if part not in ("", ".", "..")]
        pictures, folders = self._pictures
        for start in range(len(parts)):
            tail, named = "/".join(parts[start:]), pictures.get(parts[-1], ())
            found = [path for path in named if f"/{_plain(os.path.splitext(path)[0])}".endswith(f"/{tail}")]
            same_suffix = [path for path in found if _plain(path).endswith(f"{tail}{target[len(stem) :]}")]
            found = same_suffix or found
            if len(found) > 1:
                part = part_of(Entry(self._table).name.partition(".")[0])  # train.csv means pictures in train/
                found = [path for path in found if part_of(path.partition("/")[0]) == part] or found
            if len(found) > 1:
                raise DataError(
                    f"{self._table}: {cell!r} can mean {found[0]} or {found[1]}. Write the path from the table's folder."
                )
            if found:
                return os.path.join(self._folder, found[0])
            if parts[start] in folders:  # another picture of the same name in another folder is not meant
                break
        return direct

    @cached_property
    def _pictures(self) -> tuple[dict[str, list[str]], set[str]]:
        """Paths of all pictures relative to the folder, by their plain name without suffix; the names of all folders."""
        by_name: dict[str, list[str]] = defaultdict(list)
        folders: set[str] = set()
        for path in read_tree(self._folder).all_pictures():
            relative = os.path.relpath(path, self._folder).replace(os.sep, "/")
            *above, name = relative.split("/")
            by_name[_plain(os.path.splitext(name)[0])].append(relative)
            folders |= {_plain(folder) for folder in above}
        return by_name, folders


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def detect(location: Location) -> Reader | None:
    """Return the reader of a CSV file (plain or compressed), or of the pair of a named set in a folder; else None."""
    known, path = location.known, location.path
    if known is None:
        if path.is_dir() or not is_table(path):
            return None
        read, stamp = partial(table_source, path, location.options), partial(_picture_stamp, path, location.options)
        return Reader(kind="csv", files=(path,), read=read, stamp=stamp)
    for files in location.entries() if known.tables else ():
        by_name = {entry.name.lower(): entry for entry in files}
        pair = next((pair for pair in known.tables if all(name in by_name for name in pair)), None)
        if pair is not None:
            parts, mapping = [by_name[name] for name in pair], find_mapping(files, known.prefix)
            paths = dict.fromkeys(entry.path for entry in (*parts, mapping) if entry is not None)
            return Reader(
                kind=f"{known.name} csv",
                files=tuple(paths),
                read=partial(table_pair, known, (parts[0], parts[1]), mapping),
            )
    return None


def table_pair(known: NamedSet, tables: tuple[Entry, Entry], mapping: Entry | None) -> Source:
    """Return a named set from its training and its test table of pixels.

    Raises:
        DataError: see :func:`pixel_table`, and tables that are not those of the set.
    """
    parts = [pixel_table(entry, transposed=known.transposed) for entry in tables]
    train, test = (array_part(images, labels - known.first_label) for images, labels in parts)
    upright = (UPRIGHT,) if known.transposed else ()
    classes = mapped_classes(known, mapping)
    return official(known, Source(name="", title="", classes=classes, train=train, test=test, preprocessing=upright))


def is_table(path: Path) -> bool:
    """Tell whether a file has the name of a table."""
    return Entry(path).name.lower().endswith(_SUFFIXES)


def names_pictures(path: Path) -> bool:
    """Tell whether a file is a table whose first rows name pictures that exist, and their labels."""
    finder = PictureFinder(path)
    try:
        table = read_csv(Entry(path))
        column = find_columns(table, ReadOptions(), finder.exists).path
        return column is not None and any(finder.exists(row[column]) for _, row in islice(table.rows(), 20))
    except DataError:
        return False


def table_source(path: Path, options: ReadOptions) -> Source:
    """Return a CSV file as a source: of pixels, or of pictures that lie beside it or in folders beside it.

    A column named split (part, subset, set, usage) with train, val and test makes the test part; validation images join
    the training part. ``options.group_column`` names what the splits must not tear apart.

    Raises:
        DataError: no such columns, rows without a label, or contents that do not fit; see :func:`pixel_table`.
    """
    finder = PictureFinder(path)
    table = read_csv(Entry(path), texts=True)
    columns = find_columns(table, options, finder.exists)
    if columns.path is not None:
        return _path_source(path, table, columns, columns.path, finder, options)
    options.only(f"the table of pixels {path}", *_PIXEL_OPTIONS)
    return _pixel_source(path, table, columns)


def pixel_table(entry: Entry, *, transposed: bool = False) -> tuple[ByteArray, IntArray]:
    """Return images uint8 (n, c, h, w) and the label column (n,) of a table of pixels that holds numbers alone.

    Without a header line the first column is the label. 3 · s² pixel columns are read as colour images with the
    channels last, s² as grey ones.

    Raises:
        DataError: rows of unequal length, values outside 0..255, labels that are not whole, or no square number of columns.
    """
    table = read_csv(entry)
    columns = find_columns(table, ReadOptions(), lambda cell: False)
    images, beside = _images(table, columns, table.number_rows())
    return images.swapaxes(2, 3) if transposed else images, _whole(table, beside[:, 0])


def _pixel_source(path: Path, table: CsvFile, columns: Columns) -> Source:
    """Read a table of pixels: numbers throughout, or beside texts, or all pixels in one cell as FER2013 has them."""
    notes: list[str] = []
    rows: Rows = []
    if columns.mixed:
        texts = [index for index in (columns.label, columns.group, columns.split) if index is not None]
        rows = [(number, {index: row[index] for index in texts}) for number, row in table.rows()]
        images, _ = _images(table, columns, _pixel_rows(table, columns))
        labels, notes = _labels(table, columns, rows)
        classes = sorted_classes(labels)
        groups = None if columns.group is None else tuple(row[columns.group] for _, row in rows)
        numbers = class_numbers(labels, classes)
    else:
        images, beside = _images(table, columns, table.number_rows())
        found, inverse = np.unique(_whole(table, beside[:, 0]), return_inverse=True)
        classes, numbers = tuple(map(str, found)), inverse.astype(np.int64)
        groups = tuple(f"{value:g}" for value in beside[:, 1]) if columns.group is not None else None
    white = 1.0 if images.max() <= 1 else 255.0
    if path.name.lower().startswith("emnist-"):
        images = images.swapaxes(2, 3)
    whole = array_part(bytes_of(images, white), numbers, groups)
    parts = _parts(table, columns, rows, whole) if columns.mixed else (whole, None)
    if white == 1:
        notes.append("pixels of 0 to 1 spread over 0 to 255")
    return replace(_source(path, table, columns, classes, parts, notes), white=white)


def _pixel_rows(table: CsvFile, columns: Columns) -> Iterator[FloatArray]:
    """Yield the pixels (rows, pixels) of a table that holds texts too."""
    text = columns.pixel_text
    if text is None:
        yield from table.number_rows(columns.pixels)
        return
    rows = table.rows()
    while some := [row[text] for _, row in islice(rows, _ROWS_AT_ONCE)]:
        yield table.numbers(some, None, (text,))


def _images(table: CsvFile, columns: Columns, rows: Iterable[FloatArray]) -> tuple[NDArray[Any], FloatArray]:
    """Return images (n, c, h, w), bytes where all pixels are whole numbers, and the other columns: the label and the group."""
    beside: list[FloatArray] = []
    pixels: list[NDArray[Any]] = []
    side = channels = 0
    chosen = slice(None) if columns.mixed else list(columns.pixels)
    others = [] if columns.mixed else [column for column in (columns.label, columns.group) if column is not None]
    for numbers in rows:
        values = numbers[:, chosen]
        side, channels = _side(values.shape[1], table.entry)
        if not (values.min() >= 0 and values.max() <= 255):
            raise DataError(f"{table.entry}: pixel values lie in 0..255, found {values.min():g} to {values.max():g}.")
        if pixels and values.shape[1] != pixels[0].shape[1]:
            raise DataError(f"{table.entry}: rows hold {pixels[0].shape[1]} and {values.shape[1]} pixels.")
        whole = values.astype(np.uint8)
        pixels.append(whole if np.array_equal(whole, values) else values.astype(np.float32))
        beside.append(numbers[:, others])
    if not beside:
        raise DataError(f"{table.entry}: the table has no rows.")
    return np.concatenate(pixels).reshape(-1, side, side, channels).transpose(0, 3, 1, 2), np.concatenate(beside)


def _whole(table: CsvFile, labels: FloatArray) -> IntArray:
    wrong = np.flatnonzero(~((labels == np.round(labels)) & (np.abs(labels) < 2**31)))
    if len(wrong):
        raise DataError(f"{table.entry}: labels are whole numbers or texts, received {labels[wrong[0]]:g}.")
    return labels.astype(np.int64)


def _path_source(
    path: Path, table: CsvFile, columns: Columns, column: int, finder: PictureFinder, options: ReadOptions
) -> Source:
    rows = list(table.rows())
    labels, notes = _labels(table, columns, rows)
    paths = [finder.find(row[column]) for _, row in rows]
    first = dict(zip(reversed(paths), reversed(labels), strict=True))
    twice = len(paths) - len(first)
    other = [path for path, label in zip(paths, labels, strict=True) if first[path] != label]
    if other:
        raise DataError(
            f"{table.entry}: {len(other)} pictures are named again with another label, such as {other[0]}. "
            "One label per picture is read."
        )
    if twice:
        notes.append(f"{twice} rows name a picture again")
    checked = check_pictures([picture_files(paths)], options)
    kept = checked.readable[0]
    classes = sorted_classes(labels[index] for index in kept)
    numbers = class_numbers([labels[index] for index in kept], classes)
    chosen = [rows[index] for index in kept]
    groups = None if columns.group is None else tuple(row[columns.group] for _, row in chosen)
    whole = file_part([paths[index] for index in kept], numbers, checked, groups)
    parts = _parts(table, columns, chosen, whole)
    return checked.told_in(_source(path, table, columns, classes, parts, notes))


def _labels(table: CsvFile, columns: Columns, rows: Rows) -> tuple[list[str], list[str]]:
    """Return the label of every row without spaces around it, and what is to be noted of the labels."""
    if columns.label is None:
        names = [(table.header or table.first)[index] for index in columns.one_hot]
        marks = [[row[index].strip() in ("1", "1.0") for index in columns.one_hot] for _, row in rows]
        wrong = [number for (number, _), mark in zip(rows, marks, strict=True) if sum(mark) != 1]
        if wrong:
            raise DataError(
                f"{table.entry}: {_numbers(wrong)} not exactly one 1 among the columns {', '.join(names[:8])}. "
                "One label per picture is read."
            )
        return [names[mark.index(True)] for mark in marks], [f"classes from {len(names)} columns of 0 and 1"]
    written = [row[columns.label] for _, row in rows]
    labels = [label.strip() for label in written]
    empty = [number for (number, _), label in zip(rows, labels, strict=True) if label.lower() in _EMPTY]
    if empty:
        raise DataError(f"{table.entry}: {_numbers(empty)} no label. Fill it in, or remove such rows.")
    spaces = sum(label != plain for label, plain in zip(written, labels, strict=True))
    return labels, [f"spaces around {spaces} labels left out"] if spaces else []


def _numbers(rows: list[int]) -> str:
    return f"row {rows[0]} has" if len(rows) == 1 else f"rows {some(rows, 20)} have"


def _parts(table: CsvFile, columns: Columns, rows: Rows, whole: Part) -> tuple[Part, Part | None]:
    """Split the rows as the column of parts says; the validation part takes the place of a missing test part."""
    if columns.split is None:
        return whole, None
    name = (table.header or table.first)[columns.split]
    cells = [row[columns.split].strip() for _, row in rows]
    meant = {cell: _PARTS.get(cell.lower(), part_of(cell)) for cell in set(cells)}
    unknown = sorted(cell for cell, part in meant.items() if part is None)
    if unknown:
        raise DataError(f"{table.entry}: the column {name!r} holds {unknown[0]!r}; train, val and test are understood.")
    held_out = "test" if "test" in meant.values() else "validation"
    in_test = np.array([meant[cell] == held_out for cell in cells])
    if in_test.all() or not in_test.any():
        raise DataError(f"{table.entry}: the column {name!r} should hold both train and test, it does not.")
    return whole.take(np.flatnonzero(~in_test)), whole.take(np.flatnonzero(in_test))


def _source(
    path: Path,
    table: CsvFile,
    columns: Columns,
    classes: tuple[str, ...],
    parts: tuple[Part, Part | None],
    notes: Sequence[str],
) -> Source:
    names = [f'"{name}"' for name in table.header or ()] or [f"column {n}" for n in range(1, table.columns + 1)]
    choices = [] if columns.label is None else [f"label from {names[columns.label]}"]
    if columns.path is not None:
        choices.append(f"pictures from {names[columns.path]}")
    if columns.unused:
        choices.append(f"columns not used: {some(columns.unused, 5)}")
    if not table.encoding.startswith("utf-8"):
        choices.append(f"text read as {table.encoding}")
    return Source(
        name=path.stem,
        title=f"Table {path.name}",
        source="the user's own table",
        classes=classes,
        train=parts[0],
        test=parts[1],
        label_meaning="the class given in the label column",
        understood=Understood(train=(path.name,), notes=(*choices, *notes)),
    )


def _picture_stamp(path: Path, options: ReadOptions) -> str:
    """Return a text that changes when a picture named in the table changes; "" for a table of pixels."""
    finder = PictureFinder(path)
    lines = []
    try:
        table = read_csv(Entry(path), texts=True)
        column = find_columns(table, options, finder.exists).path
        if column is not None:
            for _, row in table.rows():
                file = finder.find(row[column])
                state = os.stat(file)
                lines.append(f"{file} {state.st_size} {state.st_mtime_ns}")
    except (DataError, OSError, ValueError):  # said when the table and its pictures are read
        pass
    return "\n".join(lines)


def _side(pixels: int, entry: Entry) -> tuple[int, int]:
    for channels in (1, 3):
        side = math.isqrt(max(pixels, 0) // channels)
        if side and side * side * channels == pixels:
            return side, channels
    raise DataError(
        f"{entry}: {pixels} pixel columns beside the label make no square image, grey (s²) or with three channels (3·s²)."
    )
