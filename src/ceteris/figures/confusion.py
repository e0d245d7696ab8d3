"""Which classes are taken for which: the confusion matrix of one model, for two classes or for a hundred."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, model_titles, shortened
from ceteris.analysis.results import ResultsInfo
from ceteris.figures.style import INK, MUTED, WHITE, axes_at, open_page, styled
from ceteris.findings import StudyFindings
from ceteris.records import ByteArray, IntArray

_RIGHT = LinearSegmentedColormap.from_list("right", ["#dcebf2", "#0b6e99", "#084c6b"])
_WRONG = LinearSegmentedColormap.from_list("wrong", ["#fdeee6", "#eda27c", "#d1622b"])
MOST_CONFUSED = 10


@dataclass(frozen=True, kw_only=True)
class ConfusionInfo:
    """Counts (classes, classes), rows true and columns predicted, of one model's best version and first seed."""

    model: str
    classes: tuple[str, ...]
    counts: IntArray
    identity: str

    def most_confused(self, count: int = MOST_CONFUSED) -> list[tuple[str, str, int]]:
        """Return the pairs (true, predicted, images) that are confused most often, most often first."""
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = (np.unravel_index(cell, wrong.shape) for cell in order if wrong.flat[cell] > 0)
        return [(self.classes[row], self.classes[column], int(wrong[row, column])) for row, column in pairs]


def confusion_info(findings: StudyFindings, results: ResultsInfo, model: str) -> ConfusionInfo | None:
    """Collect the confusion matrix of the best version of ``model``, None when it did not finish."""
    summary = results.of(model)
    if summary is None:
        return None
    return ConfusionInfo(
        model=model_titles(findings)[model],
        classes=findings.data.classes,
        counts=summary.results[0].confusion,
        identity=identity(findings),
    )


@styled
def draw_confusion(info: ConfusionInfo, figure: Figure) -> None:
    """Draw the matrix; right answers in blue, mistakes in orange, each on its own scale so that mistakes stay visible."""
    count = len(info.classes)
    side = min(max(2.4, 0.36 * count), 5.0)
    title = f"{shortened(info.model, 30)}: confusion matrix on the test set"
    open_page(figure, height=side + 1.25, title=title, identity=info.identity, width=side + 2.75)
    axes = axes_at(figure, 1.0, 0.95, side, side)
    axes.imshow(_coloured(info.counts), interpolation="nearest", extent=(-0.5, count - 0.5, count - 0.5, -0.5))
    _name_classes(axes, info.classes, side)
    if count <= 20:
        _write_counts(axes, info.counts, size=min(8.0, 90 / count))
    _draw_list(axes_at(figure, side + 1.25, 0.95, 1.4, 2.4), info)


def _coloured(counts: IntArray) -> ByteArray:
    """Colour the cells (classes, classes, 4); an empty cell stays transparent."""
    diagonal = np.eye(len(counts), dtype=bool)
    right = counts / max(1, counts[diagonal].max(initial=0))
    wrong = counts / max(5, counts[~diagonal].max(initial=0))
    cells = np.where(diagonal[..., None], _RIGHT(right), _WRONG(np.clip(wrong, 0, 1)))
    cells[counts == 0] = (0, 0, 0, 0)
    return np.asarray(np.rint(255 * cells), dtype=np.uint8)


def _name_classes(axes: Axes, classes: tuple[str, ...], side: float) -> None:
    count = len(classes)
    size = min(8.0, 72 * side / count * 0.85)
    axes.set_xticks(range(count), [shortened(name, 12) for name in classes], fontsize=size)
    axes.set_yticks(range(count), [shortened(name, 12) for name in classes], fontsize=size)
    longest = max(len(name) for name in classes)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=2)
    if longest * size * 0.6 > 72 * side / count:
        axes.tick_params(axis="x", labelrotation=90)
    axes.set_xlabel("predicted class", labelpad=4)
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("true class", labelpad=4)
    for edge in ("top", "right", "bottom", "left"):
        axes.spines[edge].set_visible(count > 20)
        axes.spines[edge].set_linewidth(0.4)


def _write_counts(axes: Axes, counts: IntArray, size: float) -> None:
    highest = counts.diagonal().max(initial=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        value = counts[row, column]
        dark = row == column and value > 0.35 * highest
        axes.text(column, row, str(value), ha="center", va="center", fontsize=size, color=WHITE if dark else "#1c2129")


def _draw_list(axes: Axes, info: ConfusionInfo) -> None:
    axes.axis("off")
    right, total = int(info.counts.trace()), int(info.counts.sum())
    axes.text(0, 1, f"{right:,} of {total:,} right", fontsize=8, va="top", transform=axes.transAxes, color=INK)
    lines = [f"{shortened(true, 9)} → {shortened(taken, 9)}: {count}" for true, taken, count in info.most_confused()]
    heading = "most confused\n(true → predicted)\n" if lines else ""
    axes.text(
        0,
        0.88,
        heading + "\n".join(lines),
        fontsize=7.5,
        va="top",
        transform=axes.transAxes,
        color=MUTED,
        linespacing=1.4,
    )
