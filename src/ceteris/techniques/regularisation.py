"""What keeps weights and gradients small: penalties to be added to the loss, decay outside the gradient, clipping.

L2: Hoerl & Kennard 1970 (ridge regression, Technometrics 12). L1: Tibshirani 1996 (lasso, J. R. Stat. Soc. B 58).
Decoupled decay: Loshchilov & Hutter 2019 (arXiv:1711.05101). Clipping: Pascanu et al. 2013 (arXiv:1211.5063).
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def l1(weights: Sequence[Tensor], strength: float = 1.0) -> Tensor:
    """Return ``strength`` times the sum of |w| over all weights, a scalar; the gradient of |w| is sign(w), 0 where w is 0."""
    return strength * torch.stack([weight.abs().sum() for weight in weights]).sum()


def l2(weights: Sequence[Tensor], strength: float = 1.0) -> Tensor:
    """Return ``strength`` times the sum of w² over all weights, a scalar; the gradient of w² is 2 w."""
    flat = [weight.flatten() for weight in weights]
    return strength * torch.stack([torch.dot(weight, weight) for weight in flat]).sum()


@torch.no_grad()
def shrink_weights_(weights: Sequence[Tensor], factor: float) -> None:
    """Multiply all weights by ``factor`` in place: decoupled decay, 1 - learning rate * strength."""
    if weights:
        torch._foreach_mul_(list(weights), factor)


def gradient_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients taken together, a scalar; 0 when there are none."""
    if not gradients:
        return torch.zeros(())
    norms: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients))))
    return norms


def clip_by_norm_(gradients: Sequence[Tensor], maximum: float) -> Tensor:
    """Scale the whole gradient down to at most ``maximum`` in Euclidean norm; return the norm before."""
    norm = gradient_norm(gradients)
    if gradients:
        torch._foreach_mul_(list(gradients), (maximum / norm).clamp(max=1.0))
    return norm


def clip_by_value_(gradients: Sequence[Tensor], maximum: float) -> Tensor:
    """Limit each entry to ±``maximum``; return the norm before."""
    norm = gradient_norm(gradients)
    if gradients:
        torch._foreach_clamp_min_(list(gradients), -maximum)
        torch._foreach_clamp_max_(list(gradients), maximum)
    return norm
