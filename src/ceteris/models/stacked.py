"""K models of one shape as one model that trains all of them in lockstep.

For small networks the time goes into calls, not into arithmetic: a stacked model makes one call where K models make K.
Every tensor of parameters exists once, (K, ...); the parameters of the models that were stacked become views of it, so
that they can be evaluated, stored and stepped one by one at any time.

The layout was chosen by measurement. Fully connected layers multiply (K, batch, units) in one batched product.
Convolutions stay apart, one call per model: they are long enough to hide the call, and the activations of one model fit
into the cache where those of K models as groups of one convolution do not.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ceteris.models.dropout import Dropout
from ceteris.models.layers import Flatten, GlobalAveragePooling
from ceteris.models.resnet import PaddingShortcut, ResidualBlock
from ceteris.models.stacked_layers import (
    Activations,
    StackedBatchNorm1d,
    StackedBatchNorm2d,
    StackedConv2d,
    StackedDropout,
    StackedFlatten,
    StackedLinear,
    StackedPReLU,
    Unweighted,
)

__all__ = ["StackedModel", "stack"]

_UNWEIGHTED = (
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid, nn.Softplus,
    nn.Identity, nn.MaxPool2d, nn.AvgPool2d, GlobalAveragePooling, PaddingShortcut,
)  # fmt: skip


class StackedModel(nn.Module):
    """K models in training mode as one; ``members`` are the models, whose parameters are views of the stacked ones.

    Takes images (K, n, channels, height, width), a list of K batches, or (n, channels, height, width) that all members
    share, and returns logits (K, n, classes).
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = _stacked(members)
        self._begins_flat = isinstance(next(iter(members[0].children())), nn.Flatten)
        self._members = list(members)  # a plain list: the members' views are no parameters of this model
        self._hand_out()

    @property
    def members(self) -> list[nn.Module]:
        """The models in their order."""
        return list(self._members)

    def forward(self, images: Activations) -> Tensor:
        """Return the logits (K, n, classes) of every member."""
        if self._begins_flat and isinstance(images, Tensor):
            return self.layers(images.flatten(-3))  # type: ignore[no-any-return]
        if isinstance(images, Tensor):
            images = list(images.unbind()) if images.ndim == 5 else [images] * len(self._members)
        return self.layers(images)  # type: ignore[no-any-return]

    def hand_out_gradients(self) -> None:
        """Give the members' parameters the rows of the stacked gradients."""
        for parameter, owned in zip(self.parameters(), self._owned, strict=True):
            if parameter.grad is not None:
                for row, own in zip(parameter.grad.unbind(), owned, strict=True):
                    own.grad = row

    @torch.no_grad()
    def keep(self, places: Sequence[int]) -> list[nn.Module]:
        """Go on with the members at ``places`` only; the others are returned with weights of their own."""
        leaving = [member for place, member in enumerate(self._members) if place not in places]
        for member in leaving:
            _own_weights(member)
        self._members = [self._members[place] for place in places]
        for tensor in [*self.parameters(), *self.buffers()]:
            tensor.data = rows_of(tensor, places)
            tensor.grad = None
        for module in self.modules():
            if isinstance(module, StackedDropout):
                module.keep(places)
        self._hand_out()
        return leaving

    def _hand_out(self) -> None:
        self._owned = list(zip(*(member.parameters() for member in self._members), strict=True))
        buffers = zip(*(member.buffers() for member in self._members), strict=True)
        for tensor, owned in zip([*self.parameters(), *self.buffers()], [*self._owned, *buffers], strict=True):
            for row, own in zip(tensor.detach().unbind(), owned, strict=True):
                own.data = row


def stack(models: Sequence[nn.Module]) -> StackedModel:
    """Return models of one shape as one stacked model; it takes over their parameters, which become views.

    The models may differ in their weights and in their dropout, also in whether they have any.
    """
    assert models, "nothing to stack"
    return StackedModel(models)


def rows_of(tensor: Tensor, places: Sequence[int]) -> Tensor:
    """Return the rows of a stacked tensor as a tensor of its own in the same memory order."""
    chosen = torch.empty_strided(
        (len(places), *tensor.shape[1:]), tensor.stride(), dtype=tensor.dtype, device=tensor.device
    )
    for row, place in zip(chosen, places, strict=True):
        row.copy_(tensor.detach()[place])
    return chosen


def _own_weights(member: nn.Module) -> None:
    for tensor in [*member.parameters(), *member.buffers()]:
        tensor.data = tensor.detach().clone()
        tensor.grad = None


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
    Dropout: StackedDropout,
    nn.Flatten: StackedFlatten,
    Flatten: StackedFlatten,
    nn.PReLU: StackedPReLU,
}


class _StackedSequence(nn.Module):
    def __init__(self, sequences: Sequence[nn.Sequential]) -> None:
        super().__init__()
        children = [dict(sequence.named_children()) for sequence in sequences]
        layers = [_stacked([child.get(name) for child in children]) for name in max(children, key=len)]
        self.layers = nn.ModuleList(_cheapest_order(layers))

    def forward(self, x: Activations) -> Activations:
        for layer in self.layers:
            x = layer(x)
        return x


def _cheapest_order(layers: list[nn.Module]) -> list[nn.Module]:
    """Return the layers with every ReLU behind the maximum pooling that follows it.

    The largest of four values is the largest of their positive parts, so all results and gradients are the same digits;
    only a quarter of the values is left to be rectified.
    """
    ordered = list(layers)
    for place, (before, after) in enumerate(pairwise(layers)):
        if is_unweighted(before, nn.ReLU) and is_unweighted(after, nn.MaxPool2d):
            ordered[place], ordered[place + 1] = after, before
    return ordered


def is_unweighted(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Say whether a stacked layer stands for a module of ``kind``."""
    return isinstance(layer, Unweighted) and isinstance(layer.module, kind)


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
