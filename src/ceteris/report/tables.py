"""Every table of a report, built from the findings alone; tables whose names begin with "costs" hold times and memory."""

from collections.abc import Iterator

import numpy as np

from ceteris.figures import TestResultsInfo, TestSummary, VERSION_TITLES, finished, mean_of_finished, model_titles
from ceteris.findings import FactorFinding, LevelFinding, ModelFinding, StudyFindings
from ceteris.report.recipes import recipes, structures
from ceteris.report.table import Cell, Table, columns
from ceteris.stats import mcnemar


def tables(findings: StudyFindings, results: TestResultsInfo) -> tuple[Table, ...]:
    """Return all tables in the order of the report."""
    return (
        data_description(findings),
        class_counts(findings),
        structures(findings),
        *layers(findings),
        what_helped(findings),
        *factors(findings),
        test_metrics(results),
        test_metrics_by_seed(results),
        model_comparisons(findings),
        class_metrics(findings, results),
        *confusions(findings, results),
        training_fit(results),
        recipes(findings),
        looks(findings),
        packages(findings),
        machine(findings),
        failures(findings),
        costs(findings),
        costs_of_exploration(findings),
        costs_of_study(findings),
    )


def data_description(findings: StudyFindings) -> Table:
    """Answer the questions that anybody asks about a data set."""
    data = findings.data
    channels, height, width = data.image_shape
    rows: list[tuple[Cell, ...]] = [
        ("name", data.title or data.name),
        ("source", data.source),
        ("problem", data.problem),
        ("label", data.label_meaning),
        ("training images", f"{data.train_count:,}"),
        ("test images", f"{data.test_count:,}"),
        ("shares", data.shares),
        ("image", f"{height} × {width} pixels, {channels} channel{'s' if channels > 1 else ''}"),
        ("smallest and largest value", f"{data.minimum} and {data.maximum}"),
        ("mean of each channel", ", ".join(f"{value:.4g}" for value in data.channel_mean)),
        ("standard deviation of each channel", ", ".join(f"{value:.4g}" for value in data.channel_deviation)),
        ("missing values", f"{data.missing:,}"),
        ("classes", f"{len(data.classes)}: {', '.join(data.classes)}"),
        ("images per class, training", _range(data.train_class_counts)),
        ("images per class, test", _range(data.test_class_counts)),
        ("preprocessing", "; ".join(data.preprocessing)),
        ("images used in the exploration", f"{findings.exploration_images or data.train_count:,}"),
    ]
    rows += [("note", data.note)] if data.note else []
    rows += [("warning", text) for text in data.warnings]
    return Table(name="data", title="The data", columns=columns("question", "answer"), rows=tuple(rows))


def _range(counts: np.typing.NDArray[np.int64]) -> str:
    low, high = int(counts.min(initial=counts.max(initial=0))), int(counts.max(initial=0))
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def class_counts(findings: StudyFindings) -> Table:
    """Count the images of every class."""
    data = findings.data
    rows = tuple(
        (name, int(train), int(test))
        for name, train, test in zip(data.classes, data.train_class_counts, data.test_class_counts, strict=True)
    )
    return Table(
        name="class_counts", title="Images per class", columns=columns("class", ("training", "count"), ("test", "count")),
        rows=rows,
    )  # fmt: skip


def layers(findings: StudyFindings) -> Iterator[Table]:
    """Yield the layer-by-layer summary of every model, baseline and best."""
    titles = columns("layer", "kind", "output shape", ("parameters", "count"), ("FLOPs per image", "count"))
    for model in findings.models:
        for version, summary in (("baseline", model.baseline_summary), ("best", model.best_summary)):
            rows: list[tuple[Cell, ...]] = [
                (layer.name, layer.kind, " × ".join(map(str, layer.output_shape)), layer.parameters, layer.flops)
                for layer in summary.layers
            ]
            rows.append(("total", "", "", summary.parameters, summary.flops))
            yield Table(
                name=f"layers_{model.name}_{version}", title=f"{model.title or model.name}, {version}: layer by layer",
                columns=titles, rows=tuple(rows),
            )  # fmt: skip


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
    verdict = compared.verdict if compared else "kept as it was"
    labels = (before.label if before else None, kept.label if kept else None)
    return (model.title or model.name, factor.title or factor.name, *labels, *shown, verdict, factor.decision)


def factors(findings: StudyFindings) -> Iterator[Table]:
    """Yield one table per model with every level of every factor and its result on every block."""
    for model in findings.models:
        blocks = max((len(level.accuracies) for factor in model.factors for level in factor.levels), default=0)
        word = "fold" if blocks == findings.folds else "block"
        titles = columns(
            "factor", "level", ("mean accuracy", "share"), ("difference", "points"), ("low", "points"),
            ("high", "points"), ("p", "p"), ("adjusted p", "p"), "verdict", ("P(better)", "number"),
            ("P(equivalent)", "number"), ("effect size", "number"), ("mean F1", "share"),
            ("training accuracy", "share"), ("incumbent", "flag"), ("kept", "flag"), ("failed", "count"),
            ("parameters", "count"), *((f"{word} {number + 1}", "share") for number in range(blocks)),
        )  # fmt: skip
        rows = [_level(factor, level, blocks) for factor in model.factors for level in factor.levels]
        title = f"{model.title or model.name}: every level of every factor"
        yield Table(name=f"factors_{model.name}", title=title, columns=titles, rows=tuple(rows))


def _level(factor: FactorFinding, level: LevelFinding, blocks: int) -> tuple[Cell, ...]:
    folds = [float(value) for value in level.accuracies]
    return (
        factor.title or factor.name, level.label, mean_of_finished(level.accuracies), *_compared(level),
        mean_of_finished(level.f1), mean_of_finished(level.train_accuracies), level.incumbent, level.chosen,
        len(level.failures), level.parameters, *folds, *[None] * (blocks - len(folds)),
    )  # fmt: skip


def _compared(level: LevelFinding) -> tuple[Cell, ...]:
    found = level.comparison
    if found is None:
        return (*(None,) * 5, "incumbent" if level.incumbent else "not comparable", *(None,) * 3)
    return (
        found.difference, found.low, found.high, found.p_value, found.adjusted_p, found.verdict,
        found.probability_better, found.probability_equivalent, found.effect_size,
    )  # fmt: skip


def test_metrics(results: TestResultsInfo) -> Table:
    """Put the metrics of every version on the test set side by side, mean over the seeds."""
    titles = columns(
        "model", "version", ("seeds", "count"), ("accuracy", "share"), ("low", "share"), ("high", "share"),
        ("precision", "share"), ("recall", "share"), ("F1", "share"), ("AUC", "number"), ("cross-entropy", "number"),
        ("calibration error", "share"),
    )  # fmt: skip
    return Table(
        name="test_results", title=f"Results on the {results.images:,} test images, mean over seeds", columns=titles,
        rows=tuple(_metrics(summary) for summary in results.summaries),
    )  # fmt: skip


test_metrics.__test__ = False  # type: ignore[attr-defined]  # not a pytest function


def _metrics(summary: TestSummary) -> tuple[Cell, ...]:
    interval = summary.accuracy_interval
    scores = [summary.mean(metric) for metric in ("precision", "recall", "f1", "auc", "loss")]
    calibration_error = float(np.mean([result.calibration.error for result in summary.results]))
    version = VERSION_TITLES[summary.version]
    return (
        summary.title, version, len(summary.results), summary.mean("accuracy"), interval.low, interval.high, *scores,
        calibration_error,
    )  # fmt: skip


def test_metrics_by_seed(results: TestResultsInfo) -> Table:
    """Give the metrics of every final training."""
    titles = columns(
        "model", "version", ("seed", "count"), ("accuracy", "share"), ("precision", "share"), ("recall", "share"),
        ("F1", "share"), ("AUC", "number"), ("cross-entropy", "number"),
    )  # fmt: skip
    rows = tuple(
        (
            summary.title, VERSION_TITLES[summary.version], result.seed, result.accuracy, result.precision,
            result.recall, result.f1, result.auc, result.loss,
        )
        for summary in results.summaries
        for result in summary.results
    )  # fmt: skip
    return Table(name="test_results_by_seed", title="Results on the test set, seed by seed", columns=titles, rows=rows)


test_metrics_by_seed.__test__ = False  # type: ignore[attr-defined]  # not a pytest function


def model_comparisons(findings: StudyFindings) -> Table:
    """Compare the models with each other, and each with its baseline, image by image (McNemar), seed by seed."""
    names = list(model_titles(findings))
    pairs = [((name, "baseline"), (name, "best")) for name in names]
    pairs += [((name, "plain"), (name, "best")) for name in names]
    pairs += [((first, "best"), (second, "best")) for at, first in enumerate(names) for second in names[at + 1 :]]
    rows = [row for first, second in pairs for row in _compared_on_test(findings, first, second)]
    titles = columns(
        "first", "second", ("seed", "count"), ("second minus first", "points"), ("only first right", "count"),
        ("only second right", "count"), ("McNemar p", "p"),
    )  # fmt: skip
    return Table(
        name="model_comparisons", title="Versions and models compared on the same test images", columns=titles,
        rows=tuple(rows),
    )  # fmt: skip


def _compared_on_test(
    findings: StudyFindings, first: tuple[str, str], second: tuple[str, str]
) -> Iterator[tuple[Cell, ...]]:
    titles = model_titles(findings)
    mine = {final.seed: final for final in finished(findings, *first)}  # type: ignore[arg-type]  # versions by name
    theirs = {final.seed: final for final in finished(findings, *second)}  # type: ignore[arg-type]
    names = [f"{titles[model]}, {VERSION_TITLES[version]}" for model, version in (first, second)]  # type: ignore[index]
    for seed in sorted(mine.keys() & theirs.keys()):
        right = [final.probabilities.argmax(axis=1) == findings.test_labels for final in (mine[seed], theirs[seed])]
        test = mcnemar(*right)
        yield (*names, seed, test.difference, test.only_first, test.only_second, test.p_value)


def class_metrics(findings: StudyFindings, results: TestResultsInfo) -> Table:
    """Give precision, recall and F1 of every class for the best versions, mean over the seeds."""
    titles = columns(
        "model", "class", ("test images", "count"), ("precision", "share"), ("recall", "share"), ("F1", "share"),
        ("AUC", "number"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for summary in results.summaries:
        if summary.version == "best":
            scores = [result.scores for result in summary.results]
            means = [np.mean([getattr(score, name) for score in scores], axis=0) for name in ("precision", "recall", "f1")]
            areas = np.mean([[curve.auc for curve in result.roc.per_class] for result in summary.results], axis=0)
            rows += [
                (summary.title, name, int(scores[0].support[place]), *(float(mean[place]) for mean in means), float(areas[place]))
                for place, name in enumerate(findings.data.classes)
            ]
    return Table(name="class_results", title="Results class by class", columns=titles, rows=tuple(rows))


def confusions(findings: StudyFindings, results: TestResultsInfo) -> Iterator[Table]:
    """Yield the confusion matrix of every model's best version and first seed."""
    classes = findings.data.classes
    for summary in results.summaries:
        if summary.version == "best":
            counts = summary.results[0].confusion
            rows = tuple((name, *(int(value) for value in row)) for name, row in zip(classes, counts, strict=True))
            titles = columns("true \\ predicted", *((name, "count") for name in classes))
            title = f"{summary.title}: confusion matrix"
            yield Table(name=f"confusion_{summary.model}", title=title, columns=titles, rows=rows)


def training_fit(results: TestResultsInfo) -> Table:
    """Put training, validation and test accuracy side by side, with the gap between the first two."""
    titles = columns(
        "model", "version", ("training accuracy", "share"), ("validation accuracy", "share"),
        ("test accuracy", "share"), ("gap", "points"),
    )  # fmt: skip
    rows = tuple(
        (
            summary.title, VERSION_TITLES[summary.version], summary.train_accuracy, summary.validation_accuracy,
            summary.mean("accuracy"), summary.train_accuracy - summary.validation_accuracy,
        )
        for summary in results.summaries
    )  # fmt: skip
    return Table(name="fit", title="Training, validation and test accuracy", columns=titles, rows=rows)


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
        (model.title or model.name, factor.title or factor.name, level.label, failure)
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
        name="failures", title="Trainings that diverged or failed", columns=columns("model", "factor", "level", "what happened"),
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
