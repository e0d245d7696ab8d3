"""Tables as a paper prints them: intervals inside the cells, what was shown in bold, the test and its n below.

The PDF, the LaTeX files and the Markdown report take them from here; the CSV files hold every number by itself.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from ceteris.analysis.metrics import most_confused
from ceteris.analysis.results import Results, VersionResults
from ceteris.formats import chance, duration, percent, plain_points, points, several, shortened
from ceteris.report import tables
from ceteris.report.search_words import shown_in_short
from ceteris.report.table import Cell, Kind, Table, columns, made
from ceteris.report.words import test_name

Titles = tuple[str | tuple[str, Kind], ...]
MANY_CLASSES = 20  # above: the extremes instead of all
MOST_COLUMNS = 7  # of a table of structures


def paper_tables(results: Results) -> Iterator[Table]:
    """Yield every table of the paper that has rows, in the order of the report."""
    for make in (data, structures, taken, improvement, effects, fit, test, classes, confused, costs):
        if (table := make(results)).rows:
            yield table


def data(results: Results) -> Table:
    """Describe the data in a few rows."""
    return tables.data_description(results, brief=True)


def structures(results: Results) -> Table:
    """Put baseline and best of all models side by side, or one below the other where they are many."""
    whole = tables.structures(results)
    kept = tuple(row for row in whole.rows if len(set(row[1:])) > 1)
    if len(whole.columns) <= MOST_COLUMNS:
        return made("models", whole.title, whole.columns, kept)
    titles: Titles = ("model", "structure", "settings that differ", ("parameters", "count"))
    rows: list[tuple[Cell, ...]] = []
    for place, column in enumerate(whole.columns[1:], start=1):
        found = {str(row[0]): row[place] for row in whole.rows if row in kept or row[0] in ("structure", "parameters")}
        structure, parameters = found.pop("structure", ""), found.pop("parameters", "")
        found.pop("FLOPs per image", None)
        settings = "; ".join(f"{name}: {value}" for name, value in found.items() if value not in (None, "none"))
        rows.append((column.title, structure, settings, parameters))
    return made("models", whole.title, columns(*titles), rows)


def taken(results: Results) -> Table:
    """Say of every factor what is taken, what it is expected to bring, how likely it helps, and what was shown."""
    rows: list[tuple[Cell, ...]] = []
    strong = []
    for model in results.models:
        for factor in model.factors:
            kept, before = factor.kept, factor.incumbent
            won = kept if kept is not before else None
            found = won.comparison if won else None
            label = f"{kept.tuned_label} (was {before.tuned_label})" if won and kept and before else "stays: "
            if not won and kept:
                label += kept.tuned_label
            bet = (points(found.expected_gain), chance(found.chance)) if found else ("", "")
            if any(level.comparison and level.comparison.verdict == "better" for level in factor.levels):
                strong.append(len(rows))
            rows.append((model.label, factor.label, label, *bet, shown_in_short(factor)))
    titles: Titles = ("model", "factor", "taken", ("expected gain, points", "points"), ("chance", "chance"), "shown?")
    return made(
        "taken", "What is taken, and what was shown", columns(*titles), without_repeats(rows), strong=strong,
        note=f"Shown: {test_name(results)}, adjusted p below {results.significance:g} (Holm over the options of a factor); "
        f"{several(results.folds, 'fold')}. Bold: an option was shown to be better.",
    )  # fmt: skip


def improvement(results: Results) -> Table:
    """Give baseline, best setting and their difference where the two met again."""
    rows: list[tuple[Cell, ...]] = []
    strong = []
    for model in results.models:
        if model.confirmation is None or (found := model.confirmation.comparison) is None:
            continue
        if found.verdict == "better":
            strong.append(len(rows))
        means = (percent(float(np.nanmean(half))) for half in (model.confirmation.baseline, model.confirmation.best))
        shown = "not shown" if found.verdict == "undecided" else found.verdict
        rows.append((model.label, *means, with_interval(found.difference, found.low, found.high), found.blocks, shown))
    titles: Titles = (
        "model",
        ("baseline", "share"),
        ("best", "share"),
        ("difference, points (95 %)", "points"),
        ("n", "count"),
        "shown?",
    )
    return made(
        "improvement", "Baseline and best setting, trained again", columns(*titles), rows, strong=strong,
        note=f"{test_name(results)}, Holm-adjusted over the models; n: trainings of each.",
    )  # fmt: skip


def with_interval(value: float, low: float, high: float) -> str:
    """Write a difference in points with its interval: "+0.31 (−0.20 to +0.82)"."""
    return f"{points(value)} ({points(low)} to {points(high)})"


def effects(results: Results) -> Table:
    """Give the difference of every option from the setting that was current then."""
    rows: list[tuple[Cell, ...]] = []
    strong = []
    for model in results.models:
        for factor, level in model.levels():
            found = level.comparison
            if found is not None and found.verdict in ("better", "worse"):
                strong.append(len(rows))
            difference = (
                with_interval(found.difference, found.low, found.high) if found else "current" * level.incumbent
            )
            label = ("✓ " if level.chosen else "") + level.tuned_label
            blocks = level.blocks_trained - len(level.failures)
            rows.append((model.label, factor.label, label, percent(level.mean), difference, blocks))
    titles: Titles = (
        "model", "factor", "option", ("accuracy", "share"), ("difference, points (95 %)", "points"), ("n", "count"),
    )  # fmt: skip
    return made(
        "effects", "The effect of every option", columns(*titles), without_repeats(rows), strong=strong,
        note=f"Cross-validated accuracy; n: trainings. ✓: taken. Bold: better or worse was shown ({test_name(results)}, "
        "Holm-adjusted).",
    )  # fmt: skip


def without_repeats(rows: Sequence[tuple[Cell, ...]]) -> Iterator[tuple[Cell, ...]]:
    """Yield rows whose first cell is empty where it is that of the row before."""
    for before, row in zip([None, *rows], rows, strict=False):
        yield ("", *row[1:]) if before and before[0] == row[0] else row


def version_name(version: VersionResults) -> str:
    """Name a version with its model: "CNN, best"."""
    return f"{version.title}, {version.version_title.removeprefix('best, ')}"


def fit(results: Results) -> Table:
    """Put accuracy and loss in training, validation and test of every version side by side."""
    rows = [
        (
            version_name(version),
            *(plain_points(value) for value in (version.train_accuracy, version.validation_accuracy, version.mean("accuracy"))),
            points(version.gap),
            *(f"{value:.3f}" for value in (version.train_loss, version.validation_loss, version.mean("loss"))),
        )
        for version in results.versions
    ]  # fmt: skip
    titles: Titles = (
        "version", ("train, %", "share"), ("valid., %", "share"), ("test, %", "share"), ("gap", "points"),
        ("loss: train", "number"), ("valid.", "number"), ("test", "number"),
    )  # fmt: skip
    return made(
        "fit", "Accuracy and loss in training, validation and test", columns(*titles), rows,
        note=f"{mean_over(results)}; gap: training minus validation, in points.",
    )  # fmt: skip


def mean_over(results: Results) -> str:
    """Say over how many trainings a version's numbers are means."""
    counts = sorted({len(version.finals) for version in results.versions})
    if counts in ([], [1]):
        return "One training each"
    return f"Mean over {counts[0]}{f' to {counts[-1]}' if len(counts) > 1 else ''} trainings"


def test(results: Results) -> Table:
    """Give the metrics of every version on the test set."""
    beaten = {
        one.second.model
        for one in results.comparisons
        if one.shown and one.difference > 0 and one.first.version == "baseline"
    }
    rows = [
        (
            version_name(version),
            f"{plain_points(version.mean('accuracy'))} ({plain_points(version.accuracy_interval.low)} to "
            f"{plain_points(version.accuracy_interval.high)})",
            *(plain_points(version.mean(metric)) for metric in ("precision", "recall", "f1")),
            f"{version.mean('auc'):.4f}",
        )
        for version in results.versions
    ]  # fmt: skip
    strong = [place for place, one in enumerate(results.versions) if one.version == "best" and one.model in beaten]
    titles: Titles = (
        "version", ("accuracy, % (95 %)", "share"), ("precision", "share"), ("recall", "share"), ("F1", "share"),
        ("AUC", "area"),
    )  # fmt: skip
    return made(
        "test", f"Results on the {results.test_count:,} test images", columns(*titles), rows, strong=strong,
        note=f"{mean_over(results)}; precision, recall, F1 and AUC are macro averages. Bold: shown to be better than its "
        f"baseline on these images (p < {results.significance:g}, Holm-adjusted).",
    )  # fmt: skip


def classes(results: Results) -> Table:
    """Give F1 of every class for the best versions, or of the hardest and easiest classes where there are many."""
    best, names = results.best, results.data.classes
    if not best:
        return made("classes", "", (), ())
    scores = np.array([version.f1 for version in best])  # (models, classes)
    order = np.argsort(np.nanmean(scores, axis=0), kind="stable")
    places: Sequence[int] = range(len(names))
    title = "F1 of every class, per cent"
    if len(names) > MANY_CLASSES:
        places = [*order[:6], *order[-4:]]
        title = f"F1 of the six hardest and the four easiest of {len(names)} classes, per cent"
    rows = (
        (shortened(names[place], 24), *(plain_points(float(value)) for value in scores[:, place])) for place in places
    )
    titles = columns("class", *((version.title, "share") for version in best))
    return made("classes", title, titles, rows, note=f"Best versions. {mean_over(results)}.")


def confused(results: Results) -> Table:
    """List for every best version the pairs of classes that are confused most."""
    names = results.data.classes
    rows: list[tuple[Cell, ...]] = []
    each = max(1, 12 // max(len(results.best), 1))
    for version in results.best:
        counts = version.confusion
        for true, answer, images in most_confused(counts, each):
            share = percent(images / max(float(counts[true].sum()), 1), 1)
            pair = (shortened(names[place], 24) for place in (true, answer))
            rows.append((version.title, *pair, f"{images:.1f}", share))
    titles: Titles = ("model", "true", "answer", ("images", "number"), ("of the class", "share"))
    return made(
        "confused", "The pairs that are confused most", columns(*titles), without_repeats(rows),
        note=f"Best versions. {mean_over(results)}.",
    )  # fmt: skip


def costs(results: Results) -> Table:
    """Give time, memory, parameters and operations of every version."""
    rows = [
        (
            version_name(version), duration(version.mean_cost("train_seconds")),
            f"{version.mean_cost('peak_memory_bytes') / 1e6:,.0f}", f"{version.mean_cost('parameters'):,.0f}",
            f"{version.mean_cost('forward_flops_per_image') / 1e6:,.2f}",
        )
        for version in results.versions
        if version.costs
    ]  # fmt: skip
    titles: Titles = (
        "version", ("training", "seconds"), ("memory, MB", "megabytes"), ("parameters", "count"), ("MFLOPs", "number"),
    )  # fmt: skip
    device = results.machine.get("device") or results.machine.get("processor") or ""
    return made(
        "costs", "What a final training takes", columns(*titles), rows,
        note=f"{mean_over(results)}; memory is that of the process at its peak; operations are those of one image forwards"
        + (f"; device: {device}." if device else "."),
    )  # fmt: skip
