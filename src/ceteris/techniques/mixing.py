"""Augmentation that mixes two images and their labels.

Mixup: Zhang et al. 2018 (arXiv:1710.09412). CutMix: Yun et al. 2019 (arXiv:1905.04899). Each image has a weight of its own.
"""

import torch
from torch import Tensor
from torch.nn import functional

from ceteris.techniques.draws import permutation, uniform


def class_shares(targets: Tensor, classes: int) -> Tensor:
    """Return targets as class shares float32 (n, classes): labels as one-hot rows, shares as they are."""
    return targets if targets.is_floating_point() else functional.one_hot(targets, classes).float()


def mixup(
    images: Tensor, targets: Tensor, *, classes: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix each image with another one of the batch; return the images and the class shares (n, classes).

    The weight of the own image is drawn from Beta(alpha, alpha).
    """
    weight = _beta(len(images), alpha, generator)
    partner = permutation(len(images), generator=generator)
    shares = class_shares(targets, classes)
    mixed = torch.lerp(images.index_select(0, partner), images, weight.to(images.dtype).view(-1, 1, 1, 1))
    return mixed, torch.lerp(shares[partner], shares, weight[:, None])


def cutmix(
    images: Tensor, targets: Tensor, *, classes: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of another image of the batch; return the images and the class shares (n, classes).

    The rectangle has the image's proportions and an area share drawn from Beta(alpha, alpha); its centre is uniform over
    the image and what sticks out is cut off. The label is shared by the area that was pasted.
    """
    count, _, height, width = images.shape
    side = (1 - _beta(count, alpha, generator)).sqrt()  # share of height and width
    centres = uniform((2, count), 0.0, 1.0, generator=generator)
    partner = permutation(count, generator=generator)
    rows, columns = _stretch(centres[0], side, height), _stretch(centres[1], side, width)
    pasted = (rows[:, :, None] * columns[:, None, :])[:, None]  # (n, 1, h, w), 1 where the other image is
    own = 1 - rows.mean(dim=1) * columns.mean(dim=1)
    shares = class_shares(targets, classes)
    pasted_over = torch.lerp(images, images.index_select(0, partner), pasted.to(images.dtype))
    return pasted_over, torch.lerp(shares[partner], shares, own[:, None])


def _beta(count: int, alpha: float, generator: torch.Generator) -> Tensor:
    """Draw (count,) numbers from Beta(alpha, alpha) by inverting its distribution function.

    It takes ``count`` draws whatever alpha is, and a larger draw gives a larger weight for every alpha, so that two arms
    that differ in alpha stay paired.
    """
    from scipy.special import betaincinv  # a third of a second to import, which only mixing needs

    draws = uniform((count,), 0.0, 1.0, generator=generator)
    return torch.from_numpy(betaincinv(alpha, alpha, draws.cpu().double().numpy())).float().to(draws.device)


def _stretch(centre: Tensor, share: Tensor, length: int) -> Tensor:
    """Return 1.0 in the stretch of ``share`` of an axis' length around ``centre``, 0.0 elsewhere, (n, length)."""
    middle, half = (centre * length).floor()[:, None], (share * length).round()[:, None] / 2
    places = torch.arange(length, device=centre.device)
    return ((places >= (middle - half).ceil()) & (places < (middle + half).ceil())).float()
