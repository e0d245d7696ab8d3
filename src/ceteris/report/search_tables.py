"""Tables about the search: the improvement, every level of every factor, what was tuned, tried and spent, what is open."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ceteris.analysis.results import ModelResults, Results
from ceteris.figures.improvement import ABLATION_WORDS
from ceteris.findings import FactorFinding, LevelFinding, Verdict, mean_of_finished
from ceteris.report.search_words import candidate_remark, decision_text
from ceteris.report.table import Cell, Table, columns, detail, made
from ceteris.report.words import improvement_sentence


def improvement(models: Sequence[ModelResults]) -> Table:
    """Give baseline, best recipe and their difference on fresh seeds for every model."""
    titles = columns(
        "model", ("baseline", "share"), ("best", "share"), ("improvement", "points"), ("low", "points"),
        ("high", "points"), ("p", "p"), "verdict", ("blocks", "count"), ("gains while chosen", "points"), "in words",
    )  # fmt: skip
    return made("improvement", "Improvement over the baseline on fresh seeds", titles, map(_improvement, models))


def _improvement(model: ModelResults) -> tuple[Cell, ...]:
    words, confirmed = (model.promised_gain, improvement_sentence(model)), model.confirmation
    if model.best == model.baseline or confirmed is None:
        verdict = "baseline stays" if model.best == model.baseline else "unconfirmed"
        return (model.label, *(None,) * 6, verdict, None, *words)
    means, found = (mean_of_finished(confirmed.baseline), mean_of_finished(confirmed.best)), confirmed.comparison
    if found is None:
        return (model.label, *means, *(None,) * 4, "not comparable", 0, *words)
    numbers = (found.difference, found.low, found.high, found.p_value, found.verdict, found.blocks)
    return (model.label, *means, *numbers, *words)


def what_helped(models: Sequence[ModelResults]) -> Table:
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


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The level that was kept; ``difference`` and ``verdict`` against the level before, None where that one stayed."""

    level: str
    before: str
    changed: bool
    retuned: bool
    difference: float | None
    verdict: Verdict | None


@dataclass(frozen=True, kw_only=True)
class DecisionsInfo:
    """A row per factor title, a column per model; None where a model did not explore the factor."""

    models: tuple[str, ...]
    factors: tuple[str, ...]
    decisions: tuple[tuple[Decision | None, ...], ...]


def decisions(models: Sequence[ModelResults]) -> DecisionsInfo:
    """Put what was decided on every factor for every model side by side; factors in the order in which the study met them."""
    found = {(factor.name, model.name): _decision(factor) for model in models for factor in model.factors}
    titles = {name: title for model in reversed(models) for name, title in model.factor_titles.items()}
    factors = dict.fromkeys(factor for factor, _ in found)
    return DecisionsInfo(
        models=tuple(model.label for model in models),
        factors=tuple(titles[factor] for factor in factors),
        decisions=tuple(tuple(found.get((factor, model.name)) for model in models) for factor in factors),
    )


def _decision(factor: FactorFinding) -> Decision | None:
    before, kept = factor.incumbent, factor.kept
    if kept is None:
        return None
    compared = None if kept.incumbent else kept.comparison
    return Decision(
        level=kept.tuned_label,
        before=before.label if before else "",
        changed=not kept.incumbent,
        retuned=kept.retuned,
        difference=compared.difference if compared else None,
        verdict=compared.verdict if compared else None,
    )


def levels(model: ModelResults, factors: Sequence[FactorFinding] | None = None) -> Table:
    """List every level of a model's factors, of all or of some, with its result on every block."""
    shown = model.factors if factors is None else factors
    blocks = max((len(level.accuracies) for _, level in model.levels()), default=0)
    titles = columns(
        "factor", "level", ("mean accuracy", "share"), ("difference", "points"), ("low", "points"),
        ("high", "points"), detail("p", "p"), ("adjusted p", "p"), "verdict", detail("P(better)", "number"),
        detail("P(equivalent)", "number"), detail("effect size", "number"), detail("mean F1", "share"),
        detail("training accuracy", "share"), detail("incumbent", "flag"), ("kept", "flag"), ("failed", "count"),
        ("blocks trained", "count"), detail("parameters", "count"),
        *((f"{model.block} {number + 1}", "share") for number in range(blocks)),
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
        factor.label, level.label, level.mean, *compared,
        mean_of_finished(level.f1), mean_of_finished(level.train_accuracies), level.incumbent, level.chosen,
        len(level.failures), level.blocks_trained, level.parameters, *_padded(level.accuracies.tolist(), blocks),
    )  # fmt: skip


def _padded(values: list[float], count: int) -> list[float | None]:
    return [*values, *[None] * (count - len(values))]


def tuning(models: Sequence[ModelResults]) -> Table:
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
        for model in models
        for factor, level in model.levels()
        for tuned in level.tuning
    )  # fmt: skip
    return made("tuning", "Numbers tuned inside each arm", titles, rows)


def tuning_values(models: Sequence[ModelResults]) -> Table:
    """Give the accuracy of every value that was tried, in the order of trying."""
    titles = columns(
        "model", "factor", "level", "tuned", ("value", "number"), ("accuracy", "share"), ("chosen", "flag")
    )
    rows = (
        (model.label, factor.label, level.label, tuned.field, value, float(accuracy), value == tuned.chosen)
        for model in models
        for factor, level in model.levels()
        for tuned in level.tuning
        for value, accuracy in zip(tuned.values, tuned.accuracies, strict=True)
    )
    return made("tuning_values", "Tuning, value by value", titles, rows)


def worth(models: Sequence[ModelResults]) -> Table:
    """Say what every choice of the best setting is worth, the most valuable first within a model."""
    titles = columns(
        "model", "choice", "put back", ("worth", "points"), ("low", "points"), ("high", "points"), "verdict",
        ("blocks", "count"),
    )  # fmt: skip
    rows = []
    for model in models:
        for choice in model.choices:
            found, blocks = choice.comparison, int(np.isfinite(choice.losses).sum())
            numbers = (found.difference, found.low, found.high) if found else (float("nan"),) * 3
            verdict = ABLATION_WORDS[found.verdict] if found else "not comparable"
            rows.append((model.label, choice.factor, choice.label, *numbers, verdict, blocks))
    return made("worth", "What each choice of the best setting is worth", titles, rows)


def interactions(models: Sequence[ModelResults]) -> Table:
    """List all two-way interactions in the order of the grid."""
    titles = columns(
        "model", "first factor", "first level", "second factor", "second level", ("difference", "points"), ("low", "points"),
        ("high", "points"), ("p", "p"), ("adjusted p", "p"), "verdict", ("blocks", "count"),
    )  # fmt: skip
    rows = []
    for model in models:
        names = model.factor_titles
        for entry in model.interactions:
            (first, one), (second, other), found = entry.first, entry.second, entry.comparison
            pair = (names.get(first, first), one, names.get(second, second), other)
            numbers = (found.difference, found.low, found.high, found.p_value, found.adjusted_p)
            rows.append((model.label, *pair, *numbers, found.verdict, found.blocks))
    return made("interactions", "Interactions of two factors", titles, rows)


def of_models(results: Results) -> Iterator[Table]:
    """Yield the tables that every model has to itself."""
    for model in results.models:
        yield levels(model)
        if model.candidates:
            yield candidates(model)


def candidates(model: ModelResults) -> Table:
    """List every recipe of a grid or a search with its settings and its result on every block."""
    names = list(dict.fromkeys(name for candidate in model.candidates for name, _ in candidate.settings))
    blocks = max(len(candidate.accuracies) for candidate in model.candidates)
    shown = model.factor_titles
    titles = columns(
        ("number", "count"), *(shown.get(name, name) for name in names), ("epochs", "count"), ("mean accuracy", "share"),
        ("blocks", "count"), "fate", ("chosen", "flag"), "remark",
        *((f"{model.block} {number + 1}", "share") for number in range(blocks)),
    )  # fmt: skip
    rows = (
        (
            entry.number, *(dict(entry.settings).get(name) for name in names), entry.epochs,
            entry.mean, int(np.isfinite(entry.accuracies).sum()), entry.status, entry.chosen,
            candidate_remark(entry), *_padded(entry.accuracies.tolist(), blocks),
        )
        for entry in model.candidates
    )  # fmt: skip
    return made(f"candidates_{model.name}", f"{model.label}: every recipe tried", titles, rows)


def costs_of_exploration(models: Sequence[ModelResults]) -> Table:
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
        for model in models
        for factor, level in model.levels()
    )  # fmt: skip
    return made("costs_exploration", "What the exploration cost", titles, rows)


def effort(models: Sequence[ModelResults]) -> Table:
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
        for model in models
        for factor, level in model.levels()
    )  # fmt: skip
    return made("costs_effort", "Budget of every arm, tuning included", titles, rows)


def to_decide(models: Sequence[ModelResults]) -> Table:
    """List every undecided comparison with the blocks and the time that would decide it."""
    titles = columns(
        "model", "factor", "level", ("difference", "points"), ("low", "points"), ("high", "points"), ("blocks", "count"),
        ("blocks that would decide", "count"), ("more blocks", "count"), ("training time of these", "seconds"),
    )  # fmt: skip
    rows = (
        (
            entry.model, entry.factor, entry.level, found.difference, found.low, found.high, found.blocks,
            entry.more and found.blocks + entry.more, entry.more, entry.seconds,
        )
        for model in models
        for entry in model.undecided
        for found in [entry.comparison]
    )  # fmt: skip
    return made("costs_to_decide", "What would decide it", titles, rows)


# These are always there; those of a strategy have no rows where another one searched.
ALWAYS = (improvement, what_helped, costs_of_exploration, effort, to_decide)
OF_STRATEGY = (tuning, tuning_values, worth, interactions)
TABLES = (*ALWAYS, *OF_STRATEGY)
