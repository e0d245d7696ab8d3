"""Differences with their intervals, one under the other: what several figures share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.figures.factor_effects import readable_range
from ceteris.figures.style import FAINT, INK, MUTED, PAPER, VERDICT_COLOURS, VERDICT_MARKERS, WIDTH, axes_at, points
from ceteris.findings import Comparison, Verdict

_OPPOSITE: dict[Verdict, Verdict] = {
    "better": "worse", "worse": "better", "equivalent": "equivalent", "undecided": "undecided",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A difference with its 95 % interval, as shares; all nan and without a verdict where nothing was comparable."""

    difference: float
    low: float
    high: float
    verdict: Verdict | None


def estimate(found: Comparison | None, *, reversed_sign: bool = False) -> Estimate:
    """Take the estimate out of a comparison, the other way round where asked."""
    if found is None:
        return Estimate(difference=float("nan"), low=float("nan"), high=float("nan"), verdict=None)
    if reversed_sign:
        verdict = _OPPOSITE[found.verdict]
        return Estimate(difference=-found.difference, low=-found.high, high=-found.low, verdict=verdict)
    return Estimate(difference=found.difference, low=found.low, high=found.high, verdict=found.verdict)


def prepare_differences(
    axes: Axes, estimates: Sequence[Estimate], rows: float, margin: float, extra: Sequence[float] = ()
) -> None:
    """Set the range of the axis in points, its rules, and the band of what counts as equivalent.

    Args:
        axes: where the differences will be drawn, one row each from 0 at the top to ``rows``.
        estimates: what must be readable; far outliers are left to arrows at the edge.
        rows: height of the axes in rows.
        margin: difference of accuracy below which settings count as equivalent.
        extra: further differences that must lie within the range.
    """
    known = [entry for entry in estimates if entry.verdict]
    centre, left, right = (
        np.array([getattr(entry, name) for entry in known]) for name in ("difference", "low", "high")
    )
    needed = np.array([0.0, *extra])
    low, high = readable_range(centre, left, right, needed=needed) if known else (-0.02, 0.02)
    axes.set_xlim(100 * min(low, -1.3 * margin), 100 * max(high, 1.3 * margin))
    prepare_rows(axes, rows)
    axes.axvspan(-100 * margin, 100 * margin, color=FAINT, alpha=0.55, linewidth=0, zorder=0)
    axes.axvline(0, color=MUTED, linewidth=0.9, zorder=1)


def prepare_rows(axes: Axes, rows: float) -> None:
    """Count rows from the top and leave only upright rules, with the numbers above."""
    axes.set_ylim(rows, 0)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", length=0, top=False, labeltop=True, labelbottom=False)
    axes.grid(visible=True, axis="x")


def head(axes: Axes, text: str) -> None:
    """Write what an axis shows above its numbers."""
    axes.set_title(text, fontsize=8, fontweight="normal", color=MUTED, loc="center", pad=16)


def draw_estimate(axes: Axes, y: float, entry: Estimate, words: dict[Verdict, str] | None = None) -> None:
    """Draw mark and interval in row ``y`` and write the number and its verdict to the right of the axes."""
    page = axes.get_yaxis_transform()
    if entry.verdict is None:
        axes.text(1.05, y, "not comparable", transform=page, fontsize=7.5, color=MUTED, va="center")
        return
    low, high = axes.get_xlim()
    colour = VERDICT_COLOURS[entry.verdict]
    centre, left, right = (100 * value for value in (entry.difference, entry.low, entry.high))
    axes.plot([max(left, low), min(right, high)], [y, y], color=colour, linewidth=1.4, zorder=3, clip_on=True)
    if low <= centre <= high:
        fill = PAPER if entry.verdict == "undecided" else colour
        marker = VERDICT_MARKERS[entry.verdict]
        axes.scatter([centre], [y], s=26, marker=marker, facecolor=fill, edgecolor=colour, linewidth=1.0, zorder=4)
    else:
        edge, arrow = (low, "◂") if centre < low else (high, "▸")
        axes.text(edge, y, arrow, color=colour, fontsize=8, va="center", ha="left" if centre < low else "right")
    told = (words or {}).get(entry.verdict, entry.verdict)
    tone = MUTED if entry.verdict == "undecided" else colour
    axes.text(1.05, y, f"{points(entry.difference, 2)}  {told}", transform=page, fontsize=7.5, va="center", color=tone)


def verdict_legend(figure: Figure, top: float, rest: str, words: dict[Verdict, str] | None = None) -> None:
    """Explain the marks in a line ``top`` inches from the upper edge, with ``rest`` in the line below."""
    axes = axes_at(figure, 0.1, top, WIDTH - 0.2, 0.25)
    axes.set_xlim(0, WIDTH - 0.2)
    axes.set_ylim(0, 1)
    axes.axis("off")
    x = 0.05
    for verdict in get_args(Verdict):
        colour, marker, told = VERDICT_COLOURS[verdict], VERDICT_MARKERS[verdict], (words or {}).get(verdict, verdict)
        fill = PAPER if verdict == "undecided" else colour
        axes.scatter([x], [0.5], s=22, marker=marker, facecolor=fill, edgecolor=colour, linewidth=1.0)
        axes.text(x + 0.1, 0.48, told, fontsize=7.5, va="center", color=MUTED)
        x += 0.35 + 0.065 * len(told)
    axes.text(0, -0.28, rest, fontsize=7.5, va="center", color=MUTED)


def label_row(axes: Axes, x: float, y: float, text: str, *, bold: bool = False, muted: bool = False) -> None:
    """Write the name of a row, ``x`` in widths of the axes (negative: to their left)."""
    axes.text(
        x, y, text, transform=axes.get_yaxis_transform(), fontsize=8, fontweight="bold" if bold else "normal",
        color=MUTED if muted else INK, va="center",
    )  # fmt: skip
