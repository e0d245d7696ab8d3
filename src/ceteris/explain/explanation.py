"""Everything that is shown about one final model, as plain arrays."""

from contextlib import suppress

import numpy as np
import torch
from torch import nn

from ceteris.errors import ConfigError
from ceteris.explain.embedding import FEWEST_IMAGES, embed, embedding_layer, tsne
from ceteris.explain.features import first_features, standardise
from ceteris.explain.gradcam import grad_cam, grad_cam_layer
from ceteris.findings import Explanation
from ceteris.models.summary import convolutions, evaluating
from ceteris.records import ByteArray, FloatArray, IntArray


def explain(
    model: nn.Module,
    *,
    name: str,
    images: ByteArray,
    labels: IntArray,
    mean: FloatArray,
    std: FloatArray,
    shown: IntArray,
    embedded: IntArray,
    seed: int,
) -> Explanation:
    """Return heat maps, first features and t-SNE of one trained model, which is left as it was.

    Heat maps speak for the class that the model predicts. They are empty, (0, height, width), and ``layer`` is '' for
    a model without convolutions whose maps are larger than a point; the embedding is empty, (0, 2), for a model
    without a linear layer or fewer than 5 images.

    Args:
        model: returns logits.
        name: the model's name in the study.
        images: uint8 (n, channels, height, width).
        labels: int64 (n,).
        mean: (channels,) in 0..255, as in training.
        std: (channels,) in 0..255, as in training.
        shown: places of the images whose heat maps are drawn, at least one; the first also shows the features.
        embedded: places of the images in the t-SNE picture; about 1,000 take a few seconds.
        seed: of the t-SNE.
    """
    pictures = images[shown]
    pixels = standardise(pictures, mean=mean, std=std, model=model)
    with torch.no_grad(), evaluating(model):
        predictions = model(pixels).argmax(dim=1)
    layer, heat = "", np.zeros((0, *pixels.shape[2:]), dtype=np.float32)
    if convolutions(model):
        with suppress(ConfigError):  # all maps are single points: there is nothing to draw
            layer = grad_cam_layer(model, pixels[0])
            heat = grad_cam(model, pixels, predictions, layer)
    others = standardise(images[embedded], mean=mean, std=std, model=model)
    place = embedding_layer(model, others[0]) if len(others) >= FEWEST_IMAGES else ""
    points = tsne(embed(model, others), seed=seed) if place else np.zeros((0, 2), dtype=np.float32)
    return Explanation(
        model=name,
        layer=layer,
        images=pictures,
        labels=labels[shown],
        predictions=predictions.cpu().numpy(),
        heat=heat,
        features=first_features(model, pictures[0], mean=mean, std=std),
        embedding_layer=place,
        embedding=points,
        embedding_labels=labels[embedded][: len(points)],
    )
