"""What users would write themselves, for the shipped studies that show it: a network, and a loss without torch.nn.

Studies name these by import path, which they may do unasked, as this is code of the package.
"""

import torch
from torch import Tensor, nn


class Inception(nn.Module):
    """Two modules of branches with different reach, side by side (Szegedy et al. 2015), then the mean over every map.

    Takes images (n, channels, height, width) of at least 4 x 4 pixels and returns logits (n, classes). ``width`` is the number
    of filters of a branch.
    """

    def __init__(self, input_shape: tuple[int, int, int], classes: int, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(input_shape[0], width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.first = Branches(width, width)
        self.pool = nn.MaxPool2d(2)
        self.second = Branches(4 * width, 2 * width)
        self.output = nn.Linear(8 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        maps = self.second(self.pool(self.first(self.stem(images))))
        logits: Tensor = self.output(maps.mean(dim=(2, 3)))
        return logits


class Branches(nn.Module):
    """Convolutions of 1, 3 and 5 pixels and a pooling side by side, 4 * ``width`` maps (n, 4 * width, height, width) in all."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(inputs, width, 1)
        self.middle = nn.Sequential(nn.Conv2d(inputs, width, 1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))
        self.far = nn.Sequential(nn.Conv2d(inputs, width, 1), nn.ReLU(), nn.Conv2d(width, width, 5, padding=2))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(inputs, width, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps of all branches."""
        return torch.cat([branch(maps) for branch in (self.near, self.middle, self.far, self.pooled)], dim=1).relu()


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of -log p(true class) over logits (n, classes); the maximum is taken out so that exp cannot overflow."""
    shifted = logits - logits.amax(dim=1, keepdim=True)
    log_probabilities = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
    return -log_probabilities.gather(1, labels[:, None]).mean()
