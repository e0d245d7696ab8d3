"""What the data look like: a labelled sheet of sample images and the balance of the classes."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ceteris.analysis.results import Results
from ceteris.figures.images import as_colour, draw_sheet
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.style import ACCENT, INK, MUTED, WIDTH, abbreviated, axes_at, grid, open_page
from ceteris.findings import DataDescription
from ceteris.formats import shortened


def data_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield a sheet of training images and the number of images of every class."""
    data, count = results.data, len(results.data.classes)
    yield ReportFigure(
        name="samples", section="data", draw=partial(draw_samples, data),
        caption=f"Training images with their labels, drawn from each of the {count} classes.",
        description=f"A sheet of {len(data.sample_labels)} training images, each under or over the name of its class.",
    )  # fmt: skip
    low, high = int(min(data.train_class_counts, default=0)), int(max(data.train_class_counts, default=0))
    yield ReportFigure(
        name="class-balance", section="data", draw=partial(draw_class_balance, data),
        caption="Images per class in the training and the test part; the training part holds between "
        f"{low:,} and {high:,} per class.",
        description=f"Two bar charts of the number of images in each of {count} classes, training and test.",
    )  # fmt: skip


def draw_samples(data: DataDescription, figure: Figure) -> None:
    """Draw one column per class when there are few classes, otherwise a grid with the label under each image."""
    counts = np.bincount(data.sample_labels, minlength=len(data.classes))
    if len(data.classes) > 12 or not counts.all() or len(set(counts)) > 1:
        _draw_grid(data, figure)
        return
    classes, each = len(data.classes), int(counts[0])
    order = np.argsort(data.sample_labels, kind="stable").reshape(classes, each).T.ravel()
    side = min(0.62, (WIDTH - 0.2) / classes)
    longest = max(len(shortened(name, 18)) for name in data.classes)
    turned = longest > side / 0.075  # inches of a letter
    head = 0.55 + (0.07 * longest if turned else 0.0)
    open_page(figure, height=head + 0.2 + side * each, title="Samples of the training set")
    axes = axes_at(figure, (WIDTH - side * classes) / 2, head, side * classes, side * each)
    draw_sheet(axes, as_colour(data.sample_images[order]), classes)
    for column, name in enumerate(data.classes):
        axes.text(
            column + 0.5, -0.06, shortened(name, 18), ha="center", va="bottom", fontsize=8, fontweight="bold",
            rotation=90 if turned else 0,
        )  # fmt: skip


def _draw_grid(data: DataDescription, figure: Figure) -> None:
    columns, caption = 12, 0.16
    rows = max(1, -(-len(data.sample_labels) // columns))
    side = (WIDTH - 0.2) / columns
    open_page(figure, height=0.6 + rows * (side + caption), title="Samples of the training set")
    for row in range(rows):
        part = slice(row * columns, (row + 1) * columns)
        labels = data.sample_labels[part]
        if not len(labels):
            continue
        axes = axes_at(figure, 0.1, 0.35 + row * (side + caption), side * len(labels), side)
        draw_sheet(axes, as_colour(data.sample_images[part]), len(labels))
        for column, label in enumerate(labels):
            name = abbreviated(data.classes[label], 9)
            axes.text(column + 0.5, 1.0, name, ha="center", va="top", fontsize=6.5, color=INK)


def draw_class_balance(data: DataDescription, figure: Figure) -> None:
    """Draw training and test images per class: one bar per class, sorted as the data set numbers its classes."""
    many = len(data.classes) > 26
    open_page(figure, height=2.6, title="Images per class")
    parts = (("training", data.train_class_counts, ACCENT), ("test", data.test_class_counts, MUTED))
    for panel, (title, counts, colour) in enumerate(parts):
        axes = axes_at(figure, 0.62 + panel * 3.55, 0.6, 2.95, 1.4)
        axes.bar(np.arange(len(counts)), counts, color=colour, width=0.8 if not many else 1.0)
        axes.set_title(f"{title}: {int(counts.sum()):,} images")
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", length=0)
        axes.set_ylim(0, max(1, int(counts.max(initial=0))) * 1.08)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        grid(axes)
        _name_classes(axes, data.classes, many=many)


def _name_classes(axes: Axes, names: tuple[str, ...], *, many: bool) -> None:
    if many:
        axes.set_xlabel(f"{len(names)} classes, in the order of their numbers")
        axes.set_xticks([0, len(names) - 1], [shortened(names[0], 20), shortened(names[-1], 20)], fontsize=7)
        first, last = axes.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")
        return
    turned = max((len(name) for name in names), default=0) * len(names) > 42
    labels = [abbreviated(name, 12 if turned else 9) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=90 if turned else 0, fontsize=7 if turned else 8)
