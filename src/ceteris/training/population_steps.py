"""What happens to the stacked gradients of a population between the backward pass and the next batch.

Penalties, clipping and decay act on every member by its own strength in one call; the arithmetic is that of
``ceteris.techniques`` on one model. Strengths are (K,) on the device; where no member asks for a step it is left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ceteris.models import StackedModel
from ceteris.models.stacked import rows_of
from ceteris.recipe import Recipe
from ceteris.training import build
from ceteris.training.build import Loss
from ceteris.training.graph import Multipliers, rates_on_device, tensors_of
from ceteris.training.loop import set_learning_rates


@dataclass(frozen=True, kw_only=True)
class GradientSteps:
    """Penalty and clipping of every member; None where no member has one."""

    l1: Tensor | None
    l2: Tensor | None
    largest_norm: Tensor | None
    largest_value: Tensor | None

    def apply(self, stacked: StackedModel) -> None:
        """Change the gradients in place: first the penalty's share is added, then they are clipped."""
        for weights in stacked.parameters():
            if weights.ndim >= 3 and (self.l1 is not None or self.l2 is not None):  # (K, ...) of matrices and filters
                self._penalise(weights)
        if self.largest_norm is not None:
            scales = (self.largest_norm / gradient_norms(stacked)).clamp(max=1.0)
            for gradient in gradients_of(stacked):
                gradient.mul_(_column(scales, gradient))
        if self.largest_value is not None:
            for gradient in gradients_of(stacked):
                limits = _column(self.largest_value, gradient)
                torch.clamp(gradient, -limits, limits, out=gradient)

    def _penalise(self, weights: nn.Parameter) -> None:
        values, gradient = weights.detach(), weights.grad
        assert gradient is not None, "every weight of a stacked model has a gradient"
        if self.l1 is not None:
            gradient.addcmul_(values.sign(), _column(self.l1, values))
        if self.l2 is not None:
            gradient.addcmul_(values, _column(2 * self.l2, values))


def gradient_steps(recipes: Sequence[Recipe], device: str) -> GradientSteps:
    """Return the penalties and clippings of the members' recipes."""
    strengths = [build.strengths_of(member) for member in recipes]

    def column(values: list[float], nothing: float) -> Tensor | None:
        return torch.tensor(values, device=device) if any(value != nothing for value in values) else None

    return GradientSteps(
        l1=column([member.l1 for member in strengths], 0.0),
        l2=column([member.l2 for member in strengths], 0.0),
        largest_norm=column([member.largest_norm for member in strengths], math.inf),
        largest_value=column([member.largest_value for member in strengths], math.inf),
    )


def gradients_of(stacked: StackedModel) -> list[Tensor]:
    """Return the stacked gradients, each (K, ...)."""
    return [weights.grad for weights in stacked.parameters() if weights.grad is not None]


def gradient_norms(stacked: StackedModel) -> Tensor:
    """Return the Euclidean norm of every member's whole gradient, (K,)."""
    norms = [
        torch.linalg.vector_norm(gradient, dim=tuple(range(1, gradient.ndim))) for gradient in gradients_of(stacked)
    ]
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    return total


@torch.no_grad()
def shrink_(stacked: StackedModel, factors: list[float] | Tensor) -> None:
    """Multiply every member's matrices and filters by its factor, numbers or (K,): decoupled weight decay."""
    weights: list[Tensor] = [weight for weight in stacked.parameters() if weight.ndim >= 3]
    if not isinstance(factors, Tensor) and len(set(factors)) == 1:
        torch._foreach_mul_(weights, factors[0])
        return
    column = factors if isinstance(factors, Tensor) else torch.tensor(factors).to(weights[0].device, non_blocking=True)
    for weight in weights:
        weight.mul_(_column(column, weight))


def losses_of(logits: Tensor, targets: Sequence[Tensor], recipes: Sequence[Recipe], losses: Sequence[Loss]) -> Tensor:
    """Return every member's loss, (K,).

    Args:
        logits: (K, b, classes).
        targets: of every member labels (b,) or class shares (b, classes).
        recipes: of the members.
        losses: of the members, for those that cannot be computed together.
    """
    smoothings = {build.smoothing_of(member.loss) for member in recipes}
    if len(smoothings) == 1 and None not in smoothings and len({target.dtype for target in targets}) == 1:
        each = nn.functional.cross_entropy(
            logits.flatten(0, 1), torch.cat(list(targets)), reduction="none", label_smoothing=smoothings.pop() or 0.0
        )
        return each.view(len(logits), -1).mean(1)
    rows = zip(losses, logits.unbind(), targets, strict=True)
    return torch.stack([loss(member, target) for loss, member, target in rows])


class PopulationOptimizer:
    """Steps all members: on the stacked tensors where their settings are equal and every entry is stepped by itself.

    Otherwise every member has its own optimizer on its views, which is the same arithmetic in more calls.
    """

    def __init__(
        self, stacked: StackedModel, recipes: Sequence[Recipe], of_members: Sequence[torch.optim.Optimizer]
    ) -> None:
        self._stacked = stacked
        self.together = build.can_step_together(recipes)
        self._optimizers = [build.build_optimizer(recipes[0].optimizer, stacked)] if self.together else list(of_members)
        self._full_rates = [[float(group["lr"]) for group in one.param_groups] for one in self._optimizers]

    @property
    def full_rates(self) -> list[float]:
        """The first learning rate of every optimizer: one for all members where they are stepped together."""
        return [rates[0] for rates in self._full_rates]

    @property
    def state(self) -> list[Tensor]:
        """The tensors of all optimizers' states."""
        return [tensor for optimizer in self._optimizers for tensor in tensors_of(optimizer)]

    def rates_on_device(self, device: torch.device) -> None:
        """Make the learning rates tensors, as a recorded step needs them."""
        for optimizer in self._optimizers:
            rates_on_device(optimizer, device)

    def step(self, multipliers: Multipliers) -> None:
        """Make one step with the full rates times ``multipliers``, one per member or one for all."""
        if not self.together:
            self._stacked.hand_out_gradients()
        each: Sequence[float | Tensor] = multipliers.unbind() if isinstance(multipliers, Tensor) else multipliers
        for optimizer, rates, multiplier in zip(self._optimizers, self._full_rates, each, strict=True):
            set_learning_rates(optimizer, rates, multiplier)
            optimizer.step()

    def keep(self, places: Sequence[int]) -> None:
        """Go on with the members at ``places``, after the stacked model has done so."""
        if not self.together:
            self._optimizers = [self._optimizers[place] for place in places]
            self._full_rates = [self._full_rates[place] for place in places]
            return
        for weights, state in self._optimizers[0].state.items():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape[1:] == weights.shape[1:] and value.ndim == weights.ndim:
                    state[name] = rows_of(value, places)


def _column(values: Tensor, like: Tensor) -> Tensor:
    """Return (K,) as (K, 1, ...) beside a stacked tensor."""
    return values.view(-1, *[1] * (like.ndim - 1))
