"""What accuracy costs: training time, memory, parameters and FLOPs of the final trainings."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ceteris.analysis.finals import VERSION_TITLES, finished, shortened
from ceteris.analysis.results import ResultsInfo
from ceteris.figures.style import PAPER, axes_at, compact, grid, logarithmic, model_colour, open_page, styled
from ceteris.findings import StudyFindings, Version

PANELS = (
    ("train_seconds", "training time, s"), ("memory_megabytes", "peak memory, MB"), ("parameters", "parameters"),
    ("megaflops", "forward MFLOPs per image"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ModelCost:
    """Means over the seeds of one version of a model; FLOPs count a multiply-add as two."""

    model: str
    title: str
    position: int
    version: Version
    accuracy: float
    train_seconds: float
    memory_megabytes: float
    parameters: int
    megaflops: float


@dataclass(frozen=True, kw_only=True)
class CostsInfo:
    """The costs of all versions of all models."""

    costs: tuple[ModelCost, ...]
    identity: str


def costs_info(findings: StudyFindings, results: ResultsInfo) -> CostsInfo:
    """Collect the costs of every version that finished and has its costs recorded."""
    costs = []
    for summary in results.summaries:
        known = [final.cost for final in finished(findings, summary.model, summary.version) if final.cost]
        if known:
            costs.append(
                ModelCost(
                    model=summary.model,
                    title=summary.title,
                    position=summary.position,
                    version=summary.version,
                    accuracy=summary.mean("accuracy"),
                    train_seconds=float(np.mean([cost.train_seconds for cost in known])),
                    memory_megabytes=float(np.mean([cost.peak_memory_bytes for cost in known])) / 1e6,
                    parameters=known[0].parameters,
                    megaflops=known[0].forward_flops_per_image / 1e6,
                )
            )
    return CostsInfo(costs=tuple(costs), identity=results.identity)


@styled
def draw_costs(info: CostsInfo, figure: Figure) -> None:
    """Draw test accuracy against each cost; filled marks are the best versions, a line joins a model's versions."""
    open_page(figure, height=2.75, title="Test accuracy against what it costs", identity=info.identity)
    for panel, (name, title) in enumerate(PANELS):
        axes = axes_at(figure, 0.6 + 1.68 * panel, 0.72, 1.45, 1.35)
        _draw_panel(axes, info, name)
        axes.set_xlabel(title, fontsize=8, labelpad=2)
        grid(axes, "both")
        axes.margins(0.16)
        if panel == 0:
            axes.set_ylabel("test accuracy, %", labelpad=2)
        else:
            axes.tick_params(labelleft=False)
    handles = _legend_handles(figure.axes[0], info)
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.07, 0.92), ncols=8, handletextpad=0.2, columnspacing=1.1
    )


def _draw_panel(axes: Axes, info: CostsInfo, name: str) -> None:
    for position in sorted({cost.position for cost in info.costs}):
        own = [cost for cost in info.costs if cost.position == position]
        x, y = [getattr(cost, name) for cost in own], [100 * cost.accuracy for cost in own]
        colour = model_colour(position)
        axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.5)
        for cost, across, up in zip(own, x, y, strict=True):
            fill, marker = (colour if cost.version == "best" else PAPER), ("s" if cost.version == "plain" else "o")
            axes.scatter([across], [up], s=28, marker=marker, facecolor=fill, edgecolor=colour, linewidth=1.1, zorder=3)
    values = [getattr(cost, name) for cost in info.costs]
    if values and min(values) > 0 and max(values) / min(values) > 20:
        logarithmic(axes, "x")
    else:
        axes.locator_params(axis="x", nbins=3)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))


def _legend_handles(axes: Axes, info: CostsInfo) -> list[object]:
    handles: list[object] = []
    for cost in info.costs:
        if cost.version == "best":
            label = shortened(cost.title, 14)
            handles.append(axes.scatter([], [], s=28, color=model_colour(cost.position), label=label))
    for version in dict.fromkeys(cost.version for cost in info.costs):
        if version != "best":
            marker = "s" if version == "plain" else "o"
            label = VERSION_TITLES[version]
            handles.append(
                axes.scatter([], [], s=28, marker=marker, facecolor="none", edgecolor="#66707c", label=label)
            )
    return handles
