"""What a model takes, and what its layers put out on the way, caught by hooks that are removed again."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ceteris.models import convolutions, device_of, evaluating, layer_named
from ceteris.records import ByteArray, FloatArray


def standardise(images: ByteArray, *, mean: FloatArray, std: FloatArray, model: nn.Module) -> Tensor:
    """Return (images - mean) / std as float32 (n, channels, height, width) on the model's device.

    Args:
        images: uint8 (n, channels, height, width).
        mean: (channels,) in 0..255.
        std: (channels,) in 0..255, above 0.
        model: only its device is used.
    """
    device = device_of(model)
    pixels = torch.tensor(images, device=device).float()
    centre = torch.as_tensor(mean, dtype=torch.float32, device=device)[:, None, None]
    scale = torch.as_tensor(std, dtype=torch.float32, device=device)[:, None, None]
    return (pixels - centre) / scale


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
