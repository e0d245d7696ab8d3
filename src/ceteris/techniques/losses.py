"""Losses on logits (n, classes), as the mean over the batch.

``targets`` are either labels int64 (n,) or class shares float (n, classes) that sum to 1, as mixup makes them. Where
``class_weights`` (classes,) are given, the loss of every image is multiplied by the weight of its class, and the mean is over
images, as in Keras and in scikit-learn; torch divides by the sum of the batch's weights instead.

Label smoothing: Szegedy et al. 2016 (arXiv:1512.00567). Focal loss: Lin et al. 2017 (arXiv:1708.02002).
Squared distance: Brier 1950, Monthly Weather Review 78. Effective numbers: Cui et al. 2019 (arXiv:1901.05555).
"""

from typing import Literal, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

EFFECTIVE_BETA = 0.999  # of the four in Cui et al. 2019 the one for classes of some hundred to some thousand images


def cross_entropy(
    logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Return the mean cross-entropy; ``label_smoothing`` in [0, 1) is the share spread evenly over all classes."""
    if class_weights is None:
        return functional.cross_entropy(logits.float(), targets, label_smoothing=label_smoothing)
    each = functional.cross_entropy(logits.float(), targets, label_smoothing=label_smoothing, reduction="none")
    return _mean(each, targets, class_weights)


def focal(logits: Tensor, targets: Tensor, *, gamma: float, class_weights: Tensor | None = None) -> Tensor:
    """Return the mean of -(1 - p)^gamma log p over the batch; for class shares, the sum weighted by the shares."""
    log_p = functional.log_softmax(logits.float(), dim=1)  # (n, classes)
    if not targets.is_floating_point():
        log_p = log_p.gather(1, targets[:, None])  # (n, 1)
    # At p = 1 the derivative of (1 - p)^gamma is infinite for gamma < 1; a floor keeps it finite.
    missing = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).eps)
    terms = missing**gamma * -log_p
    weighted = terms * targets if targets.is_floating_point() else terms
    return _mean(weighted.sum(dim=1), targets, class_weights)


def mean_squared_error(logits: Tensor, targets: Tensor, *, class_weights: Tensor | None = None) -> Tensor:
    """Return the squared distance between softmax and target, summed over the classes (0..2), averaged over the batch."""
    probabilities = functional.softmax(logits.float(), dim=1)  # (n, classes)
    shares = targets if targets.is_floating_point() else functional.one_hot(targets, logits.shape[1])
    return _mean((probabilities - shares).square().sum(dim=1), targets, class_weights)


def _mean(losses: Tensor, targets: Tensor, class_weights: Tensor | None) -> Tensor:
    """Return the mean of losses (n,), each times the weight of its class or classes."""
    if class_weights is None:
        return losses.mean()
    weights = targets @ class_weights if targets.is_floating_point() else class_weights[targets]
    return (losses * weights).mean()


def weights_of_classes(counts: NDArray[np.int64], kind: Literal["inverse", "sqrt", "effective"]) -> NDArray[np.float64]:
    """Return what the images of every class count in the loss, (classes,), so that the mean over all images is 1.

    A class without images has the weight 0; the others have the weights of which the recipe's ``class_weights`` tells.

    Args:
        counts: images of every class that are fitted on, (classes,).
        kind: "inverse" is ``compute_class_weight("balanced")`` of scikit-learn.
    """
    present: NDArray[np.float64] = np.maximum(counts, 1).astype(np.float64)
    match kind:
        case "inverse":
            weights = 1 / present
        case "sqrt":
            weights = 1 / np.sqrt(present)
        case "effective":
            weights = 1 / -np.expm1(present * np.log(EFFECTIVE_BETA))
        case _:
            assert_never(kind)
    weights = np.where(counts > 0, weights, 0.0)
    scaled: NDArray[np.float64] = weights * counts.sum() / (weights * counts).sum()
    return scaled
