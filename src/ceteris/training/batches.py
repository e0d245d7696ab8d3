"""Images resident on the device as bytes: a batch is one gather and one fused standardisation, without a DataLoader."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ceteris.recipe import LastBatch
from ceteris.records import ByteArray, FloatArray, IntArray


class Batch(NamedTuple):
    """One mini-batch: of one model (b,) each, of K stacked models (K, b)."""

    progress: float  # the share of the training that is done before it, in [0, 1)
    indices: Tensor  # int64, of the images on the device
    labels: Tensor  # int64


def batch_sizes(images: int, batch_size: int, last: LastBatch) -> list[int]:
    """Return the sizes of the mini-batches of one pass.

    A last one that is not full is left out unless it is the only one, or is to be kept and has at least two images: batch
    normalisation has nothing to normalise one by.
    """
    full, rest = divmod(images, batch_size)
    return [batch_size] * full + ([rest] if not full or (last == "keep" and rest >= 2) else [])


PassOrder = Callable[[Tensor, torch.Generator], Tensor]  # (labels (n,) on the CPU, generator) -> indices (n,)


def shuffled_order(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return all indices of ``labels`` (n,) in a random order."""
    return torch.randperm(len(labels), generator=generator)


def balanced_order(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return n indices of ``labels`` (n,) in a random order, as many of every class that is there as n allows.

    Of a rare class every image comes equally often, up to one; of a frequent one a random part is left out.
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    of_classes = [shuffled[labels[shuffled] == present] for present in torch.unique(labels)]
    each, more = divmod(len(labels), len(of_classes))
    drawn = [
        images.repeat(-(-(each + 1) // len(images)))[: each + (place < more)] for place, images in enumerate(of_classes)
    ]
    return torch.cat(drawn)[torch.randperm(len(labels), generator=generator)]


def batches(labels: Tensor, order: Tensor, sizes: Sequence[int], *, epoch: int, epochs: int) -> list[Batch]:
    """Return the mini-batches of one pass.

    Indices and labels go to the device all at once: moving those of every batch would wait for every step.

    Args:
        labels: of all images, (n,) on the device.
        order: indices of the images in the order in which they are seen, (m,) or (K, m).
        sizes: images of every batch.
        epoch: number of the pass, from 0.
        epochs: of the whole training.
    """
    indices, parts, steps = order[..., : sum(sizes)].to(labels.device), list(sizes), len(sizes)
    pairs = zip(torch.split(indices, parts, -1), torch.split(labels[indices], parts, -1), strict=True)
    return [Batch((epoch + step / steps) / epochs, chosen, of_chosen) for step, (chosen, of_chosen) in enumerate(pairs)]


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

    def batch(self, indices: Tensor) -> Tensor:
        """Return the standardised images at ``indices`` (b,) as float32 (b, c, h, w)."""
        return self._standardised(self.pixels.index_select(0, indices))

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
    indices: IntArray,
    *,
    mean: FloatArray,
    std: FloatArray,
    device: str,
    channels_last: bool,
) -> ResidentImages:
    """Bring the images at ``indices`` to the device.

    Args:
        images: uint8 (n, c, h, w).
        labels: int64 (n,).
        indices: which images, (m,).
        mean: per channel, in 0..255, (c,).
        std: standard deviation per channel, in 0..255, (c,).
        device: torch device.
        channels_last: hand out batches in channels-last memory order.
    """
    scale, offset = standardising(mean, std, device)
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    pixels = torch.from_numpy(np.ascontiguousarray(images[indices])).view(len(indices), math.prod(shape))
    return ResidentImages(
        pixels=pixels.to(device),
        labels=torch.from_numpy(labels[indices]).to(device),
        shape=shape,
        scale=scale,
        offset=offset,
        channels_last=channels_last,
    )


def standardising(mean: FloatArray, std: FloatArray, device: str) -> tuple[Tensor, Tensor]:
    """Return scale and offset, (c, 1, 1) each, that standardise bytes by a mean and a deviation per channel (c,)."""
    scale, offset = (
        # numpy makes the float32 numbers: not every device has float64
        torch.from_numpy(values.astype(np.float32)).to(device).view(-1, 1, 1)
        for values in (1.0 / std, -mean / std)
    )
    return scale, offset


@dataclass(frozen=True, kw_only=True)
class StackedImages:
    """Images for K models: bytes once on the device, the batches of all models gathered from them in one call.

    ``shared`` says that all models see the same images in the same order.
    """

    table: ResidentImages  # all images that any model fits on
    indices: list[Tensor]  # of each model: its images' rows in the table, (m,) on the CPU
    scale: Tensor  # (K, 1, c, 1, 1)
    offset: Tensor  # (K, 1, c, 1, 1)
    shared: bool

    def order(self, orders: Sequence[PassOrder], generators: Sequence[torch.Generator]) -> Tensor:
        """Return the rows of a pass (K, m), each model's in the order that it would have alone.

        Models with more images than others lose the last ones, which must not change the number of their batches.
        """
        labels = self.table.labels.cpu()
        of_models = zip(self.indices, orders, generators, strict=True)
        drawn = [rows[order(labels[rows], generator)] for rows, order, generator in of_models]
        return torch.stack([rows[: min(map(len, drawn))] for rows in drawn])

    def batch(self, rows: Tensor) -> Tensor:
        """Return the standardised images at ``rows`` (K, b): (K, b, c, h, w), or (b, c, h, w) where they are shared."""
        chosen = rows[:1] if self.shared else rows
        models, shape = len(chosen), self.table.shape
        pixels = self.table.pixels.index_select(0, chosen.reshape(-1)).to(torch.float32)
        images = pixels.view(models, -1, *shape)
        if shape[0] == 1:  # one factor per model: a long inner loop
            flat = images.view(models, -1)
            flat.mul_(self.scale.view(-1, 1)[:models]).add_(self.offset.view(-1, 1)[:models])
        else:
            images.mul_(self.scale[:models]).add_(self.offset[:models])
        if self.table.channels_last:
            merged = images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            images = merged.view(models, -1, *merged.shape[1:])
        return images[0] if self.shared else images

    def keep(self, models: Sequence[int]) -> "StackedImages":
        """Return the images of some of the models."""
        return StackedImages(
            table=self.table,
            indices=[self.indices[model] for model in models],
            scale=self.scale[list(models)],
            offset=self.offset[list(models)],
            shared=self.shared,
        )
