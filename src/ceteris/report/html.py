"""The report as one HTML file that needs nothing else: no request leaves the page, and all but its interaction works
without JavaScript.
"""

import base64
import hashlib
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from itertools import groupby
from typing import Any

import jinja2
import matplotlib
import numpy as np
from markupsafe import Markup
from PIL import Image

from ceteris.analysis.results import ModelResults, Results, VersionResults
from ceteris.figures.rows import HEADER
from ceteris.figures.style import ACCENT, FAINT, INK, MUTED, PAPER, VERDICT_COLOURS
from ceteris.insights import AttentionMaps
from ceteris.records import ByteArray
from ceteris.report.alt_text import alternative_text
from ceteris.report.sections import Block, DrawnFigure, Picture, Report
from ceteris.report.table import NUMERIC, Cell

# The colours of a drawing follow the page into the dark.
_COLOURS = {INK: "--ink", MUTED: "--muted", FAINT: "--rule", PAPER: "--paper", ACCENT: "--accent"} | {
    colour: f"--{verdict}" for verdict, colour in VERDICT_COLOURS.items()
}
_DROPPED = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", re.DOTALL)
_REFERENCES = re.compile(r'(xlink:href="#|url\(#)([^")]+)')
_NAMES = re.compile(r'\sid="([^"]+)"')
_GLYPH = re.compile(r'<path id="([^"]+)" d="([^"]*)" transform="scale\(0\.015625\)"/>')
_LONG_NUMBER = re.compile(r"\d+\.\d{3,}")
_SPACE = re.compile(r"\s*\n\s*")
_HOT = matplotlib.colormaps["inferno"]
Heat = dict[str, dict[int, tuple[int, int]]]  # model -> test image -> places on the sheet of maps
ACROSS = 32  # tiles of the sheet of mistakes in one row
LARGEST = 64  # pixels of a tile's longer side; larger images are made smaller


def html_report(report: Report) -> str:
    """Return the whole page."""
    glyphs: dict[str, str] = {}
    environment = environment_of_pages()
    environment.filters["drawing"] = lambda drawn: _drawing(drawn, report.results, glyphs)
    sections = [replace(section, blocks=tuple(_with_variants(section.blocks))) for section in report.sections]
    script, (sheet, tile) = template("page.js"), sheet_of(report.results.images.kept.images)
    attention = report.results.insights.attention
    heat_sheet, heat = heat_of(attention) if attention else ("", {})
    page = environment.get_template("report.html.jinja").render(
        study=report.results,
        titles={model.name: model.label for model in report.results.models},
        sections=[section for section in sections if section.blocks],
        style=Markup(template("page.css")),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        sheet=sheet,
        heat_sheet=heat_sheet,
        data=Markup(_json(page_data(report, tile, heat))),
    )
    defined = "".join(f'<path id="{name}" d="{path}" transform="scale(0.015625)"/>' for path, name in glyphs.items())
    return page.replace("<!-- glyphs -->", f"<defs>{defined}</defs>", 1)


def environment_of_pages() -> jinja2.Environment:
    """Return what makes pages of the templates; every name is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(template),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"numeric": NUMERIC.__contains__, "exact": _exact}
    return environment


def _exact(cell: Cell) -> Markup:
    """Return the attribute with a number's value, by which the page sorts; nothing where it is the text, or missing."""
    number = isinstance(cell, int | float) and not isinstance(cell, bool) and math.isfinite(cell)
    return Markup(f' data-v="{cell:.6g}"') if number else Markup("")


def template(name: str) -> str:
    """Return the text of a file of the templates."""
    return resources.files("ceteris.report").joinpath(f"templates/{name}").read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Variants(Block):
    """Figures of one kind, one for each model, between which a reader can switch."""

    drawn: tuple[DrawnFigure, ...]


def _with_variants(blocks: Sequence[Block]) -> Iterator[Block]:
    """Gather neighbouring figures of one kind that each show a model."""

    def kind(block: Block) -> str:
        return block.drawn.figure.kind if isinstance(block, Picture) and block.drawn.figure.model else ""

    for shown, group in groupby(blocks, kind):
        pictures = list(group)
        if shown and len(pictures) > 1:
            yield Variants(drawn=tuple(picture.drawn for picture in pictures if isinstance(picture, Picture)))
        else:
            yield from pictures


# ---------------------------------------------------------------------------------------------------------------------
# Drawings


def _drawing(drawn: DrawnFigure, results: Results, glyphs: dict[str, str]) -> Markup:
    """Return a drawing with the words and numbers for those who cannot see it."""
    label = alternative_text(drawn.figure, results)
    # Drawn by matplotlib; the label is escaped.
    return Markup(inlined(drawn.svg, name=drawn.figure.name, label=label, glyphs=glyphs))


def inlined(svg: str, *, name: str, label: str, glyphs: dict[str, str]) -> str:
    """Return a drawing for use inside a page, as an image with ``label`` for those who cannot see it.

    Names that something refers to are made unique by ``name``, so that they do not clash between figures; all others are
    dropped. Outlines of letters move into ``glyphs``, outline to name, which the page defines once for all drawings. Numbers
    keep five digits, a thousandth of a point.
    """
    renamed: dict[str, str] = {}

    def moved(found: re.Match[str]) -> str:
        renamed[found[1]] = glyphs.setdefault(found[2], f"g{len(glyphs)}")
        return ""

    def reference(found: re.Match[str]) -> str:
        return f"{found[1]}{renamed.get(found[2]) or f'{name}-{found[2]}'}"

    opening, body = _DROPPED.sub("", svg).split(">", 1)
    body = _GLYPH.sub(moved, _SPACE.sub(" ", body))
    opening = re.sub(r'\s(width|height)="[^"]*"', "", opening)
    quoted = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
    needed = {match[2] for match in _REFERENCES.finditer(body)}
    body = _NAMES.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in needed else "", body)
    body = _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.5g}", _REFERENCES.sub(reference, body))
    body = body.replace("xlink:href", "href").replace("> <", "><").replace(" </", "</")
    for colour, variable in _COLOURS.items():
        body = body.replace(colour, f"var({variable})")
    return f'{opening} role="img" aria-label="{quoted}">{body}'


# ---------------------------------------------------------------------------------------------------------------------
# What the page's script reads


def page_data(report: Report, tile: tuple[int, int], heat: Heat) -> dict[str, Any]:
    """Return what can be called up on the page: the mistakes of every model, the blocks of every comparison."""
    results = report.results
    return {
        "classes": results.data.classes,
        "sheet": {"tile": tile, "across": ACROSS},
        "panels": {
            drawn.figure.name: [asdict(panel) for panel in drawn.panels] for drawn in report.drawn if drawn.panels
        },
        "confusion": {
            f"confusion-{best.model}": _confusion(best, results) | {"heat": heat.get(best.model, {})}
            for best in results.best
        },
        "blocks": {f"blocks-{model.name}": _blocks(model, results.folds) for model in results.models},
    }


def _confusion(best: VersionResults, results: Results) -> dict[str, Any]:
    """Return how often each true class was given each class at the first seed, and the mistakes whose pictures were kept.

    A mistake is its place on the sheet, that in the test set, its true and its given class, and their probabilities.
    """
    kept, labels, answers = results.images.kept.indices, results.images.labels, best.finals[0].probabilities
    wrong = np.flatnonzero(answers[kept].argmax(axis=1) != labels[kept])
    rows = []
    for place, index in zip(wrong.tolist(), kept[wrong].tolist(), strict=True):
        true, given = int(labels[index]), int(answers[index].argmax())
        rows.append([place, index, true, given, float(answers[index, true]), float(answers[index, given])])
    order = sorted(rows, key=lambda row: -row[-1])
    return {"title": best.title, "counts": best.results[0].confusion.tolist(), "wrong": order}


def _blocks(model: ModelResults, folds: int) -> dict[str, Any]:
    """Return what every dot in the figure of a model's effects stands for; ``y`` is the row of a level there."""
    levels, top = [], 0.0
    for factor in model.factors:
        for row, level in enumerate(factor.levels):
            levels.append(
                {
                    "y": top + HEADER + row + 0.5,
                    "label": f"{factor.label}: {level.tuned_label}",
                    "accuracies": level.accuracies,
                    "curves": level.curves if level.curves is not None else (),
                }
            )
        top += HEADER + len(factor.levels)
    return {"title": model.label, "folds": folds, "levels": levels}


def _json(value: Any) -> str:
    """Write plain values and arrays for a script element: numbers with four decimals, what is not finite as null."""

    def plain(entry: Any) -> Any:
        match entry:
            case dict():
                return {key: plain(part) for key, part in entry.items()}
            case np.ndarray() | list() | tuple():
                return [plain(part) for part in (entry.tolist() if isinstance(entry, np.ndarray) else entry)]
            case float():
                return round(entry, 4) if np.isfinite(entry) else None
            case _:
                return entry

    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def sheet_of(images: ByteArray) -> tuple[str, tuple[int, int]]:
    """Return images (n, channels, height, width) as one sheet, a data address, and width and height of a tile in pixels.

    Grey ones as PNG, coloured ones as JPEG, in rows of ACROSS; larger ones are made smaller.
    """
    count, channels, height, width = images.shape
    shrink = max(1, -(-max(height, width) // LARGEST))
    small = images[:, :, ::shrink, ::shrink]
    high, wide = small.shape[2:]
    if not count or channels not in (1, 3):
        return "", (wide, high)
    sheet = np.zeros((-(-count // ACROSS) * high, ACROSS * wide, channels), np.uint8)
    for place, image in enumerate(small):
        row, column = divmod(place, ACROSS)
        sheet[row * high : (row + 1) * high, column * wide : (column + 1) * wide] = image.transpose(1, 2, 0)
    buffer, kind = io.BytesIO(), "png" if channels == 1 else "jpeg"
    Image.fromarray(sheet.squeeze()).save(buffer, kind, quality=85, subsampling=0, optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}", (wide, high)


def heat_of(attention: AttentionMaps) -> tuple[str, Heat]:
    """Return the Grad-CAM maps of mistakes, laid over the images, as a sheet, and by model and test image the places there.

    The places are those for the predicted and for the true class; a model without such maps has none.
    """
    tiles: list[ByteArray] = []
    heat: Heat = {}
    if "grad-cam" not in attention.methods:
        return "", heat
    for model, maps in zip(attention.models, attention.maps[attention.methods.index("grad-cam")], strict=True):
        for index, image, pair in zip(attention.indices.tolist(), attention.images, maps, strict=True):
            if np.isfinite(pair).all():
                heat.setdefault(model, {})[index] = (len(tiles), len(tiles) + 1)
                grey = image.mean(axis=0) / 255  # (height, width)
                for one in pair:
                    strength = 0.55 * np.clip(one, 0, 1)[None]
                    mixed = (1 - strength) * grey[None] + strength * _HOT(np.clip(one, 0, 1))[..., :3].transpose(
                        2, 0, 1
                    )
                    tiles.append((255 * mixed).astype(np.uint8))
    return sheet_of(np.array(tiles))[0] if tiles else "", heat
