"""Sheets of small images, and single test images with their true and predicted class."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.results import Results
from ceteris.analysis.test_images import PredictedImages
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.style import INK, MUTED, VERDICT_COLOURS, WIDTH, abbreviated, axes_at, blank, open_page
from ceteris.formats import shortened
from ceteris.records import ByteArray, Float32Array

CELL = 64  # a picture is enlarged by a whole factor to about this many pixels, so that it stays sharp everywhere


def prediction_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield the first six test images, ten random ones, and the most confident mistakes of every model."""
    first, random, classes = results.images.first, results.images.random, results.data.classes
    if len(first.labels) and first.models:
        yield ReportFigure(
            name="first-images", section="errors",
            draw=partial(draw_predicted_images, first, title=_scored("The first six test images", first), classes=classes),
            caption=f"The first six test images with the answers of the best versions. Right: {first.counted()}.",
            description=f"Six images with true and predicted classes. Right: {first.counted()}.",
        )  # fmt: skip
    if len(random.labels) and random.models:
        yield ReportFigure(
            name="random-images", section="errors",
            draw=partial(draw_predicted_images, random, title=_scored("Ten random test images", random), classes=classes),
            caption=f"Ten test images drawn at random, the same for every study. Right: {random.counted()}.",
            description=f"Ten images with true and predicted classes. Right: {random.counted()}.",
        )  # fmt: skip
    missed = results.images.missed
    if len(missed.labels):
        count = results.seen.missed
        yield ReportFigure(
            name="missed-by-all", section="errors",
            draw=partial(draw_predicted_images, missed, title="Test images that all models miss", classes=classes),
            caption=f"Test images that no model's best version names right ({count:,} of {results.test_count:,}): "
            "hard for everybody, or labelled wrongly.",
            description=f"{len(missed.labels)} images with true and predicted classes.",
        )  # fmt: skip
    for model in results.models:
        wrong = results.images.mistakes.get(model.name)
        if wrong is not None and len(wrong.labels):
            title = f"{model.label}: misclassified test images"
            yield ReportFigure(
                name=f"mistakes-{model.name}", section="errors", model=model.name,
                draw=partial(draw_predicted_images, wrong, title=title, classes=classes),
                caption=f"{model.label}: the most confident mistakes on the test set, one of each class where there is one.",
                description=f"{len(wrong.labels)} misclassified images with true and predicted classes.",
            )  # fmt: skip


def _scored(title: str, info: PredictedImages) -> str:
    if len(info.models) > 3:  # the caption has the others
        return title
    scores = ", ".join(f"{shortened(name, 18)} {right}" for name, right in info.right().items())
    return f"{title}: right of {len(info.labels)}: {scores}"


def as_colour(images: ByteArray) -> ByteArray:
    """Turn (n, channels, h, w) into (n, h, w, 3); one channel becomes grey, more than three show their first three."""
    colours = images[:, [0, 0, 0]] if images.shape[1] < 3 else images[:, :3]
    return np.ascontiguousarray(np.moveaxis(colours, 1, -1))


def scaled_to_bytes(pictures: Float32Array, *, symmetric: bool = False) -> ByteArray:
    """Scale each picture (n, h, w) to its own range, or around 0 when ``symmetric``, as grey (n, h, w, 3)."""
    flat = np.nan_to_num(pictures.astype(np.float64)).reshape(len(pictures), -1)
    high = np.abs(flat).max(axis=1, keepdims=True) if symmetric else flat.max(axis=1, keepdims=True)
    low = -high if symmetric else flat.min(axis=1, keepdims=True)
    span = np.where(high > low, high - low, 1.0)
    grey = np.rint(255 * (flat - low) / span).astype(np.uint8).reshape(pictures.shape)
    return np.repeat(grey[..., None], 3, axis=-1)


def image_sheet(pictures: ByteArray, columns: int, *, gap: float = 0.08) -> ByteArray:
    """Lay (n, h, w, 3) out in rows of ``columns`` square cells as one picture (height, width, 4), transparent between.

    One picture for all costs no time to draw, however many they are. ``gap`` is the space around each in cell units.
    """
    count, height, width, _ = pictures.shape
    zoom = max(1, CELL // max(height, width))
    enlarged = pictures.repeat(zoom, axis=1).repeat(zoom, axis=2)
    height, width = height * zoom, width * zoom
    pitch = round(max(height, width) / (1 - 2 * gap))
    canvas = np.zeros((-(-count // columns) * pitch, columns * pitch, 4), np.uint8)
    for index, picture in enumerate(enlarged):
        top = (index // columns) * pitch + (pitch - height) // 2
        left = (index % columns) * pitch + (pitch - width) // 2
        canvas[top : top + height, left : left + width, :3] = picture
        canvas[top : top + height, left : left + width, 3] = 255
    return canvas


def draw_sheet(axes: Axes, pictures: ByteArray, columns: int, *, gap: float = 0.08) -> None:
    """Show pictures (n, h, w, 3) as a sheet in cell units: x runs 0..columns, y runs 0..rows downwards."""
    rows = -(-len(pictures) // columns)
    picture = image_sheet(pictures, columns, gap=gap)
    axes.imshow(picture, extent=(0, columns, rows, 0), aspect="auto", interpolation="nearest")
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    blank(axes)


def draw_predicted_images(info: PredictedImages, figure: Figure, *, title: str, classes: tuple[str, ...]) -> None:
    """Draw the images in rows of up to ten with the true class above and each model's answer below."""
    columns = 6 if len(info.labels) == 6 else 10
    side = min(0.85, (WIDTH - 1.0) / columns)
    pitch = side + 0.38 + 0.15 * len(info.models)
    rows = max(1, -(-len(info.labels) // columns))
    open_page(figure, height=0.62 + rows * pitch, title=title)
    for row in range(-(-len(info.labels) // columns)):
        part = slice(row * columns, (row + 1) * columns)
        axes = axes_at(figure, 0.9, 0.55 + row * pitch, side * len(info.labels[part]), side)
        draw_sheet(axes, as_colour(info.images[part]), len(info.labels[part]))
        _write_answers(axes, info, part, side, classes)


def _write_answers(axes: Axes, info: PredictedImages, part: slice, side: float, classes: tuple[str, ...]) -> None:
    line, limit = 0.15 / side, max(4, int(side / 0.068))
    axes.text(-0.08, -0.09, "true", fontsize=7, ha="right", va="center", color=MUTED)
    for row, name in enumerate(info.models):
        axes.text(-0.08, 1.12 + row * line, shortened(name, 11), fontsize=7, ha="right", va="center", color=MUTED)
    for column, label in enumerate(info.labels[part], start=part.start):
        x = column - part.start + 0.5
        name = abbreviated(classes[label], limit)
        axes.text(x, -0.09, name, fontsize=7.5, ha="center", va="center", color=INK)
        for row, predicted in enumerate(info.predictions[:, column]):
            right, name = predicted == label, classes[predicted]
            text = abbreviated(name, limit) if right else f"{abbreviated(name, max(3, limit - 2))} ✗"
            axes.text(
                x, 1.12 + row * line, text, fontsize=7.5, ha="center", va="center",
                fontweight="normal" if right else "bold", color=VERDICT_COLOURS["better" if right else "worse"],
            )  # fmt: skip
