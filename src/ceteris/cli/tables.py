"""Tables in a terminal, without importing what they are about."""

from collections.abc import Sequence
from typing import Literal

from rich import box
from rich.table import Table as RichTable


def rich_table(
    title: str,
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    whole: Sequence[int] = (),
) -> RichTable:
    """Return a plain table for the terminal; columns in ``right`` are right-aligned, those in ``whole`` never folded."""
    made = RichTable(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for place, name in enumerate(titles):
        justify: Literal["left", "right"] = "right" if place in right else "left"
        made.add_column(name, justify=justify, overflow="fold", no_wrap=place in whole)
    for row in rows:
        made.add_row(*row)
    return made
