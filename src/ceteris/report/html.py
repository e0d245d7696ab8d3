"""The report as one HTML file that needs nothing else: no request leaves the page."""

import re
from dataclasses import replace
from importlib import resources

import jinja2
from markupsafe import Markup

from ceteris.figures.style import ACCENT, FAINT, INK, MUTED, PAPER, VERDICT_COLOURS
from ceteris.formats import points
from ceteris.report.sections import DrawnFigure, Report
from ceteris.report.table import NUMERIC

# The colours of a drawing follow the page into the dark.
_COLOURS = {INK: "--ink", MUTED: "--muted", FAINT: "--rule", PAPER: "--paper", ACCENT: "--accent"} | {
    colour: f"--{verdict}" for verdict, colour in VERDICT_COLOURS.items()
}
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_REFERENCES = re.compile(r'(xlink:href="#|url\(#)([^")]+)')
_NAMES = re.compile(r'\sid="([^"]+)"')


def html_report(report: Report) -> str:
    """Return the whole page."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["numeric"] = lambda kind: kind in NUMERIC
    environment.filters["points"] = points
    environment.filters["drawing"] = _drawing
    source = resources.files("ceteris.report").joinpath("templates/report.html.jinja").read_text(encoding="utf-8")

    shown = [
        replace(section, blocks=tuple(block for block in section.blocks if "page" in block.where))
        for section in report.sections
    ]
    return environment.from_string(source).render(
        study=report.results, sections=[section for section in shown if section.blocks]
    )


def _drawing(drawn: DrawnFigure) -> Markup:
    """Return a drawing with the words for those who cannot see it."""
    figure = drawn.figure
    # Drawn by matplotlib; the label is escaped.
    return Markup(inlined(drawn.svg, name=figure.name, label=f"{figure.caption} {figure.description}"))


def inlined(svg: str, *, name: str, label: str) -> str:
    """Return a drawing for use inside a page, as an image with ``label`` for those who cannot see it.

    Names that something refers to are made unique by ``name``, so that they do not clash between figures; all others are
    dropped.
    """
    opening, body = _METADATA.sub("", svg).split(">", 1)
    opening = re.sub(r'\s(width|height)="[^"]*"', "", opening)
    quoted = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
    text = f'{opening} role="img" aria-label="{quoted}">{body}'
    needed = {match[2] for match in _REFERENCES.finditer(text)}
    text = _NAMES.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in needed else "", text)
    text = _REFERENCES.sub(lambda match: f"{match[1]}{name}-{match[2]}", text)
    for colour, variable in _COLOURS.items():
        text = text.replace(colour, f"var({variable}, {colour})")
    return text
