"""From a drawing to bytes: SVG (deterministic, letters as outlines so that it looks the same everywhere) and PNG."""

import io
import warnings
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ceteris.figures.style import PAPER, style


def to_svg(figure: Figure) -> str:
    """Return the drawing as SVG with a transparent background and neither date nor program in it."""
    text = _saved(figure, "svg", facecolor="none", metadata={"Date": None, "Creator": None}).decode("utf-8")
    return text[text.index("<svg") :]


def to_png(figure: Figure, *, dpi: int = 200) -> bytes:
    """Return the drawing as PNG on white at ``dpi`` dots per inch."""
    return _saved(
        figure, "png", facecolor=PAPER, dpi=dpi, metadata={"Software": None}, pil_kwargs={"compress_level": 4}
    )


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with matplotlib.rc_context(style()), warnings.catch_warnings():
        # A letter that no installed font has is drawn as an empty box; the tables hold the name in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()
