"""CSV files: their separator, encoding and header, and their rows as texts or, for tables of pixels, as numbers."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ceteris.data.formats.entries import Entry
from ceteris.data.formats.pictures import SUFFIXES
from ceteris.errors import DataError
from ceteris.records import FloatArray

MAX_LINE = 1 << 21  # bytes
MAX_ROWS = 20_000_000
MAX_TEXT_ROWS = 3_000_000  # each takes some 200 bytes of memory
MAX_COLUMNS = 200_000
_CHUNK = 1 << 23  # bytes
_NUMBERS_AT_ONCE = 1 << 21
_SEPARATORS = ",;\t|"


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
