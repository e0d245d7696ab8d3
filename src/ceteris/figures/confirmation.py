"""What is left of the gain on fresh seeds: baseline and best recipe once more, on blocks that no choice has seen."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, shortened
from ceteris.analysis.search import mean_of_finished, promised_gain
from ceteris.figures.factor_effects import readable_range
from ceteris.figures.forest import (
    Estimate,
    draw_estimate,
    estimate,
    head,
    label_row,
    prepare_differences,
    prepare_rows,
    verdict_legend,
)
from ceteris.figures.style import MUTED, PAPER, axes_at, model_colour, open_page, styled
from ceteris.findings import StudyFindings
from ceteris.records import FloatArray

ROW = 0.46  # inches


@dataclass(frozen=True, kw_only=True)
class ModelConfirmation:
    """One model's fresh blocks, (blocks,) each, and the confirmed difference.

    ``promised`` is the sum of the differences that the kept levels showed while they were chosen, nan where the search
    did not go factor by factor.
    """

    model: str
    position: int
    baseline: FloatArray
    best: FloatArray
    confirmed: Estimate
    promised: float


@dataclass(frozen=True, kw_only=True)
class ConfirmationInfo:
    """The confirmations of all models whose best recipe is not the baseline; ``margin`` as in the comparisons."""

    models: tuple[ModelConfirmation, ...]
    margin: float
    identity: str


def confirmation_info(findings: StudyFindings) -> ConfirmationInfo:
    """Collect what the comparison on fresh seeds showed, and what the search had promised."""
    models = tuple(
        ModelConfirmation(
            model=model.title or model.name,
            position=position,
            baseline=model.confirmation.baseline,
            best=model.confirmation.best,
            confirmed=estimate(model.confirmation.comparison),
            promised=promised_gain(model),
        )
        for position, model in enumerate(findings.models)
        if model.confirmation is not None
    )
    return ConfirmationInfo(models=models, margin=findings.equivalence_margin, identity=identity(findings))


@styled
def draw_confirmation(info: ConfirmationInfo, figure: Figure) -> None:
    """Draw a row per model: left every fresh block of baseline and best joined by a line, right the difference."""
    rows = max(len(info.models), 1)
    height = rows * ROW + 1.5
    open_page(figure, height=height, title="The improvement, measured on fresh seeds", identity=info.identity)
    blocks = axes_at(figure, 1.6, 0.75, 2.45, rows * ROW)
    gains = axes_at(figure, 4.25, 0.75, 1.75, rows * ROW)
    promised = [entry.promised for entry in info.models if np.isfinite(entry.promised)]
    prepare_differences(gains, [entry.confirmed for entry in info.models], rows, info.margin, promised)
    values = np.concatenate([*(np.concatenate((entry.baseline, entry.best)) for entry in info.models), [np.nan]])
    low, high = readable_range(values, values, values, needed=values)
    blocks.set_xlim(100 * low, 100 * min(high, 1.004))
    prepare_rows(blocks, rows)
    head(blocks, "accuracy on each fresh block, %")
    head(gains, "best minus baseline, points")
    for row, entry in enumerate(info.models):
        label_row(blocks, -0.61, row + 0.5, shortened(entry.model, 24), bold=True)
        _draw_blocks(blocks, row, entry)
        draw_estimate(gains, row + 0.5, entry.confirmed)
        _draw_promise(gains, row + 0.5, entry.promised)
    shown = (
        f"open circle above, filled below: baseline and best; grey band: ±{100 * info.margin:g} points are equivalent"
    )
    verdict_legend(figure, height - 0.62, shown + ("; ◇ sum of the gains that chose it" if promised else ""))


def _draw_blocks(axes: Axes, row: int, entry: ModelConfirmation) -> None:
    colour = model_colour(entry.position)
    above, below = row + 0.3, row + 0.7
    for before, after in zip(100 * entry.baseline, 100 * entry.best, strict=True):
        axes.plot([before, after], [above, below], color=colour, linewidth=0.6, alpha=0.45, zorder=2)
    for values, y, fill in ((entry.baseline, above, PAPER), (entry.best, below, colour)):
        finite = 100 * values[np.isfinite(values)]
        axes.scatter(finite, np.full(len(finite), y), s=12, facecolor=fill, edgecolor=colour, linewidth=0.8, zorder=3)
        mean = 100 * mean_of_finished(values)
        axes.plot([mean] * 2, [y - 0.13, y + 0.13], color=colour, linewidth=2.0, solid_capstyle="butt", zorder=4)


def _draw_promise(axes: Axes, y: float, promised: float) -> None:
    if np.isfinite(promised):
        axes.scatter(
            [100 * promised], [y], s=24, marker="D", facecolor="none", edgecolor=MUTED, linewidth=0.9, zorder=2
        )
