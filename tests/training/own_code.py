"""Models and losses as a user would write them; some note what they were given, some fail."""

from typing import ClassVar

import torch
from torch import Tensor, nn


class Recording(nn.Module):
    """A linear classifier that keeps every training batch it sees; ``extra_draws`` uses up global random numbers."""

    seen: ClassVar[list[Tensor]] = []

    def __init__(
        self, input_shape: tuple[int, int, int], classes: int, dropout: float = 0.0, extra_draws: int = 0
    ) -> None:
        super().__init__()
        torch.rand(extra_draws)
        channels, height, width = input_shape
        self.classify = nn.Linear(channels * height * width, classes)
        self.drop = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.seen.append(images.detach().clone())
        logits: Tensor = self.classify(self.drop(images.flatten(1)))
        return logits


class Broken(Recording):
    """Fails when it is used."""

    def forward(self, images: Tensor) -> Tensor:
        raise RuntimeError(f"cannot handle {len(images)} images\nand a second line")


seen_targets: list[list[int]] = []


def written_out_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy without torch.nn."""
    seen_targets.append(targets.tolist())
    exponents = (logits - logits.max(1, keepdim=True).values).exp()
    shares = exponents / exponents.sum(1, keepdim=True)
    return -shares[range(len(targets)), targets].log().mean()


class Unreadable(nn.Module):
    """Reads a file that is not there."""

    def __init__(self, *, input_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        open("no such file").close()
