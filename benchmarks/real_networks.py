"""Train thousands of small real networks in simulated studies, and save which image each of them got right.

    python benchmarks/real_networks.py --data MNIST_FOLDER --data EMNIST_FOLDER --out FOLDER --minutes 60

A study draws n images from the training set, cuts them into five folds and trains every arm on every fold, two or three
times on new folds. The arms of one fold share batches and, where the sizes allow, initialisation, as arms do in ceteris;
"null" is the baseline with another seed, so that its true difference is exactly 0. Every network also answers images of
the same training set that no study draws: their mean over all studies is the truth of an arm, by which
``benchmarks/calibration_real.py`` measures coverage. Networks of one size are trained as one stack; all arrays keep
the images of a batch as their last axis. Images are shrunk to 14 x 14. Rows take turns
until the time is over; another run goes on where this one ended, and one with another ``--seed`` adds studies.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ceteris.data import load

FOLDS, BATCH, SIDE = 5, 32, 14
Answers = tuple[NDArray[np.bool_], NDArray[np.int8], NDArray[np.float64]]
"""Correct (arms, repetitions, n), fold (repetitions, n), accuracy in the pool (arms, repetitions)."""

POOL, ANSWERED = 10_000, 300  # images kept for the truth, and how many of them one study's networks answer
MOMENTUM = 0.9


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What an arm changes of the baseline; ``rate`` multiplies its learning rate, ``slope`` is that of a leaky ReLU."""

    rate: float = 1.0
    slope: float = 0.0
    decay: float = 0.0
    smoothing: float = 0.0
    width: float = 1.0
    own_seed: bool = False


ARMS = {
    "base": Arm(),
    "null": Arm(own_seed=True),
    "rate": Arm(rate=2.0),
    "leaky": Arm(slope=0.2),
    "decay": Arm(decay=3e-3),
    "smooth": Arm(smoothing=0.1),
    "high": Arm(rate=6.0),  # collapses now and then
    "wide": Arm(width=2.0),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network on one data set: ``images`` of a study, ``repetitions`` of its cross-validation.

    It takes part in ``every`` so manieth turn only.
    """

    network: str
    data: int
    images: int
    repetitions: int
    rate: float
    epochs: int
    arms: tuple[str, ...]
    every: int = 1


CONV_ARMS = ("base", "null", "leaky")
ROWS = {
    "mlp-mnist": Row(network="mlp", data=0, images=500, repetitions=3, rate=0.05, epochs=12, arms=tuple(ARMS)),
    "cnn-mnist": Row(network="cnn", data=0, images=300, repetitions=2, rate=0.04, epochs=12, arms=CONV_ARMS),
    "resnet-mnist": Row(network="resnet", data=0, images=300, repetitions=2, rate=0.03, epochs=8, arms=CONV_ARMS),
    "mlp-emnist": Row(
        network="mlp", data=1, images=1000, repetitions=2, rate=0.05, epochs=12, arms=tuple(ARMS), every=3
    ),
    "cnn-emnist": Row(network="cnn", data=1, images=500, repetitions=2, rate=0.04, epochs=10, arms=CONV_ARMS, every=3),
    "resnet-emnist": Row(
        network="resnet", data=1, images=400, repetitions=2, rate=0.03, epochs=8, arms=CONV_ARMS, every=3
    ),
}


class Stack:
    """Networks of one size with their own weights, (nets, ...) each; ``slope`` (nets,) is that of their activation."""

    def __init__(self, nets: int, slope: Tensor, draw: Callable[..., Tensor]) -> None:
        self.nets, self.slope, self._draw = nets, slope, draw
        self.weights: dict[str, Tensor] = {}
        self.running: dict[str, tuple[Tensor, Tensor]] = {}

    def weight(self, name: str, outputs: int, inputs: int) -> Tensor:
        """Return He-initialised weights (nets, outputs, inputs), made at the first call."""
        if name not in self.weights:
            self.weights[name] = (self._draw(outputs, inputs) * (2 / inputs) ** 0.5).requires_grad_()
        return self.weights[name]

    def constant(self, name: str, size: int, value: float) -> Tensor:
        """Return a vector of weights (nets, size, 1), made at the first call."""
        if name not in self.weights:
            self.weights[name] = torch.full((self.nets, size, 1), value).requires_grad_()
        return self.weights[name]

    def activate(self, z: Tensor) -> Tensor:
        """Apply the leaky ReLU of each network."""
        return z * torch.where(z.detach() > 0, 1.0, self.slope.view(-1, *[1] * (z.ndim - 1)))

    def dense(self, name: str, x: Tensor, outputs: int) -> Tensor:
        """Map (nets, inputs, places) to (nets, outputs, places)."""
        return torch.baddbmm(self.constant(f"{name}.bias", outputs, 0.0), self.weight(name, outputs, x.shape[1]), x)

    def convolve(self, name: str, x: Tensor, outputs: int, *, kernel: int, stride: int = 1) -> Tensor:
        """Convolve (nets, channels, height, width, images) with zero padding."""
        size, pad = -(-x.shape[2] // stride), kernel // 2
        columns: Tensor = _Columns.apply(  # type: ignore[no-untyped-call]
            functional.pad(x, (0, 0, pad, pad, pad, pad)), kernel, stride, size
        )
        return self.dense(name, columns, outputs).view(x.shape[0], outputs, size, size, x.shape[4])

    def normalise(self, name: str, x: Tensor, training: bool) -> Tensor:
        """Normalise every channel of every network over its batch; by the running mean and variance in evaluation."""
        flat = x.flatten(2)
        if training:
            mean = flat.mean(2, keepdim=True)
            variance = (flat - mean).square().mean(2, keepdim=True)
            old = self.running.get(name, (torch.zeros_like(mean), torch.ones_like(variance)))
            pairs = zip(old, (mean, variance), strict=True)
            first, second = (before.lerp(now.detach(), 0.1) for before, now in pairs)
            self.running[name] = (first, second)
        else:
            mean, variance = self.running[name]
        scale = self.constant(f"{name}.scale", x.shape[1], 1.0) * (variance + 1e-5).rsqrt()
        return torch.addcmul(self.constant(f"{name}.shift", x.shape[1], 0.0), flat - mean, scale).view(x.shape)


class _Columns(torch.autograd.Function):
    """Patches (nets, channels * kernel^2, places * images) of padded pictures (nets, channels, height, width, images)."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, kernel: int, stride: int, size: int) -> Tensor:
        ctx.shape, ctx.shifts = padded.shape, _shifts(kernel, stride, size)
        return torch.cat([padded[:, :, rows, columns] for rows, columns in ctx.shifts], dim=1).flatten(2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        total = gradient.new_zeros(ctx.shape)
        for (rows, columns), part in zip(ctx.shifts, torch.split(gradient, ctx.shape[1], dim=1), strict=True):
            target = total[:, :, rows, columns]
            target += part.view(target.shape)
        return total, None, None, None


def _shifts(kernel: int, stride: int, size: int) -> list[tuple[slice, slice]]:
    starts = [slice(start, start + stride * (size - 1) + 1, stride) for start in range(kernel)]
    return [(rows, columns) for rows in starts for columns in starts]


def mlp(stack: Stack, x: Tensor, classes: int, width: float, training: bool) -> Tensor:
    """One hidden layer of 32 units."""
    hidden = stack.activate(stack.dense("hidden", x.flatten(1, 3), round(32 * width)))
    return stack.dense("last", hidden, classes)


def cnn(stack: Stack, x: Tensor, classes: int, width: float, training: bool) -> Tensor:
    """Two convolutions and a dense layer, 8 and 16 channels, no normalisation."""
    x = stack.activate(stack.convolve("first", x, 8, kernel=5, stride=2))
    x = stack.activate(stack.convolve("second", x, 16, kernel=3, stride=2))
    return stack.dense("last", x.flatten(1, 3), classes)


def resnet(stack: Stack, x: Tensor, classes: int, width: float, training: bool) -> Tensor:
    """A convolution and two residual blocks of 8 channels with batch normalisation, the second at half the size."""

    def step(name: str, x: Tensor, *, kernel: int = 3, stride: int = 1) -> Tensor:
        return stack.normalise(name, stack.convolve(name, x, 8, kernel=kernel, stride=stride), training)

    x = stack.activate(step("first", x, kernel=5, stride=2))
    x = stack.activate(x + step("second", stack.activate(step("inside", x))))
    x = stack.activate(x[:, :, ::2, ::2] + step("fourth", stack.activate(step("third", x, stride=2))))
    return stack.dense("last", x.flatten(1, 3), classes)


NETWORKS = {"mlp": mlp, "cnn": cnn, "resnet": resnet}


@dataclass(frozen=True, kw_only=True)
class Study:
    """The images of one study (n, side, side) with labels (n,), and the images of the pool that it answers."""

    images: Tensor
    labels: Tensor
    pool_images: Tensor
    pool_labels: Tensor


def train_stack(
    row: Row, arms: list[Arm], study: Study, fits: Tensor, classes: int, generator: np.random.Generator
) -> Callable[[Tensor], Tensor]:
    """Train arms of one width on the images ``fits`` (FOLDS, fitted), and return what answers images.

    It maps images (nets, images, side, side), or some for all of them, to answers (nets, images); the nets come arm by arm.
    """
    seeds = generator.integers(2**62, size=2)  # shared, and that of the null
    nets = len(arms) * FOLDS

    def each(values: list[float]) -> Tensor:
        return torch.tensor(values).repeat_interleave(FOLDS)

    own = [arm.own_seed for arm in arms]
    sources = [torch.Generator().manual_seed(int(seed)) for seed in seeds]

    def draw(outputs: int, inputs: int) -> Tensor:
        pair = [torch.randn(FOLDS, outputs, inputs, generator=source) for source in sources]
        return torch.cat([pair[choice] for choice in own])

    stack = Stack(nets, each([arm.slope for arm in arms]), draw)
    network, width = NETWORKS[row.network], arms[0].width
    rates = each([row.rate * arm.rate for arm in arms])
    decays, smoothing = each([arm.decay for arm in arms]), each([arm.smoothing for arm in arms]).view(-1, 1, 1)
    steps = fits.shape[1] // BATCH
    velocity: dict[str, Tensor] = {}
    for epoch in range(row.epochs):
        pair = [torch.rand(fits.shape, generator=source).argsort(1) for source in sources]
        order = torch.cat([fits.gather(1, pair[choice]) for choice in own])  # (nets, fitted)
        for number in range(steps):
            batch = order[:, number * BATCH : (number + 1) * BATCH]
            scores = network(stack, _last(study.images[batch]), classes, width, True)
            target = functional.one_hot(study.labels[batch], classes).movedim(1, 2).float()
            target = target * (1 - smoothing) + smoothing / classes
            loss = -(target * scores.log_softmax(1)).sum() / BATCH
            names = list(stack.weights)
            gradients = torch.autograd.grad(loss, [stack.weights[name] for name in names])
            progress = (epoch * steps + number) / (row.epochs * steps)
            _descend(stack, velocity, dict(zip(names, gradients, strict=True)), rates * (1 - progress), decays)

    def answer(images: Tensor) -> Tensor:
        with torch.no_grad():
            return network(stack, _last(images.expand(nets, -1, -1, -1)), classes, width, False).argmax(1)

    return answer


def _last(images: Tensor) -> Tensor:
    """Turn (nets, images, side, side) into (nets, 1, side, side, images)."""
    return images.permute(0, 2, 3, 1)[:, None].contiguous()


@torch.no_grad()
def _descend(
    stack: Stack, velocity: dict[str, Tensor], gradients: dict[str, Tensor], rates: Tensor, decays: Tensor
) -> None:
    """Make one step of SGD with momentum; a collapsed network must not stop the others."""
    for name, gradient in gradients.items():
        weight = stack.weights[name]
        pushed = gradient + decays.view(-1, 1, 1) * weight
        velocity[name] = pushed if name not in velocity else velocity[name].mul_(MOMENTUM).add_(pushed)
        weight.sub_(rates.view(-1, 1, 1) * velocity[name])


def run_study(row: Row, study: Study, classes: int, generator: np.random.Generator) -> Answers:
    """Train all arms of one study on every fold."""
    arms = [ARMS[name] for name in row.arms]
    correct = np.zeros((len(arms), row.repetitions, row.images), dtype=np.bool_)
    pool = np.zeros((len(arms), row.repetitions))
    fold = np.stack([generator.permutation(np.arange(row.images) % FOLDS) for _ in range(row.repetitions)])
    for repetition, folds in enumerate(fold):
        parts = [[np.flatnonzero((folds == number) == held) for number in range(FOLDS)] for held in (False, True)]
        fits, held = (torch.from_numpy(np.stack(part)) for part in parts)
        for width in sorted({arm.width for arm in arms}):
            chosen = [number for number, arm in enumerate(arms) if arm.width == width]
            answer = train_stack(row, [arms[number] for number in chosen], study, fits, classes, generator)
            places = held.repeat(len(chosen), 1)  # (nets, held out)
            right = (answer(study.images[places]) == study.labels[places]).view(len(chosen), -1)
            right = torch.zeros(len(chosen), row.images, dtype=torch.bool).scatter(
                1, places.view(len(chosen), -1), right
            )
            correct[chosen, repetition] = right.numpy()
            known = (answer(study.pool_images) == study.pool_labels).float()
            pool[chosen, repetition] = known.mean(1).view(len(chosen), FOLDS).mean(1).numpy()
    return correct, fold.astype(np.int8), pool


def run_finals(row: Row, study: Study, classes: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Train baseline and null on all images with FOLDS seeds; return what they have right in the pool (2, seeds, images)."""
    everything = torch.arange(row.images).repeat(FOLDS, 1)
    answer = train_stack(row, [ARMS["base"], ARMS["null"]], study, everything, classes, generator)
    return (answer(study.pool_images) == study.pool_labels).view(2, FOLDS, -1).numpy()


def shrunk(folder: Path, cache: Path) -> tuple[Tensor, Tensor]:
    """Return the training images, halved in size and standardised (n, 14, 14), and their labels (n,)."""
    train = load(str(folder), cache_dir=cache).train
    images = torch.from_numpy(train.images[:, 0].astype(np.float32)) / 255
    small = functional.avg_pool2d(images[:, None], images.shape[-1] // SIDE)[:, 0]
    return (small - small.mean()) / small.std(), torch.tensor(train.labels)


def studies(row: Row, images: Tensor, labels: Tensor, generator: np.random.Generator) -> Iterator[Study]:
    """Draw studies without end; the pool is the same part of the images in all of them."""
    order = np.random.default_rng(7).permutation(len(images))
    pool, rest = order[:POOL], order[POOL:]
    while True:
        drawn = generator.choice(rest, row.images, replace=False)
        asked = generator.choice(pool, ANSWERED, replace=False)
        yield Study(images=images[drawn], labels=labels[drawn], pool_images=images[asked], pool_labels=labels[asked])


def main() -> None:
    """Let the rows take turns, one chunk of studies each, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="MNIST, then EMNIST (or others)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results, one file per row and chunk")
    parser.add_argument("--row", choices=list(ROWS), action="append")
    parser.add_argument("--finals", action="store_true", help="train on all images of a study, five seeds, instead")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--studies", type=int, default=400, help="most studies of a row")
    parser.add_argument("--chunk", type=int, default=10, help="studies per file")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    sets = [shrunk(folder, chosen.out / "prepared") for folder in chosen.data]
    rows = {name: ROWS[name] for name in chosen.row or ROWS}
    began = time.perf_counter()
    for chunk in range(chosen.studies // chosen.chunk):
        for name, row in rows.items():
            if chunk % row.every:
                continue
            if time.perf_counter() - began > 60 * chosen.minutes:
                return
            file = chosen.out / f"{name}-{chosen.seed}-{chunk:03d}.npz"
            if file.exists():
                continue
            start, classes = time.perf_counter(), int(sets[row.data][1].max()) + 1
            generator = np.random.default_rng([chosen.seed, list(ROWS).index(name), chunk])
            drawn = islice(studies(row, *sets[row.data], generator), chosen.chunk)
            if chosen.finals:
                np.savez_compressed(file, right=np.stack([run_finals(row, one, classes, generator) for one in drawn]))
                continue
            done = [run_study(row, one, classes, generator) for one in drawn]
            correct, fold, pool = (np.stack(arrays) for arrays in zip(*done, strict=True))
            np.savez_compressed(file, names=np.array(row.arms), correct=correct, fold=fold, pool=pool)
            spent = time.perf_counter() - start
            print(f"{chunk} {name} {spent / chosen.chunk:.2f} s/study", pool.mean((0, 2)).round(4), flush=True)


if __name__ == "__main__":
    main()
