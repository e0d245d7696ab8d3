"""CSV files: their header, and their rows as texts or, for tables of pixels, as whole numbers in large pieces."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ceteris.data.formats.entries import Entry
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

MAX_LINE = 1 << 21  # bytes
MAX_ROWS = 20_000_000
MAX_COLUMNS = 200_000
_CHUNK = 1 << 23  # bytes
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SEPARATOR, _NEWLINE, _ZERO = ord(","), ord("\n"), ord("0")


@dataclass(frozen=True, kw_only=True)
class CsvFile:
    """A CSV file whose first line was read: lower-case column names, or None where the first row holds numbers."""

    entry: Entry
    header: list[str] | None
    columns: int

    def rows(self) -> Iterator[list[str]]:
        """Yield the cells of every row below the header.

        Raises:
            DataError: a row of another length, no readable CSV, or more than MAX_ROWS rows.
        """
        with self.entry.open() as stream:
            lines = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""))
            try:
                next(lines)
                for number, row in enumerate(lines, start=2):
                    if row and len(row) != self.columns:
                        raise DataError(
                            f"{self.entry}: row {number} has {len(row)} columns, the header has {self.columns}."
                        )
                    if number > MAX_ROWS:
                        raise DataError(f"{self.entry}: more than {MAX_ROWS} rows; not read on.")
                    if row:
                        yield row
            except csv.Error as error:
                raise DataError(f"{self.entry}: no readable CSV ({error}).") from error

    def number_rows(self) -> Iterator[IntArray]:
        """Yield arrays (rows, columns) of whole numbers until the file ends.

        Raises:
            DataError: a row of another length, a cell that is no whole number, or more than MAX_ROWS rows.
        """
        with self.entry.open() as stream:
            if self.header is not None:
                stream.readline(MAX_LINE)
            rest, rows = b"", 0
            while rows <= MAX_ROWS:
                chunk = stream.read(_CHUNK)
                text = rest + chunk
                end = text.rfind(b"\n") + 1 if chunk else len(text)
                if len(text) - end > MAX_LINE:
                    raise DataError(f"{self.entry}: a line is longer than {MAX_LINE} bytes; not read on.")
                whole, rest = text[:end].removeprefix(_BYTE_ORDER_MARK).replace(b"\r\n", b"\n"), text[end:]
                if whole.strip():
                    whole = whole if whole.endswith(b"\n") else whole + b"\n"
                    fast = _small_numbers(np.frombuffer(whole, dtype=np.uint8), self.columns)
                    numbers = self._any_numbers(whole, rows) if fast is None else fast
                    rows += len(numbers)
                    yield numbers
                if not chunk:
                    return
        raise DataError(f"{self.entry}: more than {MAX_ROWS} rows; not read on.")

    def _any_numbers(self, text: bytes, rows_before: int) -> IntArray:
        rows = []
        for number, row in enumerate(_cells(text, self.entry), start=rows_before + 1):
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


def read_csv(entry: Entry) -> CsvFile:
    """Read the first line of a CSV file: its header, unless all of its cells are numbers.

    Raises:
        DataError: an empty file, or a first line that is too long.
    """
    with entry.open() as stream:
        line = stream.readline(MAX_LINE)
    if len(line) >= MAX_LINE or line.count(b",") >= MAX_COLUMNS:
        raise DataError(
            f"{entry}: the first line is longer than {MAX_LINE} bytes or {MAX_COLUMNS} columns; not read on."
        )
    text = line.removeprefix(_BYTE_ORDER_MARK).strip()
    if not text:
        raise DataError(
            f"{entry}: the table is empty; a label and pixel columns, or a path and a label column, are expected."
        )
    cells = text.split(b",")
    if all(_is_number(cell) for cell in cells):
        return CsvFile(entry=entry, header=None, columns=len(cells))
    header = [name.strip().lower() for name in next(_cells(text, entry))]
    return CsvFile(entry=entry, header=header, columns=len(header))


def _cells(text: bytes, entry: Entry) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text.decode("utf-8", "replace"), newline=""))
    except csv.Error as error:
        raise DataError(f"{entry}: no readable CSV ({error}).") from error


def _is_number(cell: bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _small_numbers(text: ByteArray, columns: int) -> IntArray | None:
    """Return the numbers of a text whose cells all have 1 to 3 digits, or None when it holds anything else."""
    ends = np.flatnonzero((text == _SEPARATOR) | (text == _NEWLINE))
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
