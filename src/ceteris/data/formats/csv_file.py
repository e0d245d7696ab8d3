"""CSV files: their separator, encoding and header, and their rows as texts or, for tables of pixels, as whole numbers."""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ceteris.data.formats.entries import Entry
from ceteris.data.formats.pictures import SUFFIXES
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

MAX_LINE = 1 << 21  # bytes
MAX_ROWS = 20_000_000
MAX_TEXT_ROWS = 3_000_000  # each takes some 200 bytes of memory
MAX_COLUMNS = 200_000
_CHUNK = 1 << 23  # bytes
_SEPARATORS = ",;\t|"
_NEWLINE, _ZERO = ord("\n"), ord("0")


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

    def number_rows(self) -> Iterator[IntArray]:
        """Yield arrays (rows, columns) of whole numbers until the file ends.

        Raises:
            DataError: a row of another length, a cell that is no whole number, or more than MAX_ROWS rows.
        """
        before = self.skipped + (self.header is not None)
        with self.entry.open() as stream:
            text = io.TextIOWrapper(stream, encoding=self.encoding) if self.encoding.startswith("utf-16") else None
            rest, rows, first = b"", before, True
            while rows <= MAX_ROWS:
                chunk = stream.read(_CHUNK) if text is None else text.read(_CHUNK).encode("ascii", "replace")
                content = rest + chunk
                if first:
                    lines = content.removeprefix(codecs.BOM_UTF8).split(b"\n", before)
                    content, first = lines[before] if len(lines) > before else b"", False
                end = content.rfind(b"\n") + 1 if chunk else len(content)
                if len(content) - end > MAX_LINE:
                    raise DataError(f"{self.entry}: a line is longer than {MAX_LINE} bytes; not read on.")
                whole, rest = content[:end].replace(b"\r\n", b"\n"), content[end:]
                if whole.strip():
                    whole = whole if whole.endswith(b"\n") else whole + b"\n"
                    fast = _small_numbers(np.frombuffer(whole, dtype=np.uint8), self.columns, ord(self.separator))
                    numbers = self._any_numbers(whole, rows) if fast is None else fast
                    rows += len(numbers)
                    yield numbers
                if not chunk:
                    return
        raise DataError(f"{self.entry}: more than {MAX_ROWS} rows; not read on.")

    def _any_numbers(self, text: bytes, rows_before: int) -> IntArray:
        rows = []
        for number, row in enumerate(
            _cells(text.decode("utf-8", "replace"), self.separator, self.entry), rows_before + 1
        ):
            if not row:
                continue
            if len(row) != self.columns:
                raise DataError(
                    f"{self.entry}: row {number} has {len(row)} columns, the first line has {self.columns}."
                )
            try:
                values = [float(cell) for cell in row]
                if any(value != int(value) for value in values) or max(map(abs, values)) > 2**31:
                    raise ValueError
            except (ValueError, OverflowError) as error:
                raise DataError(
                    f"{self.entry}: row {number} should hold whole numbers (label, then pixels 0 to 255), "
                    f"received {','.join(row)[:80]!r}."
                ) from error
            rows.append([int(value) for value in values])
        return np.array(rows, dtype=np.int64).reshape(-1, self.columns)


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
    separator = named_separator or _separator(shown)
    if len(shown[0]) >= MAX_LINE or shown[0].count(separator) >= MAX_COLUMNS:
        raise DataError(
            f"{entry}: the first line is longer than {MAX_LINE} bytes or {MAX_COLUMNS} columns; not read on."
        )
    first = [cell.strip() for cell in next(_cells(shown[0], separator, entry), [])] or [""]
    no_header = all(_is_number(cell) for cell in first) or any(is_picture_name(cell) for cell in first)
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
                stream.read(len(start))
                while chunk := stream.read(_CHUNK):
                    decoder.decode(chunk)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _separator(lines: list[str]) -> str:
    """Return what parts the cells: what occurs as often in every line, as often as possible; a comma where nothing does."""
    counts = {
        separator: ["".join(line.split('"')[::2]).count(separator) for line in lines] for separator in _SEPARATORS
    }
    even = {separator: found[0] for separator, found in counts.items() if found[0] and len(set(found)) == 1}
    some = even or {separator: found[0] for separator, found in counts.items() if found[0]}
    return max(some, key=lambda separator: some[separator], default=",")


def _cells(text: str, separator: str, entry: Entry) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    except csv.Error as error:
        raise DataError(f"{entry}: no readable CSV ({error}).") from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _small_numbers(text: ByteArray, columns: int, separator: int) -> IntArray | None:
    """Return the numbers of a text whose cells all have 1 to 3 digits, or None when it holds anything else."""
    ends = np.flatnonzero((text == separator) | (text == _NEWLINE))
    lengths = np.diff(ends, prepend=-1) - 1
    digits = text - np.uint8(_ZERO)  # everything that is no digit becomes larger than 9
    if len(ends) % columns or lengths.min() < 1 or lengths.max() > 3:
        return None
    row_ends = np.arange(len(ends)) % columns == columns - 1
    if int((digits < 10).sum()) != len(text) - len(ends) or np.any((text[ends] == _NEWLINE) != row_ends):
        return None
    numbers = digits[ends - 1].astype(np.int64)
    for digit, weight in ((2, 10), (3, 100)):
        longer = np.flatnonzero(lengths >= digit)
        numbers[longer] += weight * digits[ends[longer] - digit].astype(np.int64)
    return numbers.reshape(-1, columns)
