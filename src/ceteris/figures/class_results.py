"""The best versions on the test set, class by class and by confidence: confusion matrix, F1, ROC curves, reliability."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ceteris.analysis.metrics import RocCurve, RocCurves, most_confused
from ceteris.analysis.results import Results, VersionResults
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.style import (
    DARK,
    FAINT,
    INK,
    MUTED,
    PAPER,
    WHITE,
    abbreviated,
    axes_at,
    grid,
    model_colour,
    open_page,
    panel_per_model,
)
from ceteris.formats import shortened
from ceteris.records import ByteArray, FloatArray, IntArray

_RIGHT = LinearSegmentedColormap.from_list("right", ["#dcebf2", "#0b6e99", "#084c6b"])
_WRONG = LinearSegmentedColormap.from_list("wrong", ["#fdeee6", "#eda27c", "#d1622b"])
MOST_CONFUSED = 10
ROWS_PER_COLUMN = 34
CORNERS = 200  # points of a ROC curve that are drawn


def confusion_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield the confusion matrix of every model's best version, first seed, as the page shows its very images."""
    classes = results.data.classes
    for summary in results.best:
        yield ReportFigure(
            name=f"confusion-{summary.model}", section="results", model=summary.model,
            draw=partial(draw_confusion, summary.results[0].confusion, title=summary.title, classes=classes,
                         gid=f"confusion-{summary.model}"),
            caption=f"{summary.title}, best version, first seed: how often each true class (row) was given each class "
            "(column). Right answers in blue, mistakes in orange on a scale of their own.",
            description=f"A confusion matrix of {len(classes)} classes; its numbers are in the CSV file.",
        )  # fmt: skip


def class_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield ROC curves, F1 per class and the reliability of the best versions; nothing where no final finished."""
    best, classes = results.best, results.data.classes
    if not results.versions:
        return
    yield ReportFigure(
        name="roc", section="results", draw=partial(draw_roc, best, classes=classes),
        caption="ROC curves of the best versions at the first seed, each class against the rest (thin), macro and micro "
        "average; areas are means over the seeds; the inset enlarges the upper left corner.",
        description="ROC curves, one panel per model; the areas under them are in the table of test results.",
    )  # fmt: skip
    yield ReportFigure(
        name="class-scores", section="results", draw=partial(draw_class_scores, best, classes=classes),
        caption="F1 of every class for the best versions, mean over seeds; the hardest class comes first.",
        description="A dot plot of F1 per class and model; the numbers are in the table of class scores.",
    )  # fmt: skip
    yield ReportFigure(
        name="calibration", section="results", draw=partial(draw_calibration, best),
        caption="Reliability of the best versions, over all seeds: accuracy among the images of similar confidence; a mark's "
        "area grows with the number of images; on the dashed line confidence and accuracy agree (Guo et al. 2017). A perfectly "
        "calibrated model shows an error up to the second number by chance.",
        description="Reliability diagrams, one panel per model, with the expected calibration error.",
    )  # fmt: skip


def draw_confusion(
    counts: IntArray, figure: Figure, *, title: str, classes: tuple[str, ...], gid: str | None = None
) -> None:
    """Draw the matrix; right answers in blue, mistakes in orange, each on its own scale so that mistakes stay visible.

    ``gid`` names the axes, so that a page can tell which cell a pointer is at.
    """
    count = len(classes)
    side = min(max(2.4, 0.36 * count), 5.0)
    size = min(8.0, 72 * side / count * 0.85)
    names = [abbreviated(name, 16) for name in classes]
    wide = max(map(len, names)) * size * 0.6 / 72  # inches of the longest name
    turned = wide > side / count
    left, top = 0.4 + wide, 0.65 + (wide if turned else 0.15)
    page = f"{shortened(title, 30)}: confusion matrix on the test set"
    open_page(figure, height=top + side + 0.3, title=page, width=max(left + side + 1.75, 5.2))
    axes = axes_at(figure, left, top, side, side)
    axes.set_gid(gid)
    axes.imshow(coloured_counts(counts), interpolation="nearest", extent=(-0.5, count - 0.5, count - 0.5, -0.5))
    axes.set_xticks(range(count), names, fontsize=size, rotation=90 if turned else 0)
    axes.set_yticks(range(count), names, fontsize=size)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=2)
    axes.spines[:].set_visible(count > 20)
    axes.spines[:].set_linewidth(0.4)
    axes.text(
        0.5,
        1 + (top - 0.45) / side,
        "predicted class",
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=8.5,
    )
    axes.text(
        -(left - 0.2) / side,
        0.5,
        "true class",
        transform=axes.transAxes,
        ha="center",
        va="center",
        rotation=90,
        fontsize=8.5,
    )
    if count <= 20:
        highest = counts.diagonal().max(initial=1)
        for row, column in zip(*np.nonzero(counts), strict=True):
            value = counts[row, column]
            ink = WHITE if row == column and value > 0.35 * highest else DARK
            size = min(8.0, 90 / count)
            axes.text(column, row, str(value), ha="center", va="center", fontsize=size, color=ink)
    _list_mistakes(axes_at(figure, left + side + 0.25, top, 1.4, 2.4), counts, classes)


def coloured_counts(counts: IntArray | FloatArray) -> ByteArray:
    """Colour the cells of a confusion matrix, (classes, classes, 4); an empty cell stays transparent."""
    diagonal = np.eye(len(counts), dtype=bool)
    right = counts / max(1, counts[diagonal].max(initial=0))
    wrong = counts / max(5, counts[~diagonal].max(initial=0))
    cells = np.where(diagonal[..., None], _RIGHT(right), _WRONG(np.clip(wrong, 0, 1)))
    cells[counts == 0] = (0, 0, 0, 0)
    return np.asarray(np.rint(255 * cells), dtype=np.uint8)


def _list_mistakes(axes: Axes, counts: IntArray, classes: tuple[str, ...]) -> None:
    axes.axis("off")
    told = f"{int(counts.trace()):,} of {int(counts.sum()):,} right"
    axes.text(0, 1, told, fontsize=8, va="top", transform=axes.transAxes, color=INK)
    lines = [
        f"{abbreviated(classes[true], 9)} → {abbreviated(classes[taken], 9)}: {images}"
        for true, taken, images in most_confused(counts, MOST_CONFUSED)
    ]
    text = "\n".join(["most confused", "(true → predicted)", *lines]) if lines else ""
    axes.text(0, 0.88, text, fontsize=7.5, va="top", transform=axes.transAxes, color=MUTED, linespacing=1.4)


def hardest_first(best: Sequence[VersionResults], classes: int) -> tuple[FloatArray, IntArray]:
    """Return F1 (models, classes), mean over the seeds, and the order of the classes that puts the hardest first."""
    rows = [np.mean([result.per_class.f1 for result in summary.results], axis=0) for summary in best]
    f1 = np.array(rows, dtype=np.float64).reshape(len(best), classes)
    return f1, np.argsort(f1.mean(axis=0), kind="stable") if len(best) else np.arange(classes)


def draw_class_scores(best: Sequence[VersionResults], figure: Figure, *, classes: tuple[str, ...]) -> None:
    """Draw one row per class, hardest first, in as many columns as the classes need."""
    f1, order = hardest_first(best, len(classes))
    columns = -(-len(order) // ROWS_PER_COLUMN)
    rows = -(-len(order) // columns)
    step = 0.2 if len(order) <= 20 else 0.16
    top = 0.48 + 0.17 * -(-len(best) // 4)  # room for the names of the models
    open_page(figure, height=top + 0.65 + step * rows, title="F1 of every class on the test set, hardest first")
    low, width = 100 * float(f1.min(initial=1.0)), 6.9 / columns
    for column in range(columns):
        part = order[column * rows : (column + 1) * rows]
        axes = axes_at(figure, 1.0 + column * width, top, width - 1.0, step * rows)
        lines = np.arange(len(part))
        axes.hlines(lines, low, 100, color=FAINT, linewidth=0.6)
        for scores, summary in zip(f1, best, strict=True):
            axes.scatter(
                100 * scores[part], lines, s=18, color=model_colour(summary.position), alpha=0.85, linewidths=0,
                label=shortened(summary.title, 22 if len(best) < 4 else 16), zorder=2,
            )  # fmt: skip
        names = [abbreviated(classes[place], 14) for place in part]
        axes.set_yticks(lines, names, fontsize=7.5 if step > 0.18 else 6.5)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_xlim(low - 0.06 * (100.5 - low), 100.5)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("F1, %", color=MUTED, labelpad=1)
    if best:
        figure.axes[0].legend(
            loc="lower left", bbox_to_anchor=(-0.1, 1.0), ncols=4, handletextpad=0.1, columnspacing=1.0
        )


def draw_roc(best: Sequence[VersionResults], figure: Figure, *, classes: tuple[str, ...]) -> None:
    """Draw one panel per model, the corner that matters: thin lines are classes, thick ones the averages."""
    title = "ROC curves on the test set, one class against the rest"
    panels = panel_per_model(figure, len(best), title=title, pitch=2.75, size=(1.95, 1.95))
    for axes, summary in zip(panels, best, strict=True):
        curves, colour = summary.results[0].roc, model_colour(summary.position)
        for curve in curves.per_class:
            axes.plot(*thinned(curve), color=colour, linewidth=0.6, alpha=0.35)
        axes.plot(*thinned(curves.macro), color=colour, linewidth=2.0, label=f"macro, AUC {summary.mean('auc'):.4f}")
        axes.plot(
            *thinned(curves.micro), color=DARK, linewidth=1.1, linestyle=(0, (3, 1.5)),
            label="micro",
        )  # fmt: skip
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=(0, (1, 2)))
        axes.set_xlim(-0.02, 1.0)
        axes.set_ylim(0, 1.02)
        axes.set_title(shortened(summary.title, 26))
        axes.set_xlabel("false positive rate", labelpad=1)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        grid(axes)
        _enlarge_corner(axes, curves, colour)
        each = [[curve.auc for curve in result.roc.per_class] for result in summary.results]
        areas = np.nan_to_num(np.mean(each, axis=0), nan=np.inf)
        lowest = int(areas.argmin())
        told = (
            f"lowest class: {abbreviated(classes[lowest], 12)}, {areas[lowest]:.4f}" if areas[lowest] < np.inf else ""
        )
        axes.legend(loc="lower right", fontsize=7.5, handlelength=1.5, title=told, title_fontsize=7)
    for axes in panels[::3]:
        axes.set_ylabel("true positive rate", labelpad=1)


def _enlarge_corner(axes: Axes, curves: RocCurves, colour: str) -> None:
    """Enlarge the upper left corner, where the curves of good models lie."""
    corner = axes.inset_axes((0.36, 0.46, 0.58, 0.44))
    for curve in curves.per_class:
        corner.plot(*thinned(curve), color=colour, linewidth=0.6, alpha=0.45)
    corner.plot(*thinned(curves.macro), color=colour, linewidth=1.6)
    corner.set_xlim(-0.002, 0.1)
    corner.set_ylim(0.8, 1.005)
    corner.set_xticks([0, 0.05, 0.1], ["0", "0.05", "0.1"])
    corner.set_yticks([0.8, 0.9, 1.0], ["0.8", "0.9", "1"])
    corner.tick_params(labelsize=6, length=2, pad=1)
    corner.set_facecolor(PAPER)


def thinned(curve: RocCurve) -> tuple[FloatArray, FloatArray]:
    """Return at most ``CORNERS`` points, denser where the curve rises, so that a large test set keeps the file small."""
    x, y = curve.false_positive_rate, curve.true_positive_rate
    if len(x) <= CORNERS:
        return x, y
    length = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
    keep = np.unique(np.searchsorted(length, np.linspace(0, length[-1], CORNERS)).clip(0, len(x) - 1))
    return x[keep], y[keep]


def draw_calibration(best: Sequence[VersionResults], figure: Figure) -> None:
    """Draw one panel per model: accuracy in each bin of confidence, the area of a mark showing how many images it holds."""
    title = "Reliability: how sure, and how often right"
    panels = panel_per_model(figure, len(best), title=title, pitch=2.55, size=(1.85, 1.75))
    for axes, summary in zip(panels, best, strict=True):
        bins, colour = [result.calibration for result in summary.results], model_colour(summary.position)
        counts = np.sum([one.counts for one in bins], axis=0)
        filled = counts > 0
        confidence, accuracy = (
            np.sum([np.nan_to_num(getattr(one, name)) * one.counts for one in bins], axis=0)[filled] / counts[filled]
            for name in ("confidence", "accuracy")
        )
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
        x, y = 100 * confidence, 100 * accuracy
        area = 6 + 114 * np.sqrt(counts[filled] / max(1, counts.max()))
        many = counts[filled] >= 5 * len(bins)  # the accuracy of a few images says little
        axes.plot(x[many], y[many], color=colour, linewidth=1.0, alpha=0.35)
        axes.scatter(x, y, s=area, color=colour, alpha=0.75, linewidths=0)
        axes.set_xlim(-3, 107)
        axes.set_ylim(-3, 107)
        axes.set_title(shortened(summary.title, 26))
        axes.set_xlabel("confidence, %", labelpad=1)
        error, by_chance = summary.calibration_error, summary.calibration_by_chance
        told = f"calibration error {100 * error:.1f}\nby chance up to {100 * by_chance:.1f}"
        axes.text(0.97, 0.05, told, transform=axes.transAxes, fontsize=7.5, va="bottom", ha="right")
        grid(axes, "both")
    for axes in panels[::3]:
        axes.set_ylabel("accuracy, %", labelpad=1)
