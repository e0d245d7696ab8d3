"""Adversarial noise by the fast gradient sign method (Goodfellow et al. 2015, arXiv:1412.6572)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ceteris.techniques.draws import permutation

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
    chosen = permutation(len(images), generator=generator, device=images.device)[: round(share * len(images))]
    if not len(chosen):
        return images
    attacked = images[chosen].detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(loss_of(attacked, targets[chosen]), attacked)
    return images.index_add(0, chosen, gradient.sign(), alpha=epsilon)
