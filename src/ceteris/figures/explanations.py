"""Looking into a trained model: where it looks (Grad-CAM), what its layers respond to, how it arranges the classes."""

from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, model_titles, shortened
from ceteris.figures.mosaic import as_colour, draw_sheet, scaled_to_bytes, sheet
from ceteris.figures.style import MUTED, VERDICT_COLOURS, WIDTH, axes_at, blank, open_page, styled
from ceteris.findings import Explanation, FeatureMaps, StudyFindings
from ceteris.records import ByteArray, Float32Array, IntArray

MOST_CLASSES_NAMED = 20


@dataclass(frozen=True, kw_only=True)
class AttentionInfo:
    """Images (n, channels, h, w) with the heat 0..1 (n, h, w) of the predicted class, true and predicted classes (n,)."""

    model: str
    layer: str
    images: ByteArray
    heat: Float32Array
    labels: IntArray
    predictions: IntArray
    classes: tuple[str, ...]
    identity: str


@dataclass(frozen=True, kw_only=True)
class FeaturesInfo:
    """Filters and responses of the first two layers of a model."""

    model: str
    layers: tuple[FeatureMaps, ...]
    identity: str


@dataclass(frozen=True, kw_only=True)
class EmbeddingInfo:
    """t-SNE of one layer's output, (m, 2), with the true classes (m,)."""

    model: str
    layer: str
    points: Float32Array
    labels: IntArray
    classes: tuple[str, ...]
    identity: str


def explanation_of(findings: StudyFindings, model: str) -> Explanation | None:
    """Return the explanation of one model, None where there is none."""
    return next((entry for entry in findings.explanations if entry.model == model), None)


def attention_info(findings: StudyFindings, model: str) -> AttentionInfo | None:
    """Collect the Grad-CAM pictures of ``model``, None where it has none."""
    found = explanation_of(findings, model)
    if found is None or not len(found.heat):
        return None
    return AttentionInfo(
        model=model_titles(findings)[model],
        layer=found.layer,
        images=found.images,
        heat=found.heat,
        labels=found.labels,
        predictions=found.predictions,
        classes=findings.data.classes,
        identity=identity(findings),
    )


def features_info(findings: StudyFindings, model: str) -> FeaturesInfo | None:
    """Collect the features of the first layers of ``model``, None where it has none."""
    found = explanation_of(findings, model)
    if found is None or not found.features:
        return None
    return FeaturesInfo(model=model_titles(findings)[model], layers=found.features, identity=identity(findings))


def embedding_info(findings: StudyFindings, model: str) -> EmbeddingInfo | None:
    """Collect the t-SNE of ``model``, None where it has none."""
    found = explanation_of(findings, model)
    if found is None or not len(found.embedding):
        return None
    return EmbeddingInfo(
        model=model_titles(findings)[model],
        layer=found.embedding_layer,
        points=found.embedding,
        labels=found.embedding_labels,
        classes=findings.data.classes,
        identity=identity(findings),
    )


def overlaid(images: ByteArray, heat: Float32Array) -> ByteArray:
    """Lay the heat over the grey image, (n, h, w, 3): the hotter, the more of the colour is seen."""
    grey = as_colour(images).mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    colours = 255 * matplotlib.colormaps["inferno"](np.clip(heat, 0, 1))[..., :3]
    weight = 0.15 + 0.6 * np.clip(heat, 0, 1)[..., None]
    return np.asarray(np.rint((1 - weight) * grey + weight * colours), dtype=np.uint8)


@styled
def draw_attention(info: AttentionInfo, figure: Figure) -> None:
    """Draw every image above its overlay; below, the predicted class, and the true one where they differ."""
    columns = min(10, max(1, len(info.images)))
    side = min(0.9, (WIDTH - 0.9) / columns)
    rows = -(-len(info.images) // columns)
    band = 2 * side + 0.32
    open_page(
        figure, height=0.65 + rows * band, title=f"{info.model}: where it looks (Grad-CAM on {info.layer})",
        identity=info.identity,
    )  # fmt: skip
    for row in range(rows):
        part = slice(row * columns, (row + 1) * columns)
        shown = len(info.images[part])
        axes = axes_at(figure, 0.8, 0.42 + row * band, side * shown, 2 * side)
        pictures = np.concatenate([as_colour(info.images[part]), overlaid(info.images[part], info.heat[part])])
        draw_sheet(axes, sheet(pictures, shown))
        blank(axes)
        axes.text(-0.1, 0.5, "image", ha="right", va="center", fontsize=7, color=MUTED)
        axes.text(-0.1, 1.5, "Grad-CAM", ha="right", va="center", fontsize=7, color=MUTED)
        for column, (label, predicted) in enumerate(zip(info.labels[part], info.predictions[part], strict=True)):
            right = label == predicted
            name = shortened(info.classes[predicted], 9)
            text = name if right else f"{name} ✗ ({shortened(info.classes[label], 9)})"
            colour = VERDICT_COLOURS["better" if right else "worse"]
            axes.text(column + 0.5, 2.06, text, ha="center", va="top", fontsize=7 if right else 6.5, color=colour)


@styled
def draw_features(info: FeaturesInfo, figure: Figure) -> None:
    """Draw, per layer, the filters as pictures and what they make of one image."""
    side = 0.4
    blocks = [_feature_blocks(layer) for layer in info.layers]
    heights = [sum(0.28 + side * -(-len(pictures) // 16) for _, pictures in block) + 0.1 for block in blocks]
    open_page(
        figure, height=0.55 + sum(heights) + 0.15, title=f"{info.model}: what the first layers respond to",
        identity=info.identity,
    )  # fmt: skip
    top = 0.4
    for layer, block in zip(info.layers, blocks, strict=True):
        thumb = axes_at(figure, 0.12, top + 0.24, 0.5, 0.5)
        draw_sheet(thumb, sheet(as_colour(layer.image[None]), 1, gap=0.0))
        blank(thumb)
        for title, pictures in block:
            rows = -(-len(pictures) // 16)
            columns = min(16, len(pictures))
            axes = axes_at(figure, 0.72, top + 0.22, side * columns, side * rows)
            draw_sheet(axes, sheet(pictures, columns, gap=0.05))
            blank(axes)
            axes.set_title(title, fontsize=7.5, fontweight="normal", pad=2, color=MUTED)
            top += 0.28 + side * rows
        top += 0.1


def _feature_blocks(layer: FeatureMaps) -> list[tuple[str, ByteArray]]:
    blocks = []
    if len(layer.filters) and layer.filters.shape[-1] > 1:
        blocks.append((f"{layer.layer}: weights", scaled_to_bytes(layer.filters[:32], symmetric=True)))
    if len(layer.maps) and layer.maps.ndim == 3 and layer.maps.shape[-1] > 1:
        blocks.append((f"{layer.layer}: responses to the image on the left", scaled_to_bytes(layer.maps[:32])))
    return blocks


@styled
def draw_embedding(info: EmbeddingInfo, figure: Figure) -> None:
    """Draw the points coloured by class, each class named at its median where there are few enough."""
    title = f"{info.model}: t-SNE of the layer {shortened(info.layer, 30)}"
    open_page(figure, height=4.6, title=title, identity=info.identity, width=5.0)
    axes = axes_at(figure, 0.2, 0.45, 4.6, 3.85)
    count = len(info.classes)
    colours = class_colours(count)[info.labels]
    axes.scatter(info.points[:, 0], info.points[:, 1], s=9, c=colours, alpha=0.8, linewidths=0)
    blank(axes)
    for label in np.unique(info.labels) if count <= MOST_CLASSES_NAMED else []:
        x, y = np.median(info.points[info.labels == label], axis=0)
        box = {"boxstyle": "round,pad=0.18", "facecolor": "#ffffff", "edgecolor": "none", "alpha": 0.85}
        axes.text(
            x, y, shortened(info.classes[label], 12), ha="center", va="center", fontsize=8, fontweight="bold", bbox=box
        )


def class_colours(count: int) -> Float32Array:
    """Return ``count`` distinguishable colours (count, 4): ten by hand for few classes, otherwise around the wheel."""
    if count <= 10:
        return np.array(matplotlib.colormaps["tab10"].colors, dtype=np.float32)[:count]  # type: ignore[attr-defined]
    return np.array(matplotlib.colormaps["turbo"](np.linspace(0.03, 0.97, count)), dtype=np.float32)
