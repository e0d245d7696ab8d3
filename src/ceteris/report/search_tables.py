"""Tables about the search: the improvement, every level of every factor, what was tuned, tried and spent, what is open."""

from collections.abc import Iterator, Sequence

import numpy as np

from ceteris.analysis.search import (
    ablation,
    block_word,
    factor_titles,
    mean_of_finished,
    promised_gain,
    trained_blocks,
    undecided,
)
from ceteris.figures.improvement import ABLATION_WORDS
from ceteris.findings import FactorFinding, LevelFinding, ModelFinding, StudyFindings
from ceteris.report.search_words import candidate_remark, decision_text
from ceteris.report.table import Cell, Table, columns, detail, made
from ceteris.report.words import improvement_sentence


def levels_of(models: Sequence[ModelFinding]) -> Iterator[tuple[ModelFinding, FactorFinding, LevelFinding]]:
    """Yield every level of every factor of some models."""
    return ((model, factor, level) for model in models for factor in model.factors for level in factor.levels)


def improvement(models: Sequence[ModelFinding]) -> Table:
    """Give baseline, best recipe and their difference on fresh seeds for every model."""
    titles = columns(
        "model", ("baseline", "share"), ("best", "share"), ("improvement", "points"), ("low", "points"),
        ("high", "points"), ("p", "p"), "verdict", ("blocks", "count"), ("gains while chosen", "points"), "in words",
    )  # fmt: skip
    return made("improvement", "Improvement over the baseline on fresh seeds", titles, map(_improvement, models))


def _improvement(model: ModelFinding) -> tuple[Cell, ...]:
    words, confirmed = (promised_gain(model), improvement_sentence(model)), model.confirmation
    if model.best == model.baseline or confirmed is None:
        verdict = "baseline stays" if model.best == model.baseline else "unconfirmed"
        return (model.label, *(None,) * 6, verdict, None, *words)
    means, found = (mean_of_finished(confirmed.baseline), mean_of_finished(confirmed.best)), confirmed.comparison
    if found is None:
        return (model.label, *means, *(None,) * 4, "not comparable", 0, *words)
    numbers = (found.difference, found.low, found.high, found.p_value, found.verdict, found.blocks)
    return (model.label, *means, *numbers, *words)


def what_helped(models: Sequence[ModelFinding]) -> Table:
    """Put the decision on every factor into one row: what was kept, by how much it won, and how sure that is."""
    titles = columns(
        "model", "factor", "before", "kept", ("difference", "points"), ("low", "points"), ("high", "points"),
        ("adjusted p", "p"), "verdict", detail("decision", "text"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for model in models:
        for factor in model.factors:
            before, kept = factor.incumbent, factor.kept
            found = kept.comparison if kept and kept is not before else None
            numbers = (found.difference, found.low, found.high, found.adjusted_p) if found else (None,) * 4
            verdict = found.verdict if found else "kept, tuned" if kept and kept.retuned else "kept as it was"
            labels = (before.label if before else None, kept.tuned_label if kept else None)
            rows.append((model.label, factor.label, *labels, *numbers, verdict, decision_text(factor)))
    return made("what_helped", "What helped, factor by factor", titles, rows)


def levels(findings: StudyFindings, model: ModelFinding, factors: Sequence[FactorFinding] | None = None) -> Table:
    """List every level of a model's factors, of all or of some, with its result on every block."""
    shown = model.factors if factors is None else factors
    blocks = max((len(level.accuracies) for factor in model.factors for level in factor.levels), default=0)
    word = block_word(findings, model)
    titles = columns(
        "factor", "level", ("mean accuracy", "share"), ("difference", "points"), ("low", "points"),
        ("high", "points"), detail("p", "p"), ("adjusted p", "p"), "verdict", detail("P(better)", "number"),
        detail("P(equivalent)", "number"), detail("effect size", "number"), detail("mean F1", "share"),
        detail("training accuracy", "share"), detail("incumbent", "flag"), ("kept", "flag"), ("failed", "count"),
        ("blocks trained", "count"), detail("parameters", "count"),
        *((f"{word} {number + 1}", "share") for number in range(blocks)),
    )  # fmt: skip
    rows = (_level(factor, level, blocks) for factor in shown for level in factor.levels)
    return made(f"factors_{model.name}", f"{model.label}: every level of every factor", titles, rows)


def _level(factor: FactorFinding, level: LevelFinding, blocks: int) -> tuple[Cell, ...]:
    found = level.comparison
    if found is None:
        compared: tuple[Cell, ...] = (
            *(None,) * 5, "incumbent" if level.incumbent else "not comparable", *(None,) * 3,
        )  # fmt: skip
    else:
        compared = (
            found.difference, found.low, found.high, found.p_value, found.adjusted_p, found.verdict,
            found.probability_better, found.probability_equivalent, found.effect_size,
        )  # fmt: skip
    return (
        factor.label, level.label, mean_of_finished(level.accuracies), *compared,
        mean_of_finished(level.f1), mean_of_finished(level.train_accuracies), level.incumbent, level.chosen,
        len(level.failures), trained_blocks(level), level.parameters, *_padded(level.accuracies.tolist(), blocks),
    )  # fmt: skip


def _padded(values: list[float], count: int) -> list[float | None]:
    return [*values, *[None] * (count - len(values))]


def tuning(models: Sequence[ModelFinding]) -> Table:
    """Say for every tuned arm what was tried and what was taken."""
    titles = columns(
        "model", "factor", "level", "tuned", "values tried", ("chosen", "number"), ("accuracy there", "share"),
        ("values beyond the first range", "count"), ("at the edge", "flag"),
    )  # fmt: skip
    rows = (
        (
            model.label, factor.label, level.label, tuned.field, ", ".join(f"{value:g}" for value in sorted(tuned.values)),
            tuned.chosen, dict(zip(tuned.values, tuned.accuracies.tolist(), strict=True)).get(tuned.chosen, float("nan")),
            tuned.widened, tuned.at_edge,
        )
        for model, factor, level in levels_of(models)
        for tuned in level.tuning
    )  # fmt: skip
    return made("tuning", "Numbers tuned inside each arm", titles, rows)


def tuning_values(models: Sequence[ModelFinding]) -> Table:
    """Give the accuracy of every value that was tried, in the order of trying."""
    titles = columns(
        "model", "factor", "level", "tuned", ("value", "number"), ("accuracy", "share"), ("chosen", "flag")
    )
    rows = (
        (model.label, factor.label, level.label, tuned.field, value, float(accuracy), value == tuned.chosen)
        for model, factor, level in levels_of(models)
        for tuned in level.tuning
        for value, accuracy in zip(tuned.values, tuned.accuracies, strict=True)
    )
    return made("tuning_values", "Tuning, value by value", titles, rows)


def worth(models: Sequence[ModelFinding]) -> Table:
    """Say what every choice of the best setting is worth, the most valuable first within a model."""
    titles = columns(
        "model", "choice", "put back", ("worth", "points"), ("low", "points"), ("high", "points"), "verdict",
        ("blocks", "count"),
    )  # fmt: skip
    rows = []
    for model in models:
        for choice in ablation(model):
            found, blocks = choice.comparison, int(np.isfinite(choice.losses).sum())
            numbers = (found.difference, found.low, found.high) if found else (float("nan"),) * 3
            verdict = ABLATION_WORDS[found.verdict] if found else "not comparable"
            rows.append((model.label, choice.factor, choice.label, *numbers, verdict, blocks))
    return made("worth", "What each choice of the best setting is worth", titles, rows)


def interactions(models: Sequence[ModelFinding]) -> Table:
    """List all two-way interactions in the order of the grid."""
    titles = columns(
        "model", "first factor", "first level", "second factor", "second level", ("difference", "points"), ("low", "points"),
        ("high", "points"), ("p", "p"), ("adjusted p", "p"), "verdict", ("blocks", "count"),
    )  # fmt: skip
    rows = []
    for model in models:
        names = factor_titles(model)
        for entry in model.interactions:
            (first, one), (second, other), found = entry.first, entry.second, entry.comparison
            pair = (names.get(first, first), one, names.get(second, second), other)
            numbers = (found.difference, found.low, found.high, found.p_value, found.adjusted_p)
            rows.append((model.label, *pair, *numbers, found.verdict, found.blocks))
    return made("interactions", "Interactions of two factors", titles, rows)


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
    rows = (
        (
            entry.number, *(dict(entry.settings).get(name) for name in names), entry.epochs,
            mean_of_finished(entry.accuracies), int(np.isfinite(entry.accuracies).sum()), entry.status, entry.chosen,
            candidate_remark(entry), *_padded(entry.accuracies.tolist(), blocks),
        )
        for entry in model.candidates
    )  # fmt: skip
    return made(f"candidates_{model.name}", f"{model.label}: every recipe tried", titles, rows)


def costs_of_exploration(models: Sequence[ModelFinding]) -> Table:
    """Give the mean training time and the memory of every level of every factor."""
    titles = columns(
        "model", "factor", "level", ("training time, mean over folds", "seconds"), ("peak memory", "megabytes"),
        ("parameters", "count"), ("forward FLOPs per image", "count"),
    )  # fmt: skip
    rows = (
        (
            model.label, factor.label, level.label, mean_of_finished(level.train_seconds),
            level.peak_memory_bytes / 1e6, level.parameters, level.forward_flops_per_image,
        )
        for model, factor, level in levels_of(models)
    )  # fmt: skip
    return made("costs_exploration", "What the exploration cost", titles, rows)


def effort(models: Sequence[ModelFinding]) -> Table:
    """List what was spent on every level of every factor, the tuning of its nuisance parameters included."""
    titles = columns(
        "model", "factor", "level", ("trainings", "count"), ("of these tuning", "count"), ("epochs", "count"),
        ("steps", "count"), ("training FLOPs", "number"), ("training time", "seconds"),
    )  # fmt: skip
    rows = (
        (
            model.label, factor.label, level.label, level.effort.trials, sum(len(tuned.values) for tuned in level.tuning),
            level.effort.epochs, level.effort.steps, float(level.effort.training_flops), level.effort.seconds,
        )
        for model, factor, level in levels_of(models)
    )  # fmt: skip
    return made("costs_effort", "Budget of every arm, tuning included", titles, rows)


def to_decide(findings: StudyFindings) -> Table:
    """List every undecided comparison with the blocks and the time that would decide it."""
    titles = columns(
        "model", "factor", "level", ("difference", "points"), ("low", "points"), ("high", "points"), ("blocks", "count"),
        ("blocks that would decide", "count"), ("more blocks", "count"), ("training time of these", "seconds"),
    )  # fmt: skip
    rows = (
        (
            entry.model.label, entry.factor.label, entry.level.label, found.difference, found.low, found.high, found.blocks,
            found.blocks + entry.more if entry.more is not None else None, entry.more, entry.seconds,
        )
        for entry in undecided(findings)
        for found in [entry.comparison]
    )  # fmt: skip
    return made("costs_to_decide", "What would decide it", titles, rows)
