"""K models of one shape as one model that trains all of them in lockstep.

For small networks the time goes into calls, not into arithmetic: a stacked model makes one call where K models make K.
Every tensor of parameters exists once, (K, ...); the parameters of the models that were stacked become views of it, so
that they can be evaluated, stored and stepped one by one at any time.

The layout was chosen by measurement. Fully connected layers multiply (K, batch, units) in one batched product.
Convolutions stay apart, one call per model: they are long enough to hide the call, and the activations of one model fit
into the cache where those of K models as groups of one convolution do not.

Images are a list of K tensors (n, channels, height, width). After flattening there is one tensor (K, n, units), or
(n, units) where all members share their images.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ceteris.models.dropout import Dropout, dropped, words_for
from ceteris.models.layers import Flatten, GlobalAveragePooling, Resize, flattened, pooled_first
from ceteris.models.resnet import PaddingShortcut, ResidualBlock

Activations = Tensor | list[Tensor]

_UNWEIGHTED = (
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid, nn.Softplus,
    nn.Identity, nn.MaxPool2d, nn.AvgPool2d, GlobalAveragePooling, PaddingShortcut, Resize,
)  # fmt: skip


class StackedModel(nn.Module):
    """K models in training mode as one; ``members`` are the models, whose parameters are views of the stacked ones.

    Takes images (K, n, channels, height, width), a list of K batches, or (n, channels, height, width) that all members
    share, and returns logits (K, n, classes). The members may differ in their weights and in their dropout, also in
    whether they have any.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        assert members, "nothing to stack"
        self.layers = _stacked(members)
        self._begins_flat = isinstance(next(iter(members[0].children())), nn.Flatten)
        self.members = list(members)  # a plain list: the members' views are no parameters of this model
        self._hand_out()

    def forward(self, images: Activations) -> Tensor:
        """Return the logits (K, n, classes) of every member."""
        if self._begins_flat and isinstance(images, Tensor):
            return self.layers(images.flatten(-3))  # type: ignore[no-any-return]
        if isinstance(images, Tensor):
            images = list(images.unbind()) if images.ndim == 5 else [images] * len(self.members)
        return self.layers(images)  # type: ignore[no-any-return]

    def hand_out_gradients(self) -> None:
        """Give the members' parameters the rows of the stacked gradients."""
        for parameter, owned in zip(self.parameters(), self._owned, strict=True):
            if parameter.grad is not None:
                for row, own in zip(parameter.grad.unbind(), owned, strict=True):
                    own.grad = row

    @torch.no_grad()
    def keep(self, indices: Sequence[int]) -> None:
        """Go on with the members at ``indices`` only; the others leave with weights of their own."""
        for index, member in enumerate(self.members):
            for tensor in () if index in indices else (*member.parameters(), *member.buffers()):
                tensor.data = tensor.detach().clone()
                tensor.grad = None
        self.members = [self.members[index] for index in indices]
        for tensor in [*self.parameters(), *self.buffers()]:
            tensor.data = select(tensor, indices)
            tensor.grad = None
        for module in self.modules():
            if isinstance(module, StackedDropout):
                module.keep(indices)
        self._hand_out()

    def _hand_out(self) -> None:
        self._owned = list(zip(*(member.parameters() for member in self.members), strict=True))
        buffers = zip(*(member.buffers() for member in self.members), strict=True)
        for tensor, owned in zip([*self.parameters(), *self.buffers()], [*self._owned, *buffers], strict=True):
            for row, own in zip(tensor.detach().unbind(), owned, strict=True):
                own.data = row


def select(tensor: Tensor, indices: Sequence[int]) -> Tensor:
    """Return the rows of a stacked tensor as a tensor of its own in the same memory order."""
    chosen = torch.empty_strided(
        (len(indices), *tensor.shape[1:]), tensor.stride(), dtype=tensor.dtype, device=tensor.device
    )
    for row, index in zip(chosen, indices, strict=True):
        row.copy_(tensor.detach()[index])
    return chosen


# ---------------------------------------------------------------------------------------------------------------------
# Layers: each computes the same layer of K models


class Unweighted(nn.Module):
    """A layer that has no weights and looks at no other image than its own: the same for every member."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Activations) -> Activations:
        """Return the layer's output for every member."""
        return self.module(x) if isinstance(x, Tensor) else [self.module(part) for part in x]


class StackedFlatten(nn.Module):
    """From images to one tensor of all members; a tensor is flat already."""

    def __init__(self, flattens: Sequence[nn.Flatten]) -> None:
        super().__init__()

    def forward(self, x: Activations) -> Tensor:
        """Map K images (n, c, h, w) to (K, n, c * h * w)."""
        return x if isinstance(x, Tensor) else torch.stack([flattened(part) for part in x])


class StackedLinear(nn.Module):
    """K linear layers as one batched product, or as one wide one where the members share their inputs."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = stacked_parameter(layers, "weight")  # (K, outputs, inputs)
        self.bias = None if layers[0].bias is None else stacked_parameter(layers, "bias")

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, n, inputs), or shared (n, inputs), to (K, n, outputs)."""
        if x.ndim == 2:
            bias = None if self.bias is None else self.bias.flatten()
            wide = functional.linear(x, self.weight.flatten(0, 1), bias)  # (n, K * outputs)
            return wide.view(len(x), *self.weight.shape[:2]).transpose(0, 1)
        products: Tensor = _BatchedLinear.apply(*_in_autocast_type(x, self.weight))  # type: ignore[no-untyped-call]
        return products if self.bias is None else products + self.bias[:, None].to(products.dtype)


class _BatchedLinear(torch.autograd.Function):
    """x W' of every member, with the gradient of W in the memory order of W.

    The gradient that autograd finds for bmm(x, W') is the transposed one, which costs a copy as dear as the product.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.bmm(x, weight.mT)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        x, weight = ctx.saved_tensors
        of_inputs = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        return of_inputs, torch.bmm(gradient.mT, x)


def _in_autocast_type(*tensors: Tensor) -> list[Tensor]:
    """Return the tensors in the type that a product has in the present autocast context."""
    device = tensors[0].device.type
    if not torch.is_autocast_enabled(device):
        return list(tensors)
    return [tensor.to(torch.get_autocast_dtype(device)) for tensor in tensors]


class StackedConv2d(nn.Module):
    """K convolutions, one after the other."""

    def __init__(self, layers: Sequence[nn.Conv2d]) -> None:
        super().__init__()
        self.weight = stacked_parameter(layers, "weight")  # (K, outputs, inputs, kh, kw)
        self.bias = None if layers[0].bias is None else stacked_parameter(layers, "bias")
        self._stride = layers[0].stride
        self._padding = layers[0].padding

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Map K images (n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        # unbound once: the gradient of every index into a stacked tensor would be a tensor of K members
        weights = self.weight.unbind()
        biases = [None] * len(x) if self.bias is None else self.bias.unbind()
        return [
            functional.conv2d(part, weight, bias, self._stride, self._padding)
            for part, weight, bias in zip(x, weights, biases, strict=True)
        ]


class _StackedBatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy 2015) of K members, each with its own statistics."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, layers: Sequence[nn.BatchNorm1d] | Sequence[nn.BatchNorm2d]) -> None:
        super().__init__()
        self.weight = stacked_parameter(layers, "weight")  # (K, channels)
        self.bias = stacked_parameter(layers, "bias")
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, torch.stack([getattr(layer, name) for layer in layers]))
        assert layers[0].momentum is not None, "the running statistics are exponential averages"
        self._momentum = layers[0].momentum
        self._epsilon = layers[0].eps


class StackedBatchNorm1d(_StackedBatchNorm):
    """Normalises K * units columns at once: no column knows of another."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, n, units) to the same shape, in the memory order (n, K, units)."""
        members, images, units = x.shape
        self.num_batches_tracked.add_(1)
        columns = x.transpose(0, 1).reshape(images, members * units)
        normalised = functional.batch_norm(
            columns,
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.view(-1),
            self.bias.view(-1),
            training=True,
            momentum=self._momentum,
            eps=self._epsilon,
        )
        return normalised.view(images, members, units).transpose(0, 1)


class StackedBatchNorm2d(_StackedBatchNorm):
    """Normalises the images of one member after the other."""

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Map K images (n, channels, h, w) to the same shape."""
        self.num_batches_tracked.add_(1)
        rows = zip(
            x,
            self.running_mean.unbind(),
            self.running_var.unbind(),
            self.weight.unbind(),
            self.bias.unbind(),
            strict=True,
        )
        return [
            functional.batch_norm(part, mean, variance, weight, bias, True, self._momentum, self._epsilon)
            for part, mean, variance, weight, bias in rows
        ]


class StackedOwnNorm(nn.Module):
    """Layer or group normalisation of one member after the other: no image knows of another."""

    def __init__(self, layers: Sequence[nn.LayerNorm] | Sequence[nn.GroupNorm]) -> None:
        super().__init__()
        self.weight = stacked_parameter(layers, "weight")  # (K, channels)
        self.bias = stacked_parameter(layers, "bias")
        self._groups = layers[0].num_groups if isinstance(layers[0], nn.GroupNorm) else None
        self._epsilon = layers[0].eps

    def forward(self, x: Activations) -> Activations:
        """Map (K, n, units), or K images (n, channels, h, w), to the same shapes."""
        rows = zip(x.unbind() if isinstance(x, Tensor) else x, self.weight.unbind(), self.bias.unbind(), strict=True)
        parts = [
            functional.layer_norm(part, weight.shape, weight, bias, self._epsilon)
            if self._groups is None
            else functional.group_norm(part, self._groups, weight, bias, self._epsilon)
            for part, weight, bias in rows
        ]
        return torch.stack(parts) if isinstance(x, Tensor) else parts


class StackedDropout(nn.Module):
    """Dropout (Srivastava et al. 2014) with every member's own probability and the mask that it would draw alone."""

    def __init__(self, layers: Sequence[Dropout | None]) -> None:
        super().__init__()
        self._layers = [layer if layer is not None and layer.p > 0 else None for layer in layers]
        self._note_rates()

    def keep(self, indices: Sequence[int]) -> None:
        """Go on with the members at ``indices`` only."""
        self._layers = [self._layers[index] for index in indices]
        self._note_rates()

    def _note_rates(self) -> None:
        self._rates = [(-(2**15), 1.0) if layer is None else (layer.threshold, layer.scale) for layer in self._layers]
        self._columns: tuple[Tensor, Tensor] | None = None  # thresholds and scales, (K, 1, 1) each

    def forward(self, x: Tensor) -> Tensor:
        """Return (K, n, units) with values dropped."""
        members, values = len(x), x[0].numel()
        words = x.new_zeros(members, words_for(values), dtype=torch.int64)
        for row, layer in zip(words, self._layers, strict=True):
            if layer is not None:
                layer.draw_(row)
        numbers = words.view(torch.int16)[:, :values].view(x.shape)
        if len(set(self._rates)) == 1:
            return dropped(x, numbers, *self._rates[0])
        if self._columns is None:  # made once, because no step may wait for numbers of Python
            columns = (torch.tensor(column, device=x.device) for column in zip(*self._rates, strict=True))
            thresholds, scales = (column.view(-1, 1, 1) for column in columns)
            self._columns = thresholds.short(), scales
        thresholds, scales = self._columns
        return x * (numbers >= thresholds).to(x.dtype).mul_(scales)


class StackedPReLU(nn.Module):
    """Leaky ReLU whose slope every member learns by itself (He et al. 2015)."""

    def __init__(self, layers: Sequence[nn.PReLU]) -> None:
        super().__init__()
        self.weight = stacked_parameter(layers, "weight")  # (K, 1)

    def forward(self, x: Activations) -> Activations:
        """Return the activations of every member."""
        if isinstance(x, Tensor):
            return functional.prelu(x.transpose(0, 1), self.weight.view(-1)).transpose(0, 1)
        return [functional.prelu(part, slope) for part, slope in zip(x, self.weight.unbind(), strict=True)]


def stacked_parameter(layers: Sequence[nn.Module], name: str) -> nn.Parameter:
    """Return (K, ...) from the parameter called ``name`` of K layers, each row in the memory order of its tensor."""
    rows: list[Tensor] = [getattr(layer, name).detach() for layer in layers]
    strides = (rows[0].numel(), *rows[0].stride())
    stacked = torch.empty_strided((len(rows), *rows[0].shape), strides, dtype=rows[0].dtype, device=rows[0].device)
    for place, row in zip(stacked, rows, strict=True):
        place.copy_(row)
    return nn.Parameter(stacked)


# ---------------------------------------------------------------------------------------------------------------------
# From K modules to one


def _stacked(modules: Sequence[nn.Module | None]) -> nn.Module:
    """Return the stacked module of one module per member; None where a member has no dropout at that place."""
    present = [module for module in modules if module is not None]
    first = present[0]
    if isinstance(first, nn.Sequential):
        return _StackedSequence([module for module in present if isinstance(module, nn.Sequential)])
    if isinstance(first, ResidualBlock):
        return _StackedResidualBlock([module for module in present if isinstance(module, ResidualBlock)])
    if type(first) in _UNWEIGHTED:
        return Unweighted(first)
    assert type(first) in _WEIGHTED, f"no stacked layer is known for {type(first)}"
    return _WEIGHTED[type(first)](modules)


_WEIGHTED: dict[type[nn.Module], Callable[..., nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.Conv2d: StackedConv2d,
    nn.BatchNorm1d: StackedBatchNorm1d,
    nn.BatchNorm2d: StackedBatchNorm2d,
    nn.LayerNorm: StackedOwnNorm,
    nn.GroupNorm: StackedOwnNorm,
    Dropout: StackedDropout,
    nn.Flatten: StackedFlatten,
    Flatten: StackedFlatten,
    nn.PReLU: StackedPReLU,
}


class _StackedSequence(nn.Module):
    def __init__(self, sequences: Sequence[nn.Sequential]) -> None:
        super().__init__()
        children = [dict(sequence.named_children()) for sequence in sequences]
        names: list[str] = []  # of the layers that any member has, in their order
        for child in children:
            for place, name in enumerate(child):
                if name not in names:
                    before = list(child)[:place][-1:]
                    names.insert(names.index(before[0]) + 1 if before else 0, name)
        named = {next(child[name] for child in children if name in child): name for name in names}
        layers = [_stacked([child.get(named[layer]) for child in children]) for layer in pooled_first(list(named))]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Activations) -> Activations:
        for layer in self.layers:
            x = layer(x)
        return x


class _StackedResidualBlock(nn.Module):
    def __init__(self, blocks: Sequence[ResidualBlock]) -> None:
        super().__init__()
        first = blocks[0]
        self.branch = _stacked([block.branch for block in blocks])
        self.shortcut = None if first.shortcut is None else _stacked([block.shortcut for block in blocks])
        self.activation = None if first.activation is None else _stacked([block.activation for block in blocks])

    def forward(self, x: list[Tensor]) -> Activations:
        y: Activations = self.branch(x)
        if self.shortcut is not None:
            y = [left + right for left, right in zip(y, self.shortcut(x), strict=True)]
        return y if self.activation is None else self.activation(y)
