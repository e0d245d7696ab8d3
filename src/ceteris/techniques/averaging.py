"""Averages of weights along the training (Polyak & Juditsky 1992, SIAM J. Control Optim. 30)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class ExponentialMovingAverage:
    """avg ← decay * avg + (1 - decay) * weights, over parameters and floating-point buffers.

    The buffers take part so that the statistics of batch normalisation belong to the averaged weights. The first
    update copies the weights, so that the random initial weights have no share in the average. The model must be on its
    device already: the average follows the tensors that the model holds when this is made.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self._followed = _followed(model)
        self._average = [tensor.clone() for tensor in self._followed]
        self._decay = decay
        self._started = False

    def update(self) -> None:
        """Take the model's present weights into the average."""
        if self._started:
            torch._foreach_lerp_(self._average, self._followed, 1 - self._decay)
        else:
            torch._foreach_copy_(self._average, self._followed)
            self._started = True

    def follow(self, model: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        """Follow the present tensors of ``model`` from now on, with the averages so far as ``change`` returns them."""
        self._followed = _followed(model)
        self._average = [change(average) for average in self._average]

    def copy_to_model(self) -> None:
        """Overwrite the model's weights and buffers with their averages."""
        torch._foreach_copy_(self._followed, self._average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model its averaged weights inside the block and its own ones back afterwards."""
        own = [tensor.clone() for tensor in self._followed]
        self.copy_to_model()
        try:
            yield
        finally:
            torch._foreach_copy_(self._followed, own)


def _followed(model: nn.Module) -> list[Tensor]:
    buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
    return [*(parameter.detach() for parameter in model.parameters()), *buffers]
