"""SVG inside HTML: names that do not clash between figures, and colours that follow the page into the dark."""

import re

from ceteris.figures.style import ACCENT, FAINT, INK, MUTED, PAPER, VERDICT_COLOURS

_COLOURS = {INK: "--ink", MUTED: "--muted", FAINT: "--rule", PAPER: "--paper", ACCENT: "--accent"} | {
    colour: f"--{verdict}" for verdict, colour in VERDICT_COLOURS.items()
}
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_REFERENCES = re.compile(r'(xlink:href="#|url\(#)([^")]+)')
_NAMES = re.compile(r'\sid="([^"]+)"')


def inlined(svg: str, *, name: str, label: str) -> str:
    """Return the drawing for use inside a page, as an image with ``label`` for those who cannot see it.

    Names that something refers to are made unique by ``name``, all others are dropped.
    """
    opening, body = _METADATA.sub("", svg).split(">", 1)
    opening = re.sub(r'\s(width|height)="[^"]*"', "", opening)
    text = f'{opening} role="img" aria-label="{_attribute(label)}">{body}'
    needed = {match[2] for match in _REFERENCES.finditer(text)}
    text = _NAMES.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in needed else "", text)
    text = _REFERENCES.sub(lambda match: f"{match[1]}{name}-{match[2]}", text)
    for colour, variable in _COLOURS.items():
        text = text.replace(colour, f"var({variable}, {colour})")
    return text


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
