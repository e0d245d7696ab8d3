"""Convolutional networks of convolutions, pooling and a connected head, with or without residual connections."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ceteris.errors import ConfigError
from ceteris.models.layers import (
    ActivationFactory,
    Flatten,
    GlobalAveragePooling,
    Normalisation,
    chosen_norm,
    connected_head,
    convolution,
    pooled_first,
)
from ceteris.models.resnet import PaddingShortcut, ResidualBlock, Shortcut

Pooling = Literal["max", "average", "none"]
Order = Literal["activation-first", "pooling-first"]


class CNN(nn.Sequential):
    """Blocks of convolutions (stride 1, padding that keeps the size), 2x2 pooling between them, a connected head.

    Takes images (n, channels, height, width) and returns logits (n, classes).

    With ``residual`` a shortcut leads around every so many convolutions with their activations, counted from the image on;
    those that are left over at the end have one of their own. As in He et al. (2016) it is added to the last convolution
    that it leads around, before the activation and the pooling that follow. It passes the poolings on its way itself, and
    where the channels change, channels of 0 are added ("padding") or a 1x1 convolution maps them ("projection"). All other
    layers are those of the network without shortcuts.

    Args:
        input_shape: channels, height and width of an image.
        classes: number of logits.
        filters: filters of every convolution, one entry per block.
        kernels: odd kernel size, one entry per block.
        convolutions_per_block: convolutions in every block, each with its own normalisation and activation.
        pooling: kind of the pooling with stride 2.
        pool_after: numbers (from 1) of the blocks that end in pooling; None lets every block do so while the image has
            at least 2 pixels on each side.
        order: whether the last activation of a block comes before or after its pooling.
        global_average_pooling: average every feature map before the head.
        head: widths of the hidden linear layers of the head.
        activation: makes the activation, called once for each place.
        batch_norm: normalise after every convolution (Ioffe & Szegedy 2015).
        dropout: probability of dropping an input of the head's linear layers, 0 <= dropout < 1, of all or one for each.
        residual: convolutions with their activations under one shortcut; 0 leaves shortcuts out.
        shortcut: how one changes the number of channels.
        normalisation: another kind of normalisation, in the place of batch normalisation.

    Raises:
        ConfigError: the image is too small for so many poolings, or padding would have to remove channels.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, int, int],
        classes: int,
        filters: Sequence[int],
        kernels: Sequence[int],
        convolutions_per_block: int,
        pooling: Pooling,
        pool_after: tuple[int, ...] | None,
        order: Order,
        global_average_pooling: bool,
        head: Sequence[int],
        activation: ActivationFactory,
        batch_norm: bool,
        dropout: float | Sequence[float],
        residual: int = 0,
        shortcut: Shortcut = "padding",
        normalisation: Normalisation | None = None,
    ) -> None:
        channels, height, width = input_shape
        pooled = _pooled_blocks(len(filters), (height, width), pooling, pool_after)
        norm = chosen_norm(normalisation, batch_norm=batch_norm)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        pairs: list[_Pair] = []
        for number, (units, kernel) in enumerate(zip(filters, kernels, strict=True), start=1):
            for place in range(1, convolutions_per_block + 1):
                pool = _POOLINGS[pooling] if place == convolutions_per_block and number in pooled else None
                pairs.append(_Pair(channels, units, kernel, activation, norm, pool, order))
                channels = units
        size = residual or convolutions_per_block
        for number, start in enumerate(range(0, len(pairs), size), start=1):
            block = pairs[start : start + size]
            layers[f"block{number}"] = _residual_block(block, shortcut) if residual else _plain_block(block)
        area = (height >> len(pooled)) * (width >> len(pooled))
        if global_average_pooling:
            layers["pool"] = GlobalAveragePooling()
            area = 1
        layers["flatten"] = Flatten()
        layers.update(connected_head(channels * area, head, classes, activation=activation, dropout=dropout))
        super().__init__(layers)


class ConvolutionBlock(nn.Sequential):
    """A block of a :class:`CNN`, whose pooling comes first where that is faster, unless somebody may look between its layers.

    In evaluation mode outside ``torch.inference_mode`` the layers run as they are listed, for those who look at what is
    between them.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """Map (n, channels, height, width) to the block's output."""
        hidden = self.training or torch.is_inference_mode_enabled()
        for layer in pooled_first(list(self)) if hidden else self:
            input = layer(input)  # noqa: A001
        return input


_POOLINGS: dict[str, Callable[[int], nn.Module]] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


def _pooled_blocks(
    blocks: int, size: tuple[int, int], pooling: Pooling, pool_after: tuple[int, ...] | None
) -> Collection[int]:
    """Return the numbers of the blocks that end in pooling."""
    possible = min(size).bit_length() - 1  # each pooling halves a side, rounded down
    if pooling == "none":
        return ()
    if pool_after is None:
        return range(1, min(blocks, possible) + 1)
    pooled = set(pool_after)
    if len(pooled) > possible:
        raise ConfigError(
            f"pool_after = {pool_after} halves the image {len(pooled)} times, but images of {size[0]}x{size[1]} pixels "
            f"can be halved {possible} times. Name at most {possible} blocks, or leave pool_after out: then pooling "
            "stops by itself when the image is small"
        )
    return pooled


class _Pair(NamedTuple):
    """A convolution and its activation, with the pooling after them, if any."""

    inputs: int
    filters: int
    kernel: int
    activation: ActivationFactory
    norm: Normalisation
    pool: Callable[[int], nn.Module] | None
    order: Order

    def convolution(self, number: int) -> dict[str, nn.Module]:
        return convolution(self.inputs, self.filters, self.kernel, norm=self.norm, suffix=number)

    def after(self, number: int, pool_name: str) -> dict[str, nn.Module]:
        """Return activation and pooling in their order."""
        layers: dict[str, nn.Module] = {f"activation{number}": self.activation()}
        if self.pool is None:
            return layers
        pool = {pool_name: self.pool(2)}
        return pool | layers if self.order == "pooling-first" else layers | pool


def _plain_block(pairs: Sequence[_Pair]) -> ConvolutionBlock:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, pair in enumerate(pairs, start=1):
        layers.update(pair.convolution(number) | pair.after(number, "pool"))
    return ConvolutionBlock(layers)


def _residual_block(pairs: Sequence[_Pair], shortcut: Shortcut) -> ResidualBlock:
    """Return a block whose shortcut ends before what follows its last convolution."""
    *inner, last = pairs
    branch: OrderedDict[str, nn.Module] = OrderedDict()
    way: OrderedDict[str, nn.Module] = OrderedDict()
    for number, pair in enumerate(inner, start=1):
        branch.update(pair.convolution(number) | pair.after(number, f"pool{number}"))
        if pair.pool:
            way[f"pool{number}"] = pair.pool(2)
    branch.update(last.convolution(len(pairs)))
    inputs, filters = pairs[0].inputs, last.filters
    if inputs != filters:
        way["channels"] = _other_channels(inputs, filters, shortcut, norm=last.norm)
    ends = last.activation() if last.pool is None else ConvolutionBlock(OrderedDict(last.after(len(pairs), "pool")))
    return ResidualBlock(ConvolutionBlock(branch), nn.Sequential(way) if way else nn.Identity(), ends)


def _other_channels(inputs: int, filters: int, shortcut: Shortcut, *, norm: Normalisation) -> nn.Module:
    if shortcut == "projection":
        return nn.Sequential(OrderedDict(convolution(inputs, filters, 1, norm=norm)))
    if inputs > filters:
        raise ConfigError(
            f'shortcut = "padding" can add channels but not remove them, and one leads from {inputs} to {filters}. '
            'Use filters that do not decrease or shortcut = "projection"'
        )
    return PaddingShortcut(stride=1, channels=filters - inputs)
