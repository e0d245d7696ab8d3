"""The numbers of a CSV file, in chunks: fast where all cells have 1 to 3 digits, as pixels do, otherwise by the csv module."""

import csv
import io
from collections.abc import Iterator
from typing import IO

import numpy as np

from ceteris.data.formats.entries import Entry
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

MAX_LINE = 1 << 21  # bytes
MAX_ROWS = 20_000_000
_CHUNK = 1 << 23  # bytes
_SEPARATOR, _NEWLINE, _ZERO = ord(","), ord("\n"), ord("0")


def number_rows(stream: IO[bytes], start: bytes, columns: int, entry: Entry) -> Iterator[IntArray]:
    """Yield arrays (rows, columns) of whole numbers until the stream ends.

    Args:
        stream: the file, behind its header line.
        start: what was read of the first row already.
        columns: cells per row.
        entry: the file's name for messages.

    Raises:
        DataError: a row of another length, a cell that is no whole number, or more than MAX_ROWS rows.
    """
    rest, rows = start, 0
    while rows <= MAX_ROWS:
        chunk = stream.read(_CHUNK)
        text = rest + chunk
        end = text.rfind(b"\n") + 1 if chunk else len(text)
        if len(text) - end > MAX_LINE:
            raise DataError(f"{entry}: a line is longer than {MAX_LINE} bytes; not read on.")
        whole, rest = text[:end].replace(b"\r\n", b"\n"), text[end:]
        if whole.strip():
            numbers = _parsed(whole if whole.endswith(b"\n") else whole + b"\n", columns, entry, rows)
            rows += len(numbers)
            yield numbers
        if not chunk:
            return
    raise DataError(f"{entry}: more than {MAX_ROWS} rows; not read on.")


def cells_of(text: bytes, entry: Entry) -> Iterator[list[str]]:
    """Yield the cells of every row of ``text``.

    Raises:
        DataError: no readable CSV.
    """
    try:
        yield from csv.reader(io.StringIO(text.decode("utf-8", "replace"), newline=""))
    except csv.Error as error:
        raise DataError(f"{entry}: no readable CSV ({error}).") from error


def _parsed(text: bytes, columns: int, entry: Entry, rows_before: int) -> IntArray:
    fast = _small_numbers(np.frombuffer(text, dtype=np.uint8), columns)
    return _any_numbers(text, columns, entry, rows_before) if fast is None else fast


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
    for place, weight in ((2, 10), (3, 100)):
        longer = np.flatnonzero(lengths >= place)
        numbers[longer] += weight * digits[ends[longer] - place].astype(np.int64)
    return numbers.reshape(-1, columns)


def _any_numbers(text: bytes, columns: int, entry: Entry, rows_before: int) -> IntArray:
    rows = []
    for number, row in enumerate(cells_of(text, entry), start=rows_before + 1):
        if not row:
            continue
        if len(row) != columns:
            raise DataError(f"{entry}: row {number} has {len(row)} columns, the first line has {columns}.")
        rows.append(_numbers(row, number, entry))
    return np.array(rows, dtype=np.int64).reshape(-1, columns)


def _numbers(row: list[str], number: int, entry: Entry) -> list[int]:
    try:
        values = [float(cell) for cell in row]
        if any(value != int(value) for value in values) or max(map(abs, values)) > 2**31:
            raise ValueError
        return [int(value) for value in values]
    except (ValueError, OverflowError) as error:
        cells = ",".join(row)[:80]
        raise DataError(
            f"{entry}: row {number} should hold whole numbers (label, then pixels 0 to 255), received {cells!r}."
        ) from error
