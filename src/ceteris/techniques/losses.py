"""Losses on logits (n, classes), as the mean over the batch.

``targets`` are either labels int64 (n,) or class shares float (n, classes) that sum to 1, as mixup makes them.

Label smoothing: Szegedy et al. 2016 (arXiv:1512.00567). Focal loss: Lin et al. 2017 (arXiv:1708.02002).
Squared distance: Brier 1950, Monthly Weather Review 78.
"""

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy; ``label_smoothing`` in [0, 1) is the share spread evenly over all classes."""
    return functional.cross_entropy(logits.float(), targets, label_smoothing=label_smoothing)


def focal(logits: Tensor, targets: Tensor, *, gamma: float) -> Tensor:
    """Return the mean of -(1 - p)^gamma log p over the batch; for class shares, the sum weighted by the shares."""
    log_p = functional.log_softmax(logits.float(), dim=1)  # (n, classes)
    if not targets.is_floating_point():
        log_p = log_p.gather(1, targets[:, None])  # (n, 1)
    # At p = 1 the derivative of (1 - p)^gamma is infinite for gamma < 1; a floor keeps it finite.
    missing = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).eps)
    terms = missing**gamma * -log_p
    weighted = terms * targets if targets.is_floating_point() else terms
    return weighted.sum(dim=1).mean()


def mean_squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the squared distance between softmax and target, summed over the classes (0..2), averaged over the batch."""
    probabilities = functional.softmax(logits.float(), dim=1)  # (n, classes)
    if not targets.is_floating_point():
        targets = functional.one_hot(targets, logits.shape[1])
    return (probabilities - targets).square().sum(dim=1).mean()
