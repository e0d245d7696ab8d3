"""The loop that most tutorials teach, written with care: what benchmarks/training_speed.py compares ceteris with.

A torch.utils.data.DataLoader collates batches from a Dataset that brings one image at a time through ToTensor and Normalize;
the model, the loss and the optimizer compute in float32 with as many threads as torch takes by default. Nothing here is
slow on purpose: the constants of Normalize are made once, the arrays need no decoding (torchvision's data sets go through
a PIL image and are slower), loader processes live through all epochs, and the loss is read once per epoch.

This file needs torch and numpy alone, so that it can be read and run without ceteris:

    python benchmarks/typical_loop.py --network mlp --workers 0 1 2
"""

import argparse
import statistics
import sys
import time
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.data import DataLoader, Dataset

CLASSES = 47


class ToTensor:
    """Turn an image uint8 (h, w) into float32 (1, h, w) in 0..1, as the transform of this name does."""

    def __call__(self, image: NDArray[np.uint8]) -> Tensor:
        """Return the tensor of one image."""
        return torch.from_numpy(image).unsqueeze(0).to(torch.float32).div_(255)


class Normalize:
    """Subtract the mean and divide by the deviation, channel by channel, as the transform of this name does."""

    def __init__(self, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.deviation = torch.tensor(deviation).view(-1, 1, 1)

    def __call__(self, image: Tensor) -> Tensor:
        """Return the standardised image (c, h, w)."""
        return image.sub_(self.mean).div_(self.deviation)


class Characters(Dataset[tuple[Tensor, int]]):
    """Images uint8 (n, h, w) with their labels (n,), transformed one by one when they are asked for."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        self.images = images
        self.labels = labels.tolist()
        self.transforms = (ToTensor(), Normalize((0.1745,), (0.3327,)))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        """Return one image float32 (1, h, w) and its label."""
        image = self.images[place]
        for transform in self.transforms:
            image = transform(image)
        return image, self.labels[place]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without weights: every ``stride``-th pixel, new channels filled with 0."""

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)
        self.relu = nn.ReLU()
        self.stride, self.added = stride, filters - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, filters, h / stride, w / stride)."""
        y: Tensor = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return self.relu(y + (pad(shortcut, (0, 0, 0, 0, 0, self.added)) if self.added else shortcut))  # type: ignore[no-any-return]


def mlp() -> nn.Module:
    """Return the network 784-128-128-128-47 with batch normalisation and dropout."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (784, 128, 128):
        layers += [nn.Linear(inputs, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(128, CLASSES))


def small_cnn() -> nn.Module:
    """Return three small convolutions with two poolings and one linear layer."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, CLASSES)),
    )


def cnn() -> nn.Module:
    """Return convolutions of 32, 64 and 128 filters with batch normalisation, each followed by pooling."""
    layers: list[nn.Module] = []
    for inputs, filters, kernel in ((1, 32, 5), (32, 64, 5), (64, 128, 3)):
        layers.append(nn.Conv2d(inputs, filters, kernel, padding=kernel // 2, bias=False))
        layers += [nn.BatchNorm2d(filters), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 3 * 3, 128), nn.ReLU(), nn.Linear(128, CLASSES))


def resnet() -> nn.Module:
    """Return a residual network of three stages with two blocks each and 64, 128 and 256 filters."""
    stem = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
    stages = [
        nn.Sequential(ResidualBlock(inputs, filters, stride), ResidualBlock(filters, filters, 1))
        for inputs, filters, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2))
    ]
    return nn.Sequential(stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, CLASSES))


def adam(model: nn.Module) -> torch.optim.Optimizer:
    """Return Adam with the defaults of torch."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def momentum(model: nn.Module) -> torch.optim.Optimizer:
    """Return stochastic gradient descent with momentum 0.9."""
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], torch.optim.Optimizer]]] = OrderedDict(
    {
        "mlp": (mlp, adam),
        "small-cnn": (small_cnn, momentum),
        "cnn": (cnn, adam),
        "resnet": (resnet, adam),
    }
)


class TypicalLoop:
    """One model with its loader, ready to train epoch after epoch.

    Args:
        network: one of ``NETWORKS``.
        images: uint8 (n, 28, 28).
        labels: int64 (n,) in 0..46.
        batch_size: images of a step; a last batch that is not full is left out.
        workers: processes of the DataLoader; 0 loads in the training process.
    """

    def __init__(
        self, network: str, images: NDArray[np.uint8], labels: NDArray[np.int64], *, batch_size: int, workers: int
    ) -> None:
        make_model, make_optimizer = NETWORKS[network]
        self.model = make_model()
        self.optimizer = make_optimizer(self.model)
        self.loader = DataLoader(
            Characters(images, labels),
            batch_size=batch_size,
            shuffle=True,
            num_workers=workers,
            drop_last=True,
            persistent_workers=workers > 0,
            generator=torch.Generator().manual_seed(0),
        )

    def epoch(self) -> float:
        """Train for one epoch and return its mean loss."""
        self.model.train()
        total = torch.zeros(())
        for images, labels in self.loader:
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += loss.detach()
        return float(total) / len(self.loader)

    def images_per_second(self) -> float:
        """Train for one epoch and return how many images went through in a second."""
        began = time.perf_counter()
        self.epoch()
        return len(self.loader) * (self.loader.batch_size or 0) / (time.perf_counter() - began)


def made_up_characters(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images uint8 (count, 28, 28), four fifths of their pixels black, and labels (count,), drawn at random."""
    random = np.random.default_rng(0)
    strokes = random.random((count, 28, 28), dtype=np.float32) < 0.2
    return random.integers(1, 256, strokes.shape, np.uint8) * strokes, np.arange(count) % CLASSES


def main() -> None:
    """Print the median of some epochs for every number of loader processes."""
    parser = argparse.ArgumentParser(description="The typical training loop: images per second.")
    parser.add_argument("--network", choices=NETWORKS, default="mlp")
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="DataLoader processes to try")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    images, labels = made_up_characters(options.images)
    loops = {
        workers: TypicalLoop(options.network, images, labels, batch_size=options.batch_size, workers=workers)
        for workers in options.workers
    }
    rates: dict[int, list[float]] = {workers: [] for workers in loops}
    for number in range(options.rounds + 1):
        for workers, loop in loops.items():
            rate = loop.images_per_second()
            rates[workers] += [rate] if number else []  # the first epoch starts processes and fills caches
    for workers, measured in rates.items():
        sys.stdout.write(
            f"{options.network}, num_workers={workers}: {statistics.median(measured):,.0f} images/s "
            f"(median of {options.rounds}, {torch.get_num_threads()} threads)\n"
        )


if __name__ == "__main__":
    main()
