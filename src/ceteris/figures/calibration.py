"""Does a model know how sure it is? Confidence against accuracy on the test set (Guo et al. 2017)."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.finals import shortened
from ceteris.analysis.metrics import Calibration
from ceteris.analysis.results import ResultsInfo
from ceteris.figures.style import MUTED, axes_at, grid, model_colour, open_page, styled


@dataclass(frozen=True, kw_only=True)
class ModelCalibration:
    """The reliability bins of one model's best version and first seed."""

    model: str
    position: int
    bins: Calibration


@dataclass(frozen=True, kw_only=True)
class CalibrationInfo:
    """The reliability of all models."""

    models: tuple[ModelCalibration, ...]
    identity: str


def calibration_info(results: ResultsInfo) -> CalibrationInfo:
    """Collect the reliability bins of the best version of every model."""
    models = tuple(
        ModelCalibration(model=summary.title, position=summary.position, bins=summary.results[0].calibration)
        for summary in results.summaries
        if summary.version == "best"
    )
    return CalibrationInfo(models=models, identity=results.identity)


@styled
def draw_calibration(info: CalibrationInfo, figure: Figure) -> None:
    """Draw one panel per model: accuracy in each bin of confidence, the area of a mark showing how many images it holds."""
    rows = max(1, -(-len(info.models) // 3))
    open_page(
        figure, height=0.75 + 2.55 * rows, title="Reliability: how sure, and how often right", identity=info.identity
    )
    for panel, entry in enumerate(info.models):
        axes = axes_at(figure, 0.55 + 2.3 * (panel % 3), 0.65 + 2.55 * (panel // 3), 1.85, 1.75)
        _draw_model(axes, entry)
        if panel % 3 == 0:
            axes.set_ylabel("accuracy, %", labelpad=1)


def _draw_model(axes: Axes, entry: ModelCalibration) -> None:
    bins, colour = entry.bins, model_colour(entry.position)
    filled = bins.counts > 0
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    x, y = 100 * bins.confidence[filled], 100 * bins.accuracy[filled]
    area = 6 + 114 * np.sqrt(bins.counts[filled] / max(1, bins.counts.max()))
    axes.plot(x, y, color=colour, linewidth=1.0, alpha=0.35)
    axes.scatter(x, y, s=area, color=colour, alpha=0.75, linewidths=0)
    axes.set_xlim(0, 104)
    axes.set_ylim(0, 104)
    axes.set_title(shortened(entry.model, 26))
    axes.set_xlabel("confidence, %", labelpad=1)
    label = f"expected calibration\nerror {100 * bins.error:.1f} points"
    axes.text(0.97, 0.05, label, transform=axes.transAxes, fontsize=7.5, va="bottom", ha="right")
    grid(axes, "both")
