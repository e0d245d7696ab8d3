"""The layers of a stacked model: each computes the same layer of K models.

Images are a list of K tensors (n, channels, height, width). After flattening there is one tensor (K, n, units), or
(n, units) where all members share their images.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ceteris.models.dropout import Dropout, dropped, words_for
from ceteris.models.layers import flattened

Activations = Tensor | list[Tensor]


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
        self.weight = stacked_parameter([layer.weight for layer in layers])  # (K, outputs, inputs)
        self.bias = None if layers[0].bias is None else stacked_parameter([layer.bias for layer in layers])

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
        self.weight = stacked_parameter([layer.weight for layer in layers])  # (K, outputs, inputs, kh, kw)
        self.bias = None if layers[0].bias is None else stacked_parameter([_present(layer.bias) for layer in layers])
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
        self.weight = stacked_parameter([layer.weight for layer in layers])  # (K, channels)
        self.bias = stacked_parameter([layer.bias for layer in layers])
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


class StackedDropout(nn.Module):
    """Dropout (Srivastava et al. 2014) with every member's own probability and the mask that it would draw alone."""

    threshold: Tensor
    scale: Tensor

    def __init__(self, layers: Sequence[Dropout | None]) -> None:
        super().__init__()
        self._layers = [layer if layer is not None and layer.p > 0 else None for layer in layers]
        self._note_rates()

    def keep(self, places: Sequence[int]) -> None:
        """Go on with the members at ``places`` only."""
        self._layers = [self._layers[place] for place in places]
        self._note_rates()

    def forward(self, x: Tensor) -> Tensor:
        """Return (K, n, units) with values dropped."""
        members, values = len(x), x[0].numel()
        words = x.new_zeros(members, words_for(values), dtype=torch.int64)
        for row, layer in zip(words, self._layers, strict=True):
            if layer is not None:
                layer.draw_(row)
        numbers = words.view(torch.int16)[:, :values].view(x.shape)
        if self._rates:
            return dropped(x, numbers, *self._rates)
        thresholds, scales = self._columns_on(x.device)
        return x * (numbers >= thresholds).to(x.dtype).mul_(scales)

    def _note_rates(self) -> None:
        self._thresholds = [-(2**15) if layer is None else layer.threshold for layer in self._layers]
        self._scales = [1.0 if layer is None else layer.scale for layer in self._layers]
        equal = len(set(self._thresholds)) == 1
        self._rates = (self._thresholds[0], self._scales[0]) if equal else None
        self._columns: tuple[Tensor, Tensor] | None = None

    def _columns_on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return thresholds and scales as (K, 1, 1); made once, because no step may wait for numbers of Python."""
        if self._columns is None or self._columns[0].device != device:
            thresholds = torch.tensor(self._thresholds, dtype=torch.int16, device=device)
            scales = torch.tensor(self._scales, dtype=torch.float32, device=device)
            self._columns = thresholds[:, None, None], scales[:, None, None]
        return self._columns


class StackedPReLU(nn.Module):
    """Leaky ReLU whose slope every member learns by itself (He et al. 2015)."""

    def __init__(self, layers: Sequence[nn.PReLU]) -> None:
        super().__init__()
        self.weight = stacked_parameter([layer.weight for layer in layers])  # (K, 1)

    def forward(self, x: Activations) -> Activations:
        """Return the activations of every member."""
        if isinstance(x, Tensor):
            return functional.prelu(x.transpose(0, 1), self.weight.view(-1)).transpose(0, 1)
        return [functional.prelu(part, slope) for part, slope in zip(x, self.weight.unbind(), strict=True)]


def stacked_parameter(rows: Sequence[Tensor]) -> nn.Parameter:
    """Return (K, ...) from K tensors of one shape, each row in the memory order of its tensor."""
    first = rows[0].detach()
    strides = (first.numel(), *first.stride())
    stacked = torch.empty_strided((len(rows), *first.shape), strides, dtype=first.dtype, device=first.device)
    for place, row in enumerate(rows):
        stacked[place].copy_(row.detach())
    return nn.Parameter(stacked)


def _present(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "members have the same layers"
    return tensor
