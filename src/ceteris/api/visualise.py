"""A trained model looked into: the maps of any layer for images of one's own, and where a layer puts them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from ceteris.api.answers import Evaluation, evaluate_model
from ceteris.api.model import TrainedModel
from ceteris.data import read_images
from ceteris.errors import ConfigError
from ceteris.explain.embedding import embed, tsne
from ceteris.explain.features import convolution_outputs, outputs_kept, standardise
from ceteris.figures.report_figure import to_png
from ceteris.models.summary import evaluating
from ceteris.records import ByteArray, Float32Array

_MOST_MAPS = 8
_MOST_IMAGES = 10


def test_model(model: TrainedModel, data: Any, **options: Any) -> Evaluation:
    """Test a model on labelled images: :func:`ceteris.evaluate_model` by the name that coursework gives it."""
    return evaluate_model(model, data, **options)


test_model.__test__ = False  # type: ignore[attr-defined]  # not a test of pytest's


def feature_visualization(model: TrainedModel, images: Any, layers: str | Sequence[str] | None = None) -> Figure:
    """Draw what layers answer to images: a row for every image and layer, the image first, then up to 8 of the layer's maps.

    Args:
        model: a trained model.
        images: at most 10, as :meth:`TrainedModel.probabilities` takes them.
        layers: names as in the model's summary, of layers whose output is maps; every convolution without it.

    Raises:
        ConfigError: no such layer, one without maps, or no layer or image at all.
    """
    pictures, pixels = _read(model, images)
    names = [layers] if isinstance(layers, str) else list(layers or convolution_outputs(model.network, pixels[0]))
    if not names or not 0 < len(pictures) <= _MOST_IMAGES:
        raise ConfigError(
            f"feature_visualization: 1 to {_MOST_IMAGES} images and a layer with maps are needed; received {len(pictures)} "
            f"images and the layers {', '.join(names) or 'of a model without convolutions'}."
        )
    with torch.no_grad(), evaluating(model.network), outputs_kept(model.network, names) as outputs:
        model.network(pixels)
    for name in names:
        if outputs[name].ndim != 4:
            raise ConfigError(
                f'layers: "{name}" puts out {tuple(outputs[name].shape[1:])} for an image, not maps (filters, height, width). '
                f"Layers with maps: {', '.join(convolution_outputs(model.network, pixels[0])) or 'none'}."
            )
    return _maps_drawn(pictures, {name: outputs[name].float().cpu().numpy()[:, :_MOST_MAPS] for name in names})


def _maps_drawn(pictures: ByteArray, maps: dict[str, Float32Array]) -> Figure:
    rows, columns = len(pictures) * len(maps), 1 + max(layer.shape[1] for layer in maps.values())
    figure = Figure(figsize=(0.9 * columns + 1.2, 0.95 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, picture in enumerate(pictures):
        for place, (name, values) in enumerate(maps.items()):
            line = grid[number * len(maps) + place]
            line[0].imshow(np.moveaxis(picture, 0, -1).squeeze(), cmap="gray", vmin=0, vmax=255)
            line[0].text(-0.08, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=8)
            for filter_number, (axes, shown) in enumerate(zip(line[1:], values[number], strict=False), start=1):
                axes.imshow(shown, cmap="viridis")
                if not number and not place:
                    axes.set_title(f"map {filter_number}", fontsize=8)
    vars(figure)["_repr_png_"] = partial(to_png, figure, dpi=110)  # notebooks show it, without any magic
    return figure


def embed_images(model: TrainedModel, images: Any, *, layer: str | None = None, seed: int = 0) -> Float32Array:
    """Return where a layer puts images, in two dimensions by t-SNE, (n, 2); see :func:`ceteris.explain.embedding.tsne`.

    Args:
        model: a trained model.
        images: 5 or more, as :meth:`TrainedModel.probabilities` takes them.
        layer: whose output is taken, by its name in the model's summary; without it what the last linear layer sees.
        seed: of the t-SNE.

    Raises:
        ConfigError: no such layer.
        DataError: fewer than 5 images.
    """
    return tsne(embed(model.network, _read(model, images)[1], layer=layer), seed=seed)


def _read(model: TrainedModel, images: Any) -> tuple[ByteArray, torch.Tensor]:
    card = model.card
    pictures = read_images(images, card.reading, shape=card.input_shape)
    mean, std = np.array(card.mean), np.array(card.deviation)
    return pictures, standardise(pictures, mean=mean, std=std, model=model.network)
