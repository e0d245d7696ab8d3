"""The report as a paper in two columns, typeset by typst from data that it never reads as markup.

The paper is a list of entries with priorities. What finds no room on its pages goes, by priority, into a supplement, and
the paper says what is there.
"""

import json
import math
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
import typst

from ceteris.errors import ConfigError
from ceteris.formats import shortened
from ceteris.report import knowledge, words
from ceteris.report.paper_tables import paper_tables
from ceteris.report.search_words import strategy_words
from ceteris.report.sections import DrawnFigure, Picture, Report, Rows
from ceteris.report.table import NUMERIC, Table

MOST_PAGES = 5  # of content, references apart
MANY_MODELS = 4  # above, sentences of single models give way to tables and figures
WIDE = frozenset({"taken", "models", "explored", "reasons"})  # tables over both columns
CELL, LONG_CELL, LONG_WORD = (
    160,
    26,
    16,
)  # letters: a cell has at most; its column shares the rest; a word breaks anywhere
LETTERS_IN_COLUMN = 68  # of a table
MOST_COLUMNS = 8  # of a table in the supplement; a wider one is told in pieces
MOST_LINES = 50  # of a table that is not broken
_REFERENCE = re.compile("\ue000([a-z-]+)\ue001")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A part of a section: a paragraph, a list, a table or a figure.

    Entries of ``priority`` 0 always stand in the paper; of the others the highest number leaves it first. ``name`` is what
    texts refer to with :func:`ref`. ``content`` is what the template shows.
    """

    section: str
    kind: Literal["text", "bullets", "table", "picture", "terms"]
    priority: int = 0
    name: str = ""
    content: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Papers:
    """The paper and its supplement as PDF, and how many pages of content the paper has."""

    paper: bytes
    supplement: bytes
    pages: int


def ref(name: str) -> str:
    """Return a mark that becomes the number of a figure or table."""
    return f"\ue000{name}\ue001"


def pdf_report(report: Report, pages: int = MOST_PAGES) -> Papers:
    """Return the paper with as many entries as its ``pages`` hold, and the supplement with the rest.

    Raises:
        ConfigError: ``pages`` is below 1.
    """
    if pages < 1:
        raise ConfigError(f"pages: allowed is 1 and more; received {pages}.")
    entries = list(paper_entries(report))
    with tempfile.TemporaryDirectory(prefix="ceteris-pdf-") as scratch:
        press = _Press(report=report, folder=Path(scratch), entries=entries)
        kept, size = press.fitted(pages)
        left_out = [entry for entry in entries if entry not in kept]
        paper, count = press.compiled(press.paper(kept, size))
        supplement, _ = press.compiled(press.supplement(left_out))
    return Papers(paper=paper, supplement=supplement, pages=count)


@dataclass(frozen=True, kw_only=True)
class _Press:
    """Typesets entries in a folder of its own."""

    report: Report
    folder: Path
    entries: list[Entry]

    def __post_init__(self) -> None:
        template = resources.files("ceteris.report").joinpath("templates/paper.typ").read_text(encoding="utf-8")
        (self.folder / "paper.typ").write_text(template, encoding="utf-8")
        for drawn in self.report.drawn:
            (self.folder / f"{drawn.figure.name}.svg").write_text(drawn.svg, encoding="utf-8")

    def _compiler(self, data: dict[str, Any]) -> typst.Compiler:
        """Return a new compiler, as each reads every file only once."""
        (self.folder / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        return typst.Compiler(input=str(self.folder / "paper.typ"), root=str(self.folder), font_paths=[str(fonts)])

    def fitted(self, pages: int) -> tuple[list[Entry], float]:
        """Return the entries that keep to the pages and the size of their letters in points."""
        order = sorted((entry for entry in self.entries if entry.priority), key=lambda entry: -entry.priority)

        def kept(dropped: int) -> list[Entry]:
            gone = set(map(id, order[:dropped]))
            return [entry for entry in self.entries if id(entry) not in gone]

        for size in (9.0, 8.5, 8.0, 7.0):
            few, most = 0, len(order)  # to drop
            if self.pages(kept(most), size) > pages:
                continue
            while few < most:
                middle = (few + most) // 2
                few, most = (few, middle) if self.pages(kept(middle), size) <= pages else (middle + 1, most)
            return self.filled(kept(few), order[:few], pages, size), size
        return [entry for entry in self.entries if not entry.priority], 7.0

    def filled(self, kept: list[Entry], dropped: Sequence[Entry], pages: int, size: float) -> list[Entry]:
        """Return the entries with some of those that were dropped put back where there is room, the important ones first."""
        for entry in list(reversed(dropped))[:4]:
            wanted = {*map(id, kept), id(entry)}
            more = [one for one in self.entries if id(one) in wanted]
            if self.pages(more, size) <= pages:
                kept = more
        return kept

    def pages(self, kept: Sequence[Entry], size: float) -> int:
        """Return how many pages of content some entries take."""
        return _content_pages(self._compiler(self.paper(kept, size)))

    def compiled(self, data: dict[str, Any]) -> tuple[bytes, int]:
        """Return a PDF and its pages of content."""
        compiler = self._compiler(data)
        pdf = compiler.compile(format="pdf")
        assert isinstance(pdf, bytes)
        return pdf, _content_pages(compiler)

    # -- what the template is given

    def paper(self, kept: Sequence[Entry], size: float) -> dict[str, Any]:
        """Return the data of the paper."""
        gone = [entry for entry in self.entries if entry not in kept]
        numbers = {**_numbered(gone, "S"), **_numbered(kept)}
        sections = [
            {"title": title, "blocks": [_plain(entry, numbers) for entry in kept if entry.section == title]}
            for title in SECTIONS
        ]
        there = "; ".join(dict.fromkeys(entry.content["title"] for entry in gone if "title" in entry.content))
        more = "all figures and tables of the search, the trainings and the tests at full size"
        told = f"In the supplement (supplement.pdf): {there + '; ' if there else ''}{more}."
        text = json.dumps(sections, ensure_ascii=False)
        return {
            **self._common(), "columns": 2, "size": size, "abstract": breakable(words.abstract(self.report.results)),
            "sections": [section for section in sections if section["blocks"]], "there": breakable(told),
            "references": knowledge.sources_in(text),
        }  # fmt: skip

    def supplement(self, gone: Sequence[Entry]) -> dict[str, Any]:
        """Return the data of the supplement: what the paper had no room for, then every figure and table at full size."""
        numbers = _numbered(gone, "S")
        sections = []
        if gone:
            sections.append(
                {"title": "What the paper had no room for", "blocks": [_plain(one, numbers) for one in gone]}
            )
        start = sum(key in ("picture",) for key in (entry.kind for entry in gone)), sum(e.kind == "table" for e in gone)
        rest = list(_whole(self.report))
        numbers = _numbered(rest, "S", start)
        for title in dict.fromkeys(entry.section for entry in rest):
            blocks = [_plain(entry, numbers) for entry in rest if entry.section == title]
            sections.append({"title": title, "blocks": blocks})
        text = json.dumps(sections, ensure_ascii=False)
        return {
            **self._common(), "columns": 1, "size": 9.0, "abstract": "", "sections": sections, "there": "",
            "references": knowledge.sources_in(text),
        }  # fmt: skip

    def _common(self) -> dict[str, Any]:
        study = self.report.results
        return {
            "title": breakable(shortened(study.label, 160)),
            "question": breakable(shortened(study.question, 300)),
            "people": breakable(shortened(study.people, 160)),
            "date": study.date,
            "byline": shortened(" · ".join(part for part in (study.people, study.date) if part), 110),
        }


def _content_pages(compiler: typst.Compiler) -> int:
    return int(json.loads(compiler.query("<content-end>", field="value", one=True)))


def _numbered(entries: Iterable[Entry], letter: str = "", start: tuple[int, int] = (0, 0)) -> dict[str, str]:
    """Number figures and tables in their order: name to "Figure 3"."""
    counts, found = {"picture": start[0], "table": start[1]}, {}
    for entry in entries:
        if entry.kind in counts and entry.name:
            counts[entry.kind] += 1
            found[entry.name] = f"{'Figure' if entry.kind == 'picture' else 'Table'} {letter}{counts[entry.kind]}"
    return found


def _plain(entry: Entry, numbers: dict[str, str]) -> dict[str, Any]:
    """Return what the template shows of an entry, its references as numbers."""

    def resolved(value: Any) -> Any:
        if isinstance(value, str):
            return _REFERENCE.sub(lambda found: numbers.get(found[1], "the supplement"), value)
        if isinstance(value, list):
            return [resolved(one) for one in value]
        return {key: resolved(one) for key, one in value.items()} if isinstance(value, dict) else value

    return {"kind": entry.kind, "number": numbers.get(entry.name, ""), **resolved(entry.content)}


def breakable(text: str) -> str:
    """Let words break anywhere that are too long for a line, with a space of no width."""
    return re.sub(
        rf"[^\s\ue000\ue001]{{{LONG_WORD + 1},}}", lambda found: re.sub(r"(.{8})(?=.)", "\\1\u200b", found[0]), text
    )


def table_content(table: Table, *, rows: int, wide: bool) -> dict[str, Any]:
    """Return columns and rows of a table as people read them, and how many rows there is no room for."""
    cells = [[shortened(cell, CELL) for cell in row] for row in table.texts()[:rows]]
    longest = [max([len(row[place]) for row in cells] or [0]) for place in range(len(table.columns))]
    shares = [
        0 if column.kind in NUMERIC or width <= LONG_CELL else min(width, 60)
        for column, width in zip(table.columns, longest, strict=True)
    ]
    titles = [len(column.title) + 1 for column in table.columns]
    fixed = sum(max(pair) + 2 for *pair, share in zip(longest, titles, shares, strict=True) if not share)
    wide = wide or fixed + 20 * any(shares) > LETTERS_IN_COLUMN
    room = max(20, (1 + wide) * LETTERS_IN_COLUMN - fixed)
    widths = [room * share / sum(shares) if share else 10**6 for share in shares]
    tall = np.cumsum(
        [max(math.ceil(len(cell) / width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    )
    texts = [[breakable(cell) for cell in row] for row, lines in zip(cells, tall, strict=True) if lines <= MOST_LINES]
    columns = [
        {"title": breakable(shortened(column.title, 40)), "numeric": column.kind in NUMERIC, "share": share}
        for column, share in zip(table.columns, shares, strict=True)
    ]
    left = len(table.rows) - len(texts)
    more = f" {left} further rows are in the HTML report and the CSV files." if left else ""
    return {
        "title": table.title, "caption": f"{breakable(table.title)}.", "note": breakable(table.note) + more, "wide": wide,
        "columns": columns, "rows": texts, "strong": [place for place in table.strong if place < len(texts)],
    }  # fmt: skip


def picture_content(drawn: DrawnFigure) -> dict[str, Any]:
    """Return file, caption and width of a figure."""
    figure = drawn.figure
    box = drawn.svg.split('viewBox="', 1)[1]
    width, height = map(float, box.split('"', 1)[0].split()[2:])
    return {
        "title": TITLES.get(figure.kind, figure.kind.replace("-", " ")), "file": f"{figure.name}.svg",
        "caption": breakable(figure.caption), "alt": figure.description, "wide": figure.columns == 2, "width": width,
        "height": height,
    }  # fmt: skip


# What the list of the supplement calls the figures that the paper had no room for.
TITLES = {
    "paper-samples": "sample images", "paper-effects": "the effect of every option", "paper-improvement": "the improvement",
    "paper-curves": "learning curves", "paper-accuracies": "accuracies", "paper-confusion": "confusion matrices",
    "paper-first-images": "the first six test images", "paper-mistakes": "mistakes", "paper-attention": "Grad-CAM",
    "paper-residual": "residual connections", "paper-costs": "costs",
}  # fmt: skip


def _whole(report: Report) -> Iterator[Entry]:
    """Yield every figure and table of the page for the supplement, section by section."""
    for section in report.sections:
        for number, block in enumerate(section.blocks):
            if isinstance(block, Picture):
                name = f"whole-{block.drawn.figure.name}"
                yield Entry(section=section.title, kind="picture", name=name, content=picture_content(block.drawn))
            elif isinstance(block, Rows) and block.table.rows:
                for part, piece in enumerate(block.table.brief().pieces(MOST_COLUMNS)):
                    name = f"whole-{section.name}-{number}-{part}"
                    content = table_content(piece, rows=60, wide=True)
                    yield Entry(section=section.title, kind="table", name=name, content=content)


# ---------------------------------------------------------------------------------------------------------------------
# What the paper says

SECTIONS = (
    "Question", "Data", "Models", "What was explored, and why", "What helped", "Training, over- and underfitting",
    "Results on the test set", "Residual connections", "Where the models look", "Time and memory",
    "For and against the models", "Conclusions", "Reflection",
)  # fmt: skip


def paper_entries(report: Report) -> Iterator[Entry]:
    """Yield all that the paper would like to say, section by section."""
    results = report.results
    tables = {table.name: table for table in paper_tables(results)}
    figures = {drawn.figure.name.removeprefix("paper-"): drawn for drawn in report.drawn if drawn.figure.columns}

    def text(section: str, said: str, priority: int = 0, style: str = "") -> Iterator[Entry]:
        if said:
            content = {"text": breakable(shortened(said, 1800)), "style": style}
            yield Entry(section=section, kind="text", priority=priority, content=content)

    def bullets(section: str, said: Sequence[str], priority: int, title: str) -> Iterator[Entry]:
        if said:
            texts = [breakable(shortened(one, 700)) for one in said]
            yield Entry(section=section, kind="bullets", priority=priority, content={"texts": texts, "title": title})

    def table(section: str, name: str, priority: int, rows: int = 40) -> Iterator[Entry]:
        if name in tables:
            content = table_content(tables[name], rows=rows, wide=name in WIDE)
            yield Entry(section=section, kind="table", priority=priority, name=name, content=content)

    def figure(section: str, name: str, priority: int) -> Iterator[Entry]:
        if name in figures:
            content = picture_content(figures[name])
            yield Entry(section=section, kind="picture", priority=priority, name=f"fig-{name}", content=content)

    def see(*names: str) -> str:
        known = [ref(name) for name in names if name in tables or name.removeprefix("fig-") in figures]
        return f" ({', '.join(known)})" if known else ""

    def own(section: str, *names: str) -> Iterator[Entry]:
        for place, said in words.own_texts(results, *names):
            content = {"text": breakable(shortened(said, 1800)), "style": "own", "place": breakable(place)}
            yield Entry(
                section=section, kind="text", priority=1, content={**content, "title": f"the authors on {place}"}
            )

    section = "Question"
    yield from text(section, results.question)
    yield from own(section, "question", "hypothesis")
    yield from text(section, f"{strategy_words(results.models).how} {words.conditions_sentence(results)}".strip())
    section = "Data"
    yield from text(section, words.data_text(results) + see("fig-samples", "data"))
    yield from figure(section, "samples", 4)
    yield from table(section, "data", 6)
    section = "Models"
    yield from text(section, f"{words.models_text(results)}{see('models')}")
    yield from table(section, "models", 1)
    section = "What was explored, and why"
    yield from text(section, words.exploration_text(results))
    yield from text(section, words.explored_text(results), 2)
    yield from own(section, "why")
    yield from bullets(section, words.reasons(results), 5, "general reasons for the techniques")
    yield from text(section, words.method_text(results), 7)
    section = "What helped"
    yield from text(section, words.TAKEN_AND_SHOWN + see("taken", "fig-effects"))
    yield from table(section, "taken", 0)
    for name in figures:
        if name.startswith("effects"):
            yield from figure(section, name, 2)
    yield from table(section, "effects", 9)
    many = len(results.models) > MANY_MODELS  # tables and figures tell it more shortly
    if many:
        told = words.improvement_summary(results, brief=True)
        yield from text(section, told + see("improvement", "fig-improvement"))
    yield from bullets(
        section,
        [words.improvement_sentence(model) for model in results.explored],
        6 if many else 1,
        "the improvements in words",
    )
    yield from figure(section, "improvement", 2)
    yield from table(section, "improvement", 2 if many else 7)
    yield from bullets(section, words.search_sentences(results), 8, "what the search did")
    section = "Training, over- and underfitting"
    yield from text(section, words.training_text(results) + see("fig-curves", "fit"))
    yield from figure(section, "curves", 1)
    yield from table(section, "fit", 1)
    yield from bullets(section, words.fit_sentences(results), 5 if many else 3, "over- and underfitting in words")
    yield from text(section, words.remedies_text(results), 2)
    yield from text(section, f"In general: {knowledge.OVERFITTING}", 5, "general")
    section = "Results on the test set"
    yield from text(section, _sentences(words.looks_sentence(results), words.apart_sentence(results)) + see("test"))
    yield from table(section, "test", 0)
    yield from figure(section, "accuracies", 5)
    yield from figure(section, "confusion", 2)
    yield from bullets(section, words.mistakes_sentences(results), 6 if many else 2, "mistakes in words")
    yield from table(section, "classes", 4)
    yield from table(section, "confused", 2 if "confusion" not in figures else 5)
    yield from figure(section, "first-images", 2)
    yield from figure(section, "mistakes", 3)
    section = "Residual connections"
    yield from text(section, _sentences(*words.residual_sentences(results)) + see("fig-residual"), 1)
    yield from figure(section, "residual", 3)
    section = "Where the models look"
    yield from text(section, words.ATTENTION + see("fig-attention") if "attention" in figures else "", 3)
    yield from figure(section, "attention", 3)
    section = "Time and memory"
    yield from text(section, words.effort_text(results) + see("costs", "fig-costs"), 2)
    yield from table(section, "costs", 3)
    yield from figure(section, "costs", 6)
    section = "For and against the models"
    yield from bullets(section, words.judgement_sentences(results), 5 if many else 3, "for and against, measured")
    yield from bullets(section, words.family_sentences(results), 4, "for and against, in general")
    section = "Conclusions"
    yield from bullets(section, words.conclusions(results, MANY_MODELS), 0, "conclusions")
    yield from own(section, "conclusion")
    yield from text(section, words.reproduction_text(results), 7)
    section = "Reflection"
    yield from own(section, "reflection", "contributions", "statement")


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)
