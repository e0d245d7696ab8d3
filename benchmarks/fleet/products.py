"""The bare products of a network: its matrix products and convolutions alone, forward and backward, as torch computes them.

No training can be faster than these on one core, so their time is the measured limit of a step.
"""

import time
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

Work = Callable[[], object]


class Products:
    """All products of one training step, each in the precision and memory order that was fastest when this was made.

    Args:
        model: made of torch.nn.Linear and torch.nn.Conv2d and of layers without products.
        images: one batch, float32 (b, c, h, w).
        precisions: the number types to choose from.
    """

    def __init__(self, model: nn.Module, images: Tensor, precisions: Sequence[torch.dtype]) -> None:
        inputs = _inputs_of_layers(model, images)
        self._fastest = [
            min(_variants(layer, shape, precisions, first=place == 0), key=_second_run)
            for place, (layer, shape) in enumerate(inputs)
        ]
        self._images = len(images)

    def seconds_per_image(self, passes: int) -> float:
        """Return the time of all products, forward and backward, per image."""
        began = time.perf_counter()
        for _ in range(passes):
            for work in self._fastest:
                work()
        return (time.perf_counter() - began) / (passes * self._images)


def _inputs_of_layers(model: nn.Module, images: Tensor) -> list[tuple[nn.Linear | nn.Conv2d, torch.Size]]:
    found: list[tuple[nn.Linear | nn.Conv2d, torch.Size]] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        found.append((layer, inputs[0].shape))

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    return found


def _variants(
    layer: nn.Linear | nn.Conv2d, shape: torch.Size, precisions: Sequence[torch.dtype], *, first: bool
) -> Iterable[Work]:
    """Return the ways to compute one layer; the first layer of a network needs no gradient of its input."""
    for precision in precisions:
        if isinstance(layer, nn.Linear):
            yield _matrix_products(layer, shape, precision, first=first)
        else:
            for order in (torch.channels_last, torch.contiguous_format):
                yield _convolutions(layer, shape, precision, order, first=first)


def _second_run(work: Work) -> float:
    work()  # the first run prepares
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _matrix_products(layer: nn.Linear, shape: torch.Size, precision: torch.dtype, *, first: bool) -> Work:
    inputs = torch.ones(shape, dtype=precision)
    weight = layer.weight.detach().to(precision)
    gradient = torch.ones(*shape[:-1], layer.out_features, dtype=precision)

    def work() -> None:
        torch.mm(inputs, weight.t())
        torch.mm(gradient.t(), inputs)
        if not first:
            torch.mm(gradient, weight)

    return work


def _convolutions(
    layer: nn.Conv2d, shape: torch.Size, precision: torch.dtype, order: torch.memory_format, *, first: bool
) -> Work:
    inputs = torch.ones(shape, dtype=precision).contiguous(memory_format=order)
    weight = layer.weight.detach().to(precision).contiguous(memory_format=order)
    window = (layer.stride, layer.padding, layer.dilation, False, (0, 0), layer.groups)
    gradient = torch.ones_like(torch.ops.aten.convolution(inputs, weight, None, *window))

    def work() -> None:
        torch.ops.aten.convolution(inputs, weight, None, *window)
        torch.ops.aten.convolution_backward(gradient, inputs, weight, None, *window, (not first, True, False))

    return work
