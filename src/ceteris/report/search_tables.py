"""Tables about the search: the improvement, every level of every factor, what was tuned, tried and spent, what is open."""

from collections.abc import Iterator, Sequence

import numpy as np

from ceteris.analysis.results import ModelResults, Results
from ceteris.figures.improvement import ABLATION_WORDS
from ceteris.figures.luck import SOURCES
from ceteris.findings import FactorFinding, LevelFinding, mean_of_finished
from ceteris.formats import unit_of
from ceteris.report.search_words import candidate_remark, claim_text, claims_against, decision_text
from ceteris.report.table import Cell, Table, columns, detail, made
from ceteris.report.words import improvement_sentence


def improvement(models: Sequence[ModelResults]) -> Table:
    """Give baseline, best recipe and their difference on fresh seeds for every model."""
    titles = columns(
        "model", ("baseline", "share"), ("best", "share"), ("improvement", "points"), ("low", "points"),
        ("high", "points"), ("p", "p"), ("verdict", "verdict"), ("blocks", "count"), ("expected while chosen", "points"),
        "in words",
    )  # fmt: skip
    title = _told("Improvement over the baseline, measured again", models)
    return made("improvement", title, titles, map(_improvement, models))


def _told(title: str, models: Sequence[ModelResults]) -> str:
    """Add to a table's title what its differences are of, where that is not the accuracy."""
    criterion = next((model.criterion for model in models), "accuracy")
    return title if criterion == "accuracy" else f"{title} (differences in {unit_of(criterion)})"


def _improvement(model: ModelResults) -> tuple[Cell, ...]:
    words, confirmed = (model.promised_gain, improvement_sentence(model)), model.confirmation
    if confirmed is None:
        return (model.label, *(None,) * 6, "unconfirmed" if model.changed else "baseline stays", None, *words)
    means, found = (mean_of_finished(confirmed.baseline), mean_of_finished(confirmed.best)), confirmed.comparison
    if found is None:
        return (model.label, *means, *(None,) * 4, "not comparable", 0, *words)
    numbers = (found.difference, found.low, found.high, found.p_value, found.verdict, found.blocks)
    return (model.label, *means, *numbers, *words)


def what_helped(models: Sequence[ModelResults]) -> Table:
    """Put every factor into one row: what is taken, what that is expected to bring, how likely it helps, and what was shown."""
    titles = columns(
        "model", "factor", "taken", ("expected gain", "points"), ("chance that it helps", "chance"), "shown?",
        detail("before", "text"), detail("kept", "text"), detail("difference", "points"), detail("low", "points"),
        detail("high", "points"), detail("adjusted p", "p"), detail("verdict", "text"), detail("decision", "text"),
    )  # fmt: skip
    rows = (_choice(model, factor) for model in models for factor in model.factors)
    return made("what_helped", _told("What is taken, and what was shown", models), titles, rows)


def _choice(model: ModelResults, factor: FactorFinding) -> tuple[Cell, ...]:
    before, kept = factor.incumbent, factor.kept
    found = kept.comparison if kept and kept is not before else None
    bet = (found.expected_gain, found.chance) if found else (None, None)
    if kept is not None and kept is not before:
        taken = f"{kept.tuned_label} instead of {before.tuned_label}" if before else kept.tuned_label
        shown = claim_text(found) if found else ""
    else:
        taken, shown = f"{kept.tuned_label} stays" if kept else "", claims_against(factor)
    numbers = (found.difference, found.low, found.high, found.adjusted_p, found.verdict) if found else (None,) * 5
    labels = (before.tuned_label if before else None, kept.tuned_label if kept else None)
    return (model.label, factor.label, taken, *bet, shown, *labels, *numbers, decision_text(factor))


def levels(model: ModelResults, factors: Sequence[FactorFinding] | None = None) -> Table:
    """List every level of a model's factors, of all or of some, with its result on every block."""
    shown = model.factors if factors is None else factors
    blocks = max((len(level.accuracies) for _, level in model.levels()), default=0)
    titles = columns(
        "factor", "level", ("mean accuracy", "share"), ("difference", "points"), ("low", "points"),
        ("high", "points"), ("expected gain", "points"), ("chance that it helps", "chance"), detail("p", "p"),
        ("adjusted p", "p"), ("verdict", "verdict"), detail("P(better)", "number"),
        detail("P(equivalent)", "number"), detail("effect size", "number"), detail("mean F1", "share"),
        detail("training accuracy", "share"), detail("incumbent", "flag"), ("kept", "flag"), ("failed", "count"),
        ("blocks trained", "count"), detail("parameters", "count"),
        *((f"{model.block} {number + 1}", "share") for number in range(blocks)),
    )  # fmt: skip
    rows = (_level(factor, level, blocks) for factor in shown for level in factor.levels)
    return made(f"factors_{model.name}", _told(f"{model.label}: every level of every factor", [model]), titles, rows)


def _level(factor: FactorFinding, level: LevelFinding, blocks: int) -> tuple[Cell, ...]:
    found = level.comparison
    if found is None:
        compared: tuple[Cell, ...] = (
            *(None,) * 7, "current setting" if level.incumbent else "not comparable", *(None,) * 3,
        )  # fmt: skip
    else:
        compared = (
            found.difference, found.low, found.high, found.expected_gain, found.chance, found.p_value, found.adjusted_p,
            found.verdict, found.probability_better, found.probability_equivalent, found.effect_size,
        )  # fmt: skip
    return (
        factor.label, level.tuned_label, level.mean, *compared,
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
        ("high", "points"), ("p", "p"), ("adjusted p", "p"), ("verdict", "verdict"), ("blocks", "count"),
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
    return made(f"candidates_{model.name}", _told(f"{model.label}: every recipe tried", [model]), titles, rows)


def costs_of_exploration(models: Sequence[ModelResults]) -> Table:
    """Give the mean training time and the memory of every level of every factor."""
    titles = columns(
        "model", "factor", "level", ("training time, mean over folds", "seconds"), ("peak memory", "megabytes"),
        ("parameters", "count"), ("forward FLOPs per image", "count"),
    )  # fmt: skip
    rows = (
        (
            model.label, factor.label, level.tuned_label, mean_of_finished(level.train_seconds),
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
            model.label, factor.label, level.tuned_label, level.effort.trials, sum(len(tuned.values) for tuned in level.tuning),
            level.effort.epochs, level.effort.steps, float(level.effort.training_flops), level.effort.seconds,
        )
        for model in models
        for factor, level in model.levels()
    )  # fmt: skip
    return made("costs_effort", "Budget of every arm, tuning included", titles, rows)


def to_decide(models: Sequence[ModelResults]) -> Table:
    """List every option of which nothing was shown, with the true difference that would be found now and with more training."""
    titles = columns(
        "model", "factor", "level", ("expected gain", "points"), ("chance that it helps", "chance"), ("low", "points"),
        ("high", "points"), ("found from", "points"), ("with two more repetitions", "points"), ("more trainings", "count"),
        ("training time of these", "seconds"), ("matters", "flag"),
    )  # fmt: skip
    rows = (
        (
            entry.model, entry.factor, entry.level, found.expected_gain, found.chance, found.low, found.high,
            found.detectable, found.detectable_with_more, entry.trainings, entry.seconds, entry.matters,
        )
        for model in models
        for entry in model.open
        for found in [entry.comparison]
    )  # fmt: skip
    return made("costs_to_decide", _told("What stayed open", models), titles, rows)


def luck(models: Sequence[ModelResults]) -> Table:
    """Say how far each source of luck alone moves the accuracy of every best recipe."""
    titles = columns(
        "model", "source of luck", ("runs", "count"), ("standard deviation", "share"), ("low", "share"), ("high", "share"),
    )  # fmt: skip
    rows = (
        (model.label, SOURCES[found.source], len(found.accuracies) or None, found.deviation, found.low, found.high)
        for model in models
        for found in model.luck
    )
    return made("luck", "Where the noise comes from, each source alone", titles, rows)


# These are always there; those of a strategy have no rows where another one searched.
ALWAYS = (improvement, what_helped, costs_of_exploration, effort, to_decide)
OF_STRATEGY = (tuning, tuning_values, worth, interactions, luck)
TABLES = (*ALWAYS, *OF_STRATEGY)
