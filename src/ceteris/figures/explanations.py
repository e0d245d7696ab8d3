"""Looking into a trained model: where it looks (Grad-CAM), what its layers respond to, how it arranges the classes."""

from collections.abc import Iterator
from functools import partial

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ceteris.analysis.results import Results
from ceteris.figures.images import as_colour, draw_sheet, scaled_to_bytes
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.style import INK, MUTED, VERDICT_COLOURS, WIDTH, abbreviated, axes_at, blank, open_page
from ceteris.findings import Explanation, FeatureMaps
from ceteris.formats import shortened
from ceteris.records import ByteArray, Float32Array

MOST_CLASSES_NAMED = 20
EMBEDDING_MARKERS = ("o", "s", "^", "D", "v")  # beside the colours, where there are many classes
FEATURES_IN_A_ROW = 16
EMBEDDINGS = {
    "t-sne": ("t-SNE", "Distances between far groups carry no meaning (van der Maaten & Hinton 2008)."),
    "pca": ("principal components", "The two directions in which the layer's values vary most."),
}


def explanation_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield, model by model, its attention, its features and its embedding, each where it was recorded."""
    classes = results.data.classes
    for model in results.models:
        name, title, found = model.name, model.label, model.explanation
        if found is None:
            continue
        if len(found.heat):
            yield ReportFigure(
                name=f"attention-{name}", section="explanations", model=name,
                draw=partial(draw_attention, found, title=title, classes=classes),
                caption=f"{title}: the bright regions speak for the predicted class (Grad-CAM, Selvaraju et al. 2017). It "
                "shows where the last feature maps were active, not why the model is right.",
                description=f"{len(found.images)} images above the same images overlaid with a heat map.",
            )  # fmt: skip
        if found.features:
            yield ReportFigure(
                name=f"features-{name}", section="explanations", model=name,
                draw=partial(draw_features, found.features, title=title),
                caption=f"{title}: weights of the first layers and what they make of one image; each picture is "
                "scaled to its own range.",
                description="Small grey pictures of filters and of their responses to one image.",
            )  # fmt: skip
        if len(found.embedding):
            yield ReportFigure(
                name=f"embedding-{name}", section="explanations", model=name,
                draw=partial(draw_embedding, found, title=title, classes=classes),
                caption=f"{title}: {EMBEDDINGS[found.embedding_method][0]} of the layer {found.embedding_layer} for "
                f"{len(found.embedding):,} test images, coloured by true class, misclassified ones with a cross. "
                f"{EMBEDDINGS[found.embedding_method][1]}",
                description="A scatter chart of images coloured by class.",
            )  # fmt: skip


def overlaid(images: ByteArray, heat: Float32Array) -> ByteArray:
    """Lay the heat over the grey image, (n, h, w, 3): the hotter, the more of the colour is seen."""
    grey = as_colour(images).mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    colours = 255 * matplotlib.colormaps["inferno"](np.clip(heat, 0, 1))[..., :3]
    weight = 0.15 + 0.6 * np.clip(heat, 0, 1)[..., None]
    return np.asarray(np.rint((1 - weight) * grey + weight * colours), dtype=np.uint8)


def draw_attention(found: Explanation, figure: Figure, *, title: str, classes: tuple[str, ...]) -> None:
    """Draw every image above its overlay; below, the predicted class, and the true one where they differ."""
    columns = min(10, max(1, len(found.images)))
    side = min(0.9, (WIDTH - 0.9) / columns)
    rows = -(-len(found.images) // columns)
    band = 2 * side + 0.32
    open_page(figure, height=0.65 + rows * band, title=f"{title}: where it looks (Grad-CAM on {found.layer})")
    for row in range(rows):
        part = slice(row * columns, (row + 1) * columns)
        shown = len(found.images[part])
        axes = axes_at(figure, 0.8, 0.42 + row * band, side * shown, 2 * side)
        pictures = np.concatenate([as_colour(found.images[part]), overlaid(found.images[part], found.heat[part])])
        draw_sheet(axes, pictures, shown)
        axes.text(-0.1, 0.5, "image", ha="right", va="center", fontsize=7, color=MUTED)
        axes.text(-0.1, 1.5, "Grad-CAM", ha="right", va="center", fontsize=7, color=MUTED)
        for column, (label, predicted) in enumerate(zip(found.labels[part], found.predictions[part], strict=True)):
            right = label == predicted
            name = abbreviated(classes[predicted], 9)
            text = name if right else f"{name} ✗ ({abbreviated(classes[label], 9)})"
            colour = VERDICT_COLOURS["better" if right else "worse"]
            axes.text(column + 0.5, 2.06, text, ha="center", va="top", fontsize=7 if right else 6.5, color=colour)


def draw_features(layers: tuple[FeatureMaps, ...], figure: Figure, *, title: str) -> None:
    """Draw, per layer, the filters as pictures and what they make of one image."""
    side, gap = 0.4, 0.28
    blocks: list[list[tuple[str, ByteArray]]] = []
    for layer in layers:
        blocks.append([])
        if len(layer.filters) and layer.filters.shape[-1] > 1:
            blocks[-1].append((f"{layer.layer}: weights{responses(layer)}", filters_as_bytes(layer.filters[:32])))
        if len(layer.maps) and layer.maps.ndim == 3 and layer.maps.shape[-1] > 1:
            told = f"{layer.layer}: responses to the image on the left"
            blocks[-1].append((told, scaled_to_bytes(layer.maps[:32])))
    rows = [[-(-len(pictures) // FEATURES_IN_A_ROW) for _, pictures in block] for block in blocks]
    height = 0.7 + sum(sum(gap + side * count for count in counts) + 0.1 for counts in rows)
    open_page(figure, height=height, title=f"{title}: what the first layers respond to")
    top = 0.4
    for layer, block, counts in zip(layers, blocks, rows, strict=True):
        draw_sheet(axes_at(figure, 0.12, top + 0.24, 0.5, 0.5), as_colour(layer.image[None]), 1, gap=0.0)
        for (told, pictures), count in zip(block, counts, strict=True):
            columns = min(FEATURES_IN_A_ROW, len(pictures))
            axes = axes_at(figure, 0.72, top + 0.22, side * columns, side * count)
            draw_sheet(axes, pictures, columns, gap=0.05)
            axes.set_title(told, fontsize=7.5, fontweight="normal", pad=2, color=MUTED)
            top += gap + side * count
        top += 0.1


def filters_as_bytes(filters: Float32Array) -> ByteArray:
    """Return filters (n, channels, h, w) as pictures (n, h, w, 3) around mid grey, in colour where they have three channels."""
    count, channels, height, width = filters.shape
    flat = scaled_to_bytes(filters.reshape(count, channels * height, width), symmetric=True)[..., 0]
    return as_colour(flat.reshape(count, channels, height, width))


def responses(layer: FeatureMaps) -> str:
    """Return what linear units answer to the image, one number each; '' for a convolution."""
    if layer.maps.shape[1:] != (1, 1) or layer.filters.shape[-1] == 1:
        return ""
    return "; responses to the image " + ", ".join(f"{value:.1f}" for value in layer.maps[:8, 0, 0]) + ", …"


def draw_embedding(found: Explanation, figure: Figure, *, title: str, classes: tuple[str, ...]) -> None:
    """Draw the points coloured by class; few classes are named at their medians, many by a legend below."""
    points, labels, count = found.embedding, found.embedding_labels, len(classes)
    page = f"{title}: {EMBEDDINGS[found.embedding_method][0]} of {shortened(found.embedding_layer, 30)}"
    named = count <= MOST_CLASSES_NAMED
    columns = max(4, min(10, int(70 / (3 + max(map(len, classes))))))
    legend = 0.0 if named else 0.16 * -(-count // columns)
    open_page(figure, height=4.6 + legend, title=page, width=5.0)
    axes = axes_at(figure, 0.2, 0.45, 4.6, 3.85)
    colours, markers = class_colours(count), EMBEDDING_MARKERS
    right = found.embedding_predictions == labels
    for place, marker in enumerate(markers if not named else markers[:1]):
        here = right & ((labels % len(markers) == place) | named)
        axes.scatter(
            points[here, 0], points[here, 1], s=10, c=colours[labels[here]], marker=marker, alpha=0.8, linewidths=0
        )
    wrong = points[~right]
    axes.scatter(wrong[:, 0], wrong[:, 1], s=26, c=colours[labels[~right]], marker="x", linewidths=1.4)
    blank(axes)
    for label in np.unique(labels) if named else []:
        x, y = np.median(points[labels == label], axis=0)
        box = {"boxstyle": "round,pad=0.14", "facecolor": "#ffffff", "edgecolor": "none", "alpha": 0.75}
        axes.text(
            x, y, abbreviated(classes[label], 12), ha="center", va="center", fontsize=8, fontweight="bold", bbox=box
        )
    if not named:
        keys = axes_at(figure, 0.2, 4.4, 4.6, legend)
        keys.set(xlim=(0, columns), ylim=(-(-count // columns), 0))
        blank(keys)
        for label, name in enumerate(classes):
            x, y = label % columns, label // columns + 0.5
            keys.scatter([x + 0.06], [y], s=12, c=colours[[label]], marker=markers[label % len(markers)], linewidths=0)
            keys.text(x + 0.16, y, abbreviated(name, int(70 / columns) - 2), fontsize=6, va="center", color=INK)


def class_colours(count: int) -> Float32Array:
    """Return ``count`` distinguishable colours (count, 4): ten by hand for few classes, otherwise around the wheel."""
    if count <= 10:
        return np.array(matplotlib.colormaps["tab10"].colors, dtype=np.float32)[:count]  # type: ignore[attr-defined]
    return np.array(matplotlib.colormaps["turbo"](np.linspace(0.03, 0.97, count)), dtype=np.float32)
