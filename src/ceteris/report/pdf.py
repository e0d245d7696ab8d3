"""The report as a PDF of at most five A4 pages, typeset by typst from data that it never reads as markup."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib
import typst

from ceteris.formats import shortened
from ceteris.report.sections import Block, Bullets, DrawnFigure, Heading, Judgements, Report, Rows, Section, Terms, Text
from ceteris.report.table import NUMERIC, Table

MOST_PAGES = 5
MOST_COLUMNS = 9
LONG_CELL = 34  # letters: a column with longer cells shares the room that is left
MOST_BULLETS = 14

# Figures that the PDF may hold: the share of the line and the most height in cm that each may take. Of those that there
# are for every model, the model with the best test result is shown.
FIGURES: dict[str, tuple[float, float]] = {
    "samples": (0.55, 8), "improvement": (0.7, 7), "search-path": (0.82, 11), "effects": (0.95, 14), "worth": (0.76, 7),
    "cells": (0.62, 11), "interactions": (0.72, 8), "history": (0.8, 11), "rungs": (0.8, 11), "race": (0.72, 9),
    "tuning": (0.8, 11), "test-results": (0.8, 11), "generalisation-gap": (0.66, 11), "curves": (0.86, 11),
    "confusion": (0.62, 7), "roc": (0.8, 11), "class-scores": (0.62, 7), "costs": (0.8, 11), "residual": (0.8, 11),
    "attention": (0.72, 11), "mistakes": (0.72, 11),
}  # fmt: skip
ALL_FIGURES = tuple(FIGURES)
SEARCH_FIGURES = ("improvement", "worth", "cells", "history", "rungs")  # they answer what the strategy asks
PAIRS = {"class-scores": "confusion"}  # stand side by side


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How tightly the pages are set: letters in points, figures to show, rows of a table, longest texts."""

    size: float
    figures: tuple[str, ...]
    rows: int
    letters: int


LAYOUTS = (
    Layout(size=9.5, figures=ALL_FIGURES, rows=80, letters=4000),
    Layout(size=9.0, figures=ALL_FIGURES, rows=70, letters=3000),
    Layout(size=8.5, figures=ALL_FIGURES[:-1], rows=70, letters=2000),
    Layout(
        size=8.5, rows=70, letters=2000,
        figures=tuple(name for name in ALL_FIGURES if name not in ("interactions", "race", "tuning", "attention", "mistakes")),
    ),
    Layout(
        size=8.5, rows=60, letters=1500,
        figures=("samples", *SEARCH_FIGURES, "search-path", "test-results", "curves", "confusion", "residual"),
    ),
    Layout(size=8.0, figures=("samples", *SEARCH_FIGURES, "test-results", "confusion"), rows=45, letters=800),
    Layout(size=7.5, figures=("test-results",), rows=30, letters=300),
    Layout(size=7.0, figures=(), rows=12, letters=120),
)  # fmt: skip


def pdf_report(report: Report) -> bytes:
    """Return the PDF in the roomiest layout that keeps to five pages; what is left out is named in it."""
    with tempfile.TemporaryDirectory(prefix="ceteris-pdf-") as scratch:
        folder = Path(scratch)
        template = resources.files("ceteris.report").joinpath("templates/report.typ").read_text(encoding="utf-8")
        (folder / "report.typ").write_text(template, encoding="utf-8")
        for drawn in report.drawn:
            (folder / f"{drawn.figure.name}.svg").write_text(drawn.svg, encoding="utf-8")
        for layout in LAYOUTS[:-1]:
            # An internal error of typst (its tags of tables that break around a picture) costs a layout, not the report.
            with contextlib.suppress(typst.TypstError):
                pdf = _compiled(folder, content(report, layout))
                if pdf is not None:
                    return pdf
        pdf = _compiled(folder, content(report, LAYOUTS[-1]))
    assert pdf is not None, "the tightest layout takes more than five pages"
    return pdf


def _compiled(folder: Path, data: dict[str, Any]) -> bytes | None:
    """Return the PDF, None when it takes more than the allowed pages."""
    (folder / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    compiler = typst.Compiler(input=str(folder / "report.typ"), root=str(folder), font_paths=[str(fonts)])
    pages = json.loads(compiler.query("<pages>", field="value", one=True))
    if int(pages) > MOST_PAGES:
        return None
    pdf = compiler.compile(format="pdf")
    assert isinstance(pdf, bytes)
    return pdf


def content(report: Report, layout: Layout) -> dict[str, Any]:
    """Return everything that the pages show, as plain values."""
    study = report.results
    pages = _Pages(report=report, layout=layout)
    made = [pages.section(section) for section in report.sections]
    return {
        "size": layout.size,
        "title": shortened(study.label, 200),
        "question": shortened(study.question, 400),
        "people": shortened(study.people, 160),
        "byline": shortened(" · ".join(part for part in (study.people, study.date) if part), 180),
        "note": shortened(study.data.note, 300),
        "sections": [section for section in made if section["blocks"]],
    }


@dataclass(frozen=True, kw_only=True)
class _Pages:
    """The blocks of the report as plain values, cut to a layout."""

    report: Report
    layout: Layout

    def section(self, section: Section) -> dict[str, Any]:
        """Return words and tables in their order, then the section's own figures; none stands in the summary."""
        blocks = [plain for block in section.blocks if "pdf" in block.where for plain in self._blocks(block)]
        own = [drawn for drawn in self.report.drawn if drawn.figure.section == section.name]
        shown = {entry["name"]: entry for drawn in own if (entry := self._picture(drawn))}
        for name, partner in PAIRS.items():
            if name in shown and partner in shown:
                shown[partner]["beside"] = shown.pop(name)
        return {"title": section.title, "blocks": [*blocks, *(shown[name] for name in FIGURES if name in shown)]}

    def _blocks(self, block: Block) -> Iterator[dict[str, Any]]:
        match block:
            case Heading(title=title):
                yield {"kind": "heading", "title": title}
            case Text(text=text, style=style):
                yield {"kind": "text", "text": shortened(text, self.layout.letters), "style": style}
            case Bullets(texts=texts):
                cut = [shortened(text, min(self.layout.letters, 500)) for text in texts]
                yield {"kind": "bullets", "texts": cut[:MOST_BULLETS]}
            case Judgements(judged=judged):
                sides = [{"title": shortened(one.title, 40), "pros": one.pros, "cons": one.cons} for one in judged[:6]]
                yield {"kind": "judgements", "rows": sides}
            case Terms(title=title, terms=terms):
                told = "; ".join(f"{term}: {meaning}" for term, meaning in terms)
                yield {"kind": "text", "text": shortened(f"{title}. {told}.", self.layout.letters), "style": "note"}
            case Rows(table=table) if table.rows:
                yield self._table(table)

    def _table(self, table: Table) -> dict[str, Any]:
        """Return columns and rows as people read them, and how many rows there is no room for."""
        cut, shown = min(self.layout.letters, 160), table.texts()[: self.layout.rows]
        rows = [[shortened(text, cut) for text in row[:MOST_COLUMNS]] for row in shown]
        return {
            "kind": "table",
            "columns": [
                {
                    "title": shortened(column.title, 30),
                    "numeric": column.kind in NUMERIC,
                    "wide": max(len(row[place]) for row in rows) > LONG_CELL,
                }
                for place, column in enumerate(table.columns[:MOST_COLUMNS])
            ],
            "rows": rows,
            "left_out": len(table.rows) - len(rows),
        }

    # -- figures

    def _picture(self, drawn: DrawnFigure) -> dict[str, Any] | None:
        """Return file, caption and size of a figure, None where this layout has no room for it."""
        figure = drawn.figure
        if figure.kind not in self.layout.figures:
            return None
        if figure.model:
            models = {entry.figure.model for entry in self.report.drawn if entry.figure.kind == figure.kind}
            having = [summary for summary in self.report.results.best if summary.model in models]
            if not having or figure.model != max(having, key=lambda summary: summary.mean("accuracy")).model:
                return None
        (share, tallest), box = FIGURES[figure.kind], drawn.svg.split('viewBox="', 1)[1]
        width, height = map(float, box.split('"', 1)[0].split()[2:])
        size = {"ratio": f"{height / width:.4f}", "share": share, "tallest": tallest}
        return {"kind": "picture", "name": figure.kind, "file": f"{figure.name}.svg", "caption": figure.caption, **size}
