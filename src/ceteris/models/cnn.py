"""Convolutional networks without residual connections."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from ceteris.errors import ConfigError
from ceteris.models.layers import (
    ActivationFactory,
    Flatten,
    GlobalAveragePooling,
    connected_head,
    convolution,
    pooled_first,
)

Pooling = Literal["max", "average", "none"]
Order = Literal["activation-first", "pooling-first"]


class CNN(nn.Sequential):
    """Blocks of convolutions (stride 1, padding that keeps the size), 2x2 pooling between them, a connected head.

    Takes images (n, channels, height, width) and returns logits (n, classes).

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
        dropout: probability of dropping an input of the head's linear layers, 0 <= dropout < 1.

    Raises:
        ConfigError: the image is too small for so many poolings.
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
        dropout: float,
    ) -> None:
        channels, height, width = input_shape
        pooled = _pooled_blocks(len(filters), (height, width), pooling, pool_after)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (units, kernel) in enumerate(zip(filters, kernels, strict=True), start=1):
            layers[f"block{number}"] = _block(
                [channels] + [units] * convolutions_per_block,
                kernel=kernel,
                pool=_POOLINGS[pooling](2) if number in pooled else None,
                order=order,
                activation=activation,
                batch_norm=batch_norm,
            )
            channels = units
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


def _block(
    channels: Sequence[int],
    *,
    kernel: int,
    pool: nn.Module | None,
    order: Order,
    activation: ActivationFactory,
    batch_norm: bool,
) -> ConvolutionBlock:
    """Return (convolution, (normalisation), activation)*, with the pooling before or after the last activation."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (inputs, filters) in enumerate(pairwise(channels), start=1):
        layers.update(convolution(inputs, filters, kernel, batch_norm=batch_norm, suffix=number))
        layers[f"activation{number}"] = activation()
    if pool is not None:
        layers["pool"] = pool
        if order == "pooling-first":
            layers.move_to_end(f"activation{len(channels) - 1}")
    return ConvolutionBlock(layers)
