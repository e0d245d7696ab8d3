"""Panels of lines with bands side by side, and one legend for all: how every figure of measured curves is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.figures.style import FAINT, INK, MARKERS, MUTED, WIDTH, axes_at, grid, logarithmic, model_colour, open_page
from ceteris.formats import shortened
from ceteris.records import FloatArray, IntArray

_COLUMNS = 3


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve (points,), its band ``low`` to ``high`` where there is one; ``place`` is its colour and mark."""

    label: str
    place: int
    x: FloatArray | IntArray
    y: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None
    marks: bool = True
    dashed: bool = False


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart: its lines, words and scales; ``level`` draws a faint line across, ``ticks`` name places of x."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log: Literal["", "x", "y", "xy"] = ""
    ticks: Sequence[tuple[float, str]] = ()
    range: tuple[float, float] | None = None
    level: tuple[float, str] | None = None


def draw_panels(
    panels: Sequence[Panel], figure: Figure, *, title: str, columns: int = _COLUMNS, height: float = 1.55
) -> None:
    """Draw panels in rows; the legend below names every label once."""
    labels = {line.label: line for panel in panels for line in panel.lines}
    names = [shortened(name, 26) for name in labels]
    longest, letter = max(map(len, names), default=0), 0.062
    per_row = max(1, int((WIDTH - 0.4) / (0.42 + letter * longest)))
    legend = 0.2 * -(-len(names) // per_row)
    columns = min(columns, len(panels))
    pitch, width = height + 0.78, (WIDTH - 0.25) / columns - 0.62
    rows = -(-len(panels) // columns)
    open_page(figure, height=0.5 + rows * pitch + legend + 0.2, title=title)
    for number, panel in enumerate(panels):
        left, top = 0.6 + (width + 0.62) * (number % columns), 0.62 + pitch * (number // columns)
        _draw_panel(axes_at(figure, left, top, width, height), panel)
    below = 0.5 + rows * pitch
    axes = axes_at(figure, 0.1, below, WIDTH - 0.2, legend)
    axes.set(xlim=(0, WIDTH - 0.2), ylim=(legend, 0))
    axes.axis("off")
    for number, (name, line) in enumerate(zip(names, labels.values(), strict=True)):
        x, y = 0.1 + (0.42 + letter * longest) * (number % per_row), 0.1 + 0.2 * (number // per_row)
        axes.plot([x, x + 0.26], [y, y], **_look(line, marks=False))
        if line.marks:
            axes.plot([x + 0.13], [y], **_look(line))
        axes.text(x + 0.33, y, name, fontsize=7.5, va="center", color=INK)


def _look(line: Line, *, marks: bool | None = None) -> dict[str, Any]:
    shown = line.marks if marks is None else marks
    return {
        "color": model_colour(line.place), "linewidth": 1.3, "linestyle": "--" if line.dashed else "-",
        "marker": MARKERS[line.place % len(MARKERS)] if shown else "", "markersize": 3.6, "markeredgewidth": 0,
    }  # fmt: skip


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for line in panel.lines:
        if line.low is not None and line.high is not None:
            axes.fill_between(line.x, line.low, line.high, color=model_colour(line.place), alpha=0.18, linewidth=0)
        axes.plot(line.x, line.y, **_look(line))
    for scale in ("x", "y"):
        if scale in panel.log and any(np.any(np.asarray(getattr(line, scale)) > 0) for line in panel.lines):
            logarithmic(axes, "x" if scale == "x" else "y")
    grid(axes)
    axes.set_title(panel.title, fontsize=8.5, loc="left", pad=4)
    axes.set_xlabel(panel.x, fontsize=7.5, labelpad=2)
    axes.set_ylabel(panel.y, fontsize=7.5, labelpad=2)
    axes.tick_params(labelsize=7)
    if panel.ticks:
        axes.set_xticks([place for place, _ in panel.ticks], [text for _, text in panel.ticks])
    if panel.range:
        axes.set_ylim(*panel.range)
    if panel.level:
        height, text = panel.level
        axes.axhline(height, color=MUTED, linewidth=0.8, linestyle=":", zorder=1)
        axes.text(0.02, height, text, transform=axes.get_yaxis_transform(), fontsize=6.5, va="bottom", color=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
