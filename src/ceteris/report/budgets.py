"""What every arm of a comparison was given: a level that got more training than another has an unfair advantage."""

from ceteris.analysis.search import trained_blocks, unequal_blocks
from ceteris.findings import FactorFinding, LevelFinding, ModelFinding, StudyFindings
from ceteris.report.table import Cell, Table, columns

_UNEQUAL = 1.1  # above this ratio of operations per training the arms' budgets are called unequal


def effort(findings: StudyFindings) -> Table:
    """List what was spent on every level of every factor, the tuning of its nuisance parameters included."""
    titles = columns(
        "model", "factor", "level", ("trainings", "count"), ("of these tuning", "count"), ("epochs", "count"),
        ("steps", "count"), ("training FLOPs", "number"), ("training time", "seconds"),
    )  # fmt: skip
    rows = tuple(
        _row(model.title or model.name, factor, level)
        for model in findings.models
        for factor in model.factors
        for level in factor.levels
    )
    return Table(name="costs_effort", title="Budget of every arm, tuning included", columns=titles, rows=rows)


def _row(model: str, factor: FactorFinding, level: LevelFinding) -> tuple[Cell, ...]:
    spent = level.effort
    tuning = sum(len(tuned.values) for tuned in level.tuning)
    return (
        model, factor.title or factor.name, level.label, spent.trials, tuning, spent.epochs, spent.steps,
        float(spent.training_flops), spent.seconds,
    )  # fmt: skip


def budget_sentences(model: ModelFinding) -> list[str]:
    """Name the factors of one model whose arms had unequal budgets; one sentence says so where all were equal."""
    told = [sentence for factor in model.factors if (sentence := _unequal(factor))]
    if told or not model.factors:
        return told
    return ["Within every comparison all arms were given the same number of trainings and epochs."]


def _unequal(factor: FactorFinding) -> str:
    spent = [level for level in factor.levels if level.effort.trials]
    if not spent:
        return ""
    most, least = (pick(spent, key=lambda level: level.effort.epochs) for pick in (max, min))
    title = factor.title or factor.name
    if most.effort.epochs != least.effort.epochs:
        early = ", as levels left the comparison early" if unequal_blocks(factor) else ""
        return f"{title}: unequal budgets{early}. {most.label} was given {_spent(most)}, {least.label} {_spent(least)}."
    heavy, light = (pick(spent, key=_operations) for pick in (max, min))
    if _operations(light) and _operations(heavy) > _UNEQUAL * _operations(light):
        ratio = _operations(heavy) / _operations(light)
        same = f"{title}: the same number of epochs for all arms, but"
        return f"{same} {heavy.label} takes {ratio:.1f} times the operations of {light.label}."
    return ""


def _operations(level: LevelFinding) -> float:
    return level.effort.training_flops / level.effort.trials


def _spent(level: LevelFinding) -> str:
    trainings = f"{level.effort.trials:,} training{'s' if level.effort.trials != 1 else ''}"
    return f"{trainings} with {level.effort.epochs:,} epochs in all"


def saved_sentence(model: ModelFinding) -> str:
    """Say which share of the full design's trainings a race did not need; '' where none was saved."""
    levels = [level for factor in model.factors for level in factor.levels]
    done = sum(map(trained_blocks, levels))
    if not model.trainings_saved or not done:
        return ""
    early = sum(trained_blocks(level) < len(level.accuracies) for level in levels)
    share = 100 * model.trainings_saved / (model.trainings_saved + done)
    return f"{early} levels left early, which saved {model.trainings_saved:,} trainings, {share:.0f} % of the full design's."
