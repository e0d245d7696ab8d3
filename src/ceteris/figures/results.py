"""The final results on the test set, side by side, and how far they lie from training and validation."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.evaluation import (
    Calibration,
    ClassScores,
    RocCurves,
    accuracy,
    calibration,
    confusion_matrix,
    log_loss,
    precision_recall_f1,
    roc_one_vs_rest,
)  # fmt: skip
from ceteris.figures.finals import VERSION_TITLES, finished, identity, model_titles, versions_present
from ceteris.figures.style import INK, MUTED, PAPER, axes_at, model_colour, open_page, shortened, styled
from ceteris.findings import FinalFinding, StudyFindings, Version
from ceteris.records import IntArray
from ceteris.stats import Interval, wilson_interval

METRICS = (
    ("accuracy", "accuracy, %"), ("precision", "macro precision, %"), ("recall", "macro recall, %"),
    ("f1", "macro F1, %"), ("auc", "macro AUC, %"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """What one final training answered on the test set; all scores in 0..1."""

    model: str
    version: Version
    seed: int
    images: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    auc: float
    loss: float
    confusion: IntArray
    scores: ClassScores
    roc: RocCurves
    calibration: Calibration


@dataclass(frozen=True, kw_only=True)
class VersionResults:
    """The mean over the seeds of one version of a model, with the 95 % Wilson interval of its accuracy.

    The interval says how far the accuracy on other images of the same kind may lie; it does not hold the spread over
    seeds, which ``results`` show one by one.
    """

    model: str
    title: str
    position: int
    version: Version
    results: tuple[SeedResult, ...]
    accuracy_interval: Interval
    train_accuracy: float
    validation_accuracy: float

    def mean(self, metric: str) -> float:
        """Return the mean of a score over the seeds."""
        return float(np.mean([getattr(result, metric) for result in self.results]))


@dataclass(frozen=True, kw_only=True)
class ResultsInfo:
    """The summaries of all versions of all models, in the study's order."""

    summaries: tuple[VersionResults, ...]
    images: int
    identity: str

    def of(self, model: str, version: Version = "best") -> VersionResults | None:
        """Return the summary of one version of a model, None when it has no finished final."""
        matches = (summary for summary in self.summaries if (summary.model, summary.version) == (model, version))
        return next(matches, None)


def results_info(findings: StudyFindings) -> ResultsInfo:
    """Evaluate every finished final on the test labels."""
    titles = model_titles(findings)
    summaries = tuple(
        _summary(findings, name, titles[name], position, version)
        for position, name in enumerate(titles)
        for version in versions_present(findings, name)
    )
    return ResultsInfo(summaries=summaries, images=len(findings.test_labels), identity=identity(findings))


def _summary(findings: StudyFindings, name: str, title: str, position: int, version: Version) -> VersionResults:
    finals = finished(findings, name, version)
    results = tuple(_result(final, findings.test_labels) for final in finals)
    images = len(findings.test_labels)
    correct = round(sum(result.accuracy for result in results) / len(results) * images)
    return VersionResults(
        model=name,
        title=title,
        position=position,
        version=version,
        results=results,
        accuracy_interval=wilson_interval(correct, images),
        train_accuracy=float(np.mean([_train_accuracy(final) for final in finals])),
        validation_accuracy=float(np.mean([final.validation_accuracy for final in finals])),
    )


def _train_accuracy(final: FinalFinding) -> float:
    """Return the training accuracy of the restored epoch, nan where no history was kept."""
    if final.epochs is None or not len(final.epochs.train_accuracy):
        return float("nan")
    return float(final.epochs.train_accuracy[min(max(final.best_epoch, 1), len(final.epochs.train_accuracy)) - 1])


def _result(final: FinalFinding, labels: IntArray) -> SeedResult:
    predicted = final.probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, final.probabilities.shape[1])
    scores = precision_recall_f1(confusion)
    roc = roc_one_vs_rest(final.probabilities, labels)
    return SeedResult(
        model=final.model,
        version=final.version,
        seed=final.seed,
        images=len(labels),
        accuracy=accuracy(labels, predicted),
        precision=scores.macro.precision,
        recall=scores.macro.recall,
        f1=scores.macro.f1,
        auc=roc.macro.auc,
        loss=log_loss(final.probabilities, labels),
        confusion=confusion,
        scores=scores,
        roc=roc,
        calibration=calibration(final.probabilities, labels),
    )


@styled
def draw_results(info: ResultsInfo, figure: Figure) -> None:
    """Draw one row per version: the mean of each metric, the accuracy with its interval, every seed as a small dot."""
    rows = max(len(info.summaries), 1)
    open_page(
        figure, height=1.2 + 0.26 * rows, title=f"Results on the {info.images:,} test images", identity=info.identity
    )
    shared: list[Axes] = []
    for panel, (metric, title) in enumerate(METRICS):
        axes = axes_at(figure, 1.75 + 1.08 * panel, 0.7, 0.92, 0.26 * rows)
        _prepare(axes, rows, title)
        for row, summary in enumerate(info.summaries):
            _draw_summary(axes, summary, metric, row)
        if metric in ("accuracy", "precision", "recall", "f1"):
            shared.append(axes)
        if panel == 0:
            for row, summary in enumerate(info.summaries):
                _name_row(axes, summary, row)
    lows, highs = zip(*(axes.get_xlim() for axes in shared), strict=True)
    for axes in shared:
        axes.set_xlim(min(lows), max(highs))


def _prepare(axes: Axes, rows: int, title: str) -> None:
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", length=0, labelsize=7)
    axes.locator_params(axis="x", nbins=3)
    axes.grid(visible=True, axis="x")
    axes.set_title(title, fontsize=8, fontweight="normal", loc="center")
    axes.margins(x=0.12)


def _name_row(axes: Axes, summary: VersionResults, row: int) -> None:
    page = axes.get_yaxis_transform()
    label = f"{shortened(summary.title, 14)}, {VERSION_TITLES[summary.version]}"
    weight = "bold" if summary.version == "best" else "normal"
    axes.text(-0.1, row, shortened(label, 30), transform=page, ha="right", va="center", fontsize=7.5, fontweight=weight)


def _draw_summary(axes: Axes, summary: VersionResults, metric: str, row: int) -> None:
    colour = model_colour(summary.position)
    mean = 100 * summary.mean(metric)
    if metric == "accuracy":
        interval = summary.accuracy_interval
        axes.plot([100 * interval.low, 100 * interval.high], [row, row], color=colour, linewidth=1.3)
    values = [100 * getattr(result, metric) for result in summary.results]
    axes.scatter(values, [row] * len(values), s=8, color=MUTED, alpha=0.6, linewidths=0, zorder=2)
    fill = colour if summary.version == "best" else PAPER
    axes.scatter([mean], [row], s=26, facecolor=fill, edgecolor=colour, linewidth=1.1, zorder=3)


@styled
def draw_generalisation_gap(info: ResultsInfo, figure: Figure) -> None:
    """Draw training, validation and test accuracy of every version in one row each: the line between them is the gap."""
    rows = max(len(info.summaries), 1)
    open_page(
        figure, height=1.4 + 0.26 * rows, title="Accuracy in training, validation and test", identity=info.identity
    )
    axes = axes_at(figure, 1.95, 0.65, 4.3, 0.26 * rows)
    _prepare(axes, rows, "")
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel("accuracy, %")
    for row, summary in enumerate(info.summaries):
        _name_row_wide(axes, summary, row)
        _draw_gap(axes, summary, row, labelled=row == 0)
    if info.summaries:
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, handletextpad=0.2, columnspacing=1.2)


def _name_row_wide(axes: Axes, summary: VersionResults, row: int) -> None:
    page = axes.get_yaxis_transform()
    label = f"{shortened(summary.title, 16)}, {VERSION_TITLES[summary.version]}"
    axes.text(-0.03, row, shortened(label, 34), transform=page, ha="right", va="center", fontsize=8)
    gap = 100 * (summary.train_accuracy - summary.validation_accuracy)
    text = "" if gap != gap else f"gap {gap:+.1f}".replace("-", "−")
    axes.text(1.03, row, text, transform=page, va="center", fontsize=8, color=INK)


def _draw_gap(axes: Axes, summary: VersionResults, row: int, *, labelled: bool) -> None:
    colour = model_colour(summary.position)
    train, validation = 100 * summary.train_accuracy, 100 * summary.validation_accuracy
    test = 100 * summary.mean("accuracy")
    axes.plot([train, validation], [row, row], color=colour, linewidth=1.6, zorder=1)
    for value, marker, fill, name in (
        (train, "o", PAPER, "training"), (validation, "o", colour, "validation"), (test, "D", MUTED, "test"),
    ):  # fmt: skip
        edge = colour if marker == "o" else MUTED
        label = name if labelled else None
        axes.scatter(
            [value], [row], s=26 if marker == "o" else 16, marker=marker, facecolor=fill, edgecolor=edge, zorder=3,
            label=label,
        )  # fmt: skip
