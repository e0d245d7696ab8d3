"""The report as a PDF of at most five A4 pages, typeset by typst from data that it never reads as markup."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib
import typst

from ceteris.analysis.results import ModelResults
from ceteris.findings import LevelFinding
from ceteris.formats import plain_points, points, shortened
from ceteris.report.sections import Block, Bullets, Compact, DrawnFigure, Heading, Judgements, Report, Section, Text
from ceteris.report.tables import data_description, structures

MOST_PAGES = 5
MOST_MODELS = 4  # side by side in the table of effects
MOST_BULLETS = 14

# Figures that the PDF may hold: the share of the line and the most height in cm that each may take. Of those that there
# are for every model, the model with the best test result is shown.
FIGURES: dict[str, tuple[float, float]] = {
    "samples": (1.0, 11), "improvement": (0.7, 7), "search-path": (0.82, 11), "worth": (0.76, 7), "cells": (0.62, 11),
    "interactions": (0.72, 8), "history": (0.8, 11), "rungs": (0.8, 11), "race": (0.72, 9), "tuning": (0.8, 11),
    "test-results": (0.8, 11), "generalisation-gap": (0.66, 11), "curves": (0.86, 11), "confusion": (0.62, 7),
    "roc": (0.8, 11), "class-scores": (0.62, 7), "costs": (0.8, 11), "residual": (0.8, 11), "attention": (0.72, 11),
    "mistakes": (0.72, 11),
}  # fmt: skip
ALL_FIGURES = tuple(FIGURES)
SEARCH_FIGURES = ("improvement", "worth", "cells", "history", "rungs")  # they answer what the strategy asks
PAIRS = {"class-scores": "confusion"}  # stand side by side

_SIGNS = {"better": "▲", "worse": "▼", "equivalent": "=", "undecided": "○", "incumbent": "◇"}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How tightly the pages are set: letters in points, figures to show, rows of the table of effects, longest texts."""

    size: float
    figures: tuple[str, ...]
    effect_rows: int
    letters: int


LAYOUTS = (
    Layout(size=9.5, figures=ALL_FIGURES, effect_rows=80, letters=4000),
    Layout(size=9.0, figures=ALL_FIGURES, effect_rows=70, letters=3000),
    Layout(size=8.5, figures=ALL_FIGURES[:-1], effect_rows=70, letters=2000),
    Layout(
        size=8.5, effect_rows=70, letters=2000,
        figures=tuple(name for name in ALL_FIGURES if name not in ("interactions", "race", "tuning", "attention", "mistakes")),
    ),
    Layout(
        size=8.5, effect_rows=60, letters=1500,
        figures=("samples", *SEARCH_FIGURES, "search-path", "test-results", "curves", "confusion", "residual"),
    ),
    Layout(size=8.0, figures=("samples", *SEARCH_FIGURES, "test-results", "confusion"), effect_rows=45, letters=800),
    Layout(size=7.5, figures=("test-results",), effect_rows=30, letters=300),
    Layout(size=7.0, figures=(), effect_rows=12, letters=120),
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
            case Compact(name="effects"):
                yield effects(self.report.results.models, self.layout.effect_rows)
            case Compact(name="results"):
                yield self._results()
            case Compact(name="facts"):
                rows = self._cut(data_description(self.report.results, brief=True).texts(), 300)
                samples = [drawn for drawn in self.report.drawn if drawn.figure.name == "samples"]
                picture = self._drawn(samples[0]) if samples and "samples" in self.layout.figures else None
                yield {"kind": "facts", "rows": rows, "picture": picture}
            case Compact(name="models"):
                yield self._models()
            case Compact(name="explored"):
                yield self._explored()

    # -- figures

    def _picture(self, drawn: DrawnFigure) -> dict[str, Any] | None:
        """Return file, caption and size of a figure, None where this layout has no room for it."""
        figure = drawn.figure
        if figure.kind not in self.layout.figures or figure.kind == "samples":
            return None
        if figure.model:
            models = {entry.figure.model for entry in self.report.drawn if entry.figure.kind == figure.kind}
            having = [summary for summary in self.report.results.best if summary.model in models]
            if not having or figure.model != max(having, key=lambda summary: summary.mean("accuracy")).model:
                return None
        return self._drawn(drawn)

    def _drawn(self, drawn: DrawnFigure) -> dict[str, Any]:
        figure = drawn.figure
        (share, tallest), box = FIGURES[figure.kind], drawn.svg.split('viewBox="', 1)[1]
        width, height = map(float, box.split('"', 1)[0].split()[2:])
        size = {"ratio": f"{height / width:.4f}", "share": share, "tallest": tallest}
        return {"kind": "picture", "name": figure.kind, "file": f"{figure.name}.svg", "caption": figure.caption, **size}

    # -- tables that only the PDF has

    def _results(self) -> dict[str, Any]:
        rows = []
        for summary in self.report.results.versions[:18]:
            low, high = summary.accuracy_interval.low, summary.accuracy_interval.high
            accuracy = f"{plain_points(summary.mean('accuracy'))} ({plain_points(low)}–{plain_points(high)})"
            shares = [plain_points(summary.mean(metric)) for metric in ("precision", "recall", "f1")]
            version = f"{shortened(summary.title, 30)}, {summary.version_title}"
            rows.append([version, accuracy, *shares, f"{summary.mean('auc'):.4f}"])
        return {"kind": "results", "rows": rows}

    def _models(self) -> dict[str, Any]:
        """Split the properties into those that differ, as rows, and those that all models share, as one sentence."""
        table = structures(self.report.results)
        differing = [row[:9] for row in table.texts() if len(set(row[1:])) > 1]
        shared = [f"{row[0]} {row[1]}" for row in table.texts() if len(set(row[1:])) == 1 and row[1] != "none"]
        return {
            "kind": "models",
            "columns": [shortened(column.title, 30) for column in table.columns][:9],
            "rows": self._cut(differing, 130),
            "shared": shortened("; ".join(shared), self.layout.letters),
        }

    def _explored(self) -> dict[str, Any]:
        """Name every factor once with its question and the models for which it was explored."""
        seen: dict[str, tuple[str, str, list[str]]] = {}
        for model in self.report.results.models:
            for factor in model.factors:
                seen.setdefault(factor.name, (factor.label, factor.question, []))[2].append(model.label)
        rows = [
            [shortened(title, 60), shortened(question, 160), shortened(", ".join(models), 60)]
            for title, question, models in seen.values()
        ]
        return {"kind": "explored", "rows": rows[: max(4, self.layout.effect_rows // 3)]}

    def _cut(self, rows: Sequence[Sequence[str]], most: int) -> list[list[str]]:
        return [[shortened(text, min(self.layout.letters, most)) for text in row] for row in rows]


# ---------------------------------------------------------------------------------------------------------------------
# All effects in one table: a row per level, a column per model

_Levels = dict[str, dict[str, LevelFinding]]  # label -> model -> level


def effects(models: Sequence[ModelResults], most_rows: int) -> dict[str, Any]:
    """Return the table as plain values, and how many levels it leaves out.

    A cell reads "mean accuracy, difference from the incumbent, verdict". Where there are more rows than allowed, levels
    that were neither incumbent nor kept nor better for any model are left out first, then whole factors from the end.
    """
    models = models[:MOST_MODELS]
    titles = {factor.name: factor.label for model in models for factor in model.factors}
    grouped: dict[str, _Levels] = {name: {} for name in titles}
    for model in models:
        for factor in model.factors:
            for level in factor.levels:
                grouped[factor.name].setdefault(level.label, {})[model.name] = level
    chosen = _reduced(grouped, most_rows)
    rows = [
        {
            "factor": titles[name][:60] if number == 0 else "",
            "level": label[:48],
            "cells": [_cell(of_model.get(model.name)) for model in models],
        }
        for name, levels in chosen.items()
        for number, (label, of_model) in enumerate(levels.items())
    ]
    total = sum(map(len, grouped.values()))
    titles_of_models = [model.label[:24] for model in models]
    return {"kind": "effects", "models": titles_of_models, "rows": rows, "left_out": total - len(rows)}


def _reduced(grouped: dict[str, _Levels], most_rows: int) -> dict[str, _Levels]:
    def telling(level: LevelFinding) -> bool:
        better = level.comparison is not None and level.comparison.verdict == "better"
        return level.incumbent or level.chosen or better

    if sum(map(len, grouped.values())) <= most_rows:
        return grouped
    kept: dict[str, _Levels] = {}
    for name, levels in grouped.items():
        shown = {label: found for label, found in levels.items() if any(map(telling, found.values()))}
        if sum(map(len, kept.values())) + len(shown) > most_rows:
            break
        kept[name] = shown
    return kept


def _cell(level: LevelFinding | None) -> dict[str, Any]:
    if level is None:
        return {"mean": "", "difference": "", "interval": "", "verdict": "", "sign": "", "chosen": False}
    mean, compared = level.mean, level.comparison
    verdict = compared.verdict if compared else "incumbent" if level.incumbent else "failed"
    interval = f"({plain_points(compared.low)} to {plain_points(compared.high)})".replace("-", "−") if compared else ""
    return {
        "mean": plain_points(mean) if mean == mean else "failed",
        "difference": points(compared.difference) if compared else "",
        "interval": interval,
        "verdict": verdict,
        "sign": _SIGNS.get(verdict, ""),
        "chosen": level.chosen,
    }
