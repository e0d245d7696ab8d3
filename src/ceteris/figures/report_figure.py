"""A figure with its words, and from a drawing to bytes: SVG (letters as outlines, the same everywhere) and PNG."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ceteris.figures.fonts import fit_letters
from ceteris.figures.style import PAPER, print_style, sign_page, style

# Control characters of names, which stand in the comments of a drawing and which XML 1.0 does not allow.
_NOT_IN_XML = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF))

Section = Literal[
    "data",
    "exploration",
    "training",
    "results",
    "residual",
    "luck",
    "robustness",
    "confidence",
    "explanations",
    "layers",
    "errors",
]


@dataclass(frozen=True, kw_only=True)
class ReportFigure:
    """One figure, ready to be drawn: ``name`` is its file name, ``section`` its place in the report, ``model`` may be ''.

    One drawn for print spans so many ``columns`` of the printed report; 0 is a figure on a page of its own.
    ``description`` is for those who cannot see it. ``identity`` says whose study it is and stands below the drawing.
    """

    name: str
    section: Section
    model: str = ""
    caption: str
    description: str
    draw: Callable[[Figure], None]
    identity: str = ""
    columns: Literal[0, 1, 2] = 0

    @property
    def kind(self) -> str:
        """What is shown: the name without that of the model."""
        return self.name.removesuffix(f"-{self.model}") if self.model else self.name

    def figure(self) -> Figure:
        """Draw the figure anew, in the house style whatever the caller's settings are."""
        figure = Figure()
        with matplotlib.rc_context(print_style() if self.columns else style()):
            self.draw(figure)
            if self.identity and not self.columns:
                sign_page(figure, self.identity)
            fit_letters(figure)
        return figure

    def _repr_png_(self) -> bytes:
        return to_png(self.figure(), dpi=110)

    def svg(self) -> str:
        """Draw the figure and return it as SVG text."""
        return to_svg(self.figure())

    def rendered(self, *, dpi: int = 200) -> tuple[str, bytes, tuple["Panel", ...]]:
        """Draw once and return the figure as SVG text and as PNG bytes, and where its named axes lie."""
        figure = self.figure()
        return to_svg(figure), to_png(figure, dpi=dpi), panels(figure)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Axes with a name (their gid), so that a page can tell what a pointer is at.

    ``box`` is left, top, width and height in the units of the SVG's view box; ``x`` are the numbers at the left and right
    edge, ``y`` those at the top and bottom edge, both on plain scales.
    """

    name: str
    box: tuple[float, float, float, float]
    x: tuple[float, float]
    y: tuple[float, float]


def panels(figure: Figure) -> tuple[Panel, ...]:
    """Return where the axes lie that have a name."""
    width, height = 72 * figure.get_size_inches()
    found = []
    for axes in figure.axes:
        if axes.get_gid():
            place, (low, high) = axes.get_position(), axes.get_ylim()
            box = (place.x0 * width, (1 - place.y1) * height, place.width * width, place.height * height)
            found.append(Panel(name=str(axes.get_gid()), box=box, x=axes.get_xlim(), y=(high, low)))
    return tuple(found)


def to_svg(figure: Figure) -> str:
    """Return the drawing as SVG with a transparent background and neither date nor program in it."""
    text = _saved(figure, "svg", facecolor="none", metadata={"Date": None, "Creator": None}).decode("utf-8")
    return text[text.index("<svg") :].translate(_NOT_IN_XML)


def to_png(figure: Figure, *, dpi: int = 200) -> bytes:
    """Return the drawing as PNG on white at ``dpi`` dots per inch."""
    return _saved(
        figure, "png", facecolor=PAPER, dpi=dpi, metadata={"Software": None}, pil_kwargs={"compress_level": 4}
    )


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with matplotlib.rc_context(style()), warnings.catch_warnings():
        # A mark without a form of its own, such as a joiner, may be in no font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()
