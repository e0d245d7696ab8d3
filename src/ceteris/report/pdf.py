"""The report as a PDF of at most five A4 pages, typeset by typst from data that it never reads as markup."""

import contextlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib
import typst

from ceteris.analysis.finals import VERSION_TITLES
from ceteris.findings import StudyFindings
from ceteris.report import sentences
from ceteris.report.budgets import budget_sentences, saved_sentence
from ceteris.report.content import Report
from ceteris.report.effects_table import effects_table
from ceteris.report.improvement import improvement_sentences
from ceteris.report.judgements import judgements
from ceteris.report.outlook import command, outlook_sentences
from ceteris.report.search_words import search_text, strategy_words
from ceteris.report.table import Table

MOST_PAGES = 5


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How tightly the pages are set: letters in points, figures to show, rows of the table of effects, classes named."""

    size: float
    figures: tuple[str, ...]
    effect_rows: int
    letters: int


ALL_FIGURES = (
    "samples",
    "improvement",
    "search-path",
    "worth",
    "cells",
    "interactions",
    "history",
    "rungs",
    "race",
    "tuning",
    "test-results",
    "generalisation-gap",
    "curves",
    "confusion",
    "roc",
    "class-scores",
    "costs",
    "residual",
    "attention",
    "mistakes",
)
SEARCH_FIGURES = ("improvement", "worth", "cells", "history", "rungs")  # they answer what the strategy asks  # fmt: skip
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
            (folder / f"{drawn.plate.name}.svg").write_text(drawn.svg, encoding="utf-8")
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
    findings, results = report.findings, report.results
    effects, left_out = effects_table(findings, layout.effect_rows)
    return {
        "size": layout.size,
        "title": _cut(findings.title or findings.name, 200),
        "question": _cut(findings.question, 400),
        "people": _cut(" · ".join(part for part in (findings.group, findings.author) if part), 160),
        "byline": _cut(" · ".join(part for part in (findings.group, findings.author, findings.date) if part), 180),
        "note": _cut(findings.data.note, 300),
        "answer": _cut(sentences.answer(findings, results), layout.letters),
        "improvements": [_cut(text, 400) for text in improvement_sentences(findings)][:6],
        "search": _search(findings),
        "outlook": _outlook(findings),
        "data": _rows(_data_facts(report.table("data")), layout),
        "models": _models(report.table("models"), layout),
        "explored": _explored(findings, layout),
        "effects": effects,
        "effects_left_out": left_out,
        "fits": [_cut(sentences.fit_sentence(findings, results, model), 500) for model in findings.models][:6],
        "results": _results(report),
        "mistakes": [_cut(text, 300) for text in sentences.mistakes_sentences(findings, results)][:6],
        "residual": [_cut(text, 400) for text in sentences.residual_sentences(findings, results)],
        "judgements": [
            {"title": _cut(entry.title, 40), "pros": entry.pros, "cons": entry.cons}
            for entry in judgements(findings, results)[:6]
        ],
        "conclusions": [_cut(sentence, 400) for sentence in sentences.conclusions(findings, results)][:14],
        "method": _method(findings),
        "reproduce": _reproduce(findings, layout),
        "figures": {name: entry for name in ALL_FIGURES if (entry := _figure(report, layout, name)) is not None},
    }


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: max(1, letters - 1)].rstrip() + "…"


def _rows(table: Table, layout: Layout) -> list[list[str]]:
    return [[_cut(text, min(layout.letters, 300)) for text in row] for row in table.texts()]


def _data_facts(table: Table) -> Table:
    kept = ("problem", "label", "training images", "test images", "shares", "image", "classes", "images per class, training",
            "smallest and largest value", "missing values", "preprocessing", "source")  # fmt: skip
    rows = tuple(row for row in table.rows if row[0] in kept)
    return Table(name=table.name, title=table.title, columns=table.columns, rows=rows)


def _models(table: Table, layout: Layout) -> dict[str, Any]:
    """Split the properties into those that differ, as rows, and those that all models share, as one sentence."""
    limit = min(layout.letters, 130)
    differing = [row for row in table.texts() if len(set(row[1:])) > 1]
    shared = [f"{row[0]} {row[1]}" for row in table.texts() if len(set(row[1:])) == 1 and row[1] != "none"]
    columns = [column.title for column in table.columns][:9]
    return {
        "columns": [_cut(title, 30) for title in columns],
        "rows": [[_cut(text, limit) for text in row[:9]] for row in differing],
        "shared": _cut("; ".join(shared), layout.letters),
    }


def _explored(findings: StudyFindings, layout: Layout) -> list[list[str]]:
    """Name every factor once with its question and the models for which it was explored."""
    seen: dict[str, tuple[str, list[str]]] = {}
    for model in findings.models:
        for factor in model.factors:
            entry = seen.setdefault(factor.title or factor.name, (factor.question, []))
            entry[1].append(model.title or model.name)
    most = max(4, layout.effect_rows // 3)
    rows = [
        [_cut(name, 60), _cut(question, 160), _cut(", ".join(models), 60)] for name, (question, models) in seen.items()
    ]
    return rows[:most]


def _results(report: Report) -> list[list[str]]:
    rows = []
    for summary in report.results.summaries[:18]:
        interval = summary.accuracy_interval
        accuracy = f"{100 * summary.mean('accuracy'):.2f} ({100 * interval.low:.2f}–{100 * interval.high:.2f})"
        shares = [f"{100 * summary.mean(metric):.2f}" for metric in ("precision", "recall", "f1")]
        version = f"{_cut(summary.title, 30)}, {VERSION_TITLES[summary.version]}"
        rows.append([version, accuracy, *shares, f"{summary.mean('auc'):.4f}"])
    return rows


def _method(findings: StudyFindings) -> str:
    return (
        f"{strategy_words(findings).how} Intervals and p-values use the corrected resampled t-test (Nadeau & Bengio 2003), "
        "p-values are adjusted for the levels of a factor (Holm 1979); better or worse needs "
        f"p < {findings.significance:g}, equivalent an interval inside "
        f"±{100 * findings.equivalence_margin:g} points; all else is undecided."
    )


def _search(findings: StudyFindings) -> list[str]:
    """Say what the search did with each model, and what a comparison may not be blamed for."""
    told = [text for model in findings.models for text in (search_text(model), saved_sentence(model)) if text]
    unequal = [
        text
        for model in findings.models
        for text in budget_sentences(model)
        if "unequal" in text or "operations" in text
    ]
    return [_cut(text, 300) for text in dict.fromkeys([*told, *unequal]) if text][:8]


def _outlook(findings: StudyFindings) -> str:
    go_on = command(findings)
    told = " ".join(outlook_sentences(findings))
    return _cut(f"{told} To go on: {go_on}." if go_on else told, 900)


def _reproduce(findings: StudyFindings, layout: Layout) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(findings.packages.items()))
    times = f"{findings.trials_total} trainings, {findings.trials_failed} failed."
    return _cut(f"{times} Packages: {packages}.", min(layout.letters, 500))


def _figure(report: Report, layout: Layout, name: str) -> dict[str, str] | None:
    """Return file and caption of a figure; where there is one per model, that of the model with the best test result."""
    if name not in layout.figures:
        return None
    for candidate in (name, *(f"{name}-{model}" for model in _by_accuracy(report))):
        drawn = report.figure(candidate)
        if drawn is not None:
            return {"file": f"{candidate}.svg", "caption": drawn.plate.caption, "ratio": _ratio(drawn.svg)}
    return None


def _ratio(svg: str) -> str:
    box = svg.split('viewBox="', 1)[1].split('"', 1)[0].split()
    return f"{float(box[3]) / float(box[2]):.4f}"


def _by_accuracy(report: Report) -> Sequence[str]:
    best = [summary for summary in report.results.summaries if summary.version == "best"]
    return [summary.model for summary in sorted(best, key=lambda summary: -summary.mean("accuracy"))]
