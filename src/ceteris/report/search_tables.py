"""Tables about what some strategies find beside the factors: tuning, worth of choices, interactions, candidates."""

from collections.abc import Iterator

import numpy as np

from ceteris.analysis.search import ablation, factor_titles, mean_of_finished
from ceteris.figures.improvement import ABLATION_WORDS
from ceteris.findings import Candidate, ModelFinding, StudyFindings
from ceteris.records import FloatArray
from ceteris.report.search_words import candidate_remark
from ceteris.report.table import Cell, Table, columns


def search_tables(findings: StudyFindings) -> Iterator[Table]:
    """Yield the tables that the study's strategy gives rise to; those without a row are left out."""
    for table in (tuning(findings), tuning_values(findings), worth(findings), interactions(findings)):
        if table.rows:
            yield table
    for model in findings.models:
        if model.candidates:
            yield candidates(findings, model)


def tuning(findings: StudyFindings) -> Table:
    """Say for every tuned arm what was tried and what was taken."""
    titles = columns(
        "model", "factor", "level", "tuned", "values tried", ("chosen", "number"), ("accuracy there", "share"),
        ("values beyond the first range", "count"), ("at the edge", "flag"),
    )  # fmt: skip
    rows = tuple(
        (
            model.title or model.name, factor.title or factor.name, level.label, tuned.field,
            ", ".join(f"{value:g}" for value in sorted(tuned.values)), tuned.chosen,
            _accuracy_at(tuned.values, tuned.accuracies, tuned.chosen), tuned.widened, tuned.at_edge,
        )
        for model in findings.models
        for factor in model.factors
        for level in factor.levels
        for tuned in level.tuning
    )  # fmt: skip
    return Table(name="tuning", title="Numbers tuned inside each arm", columns=titles, rows=rows)


def _accuracy_at(values: tuple[float, ...], accuracies: FloatArray, chosen: float) -> float:
    return float(accuracies[values.index(chosen)]) if chosen in values else float("nan")


def tuning_values(findings: StudyFindings) -> Table:
    """Give the accuracy of every value that was tried, in the order of trying."""
    titles = columns(
        "model", "factor", "level", "tuned", ("value", "number"), ("accuracy", "share"), ("chosen", "flag")
    )
    rows = tuple(
        (
            model.title or model.name, factor.title or factor.name, level.label, tuned.field, value, float(accuracy),
            value == tuned.chosen,
        )
        for model in findings.models
        for factor in model.factors
        for level in factor.levels
        for tuned in level.tuning
        for value, accuracy in zip(tuned.values, tuned.accuracies, strict=True)
    )  # fmt: skip
    return Table(name="tuning_values", title="Tuning, value by value", columns=titles, rows=rows)


def worth(findings: StudyFindings) -> Table:
    """Say what every choice of the best setting is worth, the most valuable first within a model."""
    titles = columns(
        "model", "choice", "put back", ("worth", "points"), ("low", "points"), ("high", "points"), "verdict",
        ("blocks", "count"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for model in findings.models:
        for choice in ablation(model):
            found = choice.comparison
            told = ABLATION_WORDS[found.verdict] if found else "not comparable"
            blocks = int(np.isfinite(choice.losses).sum())
            rows.append(
                (
                    model.title or model.name,
                    choice.factor,
                    choice.label,
                    *((found.difference, found.low, found.high) if found else (np.nan,) * 3),
                    told,
                    blocks,
                )
            )
    return Table(name="worth", title="What each choice of the best setting is worth", columns=titles, rows=tuple(rows))


def interactions(findings: StudyFindings) -> Table:
    """List all two-way interactions in the order of the grid."""
    titles = columns(
        "model", "first factor", "first level", "second factor", "second level", ("difference", "points"), ("low", "points"),
        ("high", "points"), ("p", "p"), ("adjusted p", "p"), "verdict", ("blocks", "count"),
    )  # fmt: skip
    rows = []
    for model in findings.models:
        names = factor_titles(model)
        for entry in model.interactions:
            (first, one), (second, other), found = entry.first, entry.second, entry.comparison
            rows.append(
                (
                    model.title or model.name, names.get(first, first), one, names.get(second, second), other,
                    found.difference, found.low, found.high, found.p_value, found.adjusted_p, found.verdict, found.blocks,
                )
            )  # fmt: skip
    return Table(name="interactions", title="Interactions of two factors", columns=titles, rows=tuple(rows))


def candidates(findings: StudyFindings, model: ModelFinding) -> Table:
    """List every recipe of a grid or a search with its settings and its result on every block."""
    names = list(dict.fromkeys(name for candidate in model.candidates for name, _ in candidate.settings))
    blocks = max(len(candidate.accuracies) for candidate in model.candidates)
    word, shown = "fold" if blocks == findings.folds else "block", factor_titles(model)
    titles = columns(
        ("number", "count"), *(shown.get(name, name) for name in names), ("epochs", "count"), ("mean accuracy", "share"),
        ("blocks", "count"), "fate", ("chosen", "flag"), "remark",
        *((f"{word} {number + 1}", "share") for number in range(blocks)),
    )  # fmt: skip
    rows = tuple(_candidate(candidate, names, blocks) for candidate in model.candidates)
    title = f"{model.title or model.name}: every recipe tried"
    return Table(name=f"candidates_{model.name}", title=title, columns=titles, rows=rows)


def _candidate(candidate: Candidate, names: list[str], blocks: int) -> tuple[Cell, ...]:
    settings, results = dict(candidate.settings), [float(value) for value in candidate.accuracies]
    return (
        candidate.number, *(settings.get(name) for name in names), candidate.epochs, mean_of_finished(candidate.accuracies),
        int(np.isfinite(candidate.accuracies).sum()), candidate.status, candidate.chosen, candidate_remark(candidate), *results,
        *[None] * (blocks - len(results)),
    )  # fmt: skip
