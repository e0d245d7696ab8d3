"""A table as data: full precision in CSV, rounded only where people read it."""

import csv
import html
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ceteris.errors import ConfigError
from ceteris.formats import chance, duration, percent, points

Cell = str | int | float | bool | None
Kind = Literal[
    "text", "count", "share", "points", "p", "chance", "number", "seconds", "megabytes", "flag", "area", "verdict"
]

NUMERIC = ("count", "share", "points", "p", "chance", "number", "seconds", "megabytes", "area")


_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column's title and what its cells are; shares lie in 0..1 and points are differences of shares.

    A ``detail`` stands in the CSV file, not on the page.
    """

    title: str
    kind: Kind = "text"
    detail: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells under named columns; ``name`` is its file name.

    ``exported`` is False for tables that depend on when something was done and therefore have no CSV file. A table of a paper
    has a ``note`` below it and ``strong`` rows, by their places, in bold.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    exported: bool = True
    note: str = ""
    strong: tuple[int, ...] = ()

    def csv(self) -> str:
        """Return the table as CSV (RFC 4180, line feeds), numbers in full precision, missing values empty."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([_as_text(column.title) for column in self.columns])
        writer.writerows([[_exact(cell) for cell in row] for row in self.rows])
        return buffer.getvalue()

    def frame(self) -> Any:
        """Return the table as a pandas DataFrame.

        Raises:
            ConfigError: when pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise ConfigError(
                "table: a data frame needs pandas: pip install pandas. Without it use .rows or .csv()."
            ) from None
        return pd.DataFrame(list(self.rows), columns=[column.title for column in self.columns])

    def brief(self) -> "Table":
        """Return the table without the columns that are details."""
        return self._of([place for place, column in enumerate(self.columns) if not column.detail])

    def only(self, *titles: str) -> "Table":
        """Return the table with the named columns only, in their order; unknown titles are passed over."""
        return self._of([place for place, column in enumerate(self.columns) if column.title in titles])

    def without(self, count: int) -> "Table":
        """Return the table without its first columns, which are the same in all rows."""
        return self._of(range(count, len(self.columns)))

    def pieces(self, most: int) -> Iterator["Table"]:
        """Yield the table in pieces of at most ``most`` columns, each with the first column."""
        others = range(1, len(self.columns))
        for start in range(0, max(len(others), 1), most - 1):
            yield self._of([0, *others[start : start + most - 1]])

    def _of(self, places: Sequence[int]) -> "Table":
        rows = tuple(tuple(row[place] for place in places) for row in self.rows)
        return replace(self, columns=tuple(self.columns[place] for place in places), rows=rows)

    def texts(self) -> list[list[str]]:
        """Return the cells as people read them."""
        return [
            [readable(cell, column.kind) for cell, column in zip(row, self.columns, strict=True)] for row in self.rows
        ]

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(column.title)}</th>" for column in self.columns)
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(t)}</td>' for t in row)}</tr>" for row in self.texts())
        return (
            f"<p><b>{html.escape(self.title)}</b></p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def columns(*titles: str | tuple[str, Kind] | Column) -> tuple[Column, ...]:
    """Make columns from titles (of text), pairs of title and kind, and whole columns."""
    return tuple(
        entry if isinstance(entry, Column) else Column(entry) if isinstance(entry, str) else Column(*entry)
        for entry in titles
    )


def made(
    name: str,
    title: str,
    columns: Sequence[Column],
    rows: Iterable[Iterable[Cell]],
    *,
    exported: bool = True,
    note: str = "",
    strong: Iterable[int] = (),
) -> Table:
    """Make a table of rows in any form."""
    filled = tuple(map(tuple, rows))
    return Table(
        name=name, title=title, columns=tuple(columns), rows=filled, exported=exported, note=note, strong=tuple(strong)
    )


def detail(title: str, kind: Kind) -> Column:
    """Make a column that is a detail."""
    return Column(title, kind, detail=True)


def readable(cell: Cell, kind: Kind) -> str:
    """Write one cell for people: shares as percentages, points with a sign, a dash for what is missing."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return "–"
    if kind == "flag" or isinstance(cell, bool):
        return "yes" if cell else ""
    if isinstance(cell, str):
        return "not shown" if (cell, kind) == ("undecided", "verdict") else cell
    match kind:
        case "share":
            return percent(cell)
        case "points":
            return points(cell)
        case "p":
            return "< 0.001" if cell < 0.001 else f"{cell:.3f}"
        case "chance":
            return chance(cell)
        case "area":
            return f"{cell:.4f}"
        case "seconds":
            return duration(cell)
        case "megabytes":
            return f"{cell:,.0f} MB"
        case _:
            return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.4g}"


def _exact(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return _as_text(cell) if isinstance(cell, str) else repr(cell)


def _as_text(text: str) -> str:
    """Return a text as it stands in a CSV file: one that a spreadsheet would take for a formula gets a quote before it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) and not _NUMBER.fullmatch(text) else text
