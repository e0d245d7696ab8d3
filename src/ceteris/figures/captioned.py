"""A figure with its words: its name, its place in the report, a caption, and a description for those who cannot see it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from matplotlib.figure import Figure

from ceteris.figures.rendering import to_png, to_svg

Section = Literal["data", "exploration", "training", "results", "residual", "explanations", "errors"]
Draw = Callable[[Figure], None]


@dataclass(frozen=True, kw_only=True)
class Plate:
    """One figure, ready to be drawn: ``name`` is its file name, ``model`` the model it is about or ''."""

    name: str
    section: Section
    model: str
    caption: str
    description: str
    draw: Draw

    def figure(self) -> Figure:
        """Draw the figure anew."""
        figure = Figure()
        self.draw(figure)
        return figure

    def _repr_png_(self) -> bytes:
        return to_png(self.figure(), dpi=110)

    def rendered(self, *, dpi: int = 200) -> tuple[str, bytes]:
        """Draw once and return the figure as SVG text and as PNG bytes."""
        figure = self.figure()
        return to_svg(figure), to_png(figure, dpi=dpi)
