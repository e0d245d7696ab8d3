"""How large a network would be, by arithmetic on its description, so that one that cannot be built is refused unbuilt."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import psutil

from ceteris.errors import ConfigError

LARGEST_PARAMETERS = 10**9
LARGEST_LAYERS = 10_000  # each of which is an object of some kilobytes, however narrow
_BYTES_PER_PARAMETER = 16  # float32 each: the weight, its gradient, two moments of an optimizer
_BYTES_PER_VALUE = 8  # float32 each: the value, its gradient


class Size(NamedTuple):
    """How large a network is; ``values`` are the outputs of its layers for one image."""

    layers: int
    parameters: int
    values: int


def require_buildable(size: Size, batch_size: int, fields: str) -> None:
    """Check that a network has not more layers or parameters than allowed and that a step fits into the machine's memory.

    Args:
        size: of the network.
        batch_size: images that a step takes at once.
        fields: of the recipe that make it smaller, for the message.

    Raises:
        ConfigError: it is too large; the message says by how much.
    """
    needed, memory = training_bytes(size, batch_size), psutil.virtual_memory().total
    for what, found, allowed in (
        (f"{size.layers:,} layers", size.layers, LARGEST_LAYERS),
        (f"{size.parameters:,} parameters", size.parameters, LARGEST_PARAMETERS),
        (f"a training step of about {needed / 2**30:,.1f} GiB in batches of {batch_size:,} images", needed, memory),
    ):
        if found > allowed:
            limit = f"{memory / 2**30:,.1f} GiB, the memory of this machine" if allowed == memory else f"{allowed:,}"
            raise ConfigError(f"the model would have {what}; the limit is {limit}. Choose smaller {fields}.")


def training_bytes(size: Size, batch_size: int) -> int:
    """Return about how many bytes a training step needs: weights, gradients, moments, and the values of a batch."""
    return _BYTES_PER_PARAMETER * size.parameters + _BYTES_PER_VALUE * batch_size * size.values


def mlp_size(*, input_shape: tuple[int, int, int], classes: int, hidden: Sequence[int], **_: Any) -> Size:
    """Return the size of an :class:`ceteris.models.mlp.MLP` with these arguments."""
    return _total(_connected(math.prod(input_shape), [*hidden, classes]))


def cnn_size(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    filters: Sequence[int],
    kernels: Sequence[int],
    convolutions_per_block: int,
    pooling: str,
    pool_after: Sequence[int] | None,
    global_average_pooling: bool,
    head: Sequence[int],
    **_: Any,
) -> Size:
    """Return the size of a :class:`ceteris.models.cnn.CNN` with these arguments."""
    channels, height, width = input_shape
    parts: list[Size] = []
    for number, (units, kernel) in enumerate(zip(filters, kernels, strict=True), start=1):
        parts.append(_convolutions(1, channels, units, kernel, height * width))
        parts.append(_convolutions(convolutions_per_block - 1, units, units, kernel, height * width))
        channels = units
        if pooling != "none" and min(height, width) > 1 and (pool_after is None or number in pool_after):
            height, width = height // 2, width // 2
    area = 1 if global_average_pooling else height * width
    return _total([*parts, *_connected(channels * area, [*head, classes])])


def resnet_size(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    blocks: Sequence[int],
    filters: Sequence[int],
    kernel: int,
    convolutions_per_block: int,
    stem_stride: int,
    head: Sequence[int],
    **_: Any,
) -> Size:
    """Return the size of a :class:`ceteris.models.resnet.ResNet` with these arguments, without its projections."""
    channels, height, width = input_shape
    height, width = -(-height // stem_stride), -(-width // stem_stride)
    parts = [_convolutions(1, channels, filters[0], kernel, height * width)]
    channels = filters[0]
    for number, (depth, units) in enumerate(zip(blocks, filters, strict=True)):
        if number:
            height, width = -(-height // 2), -(-width // 2)
        parts.append(_convolutions(1, channels, units, kernel, height * width))
        parts.append(_convolutions(depth * convolutions_per_block - 1, units, units, kernel, height * width))
        channels = units
    return _total([*parts, *_connected(channels, [*head, classes])])


def _convolutions(count: int, inputs: int, filters: int, kernel: int, area: int) -> Size:
    return Size(count, count * inputs * filters * kernel**2, count * filters * area)


def _connected(inputs: int, widths: Sequence[int]) -> Iterator[Size]:
    for width in widths:
        yield Size(1, (inputs + 1) * width, width)
        inputs = width


def _total(parts: Sequence[Size] | Iterator[Size]) -> Size:
    return Size(*map(sum, zip(*parts, strict=True)))
