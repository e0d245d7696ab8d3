"""What a model takes, what its layers put out on the way (caught by hooks), and what the first ones respond to."""

import math
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ceteris.errors import ConfigError
from ceteris.findings import FeatureMaps
from ceteris.models.summary import convolutions, device_of, evaluating, layer_named, linears
from ceteris.records import ByteArray, FloatArray

LARGEST_NUMBER_OF_FILTERS = 16


def standardise(images: ByteArray, *, mean: FloatArray, std: FloatArray, model: nn.Module) -> Tensor:
    """Return (images - mean) / std as float32 (n, channels, height, width) on the model's device.

    Args:
        images: uint8 (n, channels, height, width).
        mean: (channels,) in 0..255.
        std: (channels,) in 0..255, above 0.
        model: only its device is used.
    """
    device = device_of(model)
    pixels = torch.tensor(images, device=device).float()
    centre, scale = (torch.as_tensor(part, dtype=torch.float32, device=device)[:, None, None] for part in (mean, std))
    return (pixels - centre) / scale


@contextmanager
def outputs_kept(model: nn.Module, layers: Collection[str]) -> Iterator[dict[str, Tensor]]:
    """Fill the yielded dictionary with the outputs of the named layers at every forward pass.

    The next layer receives a copy, so that an activation that works in place does not change what was kept.

    Raises:
        ConfigError: a layer that the model does not have.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        outputs[name] = output
        return output.clone()

    with ExitStack() as stack:
        for name in layers:
            stack.enter_context(layer_named(model, name).register_forward_hook(partial(keep, name)))
        yield outputs


def convolution_outputs(model: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Return the maps (filters, height, width) of every convolution for one standardised image (channels, h, w).

    They come in the order in which the convolutions ran; a convolution that does not run is missing.
    """
    with torch.no_grad(), evaluating(model), outputs_kept(model, convolutions(model)) as outputs:
        model(image[None])
    return {name: maps[0] for name, maps in outputs.items()}


def feature_maps(model: nn.Module, image: ByteArray, layer: str, *, mean: FloatArray, std: FloatArray) -> FeatureMaps:
    """Return the first filters of one layer as pictures and their responses to ``image``, at most 16.

    For a convolution the pictures are the weights, in colour where it sees three channels, else averaged over the input
    channels; the responses are its output before normalisation and activation. For a linear layer that sees the whole
    image the pictures are each unit's weights in the image's places and the response is the unit's output, one
    number.

    Args:
        model: left as it was.
        image: uint8 (channels, height, width).
        layer: name of the layer.
        mean: (channels,) in 0..255, as in training.
        std: (channels,) in 0..255, as in training.

    Raises:
        ConfigError: no such layer, or one of another kind.
    """
    pixels = standardise(image[None], mean=mean, std=std, model=model)[0]
    match layer_named(model, layer):
        case nn.Conv2d() as convolution:
            filters = _in_colour(convolution.weight)  # (filters, 1 or 3, kernel, kernel)
            outputs = convolution_outputs(model, pixels)
            if layer not in outputs:
                raise ConfigError(
                    f'"{layer}" does not run in this model; these convolutions do: {", ".join(outputs) or "none"}'
                )
            maps = outputs[layer]
        case nn.Linear() as linear if linear.in_features == image.size:
            filters = _in_colour(linear.weight.view(-1, *image.shape))  # (units, 1 or 3, height, width)
            with torch.no_grad():
                maps = linear(pixels.flatten())[:, None, None]
        case other:
            raise ConfigError(
                f'"{layer}" is a {type(other).__name__}; features are shown for a Conv2d, or for a Linear layer with '
                f"one input for each of the image's {math.prod(image.shape)} values"
            )
    shown = [
        part[:LARGEST_NUMBER_OF_FILTERS].detach().float().cpu().numpy().copy(order="C") for part in (filters, maps)
    ]
    return FeatureMaps(layer=layer, image=image, filters=shown[0], maps=shown[1])


def _in_colour(weights: Tensor) -> Tensor:
    """Return (filters, 1 or 3, height, width)."""
    return weights if weights.shape[1] == 3 else weights.mean(dim=1, keepdim=True)


def first_features(model: nn.Module, image: ByteArray, *, mean: FloatArray, std: FloatArray) -> tuple[FeatureMaps, ...]:
    """Return the features of the two convolutions that run first, without convolutions those of the first linear layer.

    Empty for a model that has neither; arguments as in :func:`feature_maps`.
    """
    pixels = standardise(image[None], mean=mean, std=std, model=model)[0]
    names = list(convolution_outputs(model, pixels))[:2]
    if not names:
        names = [name for name, module in linears(model).items() if module.in_features == image.size][:1]
    return tuple(feature_maps(model, image, name, mean=mean, std=std) for name in names)
