"""The sections of the report: their words, word for word, and whose rows stand in them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tests.example_findings import example_findings
from tests.example_searches import search_findings

from ceteris.analysis.results import results_of
from ceteris.findings import StudyFindings
from ceteris.report.search_tables import what_helped
from ceteris.report.sections import (
    Block,
    Bullets,
    Cards,
    Heading,
    Judgements,
    Levels,
    Report,
    Rows,
    Text,
)

B = TypeVar("B", bound=Block)
GOLDEN = Path(__file__).parent / "golden" / "report_words.txt"


def test_what_a_report_says_is_what_was_always_said(findings: StudyFindings) -> None:
    """To change words on purpose: write the new lines into the golden file and read its difference."""
    noted = replace(findings, looks=2 * findings.looks, data=replace(findings.data, note="Not the official split."))
    cases = {
        "greedy": noted,
        "race": search_findings("race"),
        "joint": search_findings("joint"),
        "nothing finished": replace(findings, finals=(), explanations=(), residual=None),
    }
    told = [line for name, made in cases.items() for line in (f"# {name}", *_lines(made))]
    assert told == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_a_quick_look_says_that_it_is_one(findings: StudyFindings) -> None:
    usual = set(_lines(findings))
    assert [line for line in _lines(replace(findings, form="quick")) if line not in usual] == [
        "This is a quick look: few images, few epochs, few repetitions. It shows what the report says, not what is so."
    ]


def _lines(findings: StudyFindings) -> Iterator[str]:
    for section in Report(results_of(findings), (), ()).sections:
        yield f"## {section.title}"
        for block in section.blocks:
            yield from _words(block)


def _words(block: Block) -> list[str]:
    match block:
        case Heading(title=title, level=level):
            return [f"{'#' * level} {title}"]
        case Text(text=text):
            return [text]
        case Bullets(texts=texts) | Levels(texts=texts):
            return [f"- {text}" for text in texts]
        case Cards(cards=cards):
            return [
                f"{card.title}: {card.accuracy}, {card.interval}; {card.improvement}; {card.gain}" for card in cards
            ]
        case Judgements(judged=judged):
            return [f"{one.title}: + {'; '.join(one.pros)}; - {'; '.join(one.cons)}" for one in judged]
        case _:
            return []


def _all(findings: StudyFindings, kind: type[B]) -> list[B]:
    made = Report(results_of(findings), (), ()).sections
    return [block for section in made for block in section.blocks if isinstance(block, kind)]


def test_models_and_factors_of_the_same_title_keep_their_own_rows() -> None:
    made = example_findings(models=("mlp", "cnn"), factors=3, seeds=1)
    models = tuple(
        replace(model, title="Net", factors=tuple(replace(factor, title="Setting") for factor in model.factors))
        for model in made.models
    )
    alike = replace(made, models=models)
    levels = [len(factor.levels) for model in models for factor in model.factors]
    assert [len(block.table.rows) for block in _all(alike, Levels)] == levels
    efforts = [block.table for block in _all(alike, Rows) if block.table.name == "costs_effort"]
    assert [len(table.rows) for table in efforts] == [sum(levels[:3]), sum(levels[3:])]
    kept = [[row[7] for row in what_helped(results_of(study).models).rows] for study in (alike, made)]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 6
