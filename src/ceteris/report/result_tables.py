"""Tables about the final trainings: test metrics, comparisons of models, classes, confusion."""

from collections.abc import Iterator

import numpy as np

from ceteris.analysis.finals import VERSION_TITLES, finished, model_titles
from ceteris.analysis.results import ResultsInfo, VersionResults
from ceteris.findings import StudyFindings
from ceteris.report.table import Cell, Table, columns
from ceteris.stats import mcnemar


def metrics_on_test(results: ResultsInfo) -> Table:
    """Put the metrics of every version on the test set side by side, mean over the seeds."""
    titles = columns(
        "model", "version", ("seeds", "count"), ("accuracy", "share"), ("low", "share"), ("high", "share"),
        ("precision", "share"), ("recall", "share"), ("F1", "share"), ("AUC", "area"), ("cross-entropy", "number"),
        ("calibration error", "share"),
    )  # fmt: skip
    return Table(
        name="test_results", title=f"Results on the {results.images:,} test images, mean over seeds", columns=titles,
        rows=tuple(_metrics(summary) for summary in results.summaries),
    )  # fmt: skip


def _metrics(summary: VersionResults) -> tuple[Cell, ...]:
    interval = summary.accuracy_interval
    scores = [summary.mean(metric) for metric in ("precision", "recall", "f1", "auc", "loss")]
    calibration_error = float(np.mean([result.calibration.error for result in summary.results]))
    version = VERSION_TITLES[summary.version]
    return (
        summary.title, version, len(summary.results), summary.mean("accuracy"), interval.low, interval.high, *scores,
        calibration_error,
    )  # fmt: skip


def metrics_by_seed(results: ResultsInfo) -> Table:
    """Give the metrics of every final training."""
    titles = columns(
        "model", "version", ("seed", "count"), ("accuracy", "share"), ("precision", "share"), ("recall", "share"),
        ("F1", "share"), ("AUC", "area"), ("cross-entropy", "number"),
    )  # fmt: skip
    rows = tuple(
        (
            summary.title, VERSION_TITLES[summary.version], seed, result.accuracy, result.precision,
            result.recall, result.f1, result.auc, result.loss,
        )
        for summary in results.summaries
        for seed, result in zip(summary.seeds, summary.results, strict=True)
    )  # fmt: skip
    return Table(name="test_results_by_seed", title="Results on the test set, seed by seed", columns=titles, rows=rows)


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


def class_metrics(findings: StudyFindings, results: ResultsInfo) -> Table:
    """Give precision, recall and F1 of every class for the best versions, mean over the seeds."""
    titles = columns(
        "model", "class", ("test images", "count"), ("precision", "share"), ("recall", "share"), ("F1", "share"),
        ("AUC", "area"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for summary in results.summaries:
        if summary.version == "best":
            scores = [result.per_class for result in summary.results]
            means = [
                np.mean([getattr(score, name) for score in scores], axis=0) for name in ("precision", "recall", "f1")
            ]
            areas = np.mean([[curve.auc for curve in result.roc.per_class] for result in summary.results], axis=0)
            rows += [
                (
                    summary.title,
                    name,
                    int(scores[0].support[place]),
                    *(float(mean[place]) for mean in means),
                    float(areas[place]),
                )
                for place, name in enumerate(findings.data.classes)
            ]
    return Table(name="class_results", title="Results class by class", columns=titles, rows=tuple(rows))


def confusions(findings: StudyFindings, results: ResultsInfo) -> Iterator[Table]:
    """Yield the confusion matrix of every model's best version and first seed."""
    classes = findings.data.classes
    for summary in results.summaries:
        if summary.version == "best":
            counts = summary.results[0].confusion
            rows: list[tuple[Cell, ...]] = [
                (name, *(int(value) for value in row)) for name, row in zip(classes, counts, strict=True)
            ]
            titles = columns("true \\ predicted", *((name, "count") for name in classes))
            title = f"{summary.title}: confusion matrix"
            yield Table(name=f"confusion_{summary.model}", title=title, columns=titles, rows=tuple(rows))


def training_fit(results: ResultsInfo) -> Table:
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
