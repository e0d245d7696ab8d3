"""Augmentation of pixel values: cutout (DeVries & Taylor 2017, arXiv:1708.04552), noise, brightness and contrast, and
adversarial noise by the fast gradient sign method (Goodfellow et al. 2015, arXiv:1412.6572).

All of them take standardised images (n, c, h, w) and a generator, and return images of the same shape and type.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ceteris.techniques.draws import normal, permutation, uniform


def cutout(images: Tensor, *, fraction: float, fill: Tensor, generator: torch.Generator) -> Tensor:
    """Set a square of ``fraction`` of the shorter side to ``fill`` (c,), at a random place wholly inside the image."""
    count, channels, height, width = images.shape
    side = round(fraction * min(height, width))
    draws = uniform((2, count, 1), 0.0, 1.0, generator=generator)
    top, left = (draws[0] * (height - side + 1)).long(), (draws[1] * (width - side + 1)).long()
    within = torch.arange(side, device=images.device)
    square = (within[:, None] * width + within).view(-1)  # (side * side,) places relative to its corner
    places = (top * width + left + square)[:, None]  # (n, 1, side * side)
    blanked = images.clone(memory_format=torch.contiguous_format)
    background = fill.to(images.dtype).view(1, -1, 1).expand(count, channels, side * side)
    blanked.view(count, channels, -1).scatter_(2, places.expand_as(background), background)
    return blanked


def add_noise(images: Tensor, *, deviation: float, generator: torch.Generator) -> Tensor:
    """Add normal noise of standard ``deviation``, in units of the standardised image."""
    noise = normal(tuple(images.shape), generator=generator)
    return images.add(noise.to(images.dtype), alpha=deviation)


def brightness_contrast(images: Tensor, *, brightness: float, contrast: float, generator: torch.Generator) -> Tensor:
    """Stretch each image around its own mean by 1 ± ``contrast`` and shift it by ±``brightness``, both uniform."""
    draws = uniform((2, images.shape[0], 1, 1, 1), -1.0, 1.0, generator=generator)
    stretch = (1 + contrast * draws[0]).to(images.dtype)
    means = images.mean(dim=(1, 2, 3), keepdim=True)
    offset = (brightness * draws[1]).to(images.dtype) + means * (1 - stretch)
    return torch.addcmul(offset, images, stretch)


LossOf = Callable[[Tensor, Tensor], Tensor]  # (images, targets) -> scalar


def add_adversarial_noise(
    images: Tensor, targets: Tensor, *, loss_of: LossOf, epsilon: float, share: float, generator: torch.Generator
) -> Tensor:
    """Move a random ``share`` of the images by ``epsilon`` along the sign of the loss's gradient.

    Args:
        images: standardised (n, c, h, w).
        targets: labels (n,) or class shares (n, classes).
        loss_of: the loss to be raised, a scalar of images and targets; it must leave the model as it is, so it
            runs the model in evaluation mode (running statistics stay, no dropout draws) and only its gradient with
            respect to the images is computed.
        epsilon: size of the step in every pixel, in units of the standardised image.
        share: how much of the batch is moved, 0..1, rounded to whole images.
        generator: chooses the images that are moved.
    """
    chosen = permutation(len(images), generator=generator)[: round(share * len(images))]
    if not len(chosen):
        return images
    attacked = images[chosen].detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(loss_of(attacked, targets[chosen]), attacked)
    return images.index_add(0, chosen, gradient.sign(), alpha=epsilon)
