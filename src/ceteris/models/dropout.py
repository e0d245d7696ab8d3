"""Dropout whose random numbers come from a generator that it is given (Srivastava et al. 2014)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ceteris.errors import ConfigError

_STEPS = 2**16  # one 16-bit number decides about one value


class Dropout(nn.Module):
    """Set each value to 0 with probability ``p`` while training and scale the rest so that the mean stays.

    The mask comes from the generator that :func:`set_dropout_generator` has set, never from the global one. One draw of
    64 bits decides about four values, so ``p`` is rounded to a multiple of 2**-16; the scale fits the rounded value.

    Raises:
        ConfigError: ``p`` lies outside [0, 1), or the model trains before a generator was set.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ConfigError(f"dropout is a probability with 0 <= dropout < 1, received {p}")
        self.p = p
        self.generator: torch.Generator | None = None
        dropped = min(round(p * _STEPS), _STEPS - 1)
        self.threshold = dropped - _STEPS // 2  # int16 values lie in -32768..32767; those below it are dropped
        self.scale = _STEPS / (_STEPS - dropped)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with values dropped while training, ``x`` itself otherwise; any shape."""
        if not self.training or self.p == 0:
            return x
        words = torch.empty(words_for(x.numel()), dtype=torch.int64, device=x.device)
        self.draw_(words)
        numbers = words.view(torch.int16)[: x.numel()].view(x.shape)
        return dropped(x, numbers, self.threshold, self.scale)

    def draw_(self, words: Tensor) -> None:
        """Fill int64 ``words`` with the draws of one mask, four values each; one value is an int16 number.

        Raises:
            ConfigError: no generator was set.
        """
        if self.generator is None:
            raise ConfigError(
                "a model with dropout trains only with a random generator of its own: "
                "call ceteris.models.dropout.set_dropout_generator(model, generator) first, or model.eval()"
            )
        words.random_(-(2**63), None, generator=self.generator)

    def extra_repr(self) -> str:
        """Return the probability for the printed model."""
        return f"p={self.p}"


def shares_of(dropout: float | Sequence[float], layers: int) -> Sequence[float]:
    """Return the probability of each layer, given that of all or one for each."""
    return [dropout] * layers if isinstance(dropout, float | int) else dropout


def dropped(x: Tensor, numbers: Tensor, threshold: int, scale: float) -> Tensor:
    """Return ``x * scale`` with a 0 wherever the int16 ``numbers``, of the same shape, are below ``threshold``."""
    if x.is_cpu and x.dtype == torch.float32:
        # The gradient of a threshold compares and masks in one pass: a third of the time of a mask and a product.
        kept: Tensor = torch.ops.aten.threshold_backward(x, numbers, threshold - 1)
        return kept.mul_(scale)
    return x * (numbers >= threshold).to(x.dtype).mul_(scale)


def words_for(values: int) -> int:
    """Return how many draws of 64 bits decide about ``values`` values."""
    return (values + 3) // 4


def set_dropout_generator(model: nn.Module, generator: torch.Generator) -> None:
    """Let every :class:`Dropout` of ``model`` draw from ``generator``, which lies on the model's device."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator
