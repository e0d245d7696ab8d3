"""A recipe as source of plain torch: the layers of its model as a module of its own, and the call that makes its optimizer.

The modules are written from the built network, so that names, shapes and order of the weights are those of the stored ones:
``load_state_dict`` takes them, and the answers are the same. A dropout of ceteris draws from a generator of its own, that of
torch from the global one; both drop as much.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ceteris.errors import ConfigError
from ceteris.models.cnn import ConvolutionBlock
from ceteris.models.dropout import Dropout
from ceteris.models.layers import Flatten, GlobalAveragePooling
from ceteris.models.resnet import PaddingShortcut, ResidualBlock
from ceteris.recipe import Recipe
from ceteris.training.build import build_model, build_optimizer

Shape = tuple[int, int, int]

_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
RESIDUAL_BLOCK = '''\
class ResidualBlock(nn.Module):
    """The branch learns what has to be added to its input; the shortcut carries the input past it (He et al. 2016)."""

    def __init__(self, branch, shortcut, activation):
        super().__init__()
        self.branch, self.shortcut, self.activation = branch, shortcut, activation

    def forward(self, x):
        y = self.branch(x)  # what the convolutions compute
        if self.shortcut is not None:
            y = y + self.shortcut(x)  # the residual connection: gradients pass it unchanged
        return y if self.activation is None else self.activation(y)
'''
PADDING_SHORTCUT = '''\
class PaddingShortcut(nn.Module):
    """A shortcut without weights: every stride-th pixel, and channels of zeros where the branch has more of them."""

    def __init__(self, stride, channels):
        super().__init__()
        self.stride, self.channels = stride, channels

    def forward(self, x):
        x = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(x, (0, 0, 0, 0, 0, self.channels))
'''
# What stands for a module of ceteris in plain torch: its name and its arguments.
_PLAIN: dict[type[nn.Module], tuple[str, tuple[str, ...]]] = {
    Flatten: ("nn.Flatten", ()),
    GlobalAveragePooling: ("nn.AdaptiveAvgPool2d", ("1",)),
}
# What a module does, for its comment.
_DONE = {
    nn.Flatten: "one row of numbers per image", Flatten: "one row of numbers per image",
    nn.Linear: "every output is a weighted sum of all inputs", nn.Conv2d: "filters that slide over the image",
    nn.BatchNorm1d: "mean 0 and deviation 1 over the mini-batch", nn.BatchNorm2d: "mean 0 and deviation 1 of every channel",
    nn.MaxPool2d: "the largest of every 2x2 pixels: half the side", nn.AvgPool2d: "the mean of every 2x2 pixels: half the side",
    GlobalAveragePooling: "the mean of every feature map", Dropout: "drops numbers at random while training",
    nn.Dropout: "drops numbers at random while training", nn.Identity: "the input as it is",
    PaddingShortcut: "fits the input to the branch's shape",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ModelCode:
    """The best recipe of a model as source: a class named ``name`` with the ``layers``, and the call that makes its optimizer.

    ``options`` are label and call of optimizers that were compared. What cannot be written is '', and ``reason`` says why.
    """

    name: str = ""
    layers: str = ""
    optimizer: str = ""
    options: tuple[tuple[str, str], ...] = ()
    reason: str = ""


def code_of(
    name: str, best: Recipe, options: Mapping[str, Recipe], *, input_shape: Shape, classes: int, about: str
) -> ModelCode:
    """Return a model's best recipe as source, with ``about`` as its docstring.

    ``options`` are recipes by label whose optimizers were compared.
    """
    try:
        network = build_model(
            best.model, input_shape=input_shape, classes=classes, generator=torch.Generator().manual_seed(0)
        )
        layers = module_source(network, name=class_name(name), input_shape=input_shape, about=about)
    except ConfigError as error:
        return ModelCode(reason=str(error))

    def call(recipe: Recipe) -> str:
        try:
            return optimizer_source(build_optimizer(recipe.optimizer, network), "model.parameters()")
        except ConfigError:
            return ""

    written = tuple((label, made) for label, recipe in options.items() if (made := call(recipe)))
    return ModelCode(name=class_name(name), layers=layers, optimizer=call(best), options=written)


def class_name(name: str) -> str:
    """Return the name of the class that a model is written as: "small-cnn" is a SmallCnnNet."""
    return "".join(part.capitalize() for part in re.split(r"[\W_]+", name)).lstrip("0123456789") + "Net"


def module_source(network: nn.Module, *, name: str, input_shape: Shape, about: str = "") -> str:
    """Return the source of a class that is this network, layer by layer; it needs ``torch``, ``nn`` and ``OrderedDict``.

    Args:
        network: a sequence of named layers as :func:`ceteris.training.build.build_model` makes it.
        name: of the class.
        input_shape: channels, height and width of an image, for the comments.
        about: the first line of its docstring.

    Raises:
        ConfigError: the network has a layer whose source is not known, such as one of the user's own.
    """
    if not isinstance(network, nn.Sequential):
        raise _unknown(network)
    shapes = _shapes(network, input_shape)
    channels, height, width = input_shape
    lines = [
        f"class {name}(nn.Module):",
        f'    """{about or name}"""',
        "",
        "    def __init__(self):",
        "        super().__init__()",
        f"        # an image comes in with {channels} channel{'s' if channels > 1 else ''} of {height} x {width} pixels",
    ]
    for child, module in network.named_children():
        lines += _written(f"self.{child} = ", module, shapes, "        ")
    lines += ["", "    def forward(self, x):"]
    lines += [f"        x = self.{child}(x)" for child, _ in network.named_children()]
    lines += ["        return x  # one logit per class; softmax makes probabilities of them"]
    kinds = {type(module) for module in network.modules()}
    helpers = [
        text for kind, text in ((ResidualBlock, RESIDUAL_BLOCK), (PaddingShortcut, PADDING_SHORTCUT)) if kind in kinds
    ]
    return "\n\n".join([*helpers, "\n".join(lines)])


def _written(before: str, module: nn.Module, shapes: dict[nn.Module, tuple[int, ...]], indent: str) -> Iterator[str]:
    """Yield the lines of a module that follow ``before``, with what it does and the shape that leaves it."""
    end = "," if not before.startswith("self.") else ""
    if isinstance(module, nn.Sequential):
        if type(module) not in (nn.Sequential, ConvolutionBlock):
            raise _unknown(module)
        yield f"{indent}{before}nn.Sequential(OrderedDict("
        for child, part in module.named_children():
            yield from _written(f"{child}=", part, shapes, indent + "    ")
        yield f"{indent})){end}"
        return
    if isinstance(module, ResidualBlock):
        yield f"{indent}{before}ResidualBlock("
        for way, inner in (("branch", module.branch), ("shortcut", module.shortcut), ("activation", module.activation)):
            if inner is None:
                yield f"{indent}    {way}=None,"
            else:
                yield from _written(f"{way}=", inner, shapes, indent + "    ")
        yield f"{indent}){end}"
        return
    told = _DONE.get(type(module), "activation: bends the straight line" if not list(module.parameters()) else "")
    shape = " x ".join(map(str, shapes[module])) if module in shapes else ""
    comment = "; ".join(filter(None, (told, f"-> {shape}" if shape else "")))
    yield f"{indent}{before}{_call(module)}{end}" + (f"  # {comment}" if comment else "")


def _call(module: nn.Module) -> str:
    """Return the call that makes a single layer."""
    kind = type(module)
    if kind in _PLAIN:
        name, arguments = _PLAIN[kind]
        return f"{name}({', '.join(arguments)})"
    if isinstance(module, Dropout):
        return f"nn.Dropout({module.p:g})"
    if isinstance(module, PaddingShortcut):
        return f"PaddingShortcut(stride={module.stride}, channels={module.channels})"
    if getattr(nn, kind.__name__, None) is not kind:
        raise _unknown(module)
    return f"nn.{kind.__name__}({', '.join(_arguments(module))})"


def _arguments(module: nn.Module) -> Iterator[str]:
    """Yield the arguments of a layer of torch: the necessary ones, and those that are not torch's default."""
    for name, parameter in inspect.signature(type(module).__init__).parameters.items():
        if name in ("self", "device", "dtype", "inplace") or parameter.kind in _ANY:
            continue
        value = _single(vars(module).get(name, parameter.default))
        if name == "bias":
            value = module.bias is not None
        if (
            name == "stride"
            and isinstance(module, nn.MaxPool2d | nn.AvgPool2d)
            and value == _single(module.kernel_size)
        ):
            continue
        if parameter.default is inspect.Parameter.empty:
            yield repr(value)
        elif value != _single(parameter.default):
            yield f"{name}={value!r}"


def _single(value: Any) -> Any:
    """Return a number for a pair of equal ones, else the value."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _shapes(network: nn.Module, input_shape: Shape) -> dict[nn.Module, tuple[int, ...]]:
    """Return what leaves every layer for one image, without the batch."""
    found: dict[nn.Module, tuple[int, ...]] = {}

    def note(module: nn.Module, _: Any, output: Tensor) -> None:
        found[module] = tuple(output.shape[1:])

    hooks = [module.register_forward_hook(note) for module in network.modules() if not list(module.children())]
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *input_shape, device=next(network.parameters()).device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return found


def _unknown(module: nn.Module) -> ConfigError:
    kind = type(module)
    return ConfigError(
        f"model: {kind.__module__}.{kind.__qualname__} cannot be written as layers of torch.nn; allowed are the models "
        "mlp, cnn and resnet. The source of an own class is the class itself."
    )


def optimizer_source(optimizer: torch.optim.Optimizer, weights: str) -> str:
    """Return the call of ``torch.optim`` that makes an optimizer with these settings for the parameters named ``weights``.

    Raises:
        ConfigError: the optimizer is not one of torch.
    """
    kind = type(optimizer)
    if getattr(torch.optim, kind.__name__, None) is not kind:
        raise ConfigError(f"optimizer: {kind.__name__} is none of torch.optim and cannot be written as its call.")
    parameters = inspect.signature(kind.__init__).parameters
    given = {
        name: optimizer.defaults[name]
        for name, parameter in parameters.items()
        if name in optimizer.defaults
        and name not in ("foreach", "fused", "capturable", "differentiable", "maximize")
        and (name == "lr" or optimizer.defaults[name] != parameter.default)
    }
    return (
        f"torch.optim.{kind.__name__}({', '.join([weights, *(f'{name}={value!r}' for name, value in given.items())])})"
    )
