"""The report as one HTML file that needs nothing else: no request leaves the page."""

from dataclasses import dataclass
from importlib import resources

import jinja2
from markupsafe import Markup

from ceteris.analysis.results import VersionResults
from ceteris.analysis.search import block_word, decisions_info
from ceteris.findings import FactorFinding, ModelFinding
from ceteris.report import sentences
from ceteris.report.budgets import budget_sentences, saved_sentence
from ceteris.report.content import DrawnPlate, Report
from ceteris.report.improvement import improvement_in_short, improvement_sentences
from ceteris.report.inline_svg import inlined
from ceteris.report.judgements import judgements
from ceteris.report.outlook import command, outlook_sentences
from ceteris.report.search_words import (
    decision_text,
    failure_text,
    level_sentence,
    search_text,
    strategy_words,
    to_decide_text,
)
from ceteris.report.table import Table, duration, readable

NUMERIC = ("count", "share", "points", "p", "number", "seconds", "megabytes", "area")
TEST_COLUMNS = ("model", "version", "accuracy", "low", "high", "precision", "recall", "F1", "AUC")
FACTOR_COLUMNS = (
    "factor", "level", "mean accuracy", "difference", "low", "high", "adjusted p", "verdict", "kept", "failed",
    "blocks trained",
)  # fmt: skip


# Figures that answer the question of their strategy, and so belong into the summary.
TELLING = ("worth-", "cells-", "history-", "rungs-")


@dataclass(frozen=True, kw_only=True)
class Card:
    """The number a reader looks for first: one model's test accuracy."""

    title: str
    accuracy: str
    interval: str
    improvement: str
    gain: str


def html_report(report: Report) -> str:
    """Return the whole page."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["svg"] = _svg
    environment.filters["numeric"] = lambda kind: kind in NUMERIC
    environment.filters["duration"] = duration
    environment.filters["points"] = lambda value: readable(value, "points")
    source = resources.files("ceteris.report").joinpath("templates/report.html.jinja").read_text(encoding="utf-8")
    findings, results = report.findings, report.results
    return environment.from_string(source).render(
        report=report,
        findings=findings,
        answer=sentences.answer(findings, results),
        cards=_cards(report),
        conclusions=sentences.conclusions(findings, results),
        looks_sentence=sentences.looks_sentence(findings),
        mistakes_sentences=sentences.mistakes_sentences(findings, results),
        residual_sentences=sentences.residual_sentences(findings, results),
        judgements=judgements(findings, results),
        fits=[sentences.fit_sentence(findings, results, model) for model in findings.models],
        decisions=decisions_info(findings),
        helped=report.table("what_helped"),
        on_test=report.table("test_results").only(*TEST_COLUMNS),
        factor_table=lambda model, factor: _factor_table(report, model, factor),
        own_rows=_own_rows,
        block_word=block_word,
        telling=TELLING,
        search=strategy_words(findings),
        search_text=search_text,
        decision=decision_text,
        to_decide=to_decide_text,
        level_sentence=level_sentence,
        failure=failure_text,
        improvements=improvement_sentences(findings),
        budgets=budget_sentences,
        saved=saved_sentence,
        outlook=outlook_sentences(findings),
        command=command(findings),
        people=" · ".join(part for part in (findings.group, findings.author) if part),
    )


def _svg(drawn: DrawnPlate) -> Markup:
    label = f"{drawn.plate.caption} {drawn.plate.description}"
    return Markup(inlined(drawn.svg, name=drawn.plate.name, label=label))  # drawn by matplotlib, the label is escaped


def _cards(report: Report) -> list[Card]:
    return [_card(report, summary) for summary in report.results.summaries if summary.version == "best"]


def _card(report: Report, summary: VersionResults) -> Card:
    interval = summary.accuracy_interval
    baseline = report.results.of(summary.model, "baseline")
    gain = ""
    if baseline is not None:
        difference = 100 * (summary.mean("accuracy") - baseline.mean("accuracy"))
        gain = f"test set: {difference:+.2f} points against its baseline".replace("-", "−")
    model = next(entry for entry in report.findings.models if entry.name == summary.model)
    return Card(
        title=summary.title,
        improvement=improvement_in_short(model),
        accuracy=sentences.percent(summary.mean("accuracy")),
        interval=f"95 % interval {100 * interval.low:.2f} to {100 * interval.high:.2f}",
        gain=gain,
    )


def _own_rows(table: Table, model: ModelFinding) -> Table:
    """Return the rows of a table that are about one model, without the column that names it."""
    title = model.title or model.name
    rows = tuple(row[1:] for row in table.rows if row[0] == title)
    return Table(name=table.name, title=table.title, columns=table.columns[1:], rows=rows)


def _factor_table(report: Report, model: ModelFinding, factor: FactorFinding) -> Table:
    table = report.table(f"factors_{model.name}")
    folds = [column.title for column in table.columns if column.title.startswith(("fold ", "block "))]
    shown = table.only(*FACTOR_COLUMNS, *folds)
    title = factor.title or factor.name
    rows = tuple(row[1:] for row in shown.rows if row[0] == title)
    return Table(name=table.name, title=title, columns=shown.columns[1:], rows=rows)
