"""The final results on the test set: every metric, the gap to training and validation, and what the accuracy costs."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ceteris.analysis.results import METRICS, VERSION_TITLES, Results, VersionResults
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.style import INK, MUTED, PAPER, axes_at, compact, grid, logarithmic, model_colour, open_page
from ceteris.findings import Version
from ceteris.formats import shortened

RESULT_ROW = 0.26  # inches
COSTS = (  # of Cost, in what unit it is shown, and the axis
    ("train_seconds", 1.0, "training time, s"), ("peak_memory_bytes", 1e6, "peak memory, MB"),
    ("parameters", 1.0, "parameters"), ("forward_flops_per_image", 1e6, "forward MFLOPs per image"),
)  # fmt: skip


def gap_figure(results: Results) -> Iterator[ReportFigure]:
    """Yield training, validation and test accuracy side by side; nothing where no final finished."""
    if results.versions:
        yield ReportFigure(
        name="generalisation-gap", section="training", draw=partial(draw_generalisation_gap, results),
        caption="Accuracy at the kept epoch: training (open), validation (filled) and test (diamond), mean over seeds. "
        "The gap is training minus validation, in points; augmentation and dropout make the training side harder.",
        description="A dumbbell chart of training, validation and test accuracy of every version of every model.",
    )  # fmt: skip


def results_figure(results: Results) -> Iterator[ReportFigure]:
    """Yield every metric of every version on the test set; nothing where no final finished."""
    if results.versions:
        yield ReportFigure(
        name="test-results", section="results", draw=partial(draw_results, results),
        caption="Accuracy, macro-averaged precision, recall and F1, and AUC on the test set: mean over seeds (large), every "
        "seed (small), 95 % intervals of accuracy, F1 and AUC over images and seeds.",
        description="Dot plots of five metrics for every version of every model; the numbers are in the table of test results.",
    )  # fmt: skip


def cost_figure(results: Results) -> Iterator[ReportFigure]:
    """Yield accuracy against time, memory, parameters and FLOPs; nothing where no costs were recorded."""
    if known := [version for version in results.versions if version.costs]:
        yield ReportFigure(
            name="costs", section="results", draw=partial(draw_costs, known),
            caption="Test accuracy against training time, peak memory, parameters and FLOPs of the final trainings.",
            description="Four scatter charts of accuracy against cost; the numbers are in the table of costs.",
        )  # fmt: skip


def draw_results(results: Results, figure: Figure) -> None:
    """Draw one row per version: the mean of each metric, the accuracy with its interval, every seed as a small dot."""
    rows = len(results.versions)
    open_page(figure, height=1.2 + RESULT_ROW * rows, title=f"Results on the {results.test_count:,} test images")
    panels = [axes_at(figure, 1.75 + 1.08 * panel, 0.7, 0.92, RESULT_ROW * rows) for panel in range(len(METRICS))]
    for axes, (metric, title) in zip(panels, METRICS, strict=True):
        _prepare(axes, rows, title)
        for row, summary in enumerate(results.versions):
            colour = model_colour(summary.position)
            if interval := getattr(summary, f"{metric}_interval", None):
                axes.plot([100 * interval.low, 100 * interval.high], [row, row], color=colour, linewidth=1.3)
            values = [100 * getattr(result, metric) for result in summary.results]
            axes.scatter(values, [row] * len(values), s=8, color=MUTED, alpha=0.6, linewidths=0, zorder=2)
            fill = colour if summary.version == "best" else PAPER
            mean = 100 * summary.mean(metric)
            axes.scatter([mean], [row], s=26, facecolor=fill, edgecolor=colour, linewidth=1.1, zorder=3)
    for row, summary in enumerate(results.versions):
        weight = "bold" if summary.version == "best" else "normal"
        _name_row(panels[0], row, shortened(_name(summary, 14), 30), x=-0.1, fontsize=7.5, fontweight=weight)
    shared = [axes for axes, (metric, _) in zip(panels, METRICS, strict=True) if metric != "auc"]
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


def _name(summary: VersionResults, letters: int) -> str:
    return f"{shortened(summary.title, letters)}, {summary.version_title}"


def _name_row(axes: Axes, row: int, text: str, *, x: float, **font: Any) -> None:
    axes.text(x, row, text, transform=axes.get_yaxis_transform(), ha="right", va="center", **font)


def draw_generalisation_gap(results: Results, figure: Figure) -> None:
    """Draw training, validation and test accuracy of every version in one row each: the line between them is the gap."""
    rows = len(results.versions)
    open_page(figure, height=1.4 + RESULT_ROW * rows, title="Accuracy in training, validation and test")
    axes = axes_at(figure, 1.95, 0.65, 4.3, RESULT_ROW * rows)
    _prepare(axes, rows, "")
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel("accuracy, %")
    for row, summary in enumerate(results.versions):
        _name_row(axes, row, shortened(_name(summary, 16), 34), x=-0.03, fontsize=8)
        colour = model_colour(summary.position)
        train, validation = 100 * summary.train_accuracy, 100 * summary.validation_accuracy
        told = "" if np.isnan(summary.gap) else f"gap {100 * summary.gap:+.1f}".replace("-", "−")
        axes.text(1.03, row, told, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=INK)
        axes.plot([train, validation], [row, row], color=colour, linewidth=1.6, zorder=1)
        for value, marker, fill, edge, size, name in (
            (train, "o", PAPER, colour, 26, "training"),
            (validation, "o", colour, colour, 26, "validation"),
            (100 * summary.mean("accuracy"), "D", MUTED, MUTED, 16, "test"),
        ):
            label = name if row == 0 else None
            axes.scatter([value], [row], s=size, marker=marker, facecolor=fill, edgecolor=edge, zorder=3, label=label)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, handletextpad=0.2, columnspacing=1.2)


def draw_costs(versions: Sequence[VersionResults], figure: Figure) -> None:
    """Draw test accuracy against each cost; filled marks are the best versions, a line joins a model's versions."""
    open_page(figure, height=2.75, title="Test accuracy against what it costs")
    for panel, (name, unit, title) in enumerate(COSTS):
        axes = axes_at(figure, 0.6 + 1.68 * panel, 0.72, 1.45, 1.35)
        _draw_cost(axes, versions, [version.mean_cost(name) / unit for version in versions])
        axes.set_xlabel(title, fontsize=8, labelpad=2)
        grid(axes, "both")
        axes.margins(0.16)
        if panel == 0:
            axes.set_ylabel("test accuracy, %", labelpad=2)
        else:
            axes.tick_params(labelleft=False)
    axes, handles = figure.axes[0], []
    for best in (version for version in versions if version.version == "best"):
        label = shortened(best.title, 14)
        handles.append(axes.scatter([], [], s=28, color=model_colour(best.position), label=label))
    for version in dict.fromkeys(version.version for version in versions if version.version != "best"):
        label, marker = VERSION_TITLES[version], _marker(version)
        handles.append(axes.scatter([], [], s=28, marker=marker, facecolor="none", edgecolor=MUTED, label=label))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.07, 0.92), ncols=8, handletextpad=0.2, columnspacing=1.1
    )


def _draw_cost(axes: Axes, versions: Sequence[VersionResults], costs: Sequence[float]) -> None:
    for position in sorted({version.position for version in versions}):
        own = [(version, cost) for version, cost in zip(versions, costs, strict=True) if version.position == position]
        colour, heights = model_colour(position), [100 * version.mean("accuracy") for version, _ in own]
        axes.plot([cost for _, cost in own], heights, color=colour, linewidth=0.7, alpha=0.5)
        for (version, cost), up in zip(own, heights, strict=True):
            fill, marker = colour if version.version == "best" else PAPER, _marker(version.version)
            axes.scatter([cost], [up], s=28, marker=marker, facecolor=fill, edgecolor=colour, linewidth=1.1, zorder=3)
    if min(costs) > 0 and max(costs) / min(costs) > 20:
        logarithmic(axes, "x")
    else:
        axes.locator_params(axis="x", nbins=3)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))


def _marker(version: Version) -> str:
    return "s" if version == "plain" else "o"
