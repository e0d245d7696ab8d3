"""What the data look like: a labelled sheet of sample images and the balance of the classes."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ceteris.analysis.finals import identity, shortened
from ceteris.figures.mosaic import as_colour, draw_sheet, sheet
from ceteris.figures.style import ACCENT, INK, MUTED, WIDTH, axes_at, blank, grid, open_page, styled
from ceteris.findings import StudyFindings
from ceteris.records import ByteArray, IntArray


@dataclass(frozen=True, kw_only=True)
class SampleSheetInfo:
    """Training images (n, channels, h, w) with their labels (n,), grouped by class, and the names of the classes."""

    images: ByteArray
    labels: IntArray
    classes: tuple[str, ...]
    identity: str


@dataclass(frozen=True, kw_only=True)
class ClassBalanceInfo:
    """Images of every class in the training and the test part, (classes,)."""

    classes: tuple[str, ...]
    train_counts: IntArray
    test_counts: IntArray
    identity: str


def sample_sheet_info(findings: StudyFindings) -> SampleSheetInfo:
    """Collect the sample images of the data description."""
    data = findings.data
    return SampleSheetInfo(
        images=data.sample_images, labels=data.sample_labels, classes=data.classes, identity=identity(findings)
    )


def class_balance_info(findings: StudyFindings) -> ClassBalanceInfo:
    """Collect the number of images per class."""
    data = findings.data
    return ClassBalanceInfo(
        classes=data.classes,
        train_counts=data.train_class_counts,
        test_counts=data.test_class_counts,
        identity=identity(findings),
    )


@styled
def draw_sample_sheet(info: SampleSheetInfo, figure: Figure) -> None:
    """Draw one column per class when there are few classes, otherwise a grid with the label under each image."""
    if len(info.classes) <= 12 and _equally_many(info):
        _draw_columns(info, figure)
    else:
        _draw_grid(info, figure)


def _equally_many(info: SampleSheetInfo) -> bool:
    return bool(len(info.labels)) and len(set(np.bincount(info.labels, minlength=len(info.classes)))) == 1


def _draw_columns(info: SampleSheetInfo, figure: Figure) -> None:
    classes, each = len(info.classes), len(info.labels) // len(info.classes)
    order = np.argsort(info.labels, kind="stable").reshape(classes, each).T.ravel()
    side = min(0.62, (WIDTH - 0.2) / classes)
    left = (WIDTH - side * classes) / 2
    open_page(figure, height=0.75 + side * each, title="Samples of the training set", identity=info.identity)
    axes = axes_at(figure, left, 0.55, side * classes, side * each)
    draw_sheet(axes, sheet(as_colour(info.images[order]), classes))
    blank(axes)
    for column, name in enumerate(info.classes):
        axes.text(column + 0.5, -0.06, shortened(name, 9), ha="center", va="bottom", fontsize=8.5, fontweight="bold")


def _draw_grid(info: SampleSheetInfo, figure: Figure) -> None:
    columns = 12
    rows = max(1, -(-len(info.labels) // columns))
    side, caption = (WIDTH - 0.2) / columns, 0.16
    open_page(figure, height=0.6 + rows * (side + caption), title="Samples of the training set", identity=info.identity)
    for row in range(rows):
        part = slice(row * columns, (row + 1) * columns)
        if not len(info.labels[part]):
            continue
        axes = axes_at(figure, 0.1, 0.35 + row * (side + caption), side * len(info.labels[part]), side)
        draw_sheet(axes, sheet(as_colour(info.images[part]), len(info.labels[part])))
        blank(axes)
        for column, label in enumerate(info.labels[part]):
            name = shortened(info.classes[label], 10)
            axes.text(column + 0.5, 1.0, name, ha="center", va="top", fontsize=6.5, color=INK)


@styled
def draw_class_balance(info: ClassBalanceInfo, figure: Figure) -> None:
    """Draw training and test images per class: one bar per class, sorted as the data set numbers its classes."""
    many = len(info.classes) > 26
    open_page(figure, height=2.6, title="Images per class", identity=info.identity)
    parts = (("training", info.train_counts, ACCENT), ("test", info.test_counts, MUTED))
    for panel, (title, counts, colour) in enumerate(parts):
        axes = axes_at(figure, 0.62 + panel * 3.55, 0.6, 2.95, 1.4)
        axes.bar(np.arange(len(counts)), counts, color=colour, width=0.8 if not many else 1.0)
        axes.set_title(f"{title}: {int(counts.sum()):,} images")
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", length=0)
        axes.set_ylim(0, max(1, int(counts.max(initial=0))) * 1.08)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        grid(axes)
        _name_classes(axes, info.classes, many=many)


def _name_classes(axes: Axes, names: tuple[str, ...], *, many: bool) -> None:
    if many:
        axes.set_xlabel(f"{len(names)} classes, in the order of their numbers")
        axes.set_xticks([0, len(names) - 1], [shortened(names[0], 20), shortened(names[-1], 20)], fontsize=7)
        first, last = axes.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")
        return
    longest = max((len(name) for name in names), default=0)
    turned = longest * len(names) > 42
    axes.set_xticks(
        range(len(names)),
        [shortened(name, 9) for name in names],
        rotation=90 if turned else 0,
        fontsize=7 if turned else 8,
    )
