"""Looking at a model without changing it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ceteris.errors import ConfigError, did_you_mean


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
