"""What a report says: tables, figures drawn once, and the sections of the page.

A section is a list of blocks. The PDF has an outline of its own and puts the page's figures and tables into its supplement; the
notebook is code.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from ceteris.analysis.results import ModelResults, Results, VersionResults
from ceteris.figures import ReportFigure, figures
from ceteris.figures.report_figure import Panel
from ceteris.findings import FactorFinding, OwnWords
from ceteris.formats import percent, plain_points, points
from ceteris.report import insights, tables, words
from ceteris.report import search_tables as search
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


@dataclass(frozen=True, kw_only=True)
class Block:
    """A part of a section."""

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
    """A table; a ``folded`` one opens on demand."""

    table: Table
    folded: bool = False
    caption: bool = True


@dataclass(frozen=True, kw_only=True)
class DrawnFigure:
    """A figure with its drawings: SVG text and PNG bytes, and where its named axes lie."""

    figure: ReportFigure
    svg: str
    png: bytes
    panels: tuple[Panel, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Picture(Block):
    """A figure."""

    drawn: DrawnFigure


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


@dataclass(frozen=True, kw_only=True)
class Terms(Block):
    """A box with terms and their meanings."""

    title: str
    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Own(Block):
    """What the authors wrote themselves, apart from all that was measured: paragraphs under a title."""

    title: str
    paragraphs: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Levels(Block):
    """Everything about the levels of one factor, opened on demand."""

    title: str
    table: Table
    texts: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Judgements(Block):
    """For and against each model."""

    judged: Sequence[words.Judgement]


@dataclass(frozen=True, kw_only=True)
class Verbatim(Block):
    """A text as it stands in a file, opened on demand."""

    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the report with its blocks in their order; ``name`` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """The results of a study with its tables and drawings, made once for all formats; ``notes`` say what is missing."""

    results: Results
    tables: tuple[Table, ...]
    drawn: tuple[DrawnFigure, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The sections in their order; those that have nothing to say are left out."""
        made = (Section(name=name, title=title, blocks=tuple(blocks(self))) for name, title, blocks in SECTIONS)
        return tuple(section for section in made if section.blocks)

    def pictures(self, section: str, model: str | None = None, *, telling: bool | None = None) -> Iterator[Picture]:
        """Yield the figures of a section, those of one model, those that answer the strategy's question or the others."""
        for drawn in self.drawn:
            figure = drawn.figure
            fits = not figure.columns and figure.section == section and model in (None, figure.model)
            if fits and telling in (None, figure.kind in TELLING):
                yield Picture(drawn=drawn)

    def picture(self, name: str) -> Iterator[Picture]:
        """Yield the figure of a name, where there is one."""
        return (Picture(drawn=drawn) for drawn in self.drawn if drawn.figure.name == name)


def own_blocks(own: OwnWords, *names: str) -> Iterator[Block]:
    """Give what the authors wrote under these names; nothing where they wrote nothing."""
    for name in names:
        if text := getattr(own, name).strip():
            yield Own(title=name.capitalize(), paragraphs=[part for part in text.split("\n\n") if part.strip()])


def summary_blocks(report: Report) -> Iterator[Block]:
    """Give the answer, what is taken and shown, what improved, and the test results."""
    results = report.results
    yield Text(text=words.answer(results), style="answer")
    if results.data.note:
        yield Text(text=f"About the data: {results.data.note.rstrip('.')}.", style="note")
    for text in (words.form_sentence(results), *report.notes, words.spelled_sentence(results)):
        if text:
            yield Text(text=text, style="note")
    yield Cards(cards=[_card(model, best) for model in results.models if (best := model.version())])
    if results.explored:
        yield Heading(title="Improvement over the baseline")
        yield Text(text=words.IMPROVEMENT)
        yield Bullets(texts=[words.improvement_sentence(model) for model in results.explored])
        yield from report.picture("improvement")
        yield from _what_helped(report)
    yield Heading(title="On the test set")
    yield Rows(table=tables.metrics_on_test(results).brief(), caption=False)
    yield from report.picture("test-results")


def _card(model: ModelResults, best: VersionResults) -> Card:
    interval, baseline = best.accuracy_interval, model.version("baseline")
    gain = best.mean("accuracy") - baseline.mean("accuracy") if baseline else 0.0
    return Card(
        title=best.title,
        improvement=words.improvement_in_short(model),
        accuracy=percent(best.mean("accuracy")),
        interval=f"95 % interval {plain_points(interval.low)} to {plain_points(interval.high)}",
        gain=f"test set: {points(gain, zero='+')} points against its baseline" if baseline else "",
    )


def _what_helped(report: Report) -> Iterator[Block]:
    results = report.results
    table = search.what_helped(results.models)
    yield Heading(title="What is taken, and what was shown")
    yield Text(text=f"{strategy_words(results.models).how} {words.conditions_sentence(results)}".strip())
    if table.rows:
        yield Text(text=words.TAKEN_AND_SHOWN)
        yield Rows(table=table.brief(), caption=False)
    yield from report.pictures("exploration", telling=True)


def data_blocks(report: Report) -> Iterator[Block]:
    """Describe the data."""
    yield Rows(table=tables.data_description(report.results), caption=False)
    yield Rows(table=tables.class_counts(report.results), folded=True)
    yield from report.pictures("data")


def models_blocks(report: Report) -> Iterator[Block]:
    """Describe the models, baseline and best."""
    yield Rows(table=tables.structures(report.results), caption=False)
    for name, text in report.results.code.items():
        yield Verbatim(title=f"Code of our own: {name}", text=text)
    for model in report.results.models:
        if own := list(own_blocks(model.words, "question", "hypothesis", "why", "conclusion")):
            yield Heading(title=model.label)
            yield from own
    yield Heading(title="Layer by layer")
    yield from (Rows(table=table, folded=True) for table in tables.layers(report.results))


def exploration_blocks(report: Report) -> Iterator[Block]:
    """Tell the search, model by model and factor by factor."""
    results = report.results
    if (table := tables.cross_validation(results)).rows:
        yield Rows(table=table)
    if not results.explored:
        return
    yield Text(text=words.exploration_text(results))
    yield Text(text=f"Strategy: {strategy_words(results.models).name}.")
    yield from report.picture("search-path")
    for model in results.explored:
        yield from _explored_model(report, model)


def _explored_model(report: Report, model: ModelResults) -> Iterator[Block]:
    yield Heading(title=model.label, anchor=f"exploration-{model.name}")
    for text in (search_text(model), words.saved_sentence(model)):
        if text:
            yield Text(text=text)
    yield from report.pictures("exploration", model.name, telling=False)
    for table in (search.worth([model]), search.interactions([model]), search.tuning([model])):
        if table.rows:
            yield Rows(table=table.without(1), folded=True)
    if model.candidates:
        yield Rows(table=search.candidates(model), folded=True)
    if model.factors:
        yield Text(text=" ".join(words.budget_sentences(model)))
        yield Rows(table=search.effort([model]).without(1), folded=True)
    for factor in model.factors:
        yield from _explored_factor(model, factor)


def _explored_factor(model: ModelResults, factor: FactorFinding) -> Iterator[Block]:
    yield Heading(title=factor.label, level=4)
    if factor.question:
        yield Text(text=factor.question, style="why")
    yield from own_blocks(factor.words, "hypothesis", "why")
    yield Text(text=decision_text(factor), style="decision")
    if text := to_decide_text(factor):
        yield Text(text=text, style="why")
    failed = Counter(
        f"{level.tuned_label}: {failure_text(failure, model.candidates)}"
        for level in factor.levels
        for failure in level.failures
    )
    compared = (level_sentence(factor, level) for level in factor.levels if level.comparison)
    yield Levels(
        title=f"All options, {model.block} by {model.block}",
        table=replace(search.levels(model, [factor]).brief().without(1), title=factor.label),
        texts=[*compared, *(f"{text} ({count} times)" if count > 1 else text for text, count in failed.items())],
    )
    yield from own_blocks(factor.words, "conclusion")


def outlook_blocks(report: Report) -> Iterator[Block]:
    """Tell what stayed open and what more training would find."""
    results = report.results
    text, command = " ".join(words.to_decide_sentences(results)), words.command(results)
    if not text:
        return
    yield Text(text=text)
    if command:
        yield Text(
            text="To go on until all that matters is shown or the time is spent, with the name or the path of the study in the "
            "place of STUDY; finished trainings are not repeated:"
        )
        yield Text(text=command, style="code")
    yield Rows(table=search.to_decide(results.models), caption=False)


def training_blocks(report: Report) -> Iterator[Block]:
    """Show the final trainings, and how far they over- or underfit."""
    yield Text(text=words.training_text(report.results))
    yield from report.pictures("training")
    yield Heading(title="Over- and underfitting")
    yield Bullets(texts=words.fit_sentences(report.results))
    yield Rows(table=tables.training_fit(report.results))
    yield Rows(table=tables.costs(report.results))


def results_blocks(report: Report) -> Iterator[Block]:
    """Show the results on the test set."""
    yield Text(text=words.looks_sentence(report.results))
    for picture in report.pictures("results"):
        if picture.drawn.figure.name != "test-results":
            yield picture
    yield Rows(table=tables.model_comparisons(report.results))
    if (stated := tables.references(report.results)).rows:
        yield Rows(table=stated)
    if (by_level := tables.test_by_level(report.results)).rows:
        yield Rows(table=by_level.brief())
    yield Rows(table=tables.metrics_by_seed(report.results), folded=True)
    yield Rows(table=tables.class_metrics(report.results), folded=True)


def residual_blocks(report: Report) -> Iterator[Block]:
    """Show what residual connections change."""
    told = [*insights.depth_sentences(report.results), *insights.dynamics_sentences(report.results)]
    if told:
        yield Bullets(texts=told)
        yield Rows(table=insights.depth_table(report.results), folded=True)
    pictures = list(report.pictures("residual"))
    yield from pictures
    for text in words.residual_sentences(report.results) if pictures else []:
        yield Text(text=text)


def explanations_blocks(report: Report) -> Iterator[Block]:
    """Look into the best models."""
    if sentences := list(insights.map_sentences(report.results)):
        yield Bullets(texts=sentences)
    yield from report.pictures("explanations")
    for model in report.results.models:
        for left_out in model.explanation.left_out if model.explanation else ():
            yield Text(
                text=words.missing_sentence(f"{model.label}: the {left_out.part}", left_out.reason), style="note"
            )


def robustness_blocks(report: Report) -> Iterator[Block]:
    """Tell how the models stand harder images."""
    if sentences := list(insights.robustness_sentences(report.results)):
        yield Bullets(texts=sentences)
        yield from report.pictures("robustness")
        yield Rows(table=insights.robustness_table(report.results))
        yield Rows(table=insights.robustness_comparisons(report.results), folded=True)


def confidence_blocks(report: Report) -> Iterator[Block]:
    """Tell how far the confidence can be believed."""
    if sentences := list(insights.confidence_sentences(report.results)):
        yield Bullets(texts=sentences)
        yield from report.pictures("confidence")
        yield Rows(table=insights.confidence_table(report.results), folded=True)


def layers_blocks(report: Report) -> Iterator[Block]:
    """Tell what the layers hold, and what using the models takes."""
    if sentences := list(insights.layer_sentences(report.results)):
        yield Bullets(texts=sentences)
        yield from report.pictures("layers")
        yield Rows(table=insights.layer_table(report.results), folded=True)
    if report.results.insights.costs:
        yield Rows(table=insights.inference_table(report.results))


def luck_blocks(report: Report) -> Iterator[Block]:
    """Tell where the noise comes from, where the study asks."""
    measured = [model for model in report.results.models if model.luck]
    if measured:
        yield Bullets(texts=[words.luck_sentence(model) for model in measured])
        yield Rows(table=search.luck(measured), folded=True)
        yield from report.pictures("luck")


def errors_blocks(report: Report) -> Iterator[Block]:
    """Show single images and what failed."""
    yield Bullets(texts=words.mistakes_sentences(report.results))
    if sentences := [*insights.merged_sentences(report.results), *insights.doubts_sentences(report.results)]:
        yield Bullets(texts=sentences)
    if report.results.seen.merged:
        yield Rows(table=insights.merged_table(report.results))
    yield from report.pictures("errors")
    failures = tables.failures(report.results)
    if failures.rows:
        yield Rows(table=failures)


def conclusions_blocks(report: Report) -> Iterator[Block]:
    """State what follows."""
    yield Bullets(texts=words.conclusions(report.results))
    yield from own_blocks(
        report.results.words, "hypothesis", "why", "conclusion", "reflection", "contributions", "statement"
    )
    judged = words.judgements(report.results)
    if judged:
        yield Heading(title="For and against each model")
        yield Judgements(judged=judged)


def reproducibility_blocks(report: Report) -> Iterator[Block]:
    """Give all that is needed to repeat the report."""
    results = report.results
    yield Text(text=words.effort_text(results))
    yield Rows(table=tables.looks(results))
    yield Rows(table=tables.recipes(results), folded=True)
    yield Rows(table=tables.packages(results), folded=True)
    for table in (
        tables.machine(results),
        search.costs_of_exploration(results.models),
        tables.costs_of_study(results),
    ):
        yield Rows(table=table, folded=True)
    yield Verbatim(title="The study file", text=results.study_text)


def method_blocks(report: Report) -> Iterator[Block]:
    """Explain the words and the statistics."""
    yield Terms(title="Words of this report", terms=words.GLOSSARY)
    yield Bullets(texts=words.method_sentences(report.results))


# Name, title and blocks of every section, in their order.
SECTIONS: tuple[tuple[str, str, Callable[[Report], Iterator[Block]]], ...] = (
    ("summary", "Summary", summary_blocks),
    ("data", "Data", data_blocks),
    ("models", "Models", models_blocks),
    ("exploration", "Exploration", exploration_blocks),
    ("outlook", "What stayed open", outlook_blocks),
    ("training", "Final training", training_blocks),
    ("results", "Test results", results_blocks),
    ("residual", "Residual connections", residual_blocks),
    ("luck", "Where the noise comes from", luck_blocks),
    ("robustness", "Robustness", robustness_blocks),
    ("confidence", "Confidence", confidence_blocks),
    ("explanations", "Explanations", explanations_blocks),
    ("layers", "What the layers hold", layers_blocks),
    ("errors", "Single images", errors_blocks),
    ("conclusions", "Conclusions", conclusions_blocks),
    ("reproducibility", "Reproducibility", reproducibility_blocks),
    ("method", "Method", method_blocks),
)


# ---------------------------------------------------------------------------------------------------------------------
# The whole report


def compose(results: Results, progress: Callable[[str], None] | None = None) -> Report:
    """Build the tables and draw every figure once; what fails is left out, and the report says so."""
    drawn, notes = [], []

    def failed(what: str, error: Exception) -> None:
        logging.getLogger("ceteris").warning("%s could not be made", what, exc_info=error)
        notes.append(words.missing_sentence(what, error))

    for entry in figures(results, failed):
        if progress is not None:
            progress(f"drawing {entry.name}")
        try:
            svg, png, panels = entry.rendered(dpi=DPI)
        except Exception as error:
            failed(f"the figure {entry.name}", error)
        else:
            drawn.append(DrawnFigure(figure=entry, svg=svg, png=png, panels=panels))
    return Report(results, tables.tables(results), tuple(drawn), tuple(notes))
