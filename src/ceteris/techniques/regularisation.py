"""Penalties on weights, to be added to the loss, and decay of weights outside the gradient.

L2: Hoerl & Kennard 1970 (ridge regression, Technometrics 12). L1: Tibshirani 1996 (lasso, J. R. Stat. Soc. B 58).
Decoupled decay: Loshchilov & Hutter 2019 (arXiv:1711.05101).
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def l1(weights: Sequence[Tensor]) -> Tensor:
    """Return the sum of |w| over all weights, a scalar; its gradient is sign(w), 0 where w is 0."""
    return torch.stack([weight.abs().sum() for weight in weights]).sum()


def l2(weights: Sequence[Tensor]) -> Tensor:
    """Return the sum of w² over all weights, a scalar; its gradient is 2 w."""
    flat = [weight.flatten() for weight in weights]
    return torch.stack([torch.dot(weight, weight) for weight in flat]).sum()


@torch.no_grad()
def shrink_weights_(weights: Sequence[Tensor], factor: float | Tensor) -> None:
    """Multiply all weights by ``factor``, a number or (), in place: decoupled decay, 1 - learning rate * strength."""
    if weights:
        torch._foreach_mul_(list(weights), factor)
