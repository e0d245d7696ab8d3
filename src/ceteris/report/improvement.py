"""What counts as the improvement: the difference between baseline and best recipe on fresh seeds, and nothing else."""

import math

from ceteris.analysis.search import mean_of_finished, promised_gain
from ceteris.findings import Comparison, ModelFinding, StudyFindings
from ceteris.report.search_words import confirmation_sentence
from ceteris.report.table import Cell, Table, columns, readable


def improvement_sentences(findings: StudyFindings) -> list[str]:
    """Say for every model what the fresh seeds confirmed; without a confirmation no improvement is claimed."""
    return [improvement_sentence(model) for model in findings.models]


def improvement_sentence(model: ModelFinding) -> str:
    """Say what one model gained over its baseline."""
    title = model.title or model.name
    if model.best == model.baseline:
        return f"{title}: the baseline stayed the best recipe, so there is no improvement to report."
    if model.confirmation is None:
        return (
            f"{title}: the best recipe differs from the baseline but was not trained on fresh seeds (the study left the "
            "confirmation out). The path of the search is optimistic, because the same blocks chose the recipe; its gain "
            "is unconfirmed."
        )
    promised = promised_gain(model)
    told = f" While it was chosen, its gains added up to {_points(promised)} points." if math.isfinite(promised) else ""
    return f"{title}: {confirmation_sentence(model.confirmation)}{told}"


def improvement_in_short(model: ModelFinding) -> str:
    """Say the same in a few words, without the model's name."""
    if model.best == model.baseline:
        return "the baseline stays"
    if model.confirmation is None:
        return "improvement unconfirmed"
    found = model.confirmation.comparison
    if found is None:
        return "improvement not measurable"
    told = {
        "better": f"improvement {_points(found.difference)} points",
        "worse": f"worse than its baseline, {_points(found.difference)} points",
        "equivalent": f"equivalent to its baseline, {_points(found.difference)} points",
        "undecided": f"improvement not confirmed, {_points(found.difference)} points",
    }
    return f"{told[found.verdict]} ({_interval(found)})"


def improvement_summary(findings: StudyFindings) -> str:
    """Put all models into one sentence for the study's answer; '' where there is no model."""
    if not findings.models:
        return ""
    changed = [model for model in findings.models if model.best != model.baseline]
    if not changed:
        return "No model's best recipe differs from its baseline: nothing improved on it."
    told = "; ".join(f"{model.title or model.name} {improvement_in_short(model)}" for model in findings.models)
    fresh = any(model.confirmation is not None for model in changed)
    return f"Against the baseline{', measured again on fresh seeds' if fresh else ''}: {told}."


def improvement(findings: StudyFindings) -> Table:
    """Give baseline, best recipe and their difference on fresh seeds for every model."""
    titles = columns(
        "model", ("baseline", "share"), ("best", "share"), ("improvement", "points"), ("low", "points"),
        ("high", "points"), ("p", "p"), "verdict", ("blocks", "count"), ("gains while chosen", "points"), "in words",
    )  # fmt: skip
    rows = tuple(_row(model) for model in findings.models)
    title = "Improvement over the baseline on fresh seeds"
    return Table(name="improvement", title=title, columns=titles, rows=rows)


def _row(model: ModelFinding) -> tuple[Cell, ...]:
    title, sentence, confirmed = model.title or model.name, improvement_sentence(model), model.confirmation
    if model.best == model.baseline or confirmed is None:
        verdict = "baseline stays" if model.best == model.baseline else "unconfirmed"
        return (title, *(None,) * 6, verdict, None, promised_gain(model), sentence)
    found = confirmed.comparison
    numbers: tuple[Cell, ...] = (None,) * 4
    if found is not None:
        numbers = (found.difference, found.low, found.high, found.p_value)
    return (
        title, mean_of_finished(confirmed.baseline), mean_of_finished(confirmed.best), *numbers,
        found.verdict if found else "not comparable", found.blocks if found else 0, promised_gain(model), sentence,
    )  # fmt: skip


def _points(difference: float) -> str:
    return readable(difference, "points")


def _interval(found: Comparison) -> str:
    return f"95 % interval {_points(found.low)} to {_points(found.high)}"
