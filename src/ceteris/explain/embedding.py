"""Where the images lie in a model's eyes: the values of one layer, and their picture in two dimensions."""

import warnings
from contextlib import ExitStack
from functools import partial

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor, nn

from ceteris.errors import ConfigError, DataError
from ceteris.explain.features import outputs_kept
from ceteris.models.summary import evaluating, linears
from ceteris.records import Float32Array

LARGEST_PERPLEXITY = 30.0
NEIGHBOURS_PER_PERPLEXITY = 3  # so many neighbours Barnes-Hut t-SNE looks at
FEWEST_IMAGES = 5
PRINCIPAL_COMPONENTS = 50


def embed(model: nn.Module, images: Tensor, *, layer: str | None = None, batch_size: int = 256) -> Float32Array:
    """Return the values of one layer for each image, (n, d), in evaluation mode.

    Args:
        model: left as it was.
        images: standardised, float (n, channels, height, width).
        layer: the layer whose output is taken, flattened; None takes the input of the last linear layer.
        batch_size: images per forward pass.

    Raises:
        ConfigError: no such layer, or no linear layer that runs.
    """
    with torch.no_grad(), evaluating(model):
        batches = [
            _layer_values(model, images[start : start + batch_size], layer)
            for start in range(0, len(images), batch_size)
        ]
    values: Float32Array = torch.cat(batches).float().cpu().numpy()
    return values


def embedding_layer(model: nn.Module, image: Tensor) -> str:
    """Return the linear layer that runs last for one standardised image (channels, h, w), '' where none runs."""
    with torch.no_grad(), evaluating(model):
        return next(reversed(_linear_inputs(model, image[None])), "")


def _layer_values(model: nn.Module, images: Tensor, layer: str | None) -> Tensor:
    """Return (n, d)."""
    if layer is not None:
        with outputs_kept(model, [layer]) as outputs:
            model(images)
        return outputs[layer].flatten(1)
    inputs = _linear_inputs(model, images)
    if not inputs:
        raise ConfigError("the model runs no torch.nn.Linear layer; name the layer to embed, as in the model's summary")
    return inputs[next(reversed(inputs))]


def _linear_inputs(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return what goes into each linear layer, (n, d), the layer that runs last at the end."""
    inputs: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        inputs.pop(name, None)  # so that a second call moves the layer to the end
        inputs[name] = arguments[0].flatten(1).clone()

    with ExitStack() as stack:
        for name, module in linears(model).items():
            stack.enter_context(module.register_forward_pre_hook(partial(keep, name)))
        model(images)
    return inputs


def tsne(features: Float32Array, *, seed: int) -> Float32Array:
    """Return the features (n, d) in two dimensions, (n, 2), by t-SNE (van der Maaten & Hinton 2008).

    The features are first reduced to at most 50 principal components, the first two of which give the start; the
    perplexity is 30, or less for fewer than 91 images. The same seed gives the same picture.

    Raises:
        DataError: fewer than 5 images.
    """
    if len(features) < FEWEST_IMAGES:
        raise DataError(f"t-SNE needs at least {FEWEST_IMAGES} images, received {len(features)}")
    if np.ptp(features, axis=0).max() == 0:
        return np.zeros((len(features), 2), dtype=np.float32)
    # one thread: the loops are short, and on a busy machine threads that wait for each other took ten times as long
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about features that are nearly constant
        components = PCA(min(PRINCIPAL_COMPONENTS, *features.shape), random_state=seed).fit_transform(features)
        points: Float32Array = TSNE(
            init="pca" if components.shape[1] > 1 else "random",
            perplexity=min(LARGEST_PERPLEXITY, (len(features) - 1) / NEIGHBOURS_PER_PERPLEXITY),
            random_state=seed,
        ).fit_transform(components)
    return points.astype(np.float32)


def principal(features: Float32Array) -> Float32Array:
    """Return the first two principal components of the features (n, d), (n, 2); 0 where there are fewer."""
    points = np.zeros((len(features), 2), dtype=np.float32)
    found = PCA(min(2, *features.shape), svd_solver="full").fit_transform(features)
    points[:, : found.shape[1]] = found
    return points
