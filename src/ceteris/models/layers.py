"""The named pieces that the models are put together from."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from ceteris.models.dropout import Dropout, shares_of

ActivationFactory = Callable[[], nn.Module]


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
    inputs: int, filters: int, kernel: int, *, stride: int = 1, batch_norm: bool, suffix: int | str = ""
) -> dict[str, nn.Module]:
    """Return a convolution that keeps the image's size (divided by ``stride``, rounded up) and its batch normalisation.

    The bias is left out where batch normalisation follows, because the normalisation subtracts it again.
    """
    convolve = nn.Conv2d(inputs, filters, kernel, stride=stride, padding=kernel // 2, bias=not batch_norm)
    if not batch_norm:
        return {f"conv{suffix}": convolve}
    return {f"conv{suffix}": convolve, f"norm{suffix}": nn.BatchNorm2d(filters)}


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
