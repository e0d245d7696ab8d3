"""What a report says: tables, figures drawn once, and the sections from which the page, the PDF and the notebook are made.

A section is a list of blocks. Each format shows the blocks that it can: the page all, the PDF those that are ``short``, the
notebook those with words, tables and figures of their own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from ceteris.analysis.results import ResultsInfo, VersionResults, results_info
from ceteris.analysis.search import DecisionsInfo, block_word, decisions_info
from ceteris.figures import ReportFigure, figures
from ceteris.findings import FactorFinding, ModelFinding, StudyFindings
from ceteris.formats import percent, plain_points, points
from ceteris.report import search_tables as search
from ceteris.report import tables, words
from ceteris.report.search_words import (
    decision_text,
    failure_text,
    level_sentence,
    search_text,
    strategy_words,
    to_decide_text,
)
from ceteris.report.table import Table

# Figures that answer the question of their strategy, and so belong into the summary.
TELLING = ("worth", "cells", "history", "rungs")
DPI = 200  # of PNG files

Medium = Literal["page", "pdf", "notebook"]
ALL: tuple[Medium, ...] = ("page", "pdf", "notebook")
LONG: tuple[Medium, ...] = ("page", "notebook")
PAGE: tuple[Medium, ...] = ("page",)
PDF: tuple[Medium, ...] = ("pdf",)
NOTEBOOK: tuple[Medium, ...] = ("notebook",)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A part of a section; ``where`` names the formats that show it."""

    where: tuple[Medium, ...] = LONG

    @property
    def kind(self) -> str:
        """The name of its class, for templates."""
        return type(self).__name__.lower()


@dataclass(frozen=True, kw_only=True)
class Heading(Block):
    """The title of what follows; one with an ``anchor`` stands in the list of contents."""

    title: str
    anchor: str = ""
    level: Literal[3, 4] = 3


@dataclass(frozen=True, kw_only=True)
class Text(Block):
    """A paragraph; ``style`` says what it is."""

    text: str
    style: Literal["", "answer", "note", "decision", "why", "code"] = ""


@dataclass(frozen=True, kw_only=True)
class Bullets(Block):
    """A list of sentences."""

    texts: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Rows(Block):
    """A table; a ``folded`` one opens on demand. In the notebook the whole table of that name is shown."""

    table: Table
    folded: bool = False
    caption: bool = True


@dataclass(frozen=True, kw_only=True)
class Picture(Block):
    """A figure; the PDF shows it where there is room."""

    figure: ReportFigure
    where: tuple[Medium, ...] = ALL


@dataclass(frozen=True, kw_only=True)
class Card:
    """The number a reader looks for first: one model's test accuracy."""

    title: str
    accuracy: str
    interval: str
    improvement: str
    gain: str


@dataclass(frozen=True, kw_only=True)
class Cards(Block):
    """One card per model."""

    cards: Sequence[Card]
    where: tuple[Medium, ...] = PAGE


@dataclass(frozen=True, kw_only=True)
class Decisions(Block):
    """What was kept of every factor for every model."""

    info: DecisionsInfo
    where: tuple[Medium, ...] = PAGE


@dataclass(frozen=True, kw_only=True)
class Levels(Block):
    """Everything about the levels of one factor, opened on demand."""

    title: str
    table: Table
    texts: Sequence[str]
    where: tuple[Medium, ...] = PAGE


@dataclass(frozen=True, kw_only=True)
class Judgements(Block):
    """For and against each model."""

    judged: Sequence[words.Judgement]
    where: tuple[Medium, ...] = ("page", "pdf")


@dataclass(frozen=True, kw_only=True)
class Verbatim(Block):
    """A text as it stands in a file, opened on demand."""

    title: str
    text: str
    where: tuple[Medium, ...] = PAGE


@dataclass(frozen=True, kw_only=True)
class Compact(Block):
    """The place of a table that only the PDF has."""

    name: Literal["results", "facts", "models", "explored", "effects"]
    where: tuple[Medium, ...] = PDF


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the report with its blocks in their order; ``name`` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True)
class _Study:
    """What sections are made of."""

    findings: StudyFindings
    results: ResultsInfo
    figures: Sequence[ReportFigure]

    def pictures(self, section: str, model: str | None = None, *, telling: bool | None = None) -> Iterator[Picture]:
        for figure in self.figures:
            fits = figure.section == section and model in (None, figure.model)
            if fits and telling in (None, figure.kind in TELLING):
                yield Picture(figure=figure)

    def picture(self, name: str) -> Iterator[Picture]:
        return (Picture(figure=figure) for figure in self.figures if figure.name == name)


def sections(findings: StudyFindings, results: ResultsInfo, figures: Sequence[ReportFigure]) -> list[Section]:
    """Return the sections of a study's report; those that have nothing to say are left out."""
    study = _Study(findings=findings, results=results, figures=figures)
    data = [
        Rows(table=tables.data_description(findings), caption=False),
        Compact(name="facts"),
        Rows(table=tables.class_counts(findings), folded=True, where=PAGE),
        *study.pictures("data"),
    ]
    residual = list(study.pictures("residual"))
    differences = words.residual_sentences(findings, results) if residual else []
    parts: tuple[tuple[str, str, Iterable[Block]], ...] = (
        ("summary", "Summary", _summary(study)),
        ("data", "Data", data),
        ("models", "Models", _models(study)),
        ("exploration", "Exploration", _exploration(study)),
        ("outlook", "What would decide it", _outlook(study)),
        ("training", "Final training", _training(study)),
        ("results", "Test results", _results(study)),
        ("residual", "Residual connections", [*residual, *(Text(text=text, where=ALL) for text in differences)]),
        ("explanations", "Explanations", study.pictures("explanations")),
        ("errors", "Single images", _errors(study)),
        ("conclusions", "Conclusions", _conclusions(study)),
        ("reproducibility", "Reproducibility", _reproducibility(study)),
        ("method", "Method", [Bullets(texts=words.method_sentences(findings), where=PAGE)]),
    )
    made = (Section(name=name, title=title, blocks=tuple(blocks)) for name, title, blocks in parts)
    return [section for section in made if section.blocks]


def _summary(study: _Study) -> Iterator[Block]:
    findings, results = study.findings, study.results
    yield Text(text=words.answer(findings, results), style="answer", where=ALL)
    if findings.data.note:
        yield Text(text=f"About the data: {findings.data.note.rstrip('.')}.", style="note", where=ALL)
    yield Cards(cards=[_card(study, summary) for summary in results.best])
    yield Heading(title="Improvement over the baseline", where=ALL)
    yield Text(
        text="Only what fresh seeds confirm is called an improvement: baseline and best recipe were trained once more on "
        "blocks that no choice has seen."
    )
    yield Bullets(texts=[words.improvement_sentence(model) for model in findings.models], where=ALL)
    yield Rows(table=search.improvement(findings.models), where=NOTEBOOK)
    yield from study.picture("improvement")
    yield from _what_helped(study)
    yield Heading(title="On the test set")
    yield Rows(table=tables.metrics_on_test(results).brief(), caption=False)
    yield Compact(name="results")
    yield from study.picture("test-results")


def _card(study: _Study, summary: VersionResults) -> Card:
    interval, baseline = summary.accuracy_interval, study.results.of(summary.model, "baseline")
    gain = summary.mean("accuracy") - baseline.mean("accuracy") if baseline else 0.0
    model = next(entry for entry in study.findings.models if entry.name == summary.model)
    return Card(
        title=summary.title,
        improvement=words.improvement_in_short(model),
        accuracy=percent(summary.mean("accuracy")),
        interval=f"95 % interval {plain_points(interval.low)} to {plain_points(interval.high)}",
        gain=f"test set: {points(gain, zero='+')} points against its baseline" if baseline else "",
    )


def _what_helped(study: _Study) -> Iterator[Block]:
    findings = study.findings
    decisions, table = decisions_info(findings), search.what_helped(findings.models)
    on_blocks = " The differences are points of cross-validated accuracy on the blocks that chose."
    yield Heading(title="What helped")
    yield Text(text=strategy_words(findings).how + (on_blocks if decisions.factors else ""))
    if decisions.factors:
        yield Decisions(info=decisions)
        yield Rows(table=table.brief(), folded=True, where=PAGE)
    yield Rows(table=table, where=NOTEBOOK)
    yield from study.pictures("exploration", telling=True)


def _models(study: _Study) -> Iterator[Block]:
    yield Rows(table=tables.structures(study.findings), caption=False)
    yield Compact(name="models")
    yield Heading(title="Layer by layer", where=PAGE)
    for model in study.findings.models:
        for version in ("baseline", "best"):
            yield Rows(table=tables.layers(model, version), folded=True, where=PAGE)


def _exploration(study: _Study) -> Iterator[Block]:
    findings = study.findings
    yield Text(text=words.exploration_text(findings))
    yield Text(text=f"Strategy: {strategy_words(findings).name}.")
    yield Text(text=words.method_text(findings), where=PDF)
    yield Compact(name="explored")
    yield Bullets(texts=words.search_sentences(findings), where=PDF)
    yield Compact(name="effects")
    yield from study.picture("search-path")
    for model in findings.models:
        yield from _explored_model(study, model)
    for table in (*tables.of_search(findings.models), search.effort(findings.models)):
        if table.rows:
            yield Rows(table=table, where=NOTEBOOK)


def _explored_model(study: _Study, model: ModelFinding) -> Iterator[Block]:
    findings = study.findings
    yield Heading(title=model.label, anchor=f"exploration-{model.name}")
    for text in (search_text(model), words.saved_sentence(model)):
        if text:
            yield Text(text=text)
    yield from study.pictures("exploration", model.name, telling=False)
    for table in (search.worth([model]), search.interactions([model]), search.tuning([model])):
        if table.rows:
            yield Rows(table=table.without(1), folded=True, where=PAGE)
    if model.candidates:
        yield Rows(table=search.candidates(findings, model), folded=True)
    if model.factors:
        yield Text(text=" ".join(words.budget_sentences(model)))
        yield Rows(table=search.effort([model]).without(1), folded=True, where=PAGE)
        yield Rows(table=search.levels(findings, model), where=NOTEBOOK)
    for factor in model.factors:
        yield from _explored_factor(findings, model, factor)


def _explored_factor(findings: StudyFindings, model: ModelFinding, factor: FactorFinding) -> Iterator[Block]:
    yield Heading(title=factor.label, level=4)
    if factor.question:
        yield Text(text=factor.question, style="why")
    yield Text(text=decision_text(factor), style="decision")
    if text := to_decide_text(factor):
        yield Text(text=text, style="why")
    word = block_word(findings, model)
    failed = (
        f"{level.label}: {failure_text(failure, model.candidates)}"
        for level in factor.levels
        for failure in level.failures
    )
    compared = (level_sentence(factor, level) for level in factor.levels if level.comparison)
    yield Levels(
        title=f"All levels, {word} by {word}",
        table=replace(search.levels(findings, model, [factor]).brief().without(1), title=factor.label),
        texts=[*compared, *failed],
    )


def _outlook(study: _Study) -> Iterator[Block]:
    findings = study.findings
    text, command = " ".join(words.to_decide_sentences(findings)), words.command(findings)
    if not text:
        return
    yield Text(text=text)
    yield Text(text=f"{text} To go on: {command}." if command else text, where=PDF)
    if command:
        yield Text(
            text="To go on until all is decided or the time is spent, with the name or the path of the study in the place of "
            "STUDY; finished trainings are not repeated:"
        )
        yield Text(text=command, style="code")
    yield Rows(table=search.to_decide(findings), caption=False)


def _training(study: _Study) -> Iterator[Block]:
    yield Text(
        text="The baseline and the best setting of every model, trained again on the whole training set; training stops early "
        "on a validation part and goes back to the best epoch."
    )
    yield from study.pictures("training")
    yield Heading(title="Over- and underfitting")
    yield Bullets(texts=words.fit_sentences(study.findings, study.results), where=ALL)
    yield Rows(table=tables.training_fit(study.results))
    yield Rows(table=tables.costs(study.findings))


def _results(study: _Study) -> Iterator[Block]:
    yield Text(text=words.looks_sentence(study.findings))
    yield Bullets(texts=words.mistakes_sentences(study.findings, study.results), where=PDF)
    for picture in study.pictures("results"):
        if picture.figure.name != "test-results":
            yield picture
    yield Rows(table=tables.model_comparisons(study.findings))
    yield Rows(table=tables.metrics_by_seed(study.results), folded=True, where=PAGE)
    yield Rows(table=tables.class_metrics(study.findings, study.results), folded=True)


def _errors(study: _Study) -> Iterator[Block]:
    yield Bullets(texts=words.mistakes_sentences(study.findings, study.results))
    yield from study.pictures("errors")
    failures = tables.failures(study.findings)
    if failures.rows:
        yield Rows(table=failures)


def _conclusions(study: _Study) -> Iterator[Block]:
    yield Bullets(texts=words.conclusions(study.findings, study.results), where=ALL)
    judged = words.judgements(study.findings, study.results)
    if judged:
        yield Heading(title="For and against each model", where=("page", "pdf"))
        yield Judgements(judged=judged)


def _reproducibility(study: _Study) -> Iterator[Block]:
    findings = study.findings
    yield Text(text=words.effort_text(findings))
    yield Text(text=words.reproduction_text(findings), where=PDF)
    yield Rows(table=tables.looks(findings), where=PAGE)
    yield Rows(table=tables.recipes(findings), folded=True)
    yield Rows(table=tables.packages(findings), folded=True)
    for table in (
        tables.machine(findings),
        search.costs_of_exploration(findings.models),
        tables.costs_of_study(findings),
    ):
        yield Rows(table=table, folded=True, where=PAGE)
    yield Verbatim(title="The study file", text=findings.study_text)


# ---------------------------------------------------------------------------------------------------------------------
# The whole report


@dataclass(frozen=True, kw_only=True)
class DrawnFigure:
    """A figure with its drawings: SVG text and PNG bytes."""

    figure: ReportFigure
    svg: str
    png: bytes


@dataclass(frozen=True)
class Report:
    """The findings with everything that is derived from them once and used by several formats."""

    findings: StudyFindings
    results: ResultsInfo
    tables: tuple[Table, ...]
    drawn: tuple[DrawnFigure, ...]

    def sections(self, medium: Medium) -> list[Section]:
        """Return the sections with the blocks that a format shows, without sections that are empty then."""
        shown = [
            replace(section, blocks=tuple(block for block in section.blocks if medium in block.where))
            for section in self._sections
        ]
        return [section for section in shown if section.blocks]

    def drawing(self, figure: ReportFigure) -> DrawnFigure:
        """Return the drawing of a figure."""
        return next(entry for entry in self.drawn if entry.figure.name == figure.name)

    @cached_property
    def _sections(self) -> list[Section]:
        return sections(self.findings, self.results, [entry.figure for entry in self.drawn])


def compose(findings: StudyFindings, progress: Callable[[str], None] | None = None) -> Report:
    """Evaluate the finals, build the tables and draw every figure once."""
    results = results_info(findings)
    drawn = []
    for entry in figures(findings, results):
        if progress is not None:
            progress(f"drawing {entry.name}")
        svg, png = entry.rendered(dpi=DPI)
        drawn.append(DrawnFigure(figure=entry, svg=svg, png=png))
    return Report(findings=findings, results=results, tables=tables.tables(findings, results), drawn=tuple(drawn))
