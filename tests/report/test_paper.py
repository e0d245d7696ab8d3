"""The paper: nothing on another, nothing off the page, at most its pages, the same bytes, and no number of its own."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import pypdfium2 as pdfium  # type: ignore[import-untyped]
import pytest
from tests.example_findings import example_findings

from ceteris.analysis.results import Results, results_of
from ceteris.errors import ConfigError
from ceteris.figures import figures
from ceteris.findings import OwnWords, StudyFindings
from ceteris.report import pdf_report
from ceteris.report.knowledge import FAMILIES, OVERFITTING, REASONS, SOURCES
from ceteris.report.paper_tables import paper_tables
from ceteris.report.pdf import Papers
from ceteris.report.sections import DrawnFigure, Report
from ceteris.report.tables import tables

NAMES = ("<script>", "#include", "$x$", "名", "שלום", "%", "\\frac", "x" * 300, "a_b^c", "& more")


class Box(NamedTuple):
    """A line of text on a page, in points."""

    page: int
    left: float
    bottom: float
    right: float
    top: float


def many_models(findings: StudyFindings, count: int) -> StudyFindings:
    """Give the study ``count`` models, copies of its own under other names."""
    of = [findings.models[place % len(findings.models)] for place in range(count)]
    names = [f"m{place}" for place in range(count)]
    return replace(
        findings,
        models=tuple(
            replace(model, name=name, title=f"{name.upper()} {model.title}, variant")
            for name, model in zip(names, of, strict=True)
        ),
        finals=tuple(
            replace(final, model=name) for name, model in zip(names, of, strict=True) for final in findings.finals
            if final.model == model.name
        ),
        explanations=(),
    )  # fmt: skip


def drawn_for_print(results: Results) -> Report:
    """Return the report with the figures of the paper alone."""
    drawn = (DrawnFigure(figure=entry, svg=entry.svg(), png=b"") for entry in figures(results) if entry.columns)
    return Report(results, tables(results), tuple(drawn))


@pytest.fixture(scope="module")
def papers() -> dict[str, tuple[Report, Papers]]:
    """The papers of a usual study, of one of ten models, and of one of a hundred classes and many factors."""
    words = OwnWords(question="Mine?", why="Because 名 <b>.", reflection="I learned *much* from $x$ and #include.")
    usual = replace(example_findings(factors=4, seeds=2), words=words)
    long_names = [f"a class with a rather long name, number {number}" for number in range(100)]
    studies = {
        "usual": usual,
        "hostile": example_findings(models=("cnn",), factors=3, seeds=1, class_names=NAMES, title="#panic() $x$ " * 9),
        "ten": many_models(example_findings(factors=1, seeds=1), 10),
        "hundred": example_findings(classes=100, models=("cnn", "resnet"), factors=20, seeds=1, class_names=long_names),
    }
    reports = {name: drawn_for_print(results_of(study)) for name, study in studies.items()}
    return {name: (report, pdf_report(report)) for name, report in reports.items()}


CASES = ("usual", "hostile", "ten", "hundred")


def lines(pdf: bytes) -> Iterator[Box]:
    """Yield the boxes of the lines of text, page by page."""
    document = pdfium.PdfDocument(pdf)
    for number, page in enumerate(document):
        text = page.get_textpage()
        for place in range(text.count_rects()):
            yield Box(number, *text.get_rect(place))


def words_of(pdf: bytes) -> str:
    return "\n".join(page.get_textpage().get_text_bounded() for page in pdfium.PdfDocument(pdf)).replace("\u200b", "")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("part", ["paper", "supplement"])
def test_no_text_lies_on_another_or_off_the_page(
    papers: dict[str, tuple[Report, Papers]], name: str, part: str
) -> None:
    boxes = list(lines(getattr(papers[name][1], part)))
    assert len(boxes) > (200 if part == "paper" else 30)
    width, height = 595.3, 841.9
    for box in boxes:
        assert box.left >= 40, box
        assert box.right <= width - 40, box
        assert 20 <= box.bottom < box.top <= height - 30, box
    for page in range(max(box.page for box in boxes) + 1):
        here = [box for box in boxes if box.page == page]
        for one, other in combinations(here, 2):
            wide = min(one.right, other.right) - max(one.left, other.left)
            high = min(one.top, other.top) - max(one.bottom, other.bottom)
            assert wide < 1.5 or high < 0.45 * min(one.top - one.bottom, other.top - other.bottom), (one, other)


@pytest.mark.parametrize("name", CASES)
def test_the_paper_keeps_to_five_pages_and_names_what_the_supplement_has(
    papers: dict[str, tuple[Report, Papers]], name: str
) -> None:
    _, made = papers[name]
    assert 1 <= made.pages <= 5
    told = words_of(made.paper)
    assert "In the supplement (supplement.pdf)" in told
    assert "What is taken, and what was shown" in told
    assert "\ue000" not in told


def test_fewer_pages_put_more_into_the_supplement_and_lose_nothing(papers: dict[str, tuple[Report, Papers]]) -> None:
    report, whole = papers["usual"]
    short = pdf_report(report, pages=2)
    assert short.pages <= 2 < whole.pages
    assert len(pdfium.PdfDocument(short.supplement)) > len(pdfium.PdfDocument(whole.supplement))
    both = words_of(short.paper) + words_of(short.supplement)
    for table in paper_tables(report.results):
        assert re.sub(r"\s", "", table.title) in re.sub(r"\s", "", both), table.name
    with pytest.raises(ConfigError, match="pages: allowed is 1 and more; received 0"):
        pdf_report(report, pages=0)


def test_the_same_study_gives_the_same_bytes(papers: dict[str, tuple[Report, Papers]]) -> None:
    report, first = papers["hostile"]
    again = pdf_report(report)
    assert (again.paper, again.supplement) == (first.paper, first.supplement)


def test_the_authors_words_stand_apart(papers: dict[str, tuple[Report, Papers]]) -> None:
    told = words_of(papers["usual"][1].paper)
    assert re.search(r"In the authors.\s+words\s+\(reflection\):\s+I learned\s+\*much\*", told)
    assert "Reflection" not in words_of(papers["ten"][1].paper)


def test_every_source_that_is_named_is_listed() -> None:
    told = " ".join([*REASONS.values(), OVERFITTING, *(text for family in FAMILIES.values() for text in family)])
    named = re.findall(r"(?:\(|; )([A-Z][\w’']+(?: & [A-Z]\w+| et al\.)? \d{4})", told)
    assert len(named) >= 15
    assert {name for name in named if name not in SOURCES} == set()
