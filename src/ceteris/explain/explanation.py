"""Everything that is shown about one final model, as plain arrays."""

import logging
from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import nn

from ceteris.errors import CeterisError
from ceteris.explain.embedding import FEWEST_IMAGES, embed, embedding_layer, principal, tsne
from ceteris.explain.features import first_features, standardise
from ceteris.explain.gradcam import grad_cam, grad_cam_layer
from ceteris.findings import Explanation, LeftOut
from ceteris.models.summary import convolutions, evaluating
from ceteris.records import ByteArray, Float32Array, FloatArray, IntArray

T = TypeVar("T")


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
    layer: str = "",
    embedded_layer: str = "",
    method: Literal["t-sne", "pca"] = "t-sne",
) -> Explanation:
    """Return heat maps, first features and t-SNE of one trained model, which is left as it was.

    Heat maps speak for the class that the model predicts. They are empty, (0, height, width), and ``layer`` is '' for a
    model without convolutions; the embedding is empty, (0, 2), for a model without a linear layer or fewer than 5 images.
    A part that cannot be made is left out, and ``left_out`` says why.

    Args:
        model: returns logits.
        name: the model's name in the study.
        images: uint8 (n, channels, height, width).
        labels: int64 (n,).
        mean: (channels,) in 0..255, as in training.
        std: (channels,) in 0..255, as in training.
        shown: places of the images whose heat maps are drawn, at least one; the first also shows the features.
        embedded: places of the images in the picture of a layer; about 1,000 take a few seconds by t-SNE.
        seed: of the t-SNE.
        layer: which one Grad-CAM looks at; by default the last convolution.
        embedded_layer: of the embedding; by default what the last linear layer sees.
        method: of the embedding.
    """
    pictures = images[shown]
    pixels = standardise(pictures, mean=mean, std=std, model=model)
    with torch.no_grad(), evaluating(model):
        predictions = model(pixels).argmax(dim=1)
    left_out = []

    def attempt(part: Literal["heat maps", "features", "embedding"], make: Callable[[], T], without: T) -> T:
        try:
            return make()
        except (CeterisError, RuntimeError, ValueError) as error:
            logging.getLogger("ceteris").warning("%s: no %s", name, part, exc_info=error)
            left_out.append(LeftOut(part=part, reason=str(error)))
            return without

    def heat_maps() -> tuple[str, Float32Array]:
        place = layer or grad_cam_layer(model, pixels[0])
        return place, grad_cam(model, pixels, predictions, place)

    def points() -> tuple[str, Float32Array]:
        others = standardise(images[embedded], mean=mean, std=std, model=model)
        place = (embedded_layer or embedding_layer(model, others[0])) if len(others) >= FEWEST_IMAGES else ""
        if not place:
            return "", nowhere
        values = embed(model, others, layer=embedded_layer or None)
        return place, tsne(values, seed=seed) if method == "t-sne" else principal(values)

    nowhere = np.zeros((0, 2), dtype=np.float32)
    looked_at, heat = "", np.zeros((0, *pixels.shape[2:]), dtype=np.float32)
    if convolutions(model):
        looked_at, heat = attempt("heat maps", heat_maps, (looked_at, heat))
    place, embedding = attempt("embedding", points, ("", nowhere))
    return Explanation(
        model=name,
        layer=looked_at,
        images=pictures,
        labels=labels[shown],
        predictions=predictions.cpu().numpy(),
        heat=heat,
        features=attempt("features", lambda: first_features(model, pictures[0], mean=mean, std=std), ()),
        embedding_layer=place,
        embedding=embedding,
        embedding_labels=labels[embedded][: len(embedding)],
        embedding_predictions=_classes(model, images[embedded][: len(embedding)], mean=mean, std=std),
        embedding_method=method,
        left_out=tuple(left_out),
    )


def _classes(
    model: nn.Module, images: ByteArray, *, mean: FloatArray, std: FloatArray, batch_size: int = 250
) -> IntArray:
    found = [np.zeros(0, np.int64)]
    with torch.no_grad(), evaluating(model):
        for start in range(0, len(images), batch_size):
            pixels = standardise(images[start : start + batch_size], mean=mean, std=std, model=model)
            found.append(model(pixels).argmax(1).cpu().numpy())
    return np.concatenate(found)
