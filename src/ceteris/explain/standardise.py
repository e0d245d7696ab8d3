"""From stored images to what a model takes."""

import torch
from torch import Tensor, nn

from ceteris.models import device_of
from ceteris.records import ByteArray, FloatArray


def standardise(images: ByteArray, *, mean: FloatArray, deviation: FloatArray, model: nn.Module) -> Tensor:
    """Return (images - mean) / deviation as float32 (n, channels, height, width) on the model's device.

    Args:
        images: uint8 (n, channels, height, width).
        mean: (channels,) in 0..255.
        deviation: (channels,) in 0..255, above 0.
        model: only its device is used.
    """
    device = device_of(model)
    pixels = torch.tensor(images, device=device).float()
    centre = torch.as_tensor(mean, dtype=torch.float32, device=device)[:, None, None]
    scale = torch.as_tensor(deviation, dtype=torch.float32, device=device)[:, None, None]
    return (pixels - centre) / scale
