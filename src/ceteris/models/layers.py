"""The named pieces that the models are put together from."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from ceteris.models.dropout import Dropout, shares_of

ActivationFactory = Callable[[], nn.Module]
Normalisation = Literal["none", "batch", "layer", "group"]
_MOST_GROUPS = 8


class Resize(nn.Module):
    """Bring images to another size, bilinearly and without aliasing, before anything else is done with them."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, height, width) to (n, channels, *size)."""
        return interpolate(x, size=self.size, mode="bilinear", antialias=True)

    def extra_repr(self) -> str:
        """Return the size for the printed model."""
        return f"size={self.size}"


class GlobalAveragePooling(nn.Module):
    """The mean of every feature map (Lin et al. 2014).

    It is a pooling over the whole map because the gradient of a pooling keeps the channels-last order of its input. The
    gradient of torch.nn.AdaptiveAvgPool2d(1) does not, and the layer before is then several times slower on a CPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, height, width) to (n, channels, 1, 1)."""
        return avg_pool2d(x, x.shape[2:])


class Flatten(nn.Flatten):
    """From feature maps to one row per image, in the order channel, row, column.

    The gradient goes back in the memory order of the maps. That of torch.nn.Flatten does not, and on a CPU the layer before
    then takes ten times as long as on maps in channels-last order.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """Map (n, ...) to (n, values)."""
        return flattened(input)


def flattened(maps: Tensor) -> Tensor:
    """Return (n, ...) as (n, values), with a gradient in the memory order of ``maps``."""
    in_channels_last = maps.ndim == 4 and not maps.is_contiguous()
    if in_channels_last and maps.requires_grad and maps.is_contiguous(memory_format=torch.channels_last):
        maps = _KeepsChannelsLast.apply(maps)  # type: ignore[no-untyped-call]
    return maps.flatten(1)


class _KeepsChannelsLast(torch.autograd.Function):
    """The same maps, with a gradient in channels-last order."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        return maps.view_as(maps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.contiguous(memory_format=torch.channels_last)


def pooled_first(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """Return the layers with every ReLU behind the maximum pooling that follows it.

    The largest of four values is the largest of their positive parts, so that all results and gradients are the same to
    the last digit, and only a quarter of the values is left to be rectified.
    """
    ordered = list(layers)
    for index, (before, after) in enumerate(pairwise(layers)):
        if type(before) is nn.ReLU and type(after) is nn.MaxPool2d:
            ordered[index : index + 2] = after, before
    return ordered


def convolution(
    inputs: int, filters: int, kernel: int, *, stride: int = 1, norm: Normalisation, suffix: int | str = ""
) -> dict[str, nn.Module]:
    """Return a convolution that keeps the image's size (divided by ``stride``, rounded up) and its normalisation.

    The bias is left out where batch normalisation follows, because the normalisation subtracts it again.
    """
    convolve = nn.Conv2d(inputs, filters, kernel, stride=stride, padding=kernel // 2, bias=norm != "batch")
    return {f"conv{suffix}": convolve} | normalising(norm, filters, suffix)


def chosen_norm(normalisation: Normalisation | None, *, batch_norm: bool) -> Normalisation:
    """Return the normalisation that is named, or batch normalisation where it is on, or none."""
    return normalisation or ("batch" if batch_norm else "none")


def normalising(
    norm: Normalisation, channels: int, suffix: int | str = "", *, maps: bool = True
) -> dict[str, nn.Module]:
    """Return the layer that normalises maps (n, channels, h, w), or without ``maps`` (n, channels); nothing for "none".

    Layer normalisation (Ba et al. 2016) takes all values of an image together, group normalisation (Wu & He 2018) those of
    at most 8 groups of equally many channels; neither looks at other images, as batch normalisation does (Ioffe & Szegedy
    2015).
    """
    layer: nn.Module
    match norm:
        case "none":
            return {}
        case "batch":
            layer = nn.BatchNorm2d(channels) if maps else nn.BatchNorm1d(channels)
        case "layer":
            layer = nn.GroupNorm(1, channels) if maps else nn.LayerNorm(channels)
        case "group":
            layer = nn.GroupNorm(math.gcd(channels, _MOST_GROUPS), channels)
    return {f"norm{suffix}": layer}


def connected_head(
    inputs: int, hidden: Sequence[int], classes: int, *, activation: ActivationFactory, dropout: float | Sequence[float]
) -> dict[str, nn.Module]:
    """Return the fully connected layers after the convolutions: ((dropout), linear, activation)*, (dropout), linear.

    There is no batch normalisation in the head: behind dropout it would see another variance in training than in
    evaluation (Li et al. 2019).
    """
    layers: dict[str, nn.Module] = {}
    width = inputs
    *shares, last = shares_of(dropout, len(hidden) + 1)
    for number, (units, share) in enumerate(zip(hidden, shares, strict=True), start=1):
        if share:
            layers[f"dropout{number}"] = Dropout(share)
        layers[f"linear{number}"] = nn.Linear(width, units)
        layers[f"activation{number}"] = activation()
        width = units
    if last:
        layers["dropout"] = Dropout(last)
    layers["classifier"] = nn.Linear(width, classes)
    return layers
