"""Muon: momentum whose matrix updates are orthogonalised (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

The update of a weight matrix is replaced by the nearest matrix whose singular values are all about 1, found by five steps
of a Newton-Schulz iteration. Filters (out, in, kh, kw) count as matrices (out, in * kh * kw). Vectors, the first and the
last layer are stepped by AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) inside the same optimizer.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

# Quintic coefficients of Jordan et al. 2024: steepest at 0, so that small singular values rise fastest.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonalise(matrices: Tensor, *, steps: int) -> Tensor:
    """Return U V' of each matrix U S V', with singular values near 1 (about 0.7 to 1.2); (k, rows, columns) in and out."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = matrices.mT if tall else matrices  # the Gram matrix of the shorter side is the cheaper one
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)  # all singular values at most 1
    for _ in range(steps):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
        x = torch.baddbmm(x, polynomial, x, beta=_A)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for ``matrices`` and AdamW for ``others``, with one parameter group each (the first may be empty).

    The step of a matrix is scaled by sqrt(max(1, rows / columns)). ``weight_decay`` is decoupled and acts on both groups.
    """

    def __init__(
        self,
        matrices: Sequence[Tensor],
        others: Sequence[Tensor],
        *,
        lr: float = 0.02,
        momentum: float = 0.95,
        nesterov: bool = True,
        orthogonalisation_steps: int = 5,
        weight_decay: float = 0.0,
        adamw_lr: float = 1e-3,
        adamw_beta1: float = 0.9,
        adamw_beta2: float = 0.999,
        adamw_epsilon: float = 1e-8,
    ) -> None:
        defaults = {
            "momentum": momentum,
            "nesterov": nesterov,
            "orthogonalisation_steps": orthogonalisation_steps,
            "weight_decay": weight_decay,
            "betas": (adamw_beta1, adamw_beta2),
            "epsilon": adamw_epsilon,
        }
        groups = [
            {"params": list(matrices), "lr": lr, "orthogonalised": True},
            {"params": list(others), "lr": adamw_lr, "orthogonalised": False},
        ]
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one step; return the loss of ``closure`` when one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            if group["weight_decay"]:
                torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            (self._step_matrices if group["orthogonalised"] else self._step_others)(weights, group)
        return loss

    def _step_matrices(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        averages = self._states("momentum", weights)
        torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
        updates = torch._foreach_lerp(gradients, averages, group["momentum"]) if group["nesterov"] else averages
        indices: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, weight in enumerate(weights):
            indices[tuple(weight.shape)].append(index)
        for same_shape in indices.values():  # orthogonalised in one batch
            stacked = torch.stack([updates[i].flatten(1) for i in same_shape])  # (k, rows, columns)
            directions = orthogonalise(stacked, steps=group["orthogonalisation_steps"])
            stretch = max(1.0, stacked.shape[1] / stacked.shape[2]) ** 0.5
            steps = [direction.view_as(weights[i]) for i, direction in zip(same_shape, directions, strict=True)]
            torch._foreach_add_([weights[i] for i in same_shape], steps, alpha=-group["lr"] * stretch)

    def _step_others(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        means, squares = self._states("mean", weights), self._states("square", weights)
        beta1, beta2 = group["betas"]
        group["steps"] = steps = group.get("steps", 0) + 1
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        scales = torch._foreach_sqrt(squares)
        torch._foreach_div_(scales, (1 - beta2**steps) ** 0.5)
        torch._foreach_add_(scales, group["epsilon"])
        torch._foreach_addcdiv_(weights, means, scales, -group["lr"] / (1 - beta1**steps))

    def _states(self, name: str, weights: list[Tensor]) -> list[Tensor]:
        for weight in weights:
            if name not in self.state[weight]:
                self.state[weight][name] = torch.zeros_like(weight, memory_format=torch.preserve_format)
        return [self.state[weight][name] for weight in weights]
