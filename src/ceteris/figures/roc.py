"""ROC curves on the test set: every class against the rest, and their averages, with the area under them."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.finals import shortened
from ceteris.analysis.metrics import RocCurve, RocCurves
from ceteris.analysis.results import ResultsInfo
from ceteris.figures.style import MUTED, PAPER, axes_at, grid, model_colour, open_page, styled
from ceteris.findings import StudyFindings
from ceteris.records import FloatArray

CORNERS = 200  # points of a curve that are drawn


@dataclass(frozen=True, kw_only=True)
class ModelRoc:
    """The curves of one model's best version and first seed."""

    model: str
    position: int
    curves: RocCurves


@dataclass(frozen=True, kw_only=True)
class RocInfo:
    """The curves of all models, with the class names."""

    models: tuple[ModelRoc, ...]
    classes: tuple[str, ...]
    identity: str


def roc_info(findings: StudyFindings, results: ResultsInfo) -> RocInfo:
    """Collect the ROC curves of the best version of every model."""
    models = tuple(
        ModelRoc(model=summary.title, position=summary.position, curves=summary.results[0].roc)
        for summary in results.summaries
        if summary.version == "best"
    )
    return RocInfo(models=models, classes=findings.data.classes, identity=results.identity)


@styled
def draw_roc(info: RocInfo, figure: Figure) -> None:
    """Draw one panel per model, the corner that matters: thin lines are classes, thick ones the averages."""
    rows = max(1, -(-len(info.models) // 3))
    title = "ROC curves on the test set, one class against the rest"
    open_page(figure, height=0.75 + 2.75 * rows, title=title, identity=info.identity)
    for panel, entry in enumerate(info.models):
        axes = axes_at(figure, 0.55 + 2.3 * (panel % 3), 0.65 + 2.75 * (panel // 3), 1.95, 1.95)
        _draw_model(axes, entry, info.classes)
        if panel % 3 == 0:
            axes.set_ylabel("true positive rate", labelpad=1)


def _draw_model(axes: Axes, entry: ModelRoc, classes: tuple[str, ...]) -> None:
    colour = model_colour(entry.position)
    for curve in entry.curves.per_class:
        axes.plot(*_thinned(curve), color=colour, linewidth=0.6, alpha=0.35)
    axes.plot(
        *_thinned(entry.curves.macro), color=colour, linewidth=2.0, label=f"macro, AUC {entry.curves.macro.auc:.4f}"
    )
    axes.plot(
        *_thinned(entry.curves.micro), color="#1c2129", linewidth=1.1, linestyle=(0, (3, 1.5)),
        label=f"micro, AUC {entry.curves.micro.auc:.4f}",
    )  # fmt: skip
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=(0, (1, 2)))
    axes.set_xlim(-0.02, 1.0)
    axes.set_ylim(0, 1.02)
    axes.set_title(shortened(entry.model, 26))
    axes.set_xlabel("false positive rate", labelpad=1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    grid(axes)
    _draw_corner(axes, entry, colour)
    axes.legend(loc="lower right", fontsize=7.5, handlelength=1.5, title=_worst(entry, classes), title_fontsize=7)


def _draw_corner(axes: Axes, entry: ModelRoc, colour: str) -> None:
    """Enlarge the upper left corner, where the curves of good models lie."""
    corner = axes.inset_axes((0.36, 0.46, 0.58, 0.44))
    for curve in entry.curves.per_class:
        corner.plot(*_thinned(curve), color=colour, linewidth=0.6, alpha=0.45)
    corner.plot(*_thinned(entry.curves.macro), color=colour, linewidth=1.6)
    corner.set_xlim(-0.002, 0.1)
    corner.set_ylim(0.8, 1.005)
    corner.set_xticks([0, 0.05, 0.1], ["0", "0.05", "0.1"])
    corner.set_yticks([0.8, 0.9, 1.0], ["0.8", "0.9", "1"])
    corner.tick_params(labelsize=6, length=2, pad=1)
    corner.set_facecolor(PAPER)


def _worst(entry: ModelRoc, classes: tuple[str, ...]) -> str:
    areas = np.array([curve.auc for curve in entry.curves.per_class])
    if not np.isfinite(areas).any():
        return ""
    lowest = int(np.nanargmin(areas))
    return f"lowest class: {shortened(classes[lowest], 12)}, {areas[lowest]:.4f}"


def _thinned(curve: RocCurve) -> tuple[FloatArray, FloatArray]:
    """Return at most ``CORNERS`` points, denser where the curve rises, so that a large test set keeps the file small."""
    x, y = curve.false_positive_rate, curve.true_positive_rate
    if len(x) <= CORNERS:
        return x, y
    length = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
    keep = np.unique(np.searchsorted(length, np.linspace(0, length[-1], CORNERS)).clip(0, len(x) - 1))
    return x[keep], y[keep]
