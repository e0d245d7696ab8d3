"""F1 of every class, all models side by side: which classes are hard, and for whom."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from ceteris.analysis.finals import shortened
from ceteris.analysis.results import ResultsInfo
from ceteris.figures.style import FAINT, MUTED, axes_at, model_colour, open_page, styled
from ceteris.findings import StudyFindings
from ceteris.records import FloatArray

ROWS_PER_COLUMN = 34


@dataclass(frozen=True, kw_only=True)
class ClassScoresInfo:
    """F1 (models, classes) of the best version of each model, mean over its seeds; ``order`` puts the hardest first."""

    models: tuple[str, ...]
    positions: tuple[int, ...]
    classes: tuple[str, ...]
    f1: FloatArray
    order: tuple[int, ...]
    identity: str


def class_scores_info(findings: StudyFindings, results: ResultsInfo) -> ClassScoresInfo:
    """Collect the per-class F1 of every model's best version."""
    best = [summary for summary in results.summaries if summary.version == "best"]
    classes = findings.data.classes
    rows = [np.mean([result.per_class.f1 for result in summary.results], axis=0) for summary in best]
    f1 = np.array(rows, dtype=np.float64).reshape(len(best), len(classes))
    hardest = np.argsort(f1.mean(axis=0), kind="stable") if len(best) else np.arange(len(classes))
    return ClassScoresInfo(
        models=tuple(summary.title for summary in best),
        positions=tuple(summary.position for summary in best),
        classes=classes,
        f1=f1,
        order=tuple(int(place) for place in hardest),
        identity=results.identity,
    )


@styled
def draw_class_scores(info: ClassScoresInfo, figure: Figure) -> None:
    """Draw one row per class, hardest first, in as many columns as the classes need."""
    columns = -(-len(info.order) // ROWS_PER_COLUMN)
    rows = -(-len(info.order) // columns)
    step = 0.2 if len(info.order) <= 20 else 0.16
    open_page(
        figure,
        height=1.3 + step * rows,
        title="F1 of every class on the test set, hardest first",
        identity=info.identity,
    )
    low = 100 * float(info.f1.min(initial=1.0))
    for column in range(columns):
        part = info.order[column * rows : (column + 1) * rows]
        width = 6.9 / columns
        axes = axes_at(figure, 0.15 + column * width + 0.85, 0.65, width - 1.0, step * rows)
        lines = np.arange(len(part))
        axes.hlines(lines, low, 100, color=FAINT, linewidth=0.6)
        for scores, position, model in zip(info.f1, info.positions, info.models, strict=True):
            axes.scatter(
                100 * scores[list(part)], lines, s=18, color=model_colour(position), alpha=0.85, linewidths=0,
                label=shortened(model, 22), zorder=2,
            )  # fmt: skip
        axes.set_yticks(
            lines, [shortened(info.classes[place], 14) for place in part], fontsize=7.5 if step > 0.18 else 6.5
        )
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_xlim(low - 0.06 * (100.5 - low), 100.5)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("F1, %", color=MUTED, labelpad=1)
        if column == 0 and info.models:
            axes.legend(loc="lower left", bbox_to_anchor=(-0.1, 1.0), ncols=4, handletextpad=0.1, columnspacing=1.0)
