"""What a model consists of: layers, output shapes, parameters and FLOPs; and looking at a model without changing it.

FLOPs are those of one image's forward pass, a multiply-add counted as two. Convolutions and products of matrices
(linear layers, attention) are counted, biases, normalisations, activations and poolings are not (0), as in
torch.utils.flop_counter, which does the counting.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ceteris.errors import ConfigError, did_you_mean
from ceteris.findings import LayerRow, ModelSummary

_IMAGES = 2  # two at once, because some models drop a batch dimension of 1


def summarise(model: nn.Module, input_shape: tuple[int, int, int]) -> ModelSummary:
    """Return the layers of any module in the order of execution, found by a forward pass of blank images.

    A layer is a module without children, or one that owns parameters or computes products itself. A layer that runs
    twice has two rows, its parameters in the first. The model keeps its mode, buffers and hooks.

    Args:
        model: takes images float (n, channels, height, width).
        input_shape: channels, height and width.
    """
    visits = _visits(model, torch.zeros(_IMAGES, *input_shape, device=device_of(model)))
    return ModelSummary(
        layers=tuple(_rows(visits)),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        flops=sum(visit.flops for visit in visits) // _IMAGES,
    )


def summary_text(summary: ModelSummary) -> str:
    """Return the summary as a table in plain text, one line per layer and one with the totals."""
    rows = [("layer", "kind", "output", "parameters", "FLOPs")]
    rows += [
        (row.name, row.kind, "x".join(map(str, row.output_shape)), f"{row.parameters:,}", f"{row.flops:,}")
        for row in summary.layers
    ]
    rows.append(("total", "", "", f"{summary.parameters:,}", f"{summary.flops:,}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligners = 3 * [str.ljust] + 2 * [str.rjust]
    lines = [
        "  ".join(align(cell, width) for align, cell, width in zip(aligners, row, widths, strict=True)) for row in rows
    ]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


@dataclass
class _Visit:
    """One call of one module; ``flops`` are its own for all images, without those of the modules that it called."""

    name: str
    module: nn.Module
    flops: int = 0
    output_shape: tuple[int, ...] = ()


def _visits(model: nn.Module, images: Tensor) -> list[_Visit]:
    counter = FlopCounterMode(display=False)
    visits: list[_Visit] = []
    running: list[_Visit] = []
    counted = 0

    def attribute() -> None:
        """Give what was counted since the last call or return to the innermost module."""
        nonlocal counted
        total = counter.get_total_flops()
        if running:
            running[-1].flops += total - counted
        counted = total

    def enter(name: str, module: nn.Module, inputs: Any) -> None:
        attribute()
        visits.append(_Visit(name, module))
        running.append(visits[-1])

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        attribute()
        while isinstance(output, (tuple, list)) and output:  # of several outputs the first
            output = output[0]
        running.pop().output_shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()

    # functional_call lets modules that write into buffers write into copies; fork_rng is for modules that draw numbers
    # even in evaluation mode
    copies = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
        stack.enter_context(torch.random.fork_rng(devices=[images.device] if images.is_cuda else []))
        for name, module in model.named_modules():
            stack.enter_context(module.register_forward_pre_hook(partial(enter, name or type(model).__name__)))
            stack.enter_context(module.register_forward_hook(leave))
        stack.enter_context(torch.no_grad())
        stack.enter_context(counter)
        torch.func.functional_call(model, copies, (images,))
    return visits


def _rows(visits: list[_Visit]) -> Iterator[LayerRow]:
    seen: set[Tensor] = set()
    for visit in visits:
        own = [parameter for parameter in visit.module.parameters(recurse=False) if parameter not in seen]
        seen.update(own)
        if any(visit.module.children()) and not own and not visit.flops:
            continue
        yield LayerRow(
            name=visit.name,
            kind=type(visit.module).__name__,
            output_shape=visit.output_shape,
            parameters=sum(parameter.numel() for parameter in own),
            flops=visit.flops // _IMAGES,
        )


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Give every module back its training or evaluation mode at the end."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put ``model`` into evaluation mode for a while, then every module back into the mode that it had."""
    with modes_kept(model):
        model.eval()
        yield


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the first parameter, the CPU for a model without parameters."""
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def convolutions(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Return the two-dimensional convolutions by their names, in the order in which the model defines them."""
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}


def linears(model: nn.Module) -> dict[str, nn.Linear]:
    """Return the linear layers by their names, in the order in which the model defines them."""
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}


def layer_named(model: nn.Module, name: str) -> nn.Module:
    """Return the module called ``name``, as in the model's summary.

    Raises:
        ConfigError: the model has no such layer.
    """
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if name not in modules:
        names = [known for known in modules if known]
        raise ConfigError(f'no layer "{name}" in the model.{did_you_mean(name, names)} Its layers: {", ".join(names)}')
    return modules[name]
