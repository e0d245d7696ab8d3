"""Gradient clipping (Pascanu et al. 2013, arXiv:1211.5063), in place on all gradients at once."""

from collections.abc import Sequence

import torch
from torch import Tensor


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
