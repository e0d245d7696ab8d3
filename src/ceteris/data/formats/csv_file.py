"""CSV files: their separator, encoding and header, their rows as texts or numbers, and which column means what.

A column is found by the usual names, and where these are missing by what its cells hold.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ceteris.data.formats.entries import Entry
from ceteris.data.formats.pictures import SUFFIXES
from ceteris.data.source import ReadOptions
from ceteris.errors import DataError
from ceteris.formats import some
from ceteris.records import FloatArray

MAX_LINE = 1 << 21  # bytes
MAX_ROWS = 20_000_000
MAX_TEXT_ROWS = 3_000_000  # each takes some 200 bytes of memory
MAX_COLUMNS = 200_000
_CHUNK = 1 << 23  # bytes
_NUMBERS_AT_ONCE = 1 << 21
_SEPARATORS = ",;\t|"
LABEL_COLUMNS = (
    "label", "labels", "class", "target", "y", "category", "class_name", "classes", "label_name", "class_label", "emotion",
    "diagnosis", "species", "breed", "class_id", "level", "dx",
)  # fmt: skip
_PATH_COLUMNS = (
    "path", "file", "filename", "file_name", "image", "image_path", "filepath", "file_path", "img", "image_file",
    "image_name", "img_path", "img_name", "image_filename", "picture", "photo", "images", "filenames",
)  # fmt: skip
_WEAK_PATH_COLUMNS = ("image_id", "id_code", "img_id", "id", "name")  # where their cells name pictures
_SPLIT_COLUMNS = ("split", "part", "subset", "set", "usage", "data set")
_PIXEL_TEXT_COLUMNS = ("pixels", "pixel_values")
_INDEX_COLUMNS = frozenset({"", "index", "idx", "id", "row", "rowid", "unnamed0"})  # compact names
_NUMBERED = re.compile(r"(?:pixel|pix|px|p|x|f|feature|v|value|col|column|c|attr|attribute|dim)?\d+(?:x\d+)?[rgb]?")
_LABEL_POSITIONS = {"first": 0, "last": -1}  # where the table has no header line
_MARKS = {"0", "1", "0.0", "1.0"}
_SAMPLE = 50  # rows


@dataclass(frozen=True, kw_only=True)
class CsvFile:
    """A CSV file whose first line was read.

    Attributes:
        entry: the file.
        encoding: "utf-8-sig", "utf-16" (also "-le", "-be"), or "cp1252" for files that are neither.
        separator: what parts the cells.
        header: names of the columns as written, or None where the first row holds numbers or a picture's name.
        first: cells of the first row, header or not.
        skipped: lines before the header (one where Excel wrote the separator there).
    """

    entry: Entry
    encoding: str
    separator: str
    header: list[str] | None
    first: list[str]
    skipped: int

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.first)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number in the file (the header has number 1) and the cells of every row below the header.

        Raises:
            DataError: a row of another length, no readable CSV, or more than MAX_TEXT_ROWS rows.
        """
        with self.entry.open() as stream:
            text = io.TextIOWrapper(stream, encoding=self.encoding, newline="")
            lines = csv.reader(text, delimiter=self.separator, skipinitialspace=True)
            try:
                for number, row in enumerate(lines, start=1):
                    if number <= self.skipped + (self.header is not None) or not row:
                        continue
                    if len(row) != self.columns:
                        raise DataError(
                            f"{self.entry}: row {number} has {len(row)} columns, the first line has {self.columns}."
                        )
                    if number > MAX_TEXT_ROWS:
                        raise DataError(f"{self.entry}: more than {MAX_TEXT_ROWS} rows; not read on.")
                    yield number, row
            except csv.Error as error:
                raise DataError(f"{self.entry}: no readable CSV ({error}).") from error

    def number_rows(self, columns: Sequence[int] | None = None) -> Iterator[FloatArray]:
        """Yield arrays (rows, columns) of numbers until the file ends; of some columns where these are given.

        Raises:
            DataError: a row of another length, a cell that is no number, or more than MAX_ROWS rows.
        """
        at_once = max(1, _NUMBERS_AT_ONCE // self.columns)
        with self.entry.open() as stream, io.TextIOWrapper(stream, encoding=self.encoding) as text:
            lines = self._lines(text)
            while some := list(islice(lines, at_once)):
                yield self.numbers(some, self.separator, columns)

    def numbers(self, lines: list[str], separator: str | None, columns: Sequence[int] | None = None) -> FloatArray:
        """Return the numbers of some lines of the file, (lines, columns).

        With the separator None the lines are cells of the one column, and their numbers are parted by white space.

        Raises:
            DataError: a row of another length, or a cell that is no number.
        """
        try:
            chosen = None if separator is None else columns
            found = np.loadtxt(lines, delimiter=separator, usecols=chosen, ndmin=2, comments=None, quotechar='"')
            if separator is not None and columns is None and found.shape[1] != self.columns:
                raise ValueError(f"{found.shape[1]} columns, the first line has {self.columns}")
            return found
        except (ValueError, OverflowError) as error:
            for number, row in self.rows():  # says which row has another length
                for index in range(len(row)) if columns is None else columns:
                    if not all(map(is_number, row[index].split(separator) if separator is None else [row[index]])):
                        received = ",".join(row)[:80]
                        raise DataError(
                            f"{self.entry}: row {number} should hold numbers (label, then pixels of 0 to 255), "
                            f"received {received!r}."
                        ) from error
            raise DataError(f"{self.entry}: no readable table of numbers ({str(error)[:200]}).") from error

    def _lines(self, text: io.TextIOWrapper) -> Iterator[str]:
        """Yield the lines below the header that are not empty."""
        number = 0
        while line := text.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE:
                raise DataError(f"{self.entry}: a line is longer than {MAX_LINE} characters; not read on.")
            if number > MAX_ROWS:
                raise DataError(f"{self.entry}: more than {MAX_ROWS} rows; not read on.")
            if number > self.skipped + (self.header is not None) and line.strip():
                yield line


def read_csv(entry: Entry, *, texts: bool = False) -> CsvFile:
    """Read the first lines of a CSV file: encoding, separator, and the header where there is one.

    Args:
        entry: the file.
        texts: whether texts will be read, so that the encoding of the whole file counts.

    Raises:
        DataError: an empty file, no text, or a first line that is too long.
    """
    with entry.open() as stream:
        start = stream.read(2 * MAX_LINE)
    encoding = _encoding(start, entry, whole=texts)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(start)  # the last character may be cut
    lines = [line.rstrip("\r") for line in text.split("\n", 20)[:20]]
    named = lines[0].strip(' "').lower()
    named_separator = named[4] if len(named) == 5 and named.startswith("sep=") else ""  # as Excel writes it
    skipped = next((number for number, line in enumerate(lines) if line.strip() and (number or not named_separator)), 0)
    shown = [line for line in lines[skipped:] if line.strip()][:3]
    if not shown:
        raise DataError(
            f"{entry}: the table is empty; a label and pixel columns, or a path and a label column, are expected."
        )
    # What parts the cells occurs as often in every line, and as often as possible; a comma where nothing does.
    counts = {mark: ["".join(line.split('"')[::2]).count(mark) for line in shown] for mark in _SEPARATORS}
    even = {mark: found[0] for mark, found in counts.items() if found[0] and len(set(found)) == 1}
    some = even or {mark: found[0] for mark, found in counts.items() if found[0]}
    separator = named_separator or max(some, key=lambda mark: some[mark], default=",")
    if len(shown[0]) >= MAX_LINE or shown[0].count(separator) >= MAX_COLUMNS:
        raise DataError(
            f"{entry}: the first line is longer than {MAX_LINE} bytes or {MAX_COLUMNS} columns; not read on."
        )
    try:
        cells = next(csv.reader([shown[0]], delimiter=separator, skipinitialspace=True), [])
    except csv.Error as error:
        raise DataError(f"{entry}: no readable CSV ({error}).") from error
    first = [cell.strip() for cell in cells] or [""]
    no_header = all(is_number(cell) for cell in first) or any(is_picture_name(cell) for cell in first)
    return CsvFile(
        entry=entry,
        encoding=encoding,
        separator=separator,
        header=None if no_header else first,
        first=first,
        skipped=skipped,
    )


def is_picture_name(cell: str) -> bool:
    """Tell whether a cell ends like the name of a picture file."""
    _, dot, suffix = cell.rpartition(".")
    return bool(dot) and f".{suffix.strip().lower()}" in SUFFIXES


def _encoding(start: bytes, entry: Entry, *, whole: bool) -> str:
    """Return the encoding of a file from its first bytes, or from all of them: UTF-8, UTF-16, or else cp1252."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = start[:4096]
    for encoding, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[0::2])):
        if zeros.count(0) > 0.9 * len(zeros) > 0:
            return encoding
    if b"\0" in sample:
        raise DataError(f"{entry}: no text, it holds zero bytes. Save the table as CSV in UTF-8.")
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        decoder.decode(start)
        if whole and len(start) == 2 * MAX_LINE:
            with entry.open() as stream:
                lines = stream.read(len(start)).count(b"\n")
                while chunk := stream.read(_CHUNK):
                    decoder.decode(chunk)
                    lines += chunk.count(b"\n")
                    if lines > MAX_TEXT_ROWS:
                        raise DataError(f"{entry}: more than {MAX_TEXT_ROWS} rows; not read on.")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def is_number(cell: str) -> bool:
    """Tell whether a cell holds a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The indices of a table's columns by what they mean; None and () for what the table does not have.

    Attributes:
        label: the label.
        one_hot: one column per class with a 1 for the class of the row, where there is no column of labels.
        path: the name of a picture.
        pixel_text: all pixels as a text of numbers.
        pixels: one column per pixel.
        split: the part of the set.
        group: what a split must not tear apart.
        mixed: whether a table of pixels holds texts too, or all pixels in one cell.
        unused: names of the columns that mean nothing here.
    """

    label: int | None
    one_hot: tuple[int, ...] = ()
    path: int | None = None
    pixel_text: int | None = None
    pixels: tuple[int, ...] = ()
    split: int | None = None
    group: int | None = None
    mixed: bool = False
    unused: tuple[str, ...] = ()


def find_columns(table: CsvFile, options: ReadOptions, names_picture: Callable[[str], bool]) -> Columns:
    """Return what the columns of a table mean.

    Args:
        table: the table.
        options: names of columns that the user gave.
        names_picture: whether a cell names a picture that exists.

    Raises:
        DataError: a column that was named is not there, or none holds the label.
    """
    header = table.header
    if header is None:
        return _without_header(table, options)
    split = _find(header, _SPLIT_COLUMNS)
    group = None if options.group_column is None else _named(table, header, options.group_column, "group_column")
    label = _find(header, LABEL_COLUMNS)
    if options.label_column is not None:
        label = _named(table, header, options.label_column, "label_column")
    if group is not None and group == label:
        raise DataError(f"{table.entry}: the column {header[group]!r} cannot be both label_column and group_column.")
    try:
        sample = [row for _, row in islice(table.rows(), _SAMPLE)]
    except DataError:  # raised again where the rows are read
        sample = []
    pixel_text = _find(header, _PIXEL_TEXT_COLUMNS)
    if pixel_text is not None and all(len(row[pixel_text].split()) >= 4 for row in sample):
        if label is None:
            raise _no_label(table, header)
        return Columns(label=label, pixel_text=pixel_text, split=split, group=group, mixed=True)
    path = _path_column(table, header, options, sample, names_picture)
    rest = [index for index in range(len(header)) if index not in (label, path, split, group)]
    if path is not None:
        labels = [index for index in rest if not _is_index(header[index])]
        if label is None and len(labels) == 1:
            label = labels[0]
        marks = {row[index].strip() for row in sample for index in labels}
        one_hot = tuple(labels) if label is None and len(labels) >= 2 and marks and marks <= _MARKS else ()
        if label is None and not one_hot:
            raise _no_label(table, header)
        unused = () if one_hot else tuple(header[index] for index in labels if index != label)
        return Columns(label=label, one_hot=one_hot, path=path, split=split, group=group, unused=unused)
    if label is None:
        raise _no_label(table, header)
    numbered = [index for index in rest if _NUMBERED.fullmatch(_compact(header[index]))]
    if len(numbered) < max(4, len(rest) / 2):
        numbered = [index for index in rest if not _is_index(header[index])]
    known = set(numbered)
    mixed = any(not is_number(cell) for row in sample for index, cell in enumerate(row) if index not in known)
    beside = [*rest, *([] if split is None or mixed else [split])]
    unused = tuple(header[index] for index in beside if index not in numbered and not _is_index(header[index]))
    pixels = tuple(numbered)
    return Columns(label=label, pixels=pixels, split=split, group=group, mixed=mixed, unused=unused)


def _without_header(table: CsvFile, options: ReadOptions) -> Columns:
    if options.group_column is not None:
        raise DataError(
            f"{table.entry}: no column {options.group_column!r}, since the table has no header line. Add one with the names."
        )
    path = next((index for index, cell in enumerate(table.first) if is_picture_name(cell)), None)
    if path is None:
        label = _LABEL_POSITIONS.get((options.label_column or "").lower())
        if label is None:  # first, unless that column never changes and the last one does
            rows = next(table.number_rows(), np.zeros((1, table.columns), dtype=np.int64))
            first, last = (len(np.unique(rows[:, column])) for column in (0, -1))
            label = -1 if first == 1 and 1 < last <= max(2, len(rows) // 2) else 0
        label %= table.columns
        return Columns(label=label, pixels=tuple(index for index in range(table.columns) if index != label))
    if table.columns != 2:
        raise DataError(
            f"{table.entry}: the table has no header line and {table.columns} columns, so that it is not clear which one "
            "holds the label. Add a first line with the names, for instance path,label."
        )
    return Columns(label=1 - path, path=path)


def _path_column(
    table: CsvFile,
    header: list[str],
    options: ReadOptions,
    sample: list[list[str]],
    names_picture: Callable[[str], bool],
) -> int | None:
    if options.path_column is not None:
        return _named(table, header, options.path_column, "path_column")
    strong = _find(header, _PATH_COLUMNS)
    if strong is not None:
        return strong
    weak = [
        index for name in _WEAK_PATH_COLUMNS for index, cell in enumerate(header) if _compact(cell) == _compact(name)
    ]
    for index in weak:
        if any(names_picture(row[index]) for row in sample):
            return index
    all_names = (index for index in range(len(header)) if sample and all(is_picture_name(row[index]) for row in sample))
    return next(all_names, None)


def _find(header: Sequence[str], names: Sequence[str]) -> int | None:
    compact = [_compact(name) for name in header]
    return next((compact.index(_compact(name)) for name in names if _compact(name) in compact), None)


def _named(table: CsvFile, header: list[str], name: str, option: str) -> int:
    column = _find(header, (name,))
    if column is None:
        shown = some([cell[:40] for cell in header], 12)
        raise DataError(f"{table.entry}: {option}: no column {name!r}; the columns are {shown}.")
    return column


def _no_label(table: CsvFile, header: list[str]) -> DataError:
    shown = some([cell[:40] for cell in header], 12)
    return DataError(
        f"{table.entry}: no label column. Looked for {', '.join(LABEL_COLUMNS[:8])}, …; the columns are {shown}. "
        "Name it with label_column."
    )


def _compact(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _is_index(name: str) -> bool:
    return _compact(name) in _INDEX_COLUMNS
