"""Residual networks (He et al. 2016: Deep residual learning; He et al. 2016b: Identity mappings)."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from ceteris.errors import ConfigError
from ceteris.models.layers import (
    ActivationFactory,
    Flatten,
    GlobalAveragePooling,
    Normalisation,
    chosen_norm,
    connected_head,
    convolution,
    normalising,
)

BlockKind = Literal["basic", "pre-activation"]
Shortcut = Literal["padding", "projection"]


class ResNet(nn.Sequential):
    """A first convolution, stages of residual blocks, global average pooling and a connected head.

    Takes images (n, channels, height, width) and returns logits (n, classes). Every stage after the first halves the
    image with the stride of its first convolution. With ``shortcut`` "padding" the networks with and without residual
    connections have the same parameters under the same names.

    Args:
        input_shape: channels, height and width of an image.
        classes: number of logits.
        blocks: residual blocks of every stage.
        filters: filters of every convolution of a stage, one entry per stage.
        kernel: odd kernel size.
        block: "basic" is convolution, normalisation, activation, with the last activation after the sum; in a
            "pre-activation" block normalisation and activation come before each convolution and nothing after the sum;
            one more normalisation and activation then close the last stage.
        convolutions_per_block: convolutions under one shortcut, 2 or 3.
        residual: False builds the same network without its shortcuts.
        shortcut: where a block changes the shape, "padding" subsamples and fills with channels of 0 (option A of He et
            al. 2016), "projection" is a 1x1 convolution with stride (option B).
        stem_stride: stride of the first convolution.
        head: widths of the hidden linear layers after the pooling.
        activation: makes the activation, called once for each place; it must not work in place.
        batch_norm: normalise every convolution (Ioffe & Szegedy 2015).
        dropout: probability of dropping an input of the head's linear layers, 0 <= dropout < 1, of all or one for each.
        normalisation: another kind of normalisation, in the place of batch normalisation.

    Raises:
        ConfigError: the image is too small to be halved by every stage, or padding would have to remove channels.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, int, int],
        classes: int,
        blocks: Sequence[int],
        filters: Sequence[int],
        kernel: int,
        block: BlockKind,
        convolutions_per_block: int,
        residual: bool,
        shortcut: Shortcut,
        stem_stride: int,
        head: Sequence[int],
        activation: ActivationFactory,
        batch_norm: bool,
        dropout: float | Sequence[float],
        normalisation: Normalisation | None = None,
    ) -> None:
        _check_size(input_shape[1:], len(filters), stem_stride)
        if residual and shortcut == "padding" and list(filters) != sorted(filters):
            raise ConfigError(
                'shortcut = "padding" can add channels but not remove them: filters must not decrease from stage to stage, '
                f'received {tuple(filters)}. Use growing filters or shortcut = "projection"'
            )
        parts = _BlockParts(
            kernel=kernel,
            kind=block,
            convolutions=convolutions_per_block,
            shortcut=shortcut if residual else None,
            activation=activation,
            norm=chosen_norm(normalisation, batch_norm=batch_norm),
        )
        layers: OrderedDict[str, nn.Module] = OrderedDict(stem=parts.stem(input_shape[0], filters[0], stem_stride))
        channels = filters[0]
        for number, (depth, units) in enumerate(zip(blocks, filters, strict=True), start=1):
            layers[f"stage{number}"] = parts.stage(depth, channels, units, stride=1 if number == 1 else 2)
            channels = units
        layers.update(parts.closing(channels))
        layers["pool"] = GlobalAveragePooling()
        layers["flatten"] = Flatten()
        layers.update(connected_head(channels, head, classes, activation=activation, dropout=dropout))
        super().__init__(layers)


class ResidualBlock(nn.Module):
    """``activation(branch(x) + shortcut(x))``; without a shortcut the sum, without an activation its call is left out.

    In a CNN the activation may have a pooling before or after it.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None, activation: nn.Module | None) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, height, width) to (n, filters, height / stride, width / stride), rounded up."""
        y: Tensor = self.branch(x)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return y if self.activation is None else self.activation(y)


def shortcut_modules(model: nn.Module) -> set[nn.Module]:
    """Return everything that lies in the shortcuts of a model."""
    shortcuts = (block.shortcut for block in model.modules() if isinstance(block, ResidualBlock))
    return {module for shortcut in shortcuts if shortcut is not None for module in shortcut.modules()}


class PaddingShortcut(nn.Module):
    """Take every ``stride``-th pixel and add ``channels`` channels of 0; it has no parameters."""

    def __init__(self, *, stride: int, channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c + channels, h / stride, w / stride), rounded up."""
        # a pooling over single pixels is a slice whose gradient keeps the channels-last order
        pixels = x if self.stride == 1 else avg_pool2d(x, 1, self.stride)
        return pad(pixels, (0, 0, 0, 0, 0, self.channels))

    def extra_repr(self) -> str:
        """Return stride and added channels for the printed model."""
        return f"stride={self.stride}, channels={self.channels}"


@dataclass(frozen=True, kw_only=True)
class _BlockParts:
    """What all blocks of one network have in common; ``shortcut`` is None without residual connections."""

    kernel: int
    kind: BlockKind
    convolutions: int
    shortcut: Shortcut | None
    activation: ActivationFactory
    norm: Normalisation

    def stem(self, inputs: int, filters: int, stride: int) -> nn.Sequential:
        if self.kind == "pre-activation":  # the first block normalises
            return nn.Sequential(OrderedDict(conv=self._convolution(inputs, filters, stride)))
        layers = convolution(inputs, filters, self.kernel, stride=stride, norm=self.norm)
        return nn.Sequential(OrderedDict(layers, activation=self.activation()))

    def stage(self, depth: int, inputs: int, filters: int, *, stride: int) -> nn.Sequential:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["block1"] = self.block(inputs, filters, stride)
        for number in range(2, depth + 1):
            layers[f"block{number}"] = self.block(filters, filters, 1)
        return nn.Sequential(layers)

    def block(self, inputs: int, filters: int, stride: int) -> ResidualBlock:
        shortcut = self._shortcut(inputs, filters, stride)
        if self.kind == "pre-activation":
            return ResidualBlock(self._pre_activation_branch(inputs, filters, stride), shortcut, None)
        return ResidualBlock(self._basic_branch(inputs, filters, stride), shortcut, self.activation())

    def closing(self, channels: int) -> dict[str, nn.Module]:
        """Return what follows the last stage."""
        if self.kind == "basic":
            return {}
        return normalising(self.norm, channels) | {"activation": self.activation()}

    def _basic_branch(self, inputs: int, filters: int, stride: int) -> nn.Sequential:
        layers = OrderedDict(convolution(inputs, filters, self.kernel, stride=stride, norm=self.norm, suffix=1))
        for number in range(2, self.convolutions + 1):
            layers[f"activation{number - 1}"] = self.activation()
            layers.update(convolution(filters, filters, self.kernel, norm=self.norm, suffix=number))
        return nn.Sequential(layers)

    def _pre_activation_branch(self, inputs: int, filters: int, stride: int) -> nn.Sequential:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(1, self.convolutions + 1):
            layers.update(normalising(self.norm, inputs, number))
            layers[f"activation{number}"] = self.activation()
            layers[f"conv{number}"] = self._convolution(inputs, filters, stride)
            inputs, stride = filters, 1
        return nn.Sequential(layers)

    def _convolution(self, inputs: int, filters: int, stride: int) -> nn.Conv2d:
        # no bias with batch normalisation: every way from here leads through one, which would subtract it
        return nn.Conv2d(
            inputs, filters, self.kernel, stride=stride, padding=self.kernel // 2, bias=self.norm != "batch"
        )

    def _shortcut(self, inputs: int, filters: int, stride: int) -> nn.Module | None:
        if self.shortcut is None:
            return None
        if stride == 1 and inputs == filters:
            return nn.Identity()
        if self.shortcut == "padding":
            return PaddingShortcut(stride=stride, channels=filters - inputs)
        if self.kind == "pre-activation":  # nothing on this way is normalised
            return nn.Conv2d(inputs, filters, 1, stride=stride, bias=self.norm != "batch")
        return nn.Sequential(OrderedDict(convolution(inputs, filters, 1, stride=stride, norm=self.norm)))


def _check_size(size: tuple[int, ...], stages: int, stem_stride: int) -> None:
    side = -(-min(size) // stem_stride)
    possible = (side - 1).bit_length()  # each stage after the first halves a side, rounded up, until it is 1
    if stages - 1 > possible:
        raise ConfigError(
            f"{stages} stages halve the image {stages - 1} times, but images of {size[0]}x{size[1]} pixels with "
            f"stem_stride = {stem_stride} can be halved {possible} times. Use at most {possible + 1} entries in blocks "
            "and filters" + (", or a smaller stem_stride" if stem_stride > 1 else "")
        )
