"""Tables about the exploration: every level of every factor, and what was decided."""

from collections.abc import Iterator

from ceteris.analysis.search import block_word, mean_of_finished, trained_blocks
from ceteris.findings import FactorFinding, LevelFinding, ModelFinding, StudyFindings
from ceteris.report.search_words import decision_text
from ceteris.report.table import Cell, Table, columns


def what_helped(findings: StudyFindings) -> Table:
    """Put the decision on every factor into one row: what was kept, by how much it won, and how sure that is."""
    rows = [_helped(model, factor) for model in findings.models for factor in model.factors]
    titles = columns(
        "model", "factor", "before", "kept", ("difference", "points"), ("low", "points"), ("high", "points"),
        ("adjusted p", "p"), "verdict", "decision",
    )  # fmt: skip
    return Table(name="what_helped", title="What helped, factor by factor", columns=titles, rows=tuple(rows))


def _helped(model: ModelFinding, factor: FactorFinding) -> tuple[Cell, ...]:
    before = next((level for level in factor.levels if level.incumbent), None)
    kept = next((level for level in factor.levels if level.chosen), before)
    compared = kept.comparison if kept and kept is not before else None
    shown = (compared.difference, compared.low, compared.high, compared.adjusted_p) if compared else (None,) * 4
    unchanged = "kept, tuned" if kept and kept.retuned else "kept as it was"
    verdict = compared.verdict if compared else unchanged
    labels = (before.label if before else None, kept.tuned_label if kept else None)
    return (model.title or model.name, factor.title or factor.name, *labels, *shown, verdict, decision_text(factor))


def factors(findings: StudyFindings) -> Iterator[Table]:
    """Yield one table per model with every level of every factor and its result on every block."""
    for model in findings.models:
        blocks = max((len(level.accuracies) for factor in model.factors for level in factor.levels), default=0)
        word = block_word(findings, model)
        titles = columns(
            "factor", "level", ("mean accuracy", "share"), ("difference", "points"), ("low", "points"),
            ("high", "points"), ("p", "p"), ("adjusted p", "p"), "verdict", ("P(better)", "number"),
            ("P(equivalent)", "number"), ("effect size", "number"), ("mean F1", "share"),
            ("training accuracy", "share"), ("incumbent", "flag"), ("kept", "flag"), ("failed", "count"),
            ("blocks trained", "count"), ("parameters", "count"),
            *((f"{word} {number + 1}", "share") for number in range(blocks)),
        )  # fmt: skip
        rows = [_level(factor, level, blocks) for factor in model.factors for level in factor.levels]
        title = f"{model.title or model.name}: every level of every factor"
        yield Table(name=f"factors_{model.name}", title=title, columns=titles, rows=tuple(rows))


def _level(factor: FactorFinding, level: LevelFinding, blocks: int) -> tuple[Cell, ...]:
    folds = [float(value) for value in level.accuracies]
    return (
        factor.title or factor.name, level.label, mean_of_finished(level.accuracies), *_compared(level),
        mean_of_finished(level.f1), mean_of_finished(level.train_accuracies), level.incumbent, level.chosen,
        len(level.failures), trained_blocks(level), level.parameters, *folds, *[None] * (blocks - len(folds)),
    )  # fmt: skip


def _compared(level: LevelFinding) -> tuple[Cell, ...]:
    found = level.comparison
    if found is None:
        return (*(None,) * 5, "incumbent" if level.incumbent else "not comparable", *(None,) * 3)
    return (
        found.difference, found.low, found.high, found.p_value, found.adjusted_p, found.verdict,
        found.probability_better, found.probability_equivalent, found.effect_size,
    )  # fmt: skip
