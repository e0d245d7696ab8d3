"""What the layers of a model put out on the way, caught by hooks that are removed again."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ceteris.models import convolutions, evaluating, layer_named


@contextmanager
def outputs_kept(model: nn.Module, layers: Collection[str]) -> Iterator[dict[str, Tensor]]:
    """Fill the yielded dictionary with the outputs of the named layers at every forward pass.

    The next layer receives a copy, so that an activation that works in place does not change what was kept.

    Raises:
        ConfigError: a layer that the model does not have.
    """
    outputs: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for name in layers:
            stack.enter_context(layer_named(model, name).register_forward_hook(_keeping(outputs, name)))
        yield outputs


def _keeping(outputs: dict[str, Tensor], name: str) -> Any:
    def keep(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        outputs[name] = output
        return output.clone()

    return keep


def convolution_outputs(model: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Return the maps (filters, height, width) of every convolution for one standardised image (channels, h, w).

    They come in the order in which the convolutions ran; a convolution that does not run is missing.
    """
    with torch.no_grad(), evaluating(model), outputs_kept(model, convolutions(model)) as outputs:
        model(image[None])
    return {name: maps[0] for name, maps in outputs.items()}
