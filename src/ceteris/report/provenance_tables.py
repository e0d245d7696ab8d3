"""Tables about how the results came to be: looks, packages, failures, and what everything cost."""

from ceteris.analysis.finals import VERSION_TITLES, model_titles
from ceteris.analysis.search import mean_of_finished
from ceteris.findings import StudyFindings
from ceteris.report.search_words import failure_text
from ceteris.report.table import Cell, Table, columns


def looks(findings: StudyFindings) -> Table:
    """List every look at the test set; without a CSV file, because the ledger is a file of its own."""
    rows = tuple((look.date, look.study, look.reason, ", ".join(look.models)) for look in findings.looks)
    titles = columns("date", "study", "reason", "models")
    return Table(name="looks", title="Looks at the test set", columns=titles, rows=rows, exported=False)


def packages(findings: StudyFindings) -> Table:
    """List the packages with their versions."""
    rows = tuple(sorted(findings.packages.items()))
    return Table(name="packages", title="Packages", columns=columns("package", "version"), rows=rows)


def machine(findings: StudyFindings) -> Table:
    """Describe the machine; without a CSV file, because it may hold free memory and the like."""
    rows = tuple(findings.machine.items())
    return Table(name="machine", title="Machine", columns=columns("property", "value"), rows=rows, exported=False)


def failures(findings: StudyFindings) -> Table:
    """List every trial that diverged or failed."""
    rows: list[tuple[Cell, ...]] = [
        (model.title or model.name, factor.title or factor.name, level.label, failure_text(failure, model.candidates))
        for model in findings.models
        for factor in model.factors
        for level in factor.levels
        for failure in level.failures
    ]
    titles = model_titles(findings)
    rows += [
        (titles.get(final.model, final.model), "final training", VERSION_TITLES[final.version],
         f"seed {final.seed}: {final.status}{': ' if final.error else ''}{final.error}")
        for final in findings.finals
        if final.status != "finished"
    ]  # fmt: skip
    return Table(
        name="failures", title="Trainings that diverged or failed",
        columns=columns("model", "factor", "level", "what happened"),
        rows=tuple(rows),
    )  # fmt: skip


def costs(findings: StudyFindings) -> Table:
    """Give time, memory, parameters and FLOPs of every final training."""
    titles = columns(
        "model", "version", ("seed", "count"), ("training time", "seconds"), ("evaluation time", "seconds"),
        ("peak memory", "megabytes"), ("parameters", "count"), ("forward FLOPs per image", "count"),
        ("training FLOPs", "number"), ("images per second", "number"),
    )  # fmt: skip
    names = model_titles(findings)
    rows = tuple(
        (
            names.get(final.model, final.model), VERSION_TITLES[final.version], final.seed, final.cost.train_seconds,
            final.cost.evaluation_seconds, final.cost.peak_memory_bytes / 1e6, final.cost.parameters,
            final.cost.forward_flops_per_image, float(final.cost.training_flops), final.cost.images_per_second,
        )
        for final in findings.finals
        if final.cost is not None
    )  # fmt: skip
    return Table(name="costs", title="What the final trainings cost", columns=titles, rows=rows)


def costs_of_exploration(findings: StudyFindings) -> Table:
    """Give the mean training time and the memory of every level of every factor."""
    titles = columns(
        "model", "factor", "level", ("training time, mean over folds", "seconds"), ("peak memory", "megabytes"),
        ("parameters", "count"), ("forward FLOPs per image", "count"),
    )  # fmt: skip
    rows = tuple(
        (
            model.title or model.name, factor.title or factor.name, level.label, mean_of_finished(level.train_seconds),
            level.peak_memory_bytes / 1e6, level.parameters, level.forward_flops_per_image,
        )
        for model in findings.models
        for factor in model.factors
        for level in factor.levels
    )  # fmt: skip
    return Table(name="costs_exploration", title="What the exploration cost", columns=titles, rows=rows)


def costs_of_study(findings: StudyFindings) -> Table:
    """Give the times of the whole study."""
    rows: tuple[tuple[Cell, ...], ...] = (
        ("trials", findings.trials_total, None),
        ("trials that failed", findings.trials_failed, None),
        ("workers", findings.workers, None),
        ("training time of all trials", None, findings.training_seconds),
        ("time on the clock", None, findings.wall_seconds),
    )
    titles = columns("what", ("number", "count"), ("time", "seconds"))
    return Table(name="costs_study", title="What the whole study cost", columns=titles, rows=rows)
