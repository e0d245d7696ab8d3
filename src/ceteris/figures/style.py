"""How the figures look: one palette, one set of matplotlib settings, layouts measured in inches.

The colours follow Okabe & Ito (2008), darkened where thin lines need it; no figure relies on colour alone. INK, MUTED,
FAINT and PAPER are reserved for text, secondary text, rules and background, so that a page can swap them in the dark.
"""

import functools
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from ceteris.figures.fonts import FIRST
from ceteris.formats import shortened
from ceteris.records import FloatArray

INK = "#1c2128"
MUTED = "#66707c"
FAINT = "#d9dee4"
PAPER = "#ffffff"
WHITE = "#fefefe"  # white that stays white in the dark: text on coloured cells
ACCENT = "#0b6e99"
CONTRAST = "#d1622b"  # beside ACCENT
CHOSEN = CONTRAST  # a ring or frame round the recipe that was taken
DARK = "#1c2129"  # ink that stays dark: text on light cells
WIDTH = 7.2  # inches: a figure on a page of its own
COLUMN, BOTH_COLUMNS = 3.38, 7.0  # inches: the columns of the printed report, whose figures are drawn at that size

# Every two lie at least 20 apart in CIELAB as seen with full sight, deuteranopia and protanopia (Machado et al. 2009).
MODEL_COLOURS = (
    "#0b6e99", "#d1622b", "#23896b", "#0000f0", "#0078f0", "#783018", "#78a8f0", "#90a8c0", "#f09000", "#30c078",
    "#0030c0", "#304848",
)  # fmt: skip
VERDICT_COLOURS = {"better": "#0f7b5f", "worse": "#c2491d", "equivalent": "#5b6b8c", "undecided": "#8b949e"}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
VERDICT_MARKERS = {"better": "^", "worse": "v", "equivalent": "s", "undecided": "o"}


@functools.cache
def style() -> Any:  # the type of its keys differs between versions of matplotlib
    """Return the matplotlib settings of every figure, a dictionary."""
    return {
        "font.family": [FIRST], "font.size": 9.0, "axes.titlesize": 9.0, "axes.labelsize": 8.5,
        "xtick.labelsize": 8.0, "ytick.labelsize": 8.0, "legend.fontsize": 8.0, "legend.frameon": False,
        "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7, "axes.edgecolor": MUTED,
        "axes.labelcolor": INK, "axes.titlecolor": INK, "text.color": INK, "xtick.color": MUTED, "ytick.color": MUTED,
        "xtick.labelcolor": INK, "ytick.labelcolor": INK, "xtick.major.width": 0.7, "ytick.major.width": 0.7,
        "xtick.major.size": 3.0, "ytick.major.size": 3.0, "axes.grid": False, "grid.color": FAINT,
        "grid.linewidth": 0.6, "axes.axisbelow": True, "axes.facecolor": "none", "figure.facecolor": PAPER,
        "lines.linewidth": 1.5, "axes.titlelocation": "left", "axes.titleweight": "bold", "text.parse_math": False,
        "text.usetex": False, "svg.fonttype": "path", "svg.hashsalt": "ceteris", "image.interpolation": "nearest",
        "path.simplify": True, "axes.formatter.useoffset": False, "axes.unicode_minus": True,
    }  # fmt: skip


def model_colour(position: int) -> str:
    """Return the colour of the model at ``position`` in the study; colours repeat after twelve models."""
    return MODEL_COLOURS[position % len(MODEL_COLOURS)]


@functools.cache
def print_style() -> Any:
    """Return the settings of figures drawn for a column of the printed report: letters of 7 points at their own size."""
    small = dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize", "legend.fontsize"), 7.0)
    ticks = {"xtick.labelsize": 7.0, "ytick.labelsize": 7.0, "axes.titleweight": "normal", "lines.linewidth": 1.1}
    return style() | small | ticks


def open_page(figure: Figure, *, height: float, title: str, width: float = WIDTH) -> None:
    """Set the size in inches and write the title at the top left, cut to the page."""
    figure.set_size_inches(width, height)
    title = shortened(title, int((width - 0.2) / 0.088))  # inches of a letter
    figure.text(0.1 / width, 1 - 0.08 / height, title, ha="left", va="top", fontsize=10, fontweight="bold")


def sign_page(figure: Figure, identity: str) -> None:
    """Write the line that says whose study this is at the bottom right, smaller where it is long."""
    width, height = figure.get_size_inches()
    size = min(6.0, max(4.0, 6.0 * (width - 0.2) / (0.047 * max(len(identity), 1))))
    line = shortened(identity, int((width - 0.2) / (0.047 * size / 6.0)))
    figure.text(1 - 0.1 / width, 0.06 / height, line, ha="right", va="bottom", fontsize=size, color=MUTED)


def note(
    figure: Figure, text: str, *, left: float = 0.1, bottom: float | None = None, top: float | None = None
) -> None:
    """Write a muted line ``left`` inches from the left and ``bottom`` or ``top`` inches from that edge of the page."""
    width, height = figure.get_size_inches()
    y = 1 - top / height if top is not None else (bottom or 0.0) / height
    figure.text(left / width, y, text, fontsize=7.5, color=MUTED, va="baseline" if top is None else "center")


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes whose corner lies ``left`` and ``top`` inches from the upper left corner of the page."""
    page_width, page_height = figure.get_size_inches()
    bottom = page_height - top - height
    return figure.add_axes((left / page_width, bottom / page_height, width / page_width, height / page_height))


def panel_per_model(figure: Figure, count: int, *, title: str, pitch: float, size: tuple[float, float]) -> list[Axes]:
    """Open a page with ``count`` panels of ``size`` (width, height) inches, three in a row, rows ``pitch`` inches apart."""
    open_page(figure, height=0.75 + pitch * max(1, -(-count // 3)), title=title)
    return [axes_at(figure, 0.55 + 2.3 * (n % 3), 0.65 + pitch * (n // 3), *size) for n in range(count)]


def blank(axes: Axes) -> None:
    """Remove ticks and spines: the axes only hold pictures or words."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def grid(axes: Axes, axis: str = "y") -> None:
    """Draw faint rules across ``axis``."""
    axes.grid(visible=True, axis=axis)  # type: ignore[arg-type]  # the stubs want a literal


def logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """Scale an axis logarithmically with plain numbers at 1, 2 and 5, or at powers of ten where the range is wide."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_data_interval())
    axes.set(**{f"{which}scale": "log"})
    narrow = low > 0 and high / low < (30 if which == "x" else 300)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))


def spread_evenly_in_logarithm(numbers: FloatArray) -> bool:
    """Tell whether the median lies nearer to the middle of the range on a logarithmic axis than on a plain one."""
    if numbers.min() <= 0 or numbers.max() / numbers.min() < 10:
        return False
    plain, logarithm = (
        abs((np.median(values) - values.min()) / np.ptp(values) - 0.5) for values in (numbers, np.log(numbers))
    )
    return bool(logarithm < plain)


def compact(value: float) -> str:
    """Write a number with at most three significant digits; thousands as k, millions as M, billions as G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def abbreviated(text: str, limit: int) -> str:
    """Cut ``text`` to ``limit`` characters in its middle: names of levels often differ only at their end."""
    if len(text) <= limit:
        return text
    tail = max(1, (limit - 1) // 2)
    return text[: max(1, limit - 1 - tail)].rstrip() + "…" + text[-tail:].lstrip()
