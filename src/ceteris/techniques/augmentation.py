"""Chains of augmentation operations on one batch, in the order in which they are listed.

Every operation draws from a stream of its own that depends on the batch and the operation's name only: adding an
operation to a chain leaves the draws of the others as they were, so that two chains stay paired in what they share.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from ceteris.techniques.draws import draw_seed, substream
from ceteris.techniques.geometric import warp
from ceteris.techniques.pixels import LossOf


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Standardised images (n, c, h, w) with labels (n,) or class shares (n, classes) as targets."""

    images: Tensor
    targets: Tensor
    classes: int
    loss_of: LossOf | None


Draw = Callable[..., Tensor]  # (size, ..., generator=) -> (n, 2, 3) or (n, 2, h, w), see ceteris.techniques.geometric
Change = Callable[..., Tensor]  # (images, ..., generator=) -> images of the same shape
Mix = Callable[..., tuple[Tensor, Tensor]]  # (images, targets, classes=, generator=) -> images and class shares


@dataclass(frozen=True, kw_only=True)
class Motion:
    """A geometric operation: ``draw`` takes part in a fused chain, ``alone`` is a faster way when nothing is to be fused."""

    name: str
    draw: Draw
    alone: Change | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Any other operation on a batch."""

    name: str
    apply: Callable[[Batch, torch.Generator], Batch]


class Augment(Protocol):
    """A whole chain: images and labels in, images and targets out."""

    def __call__(
        self, images: Tensor, labels: Tensor, classes: int, generator: torch.Generator, loss_of: LossOf | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return images (n, c, h, w) and labels int64 (n,) or, after mixing, class shares float32 (n, classes)."""
        ...


def on_images(name: str, change: Change) -> Operation:
    """Return the operation that changes the images only."""
    return Operation(
        name=name, apply=lambda batch, generator: replace(batch, images=change(batch.images, generator=generator))
    )


def on_images_and_targets(name: str, mix: Mix) -> Operation:
    """Return the operation that mixes images and targets; afterwards the targets are class shares."""

    def apply(batch: Batch, generator: torch.Generator) -> Batch:
        images, shares = mix(batch.images, batch.targets, classes=batch.classes, generator=generator)
        return replace(batch, images=images, targets=shares)

    return Operation(name=name, apply=apply)


def against_loss(name: str, attack: Change) -> Operation:
    """Return the operation that changes the images so as to raise the loss that the chain is called with."""

    def apply(batch: Batch, generator: torch.Generator) -> Batch:
        assert batch.loss_of is not None, f"{name} needs the loss: call the chain with loss_of"
        images = attack(batch.images, batch.targets, loss_of=batch.loss_of, generator=generator)
        return replace(batch, images=images)

    return Operation(name=name, apply=apply)


def chain(operations: Sequence[Motion | Operation], *, fill: Tensor) -> Augment:
    """Return the chain of all operations; motions that follow each other are fused into one sampling of the images.

    The chain takes one draw per batch from the generator that it is called with. ``fill`` is the background (c,).
    """
    steps: list[list[Motion] | Operation] = []
    seen: Counter[str] = Counter()
    for (
        given
    ) in operations:  # one that occurs again has a name of its own, so that it does not repeat the first one's draws
        seen[given.name] += 1
        operation = replace(given, name=f"{given.name} {seen[given.name]}")
        if isinstance(operation, Operation):
            steps.append(operation)
        elif steps and isinstance(steps[-1], list):
            steps[-1].append(operation)
        else:
            steps.append([operation])

    def augment(
        images: Tensor, labels: Tensor, classes: int, generator: torch.Generator, loss_of: LossOf | None = None
    ) -> tuple[Tensor, Tensor]:
        stream = partial(substream, draw_seed(generator), device=generator.device)
        batch = Batch(images=images, targets=labels, classes=classes, loss_of=loss_of)
        for step in steps:
            if isinstance(step, Operation):
                batch = step.apply(batch, stream(step.name))
            else:
                batch = replace(batch, images=_moved(batch.images, step, stream, fill))
        return batch.images, batch.targets

    return augment


def _moved(images: Tensor, motions: list[Motion], stream: Callable[[str], torch.Generator], fill: Tensor) -> Tensor:
    if len(motions) == 1 and motions[0].alone is not None:
        return motions[0].alone(images, generator=stream(motions[0].name))
    count, _, height, width = images.shape
    drawn = [motion.draw((count, height, width), generator=stream(motion.name)) for motion in motions]
    return warp(images, drawn, fill=fill)
