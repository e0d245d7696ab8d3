"""Initial weights, drawn from a generator that is handed in.

Kaiming: He et al. 2015 (arXiv:1502.01852). Xavier: Glorot & Bengio 2010 (AISTATS). Orthogonal: Saxe et al. 2014
(arXiv:1312.6120). Dirac: Zagoruyko & Komodakis 2017 (arXiv:1706.00388). The gains of relu, leaky ReLU, tanh, sigmoid and
SELU are those of torch.nn.init.calculate_gain; the others keep the second moment of a normal input, as He et al. do.
"""

import math
from collections.abc import Callable, Collection
from typing import Literal, assert_never

import torch
from torch import Tensor, nn
from torch.nn import init

from ceteris.techniques.draws import draw_seed, substream

Method = Literal[
    "default", "kaiming-normal", "kaiming-uniform", "xavier-normal", "xavier-uniform", "orthogonal", "dirac"
]

_PASSIVE = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d, nn.PReLU)


def gain_of(activation: nn.Module) -> float:
    """Return the factor on the weights' deviation that makes up for what the activation takes away."""
    match activation:
        case nn.ReLU():
            return math.sqrt(2)
        case nn.LeakyReLU(negative_slope=slope) | nn.PReLU(init=slope):
            return math.sqrt(2 / (1 + slope**2))
        case nn.Tanh():
            return 5 / 3
        case nn.Sigmoid():
            return 1.0
        case nn.SELU():
            return 3 / 4
        case _:
            return _moment_gain(activation)


def _moment_gain(activation: Callable[[Tensor], Tensor]) -> float:
    """Return 1 / sqrt(E[f(z)²]) for z standard normal, by the trapezoidal rule."""
    z = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    return float(torch.trapezoid(activation(z).square() * density, z) ** -0.5)


@torch.no_grad()
def initialise_(
    model: nn.Module, *, method: Method, gain: float, generator: torch.Generator, apart: Collection[nn.Module] = ()
) -> None:
    """Set every parameter and buffer of the model in place, in the order of its modules.

    Every Linear and Conv2d draws from a stream of its own, so a layer's weights depend on its place and shape only, not
    on what the layers before it needed. Biases are 0 except in "default". Normalisation layers and PReLU get their
    usual start. ``gain`` acts in the Kaiming and orthogonal methods (and Dirac's linear layers). Layers ``apart`` are
    counted by themselves: all others have the weights that they would have without them.
    """
    seed = draw_seed(generator)
    layers = [module for module in model.modules() if not isinstance(module, _PASSIVE)]
    for module in model.modules():
        if isinstance(module, _PASSIVE):
            module.reset_parameters()
    weighted = [module for module in layers if isinstance(module, nn.Linear | nn.Conv2d)]
    for name, counted in (("layer", False), ("apart", True)):
        for place, layer in enumerate(layer for layer in weighted if (layer in apart) is counted):
            _initialise_layer_(layer, method, gain, substream(seed, f"{name} {place}", device=generator.device))
    for module in layers:
        owned = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        assert not owned or isinstance(module, nn.Linear | nn.Conv2d), f"no initialisation known for {type(module)}"


def _initialise_layer_(layer: nn.Linear | nn.Conv2d, method: Method, gain: float, generator: torch.Generator) -> None:
    _initialise_weight_(layer.weight, method, gain, generator)
    if layer.bias is None:
        return
    if method == "default":
        bound = 1 / math.sqrt(_fan_in(layer.weight))
        layer.bias.uniform_(-bound, bound, generator=generator)
    else:
        layer.bias.zero_()


def _initialise_weight_(weight: Tensor, method: Method, gain: float, generator: torch.Generator) -> None:
    deviation = gain / math.sqrt(_fan_in(weight))
    match method:
        case "default":
            bound = 1 / math.sqrt(_fan_in(weight))
            weight.uniform_(-bound, bound, generator=generator)
        case "kaiming-normal":
            weight.normal_(0, deviation, generator=generator)
        case "kaiming-uniform":
            bound = math.sqrt(3) * deviation
            weight.uniform_(-bound, bound, generator=generator)
        case "xavier-normal":
            init.xavier_normal_(weight, generator=generator)
        case "xavier-uniform":
            init.xavier_uniform_(weight, generator=generator)
        case "orthogonal":
            init.orthogonal_(weight, gain=gain, generator=generator)
        case "dirac":
            weight.normal_(0, deviation, generator=generator)
            if weight.ndim == 4:  # filter i passes input channel i; those beyond the channels stay random
                init.dirac_(weight[: weight.shape[1]])
        case _:
            assert_never(method)


def _fan_in(weight: Tensor) -> int:
    return weight[0].numel()
