"""What would decide the comparisons that the data left open: how many more blocks, and what they cost."""

from collections.abc import Iterator
from dataclasses import dataclass

from ceteris.analysis.search import mean_of_finished
from ceteris.findings import Comparison, FactorFinding, LevelFinding, ModelFinding, StudyFindings
from ceteris.report.table import Cell, Table, columns, duration


@dataclass(frozen=True, kw_only=True)
class OpenComparison:
    """An undecided level; ``more`` blocks would decide it, None where no number of repetitions would."""

    model: ModelFinding
    factor: FactorFinding
    level: LevelFinding
    comparison: Comparison
    more: int | None
    seconds: float | None


def open_comparisons(findings: StudyFindings) -> list[OpenComparison]:
    """Collect all undecided comparisons in the study's order."""
    return [
        _opened(model, factor, level, level.comparison)
        for model in findings.models
        for factor in model.factors
        for level in factor.levels
        if level.comparison is not None and level.comparison.verdict == "undecided"
    ]


def _opened(model: ModelFinding, factor: FactorFinding, level: LevelFinding, found: Comparison) -> OpenComparison:
    more = found.blocks_to_decide - found.blocks if found.blocks_to_decide > found.blocks else None
    incumbent = next((entry for entry in factor.levels if entry.incumbent), None)
    seconds = None
    if more is not None:
        pair = [mean_of_finished(entry.train_seconds) for entry in (level, incumbent) if entry is not None]
        seconds = more * sum(pair)
    return OpenComparison(model=model, factor=factor, level=level, comparison=found, more=more, seconds=seconds)


def to_decide(findings: StudyFindings) -> Table:
    """List every undecided comparison with the blocks and the time that would decide it."""
    titles = columns(
        "model", "factor", "level", ("difference", "points"), ("low", "points"), ("high", "points"), ("blocks", "count"),
        ("blocks that would decide", "count"), ("more blocks", "count"), ("training time of these", "seconds"),
    )  # fmt: skip
    rows = tuple(_row(entry) for entry in open_comparisons(findings))
    return Table(name="costs_to_decide", title="What would decide it", columns=titles, rows=rows)


def _row(entry: OpenComparison) -> tuple[Cell, ...]:
    found = entry.comparison
    return (
        entry.model.title or entry.model.name, entry.factor.title or entry.factor.name, entry.level.label, found.difference,
        found.low, found.high, found.blocks, found.blocks + entry.more if entry.more is not None else None, entry.more,
        entry.seconds,
    )  # fmt: skip


def outlook_sentences(findings: StudyFindings) -> list[str]:
    """Say how much more training would decide what is open; empty where everything is decided."""
    found = open_comparisons(findings)
    return list(_told(findings, found)) if found else []


def _told(findings: StudyFindings, found: list[OpenComparison]) -> Iterator[str]:
    count = sum(level.comparison is not None for m in findings.models for f in m.factors for level in f.levels)
    within = [entry for entry in found if entry.more is not None]
    yield f"{len(found)} of {count} comparisons are undecided."
    if within:
        seconds = sum(entry.seconds or 0.0 for entry in within)
        yield (
            f"{len(within):,} of them would be decided by more repetitions, if the true differences are as large as "
            f"the observed ones (power 0.8): {duration(seconds)} of training on one core in all."
        )
    if len(within) < len(found):
        yield (
            f"{len(found) - len(within):,} of them no practicable number of repetitions would decide: the observed "
            "difference is too small beside the noise between training sets. More data or a wider margin of equivalence would."
        )


def command(findings: StudyFindings) -> str:
    """Return the command that goes on until all is decided or the budget is spent; '' where nothing can be decided."""
    seconds = sum(entry.seconds or 0.0 for entry in open_comparisons(findings) if entry.more is not None)
    if not any(entry.more for entry in open_comparisons(findings)):
        return ""
    minutes = max(1, -(-int(1.5 * seconds / max(1, findings.workers)) // 60))
    budget = f"{minutes}m" if minutes < 120 else f"{-(-minutes // 60)}h"
    return f"ceteris run STUDY --until-decided --budget {budget}"
