"""Every sentence about a search, word for word."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.report.example_sentences import confirmation_examples, search_examples

from ceteris.findings import Candidate, FactorFinding
from ceteris.report.search_words import (
    candidate_remark,
    confirmation_sentence,
    decision_text,
    failure_text,
    interaction_sentence,
    level_sentence,
    search_text,
    to_decide_text,
    tuning_sentence,
)

GOLDEN = Path(__file__).parent / "golden" / "search_words.txt"


def test_what_is_said_about_searches_is_what_was_always_said() -> None:
    """To change words on purpose: write the new lines into the golden file and read its difference."""
    assert list(_lines()) == GOLDEN.read_text(encoding="utf-8").splitlines()


def _lines() -> Iterator[str]:
    for name, found in search_examples():
        yield f"# {name}"
        yield search_text(found)
        for factor in found.factors:
            yield from _factor(factor, found.candidates)
        for factor in found.ablation:
            yield f"  worth of {factor.label}: {decision_text(factor)}"
            yield from (f"    - {level.label}" for level in factor.levels)
        yield from (f"  {interaction_sentence(entry)}" for entry in found.interactions)
        yield from (f"  {entry.number} {entry.status}: {candidate_remark(entry)}" for entry in found.candidates)
        yield ""
    yield "# confirmations"
    for name, confirmed in confirmation_examples():
        yield f"{name}: {confirmation_sentence(confirmed) if confirmed else None}"


def _factor(factor: FactorFinding, candidates: Sequence[Candidate]) -> Iterator[str]:
    yield f"  {factor.label}: {decision_text(factor)}"
    if text := to_decide_text(factor):
        yield f"    {text}"
    for level in factor.levels:
        yield f"    - {level.tuned_label}"
        if level.comparison:
            yield f"      {level_sentence(factor, level)}"
        yield from (f"      {failure_text(failure, candidates)}" for failure in level.failures)
        yield from (f"      {tuning_sentence(tuned)}" for tuned in level.tuning)
