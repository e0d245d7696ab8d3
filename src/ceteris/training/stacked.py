"""Models of one shape that learn in lockstep as one stacked model: each as it would by itself, in fewer calls.

The models may differ in fold, seed and all numbers of their recipes. Penalties, clipping and decay act on every model by its
own strength in one call; the arithmetic is that of ``ceteris.techniques`` on one model. Strengths are (K,) on the device;
where no model asks for a step it is left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ceteris.models.stacked import StackedModel, select
from ceteris.recipe import Recipe
from ceteris.training import build
from ceteris.training.batches import Batch, StackedImages, batch_sizes, batches
from ceteris.training.history import Run
from ceteris.training.loop import TrainingConfig
from ceteris.training.single import ScheduledOptimizer, TrainingObjects


@dataclass(frozen=True, kw_only=True)
class Member:
    """One model of a population."""

    recipe: Recipe
    objects: TrainingObjects
    run: Run


class StackedTrainee:
    """The members of a population that still train; see :class:`ceteris.training.loop.Trainee`."""

    def __init__(self, members: Sequence[Member], images: StackedImages, config: TrainingConfig) -> None:
        self.config = config
        self._members = list(members)
        self._images = images
        self._stacked = StackedModel([member.objects.model for member in members])
        self._optimizer = StackedOptimizer(self._stacked, members)
        self._augmenting = members[0].objects  # augments for all where they share images, also after it has left
        self.model: nn.Module = self._stacked
        self.average = build.build_averaging(members[0].recipe.averaging, self._stacked)
        self._prepare()

    def _prepare(self) -> None:
        """Bring to the device what every step needs, so that no step has to wait for numbers of Python."""
        recipes = [member.recipe for member in self._members]
        self.runs = [member.run for member in self._members]
        self.weights = list(self._stacked.parameters())
        self._gradient_steps = GradientSteps(recipes, self.config.device)
        self._decays = [member.objects.decay for member in self._members]
        smoothings = {build.smoothing_of(recipe.loss) for recipe in recipes}
        self._smoothing = smoothings.pop() if len(smoothings) == 1 else None

    def batches(self, epoch: int) -> list[Batch]:
        """Return the mini-batches (K, b) of a shuffled pass, every member's in the order that it would have alone."""
        config, objects = self.config, [member.objects for member in self._members]
        order = self._images.order([one.sampling for one in objects], [one.streams.order for one in objects])
        sizes = batch_sizes(order.shape[-1], config.batch_size, config.last_batch)
        return batches(self._images.table.labels, order, sizes, epoch=epoch, epochs=config.epochs)

    def inputs(self, batch: Batch) -> tuple[Tensor | list[Tensor], Sequence[Tensor]]:
        """Return the augmented images, K times (b, c, h, w) or shared (b, c, h, w), and every member's targets."""
        images, labels = self._images.batch(batch.indices), batch.labels.unbind()
        if all(member.objects.augment is None for member in self._members):
            return images, labels
        if self._images.shared:
            images, targets = self._augmenting.augmented(images, labels[0], self.config)
            return images, [targets] * len(self._members)
        pairs = [
            member.objects.augmented(own, of_member, self.config)
            for member, own, of_member in zip(self._members, images, labels, strict=True)
        ]
        return [own for own, _ in pairs], [targets for _, targets in pairs]

    def losses(self, logits: Tensor, targets: Sequence[Tensor]) -> Tensor:
        """Return every member's loss, (K,), from logits (K, b, classes)."""
        if self._smoothing is not None and len({target.dtype for target in targets}) == 1:
            each = nn.functional.cross_entropy(
                logits.flatten(0, 1), torch.cat(list(targets)), reduction="none", label_smoothing=self._smoothing
            )
            return each.view(len(logits), -1).mean(1)
        rows = zip(self._members, logits.unbind(), targets, strict=True)
        return torch.stack([member.objects.loss(of_member, target) for member, of_member, target in rows])

    def objective(self, losses: Tensor) -> Tensor:
        """Return the sum of all losses: no member's weights act on another one's loss."""
        return losses.sum()

    def update(self, progress: float) -> list[float]:
        """Penalise, clip, decay, step; return every member's learning rate."""
        rates = self._optimizer.set_rates(progress)
        self._gradient_steps.apply(self._stacked)
        if any(self._decays):
            shrink_(self._stacked, [1 - rate * decay for rate, decay in zip(rates, self._decays, strict=True)])
        self._optimizer.step()
        return rates

    def gradient_norms(self) -> list[float]:
        """Return the norm of every member's last gradient."""
        norms: list[float] = stacked_gradient_norms(self._stacked).tolist()
        return norms

    def keep(self, indices: list[int]) -> None:
        """Go on with the members at ``indices``."""
        self._members = [self._members[index] for index in indices]
        self._stacked.keep(indices)
        self._optimizer.keep(indices)
        self._images = self._images.keep(indices)
        if self.average:
            self.average.follow(self._stacked, lambda average: select(average, indices))
        self._prepare()


class StackedOptimizer:
    """Steps all members: on the stacked tensors where their settings are equal and every entry is stepped by itself.

    Otherwise every member has its own optimizer on its views, which is the same arithmetic in more calls.
    """

    def __init__(self, stacked: StackedModel, members: Sequence[Member]) -> None:
        self._stacked = stacked
        self._together = build.can_step_together([member.recipe for member in members])
        of_all = build.build_optimizer(members[0].recipe.optimizer, stacked) if self._together else None
        self._scheduled = [
            ScheduledOptimizer(of_all or member.objects.optimizer, member.objects.schedule, member.run.steering_losses)
            for member in members
        ]

    def set_rates(self, progress: float) -> list[float]:
        """Give every member its learning rates at this ``progress`` in [0, 1); return the first one of each."""
        if self._together:
            return [self._scheduled[0].set_rates(progress)] * len(self._scheduled)
        return [scheduled.set_rates(progress) for scheduled in self._scheduled]

    def step(self) -> None:
        """Make one step with the rates that were set."""
        if not self._together:
            self._stacked.hand_out_gradients()
        for scheduled in self._scheduled[:1] if self._together else self._scheduled:
            scheduled.optimizer.step()

    def keep(self, indices: Sequence[int]) -> None:
        """Go on with the members at ``indices``, after the stacked model has done so."""
        optimizer = self._scheduled[0].optimizer
        self._scheduled = [self._scheduled[index] for index in indices]
        if not self._together:
            return
        for weights, state in optimizer.state.items():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape[1:] == weights.shape[1:] and value.ndim == weights.ndim:
                    state[name] = select(value, indices)


class GradientSteps:
    """Penalty and clipping of every member, (K,) each; None where no member has one."""

    def __init__(self, recipes: Sequence[Recipe], device: torch.device) -> None:
        self.l1, self.l2, self.largest_norm, self.largest_value = (
            torch.tensor(values, device=device) if set(values) - {0.0, math.inf} else None
            for values in zip(*map(build.strengths_of, recipes), strict=True)
        )

    def apply(self, stacked: StackedModel) -> None:
        """Change the gradients in place: first the penalty's share is added, then they are clipped."""
        if self.l1 is not None or self.l2 is not None:
            for weights in stacked.parameters():
                if weights.ndim >= 3:  # (K, ...) of matrices and filters
                    self._penalise(weights)
        if self.largest_norm is not None:
            scales = (self.largest_norm / stacked_gradient_norms(stacked)).clamp(max=1.0)
            for gradient in gradients_of(stacked):
                gradient.mul_(column_beside(gradient, scales))
        if self.largest_value is not None:
            for gradient in gradients_of(stacked):
                limits = column_beside(gradient, self.largest_value)
                torch.clamp(gradient, -limits, limits, out=gradient)

    def _penalise(self, weights: nn.Parameter) -> None:
        values, gradient = weights.detach(), weights.grad
        assert gradient is not None, "every weight of a stacked model has a gradient"
        if self.l1 is not None:
            gradient.addcmul_(values.sign(), column_beside(values, self.l1))
        if self.l2 is not None:
            gradient.addcmul_(values, column_beside(values, 2 * self.l2))


def gradients_of(stacked: StackedModel) -> list[Tensor]:
    """Return the stacked gradients, each (K, ...)."""
    return [weights.grad for weights in stacked.parameters() if weights.grad is not None]


def stacked_gradient_norms(stacked: StackedModel) -> Tensor:
    """Return the Euclidean norm of every member's whole gradient, (K,)."""
    norms = [
        torch.linalg.vector_norm(gradient, dim=tuple(range(1, gradient.ndim))) for gradient in gradients_of(stacked)
    ]
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    return total


@torch.no_grad()
def shrink_(stacked: StackedModel, factors: list[float]) -> None:
    """Multiply every member's matrices and filters by its factor: decoupled weight decay."""
    weights: list[Tensor] = [weight for weight in stacked.parameters() if weight.ndim >= 3]
    if len(set(factors)) == 1:
        torch._foreach_mul_(weights, factors[0])
        return
    column = torch.tensor(factors).to(weights[0].device, non_blocking=True)
    for weight in weights:
        weight.mul_(column_beside(weight, column))


def column_beside(tensor: Tensor, values: Tensor) -> Tensor:
    """Return (K,) values as (K, 1, ...) beside a stacked tensor."""
    return values.view(-1, *[1] * (tensor.ndim - 1))
