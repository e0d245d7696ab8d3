"""Drawings of the final results on the test set: every metric, and the gap to training and validation."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.finals import VERSION_TITLES, shortened
from ceteris.analysis.results import METRICS, ResultsInfo, VersionResults
from ceteris.figures.style import INK, MUTED, PAPER, axes_at, model_colour, open_page, styled


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
