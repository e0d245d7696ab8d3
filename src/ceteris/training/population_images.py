"""The images of a population: bytes once on the device, every member's batches gathered from them in one call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ceteris.records import IntArray
from ceteris.training.images import ResidentImages


@dataclass(frozen=True)
class PopulationImages:
    """The images that the members fit on; ``places`` are each member's rows of the pixels (m_k,), on the CPU."""

    pixels: Tensor  # uint8 (n, c * h * w)
    labels: Tensor  # int64 (n,)
    shape: tuple[int, int, int]
    places: list[Tensor]
    scale: Tensor  # (K, 1, c, 1, 1)
    offset: Tensor  # (K, 1, c, 1, 1)
    channels_last: bool
    shared: bool

    @property
    def device(self) -> torch.device:
        """Where the images lie."""
        return self.labels.device

    def epoch(self, orders: Sequence[torch.Generator], batch_size: int) -> Iterator[Tensor]:
        """Yield the rows (K, b) of every mini-batch of a shuffled pass, each member in the order that it would have alone."""
        shuffled = [
            places[torch.randperm(len(places), generator=order)]
            for places, order in zip(self.places, orders, strict=True)
        ]
        steps = steps_of(len(self.places[0]), batch_size)
        rows = torch.stack([order[: steps * batch_size] for order in shuffled]).to(self.labels.device)
        for step in range(steps):
            yield rows[:, step * batch_size : (step + 1) * batch_size]

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the standardised images and the labels (K, b) at ``rows`` (K, b).

        Images are (K, b, c, h, w), or (b, c, h, w) where all members see the same ones.
        """
        return self._images(rows[:1] if self.shared else rows), self.labels[rows]

    def keep(self, members: Sequence[int]) -> "PopulationImages":
        """Return the images of some of the members."""
        return PopulationImages(
            self.pixels,
            self.labels,
            self.shape,
            [self.places[member] for member in members],
            self.scale[list(members)],
            self.offset[list(members)],
            self.channels_last,
            self.shared,
        )

    def _images(self, chosen: Tensor) -> Tensor:
        members = len(chosen)
        pixels = self.pixels.index_select(0, chosen.reshape(-1)).to(torch.float32)
        images = pixels.view(members, -1, *self.shape)
        if self.shape[0] == 1:  # one factor per member: a long inner loop
            flat = images.view(members, -1)
            flat.mul_(self.scale.view(-1, 1)[:members]).add_(self.offset.view(-1, 1)[:members])
        else:
            images.mul_(self.scale[:members]).add_(self.offset[:members])
        if self.channels_last:
            merged = images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            images = merged.view(members, -1, *merged.shape[1:])
        return images[0] if self.shared else images


def steps_of(images: int, batch_size: int) -> int:
    """Return the mini-batches of one pass: a last one that is not full is left out unless it is the only one."""
    return max(1, images // batch_size)


def population_images(
    table: ResidentImages, of_members: Sequence[ResidentImages], places: Sequence[IntArray], *, shared: bool
) -> PopulationImages:
    """Return the images of a population.

    Args:
        table: all images that any member fits on.
        of_members: the same table with each member's own standardisation.
        places: each member's rows of the table.
        shared: whether all members see the same batches.
    """
    return PopulationImages(
        pixels=table.pixels,
        labels=table.labels,
        shape=table.shape,
        places=[torch.from_numpy(rows) for rows in places],
        scale=torch.stack([images.scale for images in of_members])[:, None],
        offset=torch.stack([images.offset for images in of_members])[:, None],
        channels_last=table.channels_last,
        shared=shared,
    )
