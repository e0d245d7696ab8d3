"""Rows with intervals, one under the other: how every figure draws a comparison, names its rows and explains its marks."""

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.figures.style import FAINT, INK, MUTED, PAPER, VERDICT_COLOURS, VERDICT_MARKERS, WIDTH, axes_at
from ceteris.findings import Comparison, Verdict
from ceteris.formats import points, unit_of
from ceteris.records import FloatArray

ROW = 0.2  # inches: a row of one line
HEADER = 1.35  # rows that a headline takes
CLAIMS: dict[Verdict, str] = {
    "better": "better", "worse": "worse", "equivalent": "equivalent", "undecided": "not shown",
}  # fmt: skip
ALL_RIGHT = 1.004  # the end of an axis of accuracies: a mark at 1 stays whole


def readable_range(centres: FloatArray, low: FloatArray, high: FloatArray, needed: FloatArray) -> tuple[float, float]:
    """Return the range of an axis that shows the usual values well; far outliers are left to arrows at the edge.

    A value counts as far when it lies more than six times the usual distance (and 5 points) from the median; what lies
    between the smallest and the largest of ``needed`` is always within the range.
    """
    finite = centres[np.isfinite(centres)]
    if not finite.size:
        return 0.0, 1.0
    median = float(np.median(finite))
    reach = max(6 * float(np.median(np.abs(finite - median))), 0.05)
    near = np.isfinite(centres) & (np.abs(centres - median) <= reach)
    shown = np.concatenate(
        (np.clip(low[near], median - 1.5 * reach, None), np.clip(high[near], None, median + 1.5 * reach))
    )
    shown = np.concatenate((shown, needed[np.isfinite(needed)]))
    pad = max(0.06 * float(np.ptp(shown)), 0.005)
    return float(shown.min()) - pad, float(shown.max()) + pad


def prepare_rows(axes: Axes, rows: float, title: str = "") -> None:
    """Count rows from the top and leave only upright rules, with the numbers and the title above."""
    axes.set_ylim(rows, 0)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", length=0, top=False, labeltop=True, labelbottom=False)
    axes.set_title(title, fontsize=8, fontweight="normal", color=MUTED, loc="center", pad=16)
    axes.grid(visible=True, axis="x")


def prepare_differences(
    axes: Axes,
    comparisons: Sequence[Comparison | None],
    *,
    rows: float,
    margin: float,
    title: str,
    extra: Sequence[float] = (),
) -> None:
    """Set the range of the axis in points of the criterion, its rules, and the band of what counts as equivalent.

    The axes are ``rows`` rows high, row 0 at the top. The comparisons will be readable (far outliers are left to arrows at
    the edge), and ``extra`` differences lie within the range. ``margin`` is the difference below which settings are equivalent.
    """
    known = [entry for entry in comparisons if entry is not None]
    centre, left, right = (
        np.array([getattr(entry, name) for entry in known]) for name in ("difference", "low", "high")
    )
    low, high = readable_range(centre, left, right, needed=np.array([0.0, *extra])) if known else (-0.02, 0.02)
    axes.set_xlim(100 * min(low, -1.3 * margin), 100 * max(high, 1.3 * margin))
    prepare_rows(axes, rows, f"{title}, {unit_of(known[0].criterion if known else 'accuracy')}")
    axes.axvspan(-100 * margin, 100 * margin, color=FAINT, alpha=0.55, linewidth=0, zorder=0)
    axes.axvline(0, color=MUTED, linewidth=0.9, zorder=1)


def draw_comparison(
    axes: Axes, y: float, found: Comparison | None, *, words: Mapping[Verdict, str] = CLAIMS, told: str | None = None
) -> None:
    """Draw mark and interval in row ``y``; to the right what is ``told``, else the number and what was shown, in ``words``."""
    if found is None:
        write_right(axes, y, "not comparable")
        return
    low, high = axes.get_xlim()
    colour = VERDICT_COLOURS[found.verdict]
    centre, left, right = (100 * value for value in (found.difference, found.low, found.high))
    axes.plot([max(left, low), min(right, high)], [y, y], color=colour, linewidth=1.4, zorder=3)
    if low <= centre <= high:
        draw_mark(axes, centre, y, found.verdict, size=26)
    else:
        edge, arrow = (low, "◂") if centre < low else (high, "▸")
        axes.text(edge, y, arrow, color=colour, fontsize=8, va="center", ha="left" if centre < low else "right")
    text = f"{points(found.difference, zero='±')}  {words[found.verdict]}" if told is None else told
    write_right(axes, y, text, MUTED if found.verdict == "undecided" else colour)


def draw_mark(axes: Axes, x: float, y: float, verdict: Verdict, *, size: float) -> None:
    """Draw the mark of a verdict: each has its own shape and colour, what is undecided is open."""
    colour = VERDICT_COLOURS[verdict]
    fill = PAPER if verdict == "undecided" else colour
    marker = VERDICT_MARKERS[verdict]
    axes.scatter([x], [y], s=size, marker=marker, facecolor=fill, edgecolor=colour, linewidth=1.0, zorder=4)


def draw_incumbent(axes: Axes, x: float, y: float) -> None:
    """Draw the mark of the level that the others were compared with."""
    axes.scatter([x], [y], s=20, marker="D", facecolor=PAPER, edgecolor=INK, linewidth=0.9, zorder=4)


def write_right(axes: Axes, y: float, text: str, colour: str = MUTED) -> None:
    """Write to the right of a row."""
    axes.text(1.05, y, text, transform=axes.get_yaxis_transform(), fontsize=7.5, va="center", color=colour)


def label_row(axes: Axes, x: float, y: float, text: str, *, bold: bool = False) -> None:
    """Write the name of a row, ``x`` in widths of the axes (negative: to their left)."""
    axes.text(
        x, y, text, transform=axes.get_yaxis_transform(), fontsize=8, fontweight="bold" if bold else "normal",
        color=INK, va="center",
    )  # fmt: skip


def draw_upright(axes: Axes, x: float, y: float, colour: str, *, half: float = 0.34) -> None:
    """Draw the upright bar of a mean or median in row ``y``."""
    axes.plot([x, x], [y - half, y + half], color=colour, linewidth=2.0, solid_capstyle="butt", zorder=3)


def draw_blocks(axes: Axes, values: FloatArray, y: float) -> None:
    """Draw a dot for every block's value in percent that lies within the axes; nan where a training failed."""
    low, high = axes.get_xlim()
    shown = values[(values >= low) & (values <= high)]
    axes.scatter(shown, np.full(len(shown), y), s=11, color=MUTED, alpha=0.45, linewidths=0, zorder=2)


def verdict_legend(figure: Figure, rest: str, *, words: Mapping[Verdict, str] = CLAIMS, levels: bool = False) -> None:
    """Explain the marks at the lower edge, those of ``levels`` too, with ``rest`` in the line below."""
    axes = axes_at(figure, 0.1, figure.get_size_inches()[1] - 0.62, WIDTH - 0.2, 0.25)
    axes.set_xlim(0, WIDTH - 0.2)
    axes.set_ylim(0, 1)
    axes.axis("off")
    x = 0.05
    for verdict in get_args(Verdict):
        told = words[verdict]
        draw_mark(axes, x, 0.5, verdict, size=22)
        axes.text(x + 0.1, 0.48, told, fontsize=7.5, va="center", color=MUTED)
        x += 0.35 + 0.065 * len(told)
    if levels:
        draw_incumbent(axes, x, 0.5)
        axes.text(x + 0.1, 0.48, "current setting", fontsize=7.5, va="center", color=MUTED)
        axes.text(x + 1.2, 0.48, "✓ taken", fontsize=7.5, va="center", color=MUTED)
    axes.text(0, -0.28, rest, fontsize=7.5, va="center", color=MUTED)
