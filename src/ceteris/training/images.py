"""Images resident on the device as bytes: a batch is one gather and one fused standardisation, without a DataLoader."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ceteris.records import ByteArray, FloatArray, IntArray


@dataclass(frozen=True)
class ResidentImages:
    """A part of an image set on the device; ``scale`` and ``offset`` standardise it channel by channel."""

    pixels: Tensor  # uint8 (n, c * h * w)
    labels: Tensor  # int64 (n,)
    shape: tuple[int, int, int]
    scale: Tensor  # (c, 1, 1)
    offset: Tensor  # (c, 1, 1)
    channels_last: bool

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Where the images lie."""
        return self.labels.device

    def batch(self, places: Tensor) -> Tensor:
        """Return the standardised images at ``places`` (b,) as float32 (b, c, h, w)."""
        return self._standardised(self.pixels.index_select(0, places))

    def slice(self, start: int, stop: int) -> Tensor:
        """Return the standardised images from ``start`` to ``stop`` as float32 (stop - start, c, h, w)."""
        return self._standardised(self.pixels[start:stop])

    def _standardised(self, pixels: Tensor) -> Tensor:
        images = pixels.to(torch.float32).view(-1, *self.shape)  # (b, c, h, w)
        if self.shape[0] == 1:
            images = images.mul_(self.scale.view(())).add_(self.offset.view(()))
        else:
            images = images.mul_(self.scale).add_(self.offset)
        return images.contiguous(memory_format=torch.channels_last) if self.channels_last else images

    def standardised_zero(self) -> Tensor:
        """Return what a black pixel becomes, (c,): the background for augmentation."""
        return self.offset.view(-1)


def resident(
    images: ByteArray,
    labels: IntArray,
    places: IntArray,
    *,
    mean: FloatArray,
    deviation: FloatArray,
    device: str,
    channels_last: bool,
) -> ResidentImages:
    """Bring the images at ``places`` to the device.

    Args:
        images: uint8 (n, c, h, w).
        labels: int64 (n,).
        places: which images, (m,).
        mean: per channel, in 0..255, (c,).
        deviation: per channel, in 0..255, (c,).
        device: torch device.
        channels_last: hand out batches in channels-last memory order.
    """
    scale, offset = standardising(mean, deviation, device)
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    pixels = torch.from_numpy(np.ascontiguousarray(images[places])).view(len(places), -1)
    return ResidentImages(
        pixels=pixels.to(device),
        labels=torch.from_numpy(labels[places]).to(device),
        shape=shape,
        scale=scale,
        offset=offset,
        channels_last=channels_last,
    )


def standardising(mean: FloatArray, deviation: FloatArray, device: str) -> tuple[Tensor, Tensor]:
    """Return scale and offset, (c, 1, 1) each, that standardise bytes by a mean and a deviation per channel (c,)."""
    return _per_channel(1.0 / deviation, device), _per_channel(-mean / deviation, device)


def _per_channel(values: NDArray[np.float64], device: str) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1)
