"""How models stand images that are noisy, blurred, turned or covered, and small changes made to fool them.

The corruptions follow MNIST-C (Mu & Gilmer 2019) and CIFAR-C (Hendrycks & Dietterich 2019), attacks are FGSM
(Goodfellow et al. 2015) and projected gradient descent (Madry et al. 2018). What is drawn comes from fixed streams,
so that all models of all studies see the same corrupted images.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from ceteris.explain.features import standardise
from ceteris.insights import Condition, Corruption, Robustness
from ceteris.models.summary import evaluating
from ceteris.recipe import Name
from ceteris.records import ByteArray, FloatArray, IntArray
from ceteris.seeds import generator

# Kind and strength at every severity: deviation of the noise, deviation of the blur in sides of the image, what is added to
# pixels of 0..1, what is left of the contrast, degrees, share of the side, share of the side, largest change of a
# pixel of 0..1.
STRENGTHS: dict[Corruption, tuple[float, ...]] = {
    "noise": (0.08, 0.16, 0.24, 0.36, 0.5),
    "blur": (0.02, 0.03, 0.045, 0.06, 0.08),
    "brightness": (0.1, 0.2, 0.3, 0.45, 0.6),
    "contrast": (0.75, 0.5, 0.35, 0.2, 0.1),
    "rotation": (10.0, 20.0, 30.0, 45.0, 60.0),
    "shift": (0.05, 0.1, 0.15, 0.2, 0.25),
    "occlusion": (0.15, 0.25, 0.35, 0.45, 0.55),
    "fgsm": (0.01, 0.03, 0.06, 0.1, 0.2),
    "pgd": (0.01, 0.03, 0.06, 0.1, 0.2),
}
ATTACKS: tuple[Corruption, ...] = ("fgsm", "pgd")
CONDITIONS = tuple(
    Condition(kind=kind, severity=severity, strength=strength)
    for kind, strengths in STRENGTHS.items()
    for severity, strength in enumerate(strengths, start=1)
)
PASSES = sum({"fgsm": 4, "pgd": 31}.get(condition.kind, 1) for condition in CONDITIONS)  # forward passes of an image
_PGD_STEPS = 10


@dataclass(frozen=True)
class Subject:
    """One trained network, with the mean and deviation (channels,) in 0..255 that its images are standardised by."""

    network: nn.Module
    mean: FloatArray
    std: FloatArray

    def prepare(self, images: ByteArray) -> Tensor:
        """Return images uint8 (n, channels, height, width) as the network takes them."""
        return standardise(images, mean=self.mean, std=self.std, model=self.network)


def corrupted(images: ByteArray, condition: Condition) -> ByteArray:
    """Return images uint8 (n, channels, height, width) under a condition that is no attack."""
    number = 10 * list(STRENGTHS).index(condition.kind) + condition.severity
    changed = _WAYS[condition.kind](images / 255, condition.strength, generator(0, number, "explanation"))
    return np.rint(255 * np.clip(changed, 0, 1)).astype(np.uint8)


def _noise(images: FloatArray, strength: float, random: np.random.Generator) -> FloatArray:
    return images + random.normal(0, strength, images.shape)


def _blur(images: FloatArray, strength: float, random: np.random.Generator) -> FloatArray:
    deviation = strength * min(images.shape[2:])
    return np.asarray(gaussian_filter(images, (0, 0, deviation, deviation)))


def _brightness(images: FloatArray, strength: float, random: np.random.Generator) -> FloatArray:
    return images + strength


def _contrast(images: FloatArray, strength: float, random: np.random.Generator) -> FloatArray:
    means = images.mean(axis=(1, 2, 3), keepdims=True)
    return np.asarray(means + strength * (images - means))


def _rotation(images: FloatArray, strength: float, random: np.random.Generator) -> FloatArray:
    return _moved(images, np.radians(strength) * random.choice([-1, 1], len(images)), np.zeros((len(images), 2)))


def _shift(images: FloatArray, strength: float, random: np.random.Generator) -> FloatArray:
    way = random.uniform(0, 2 * math.pi, len(images))  # a side is 2 long here
    return _moved(images, np.zeros(len(images)), 2 * strength * np.stack((np.cos(way), np.sin(way)), axis=1))


def _moved(images: FloatArray, angles: FloatArray, shifts: FloatArray) -> FloatArray:
    """Turn by ``angles`` (n,) and shift by (n, 2) in halves of a side; what comes in has the colour of the edge."""
    cos, sin = np.cos(angles), np.sin(angles)
    ways = np.stack((cos, -sin, shifts[:, 0], sin, cos, shifts[:, 1]), axis=1).reshape(-1, 2, 3)
    pixels = torch.from_numpy(images)
    grid = affine_grid(torch.from_numpy(ways), list(pixels.shape), align_corners=False)
    return np.asarray(grid_sample(pixels, grid, padding_mode="border", align_corners=False).numpy())


def _occlusion(images: FloatArray, strength: float, random: np.random.Generator) -> FloatArray:
    height, width = images.shape[2:]
    side, covered = max(1, round(strength * min(height, width))), images.copy()
    tops, lefts = (random.integers(0, length - side + 1, len(images)) for length in (height, width))
    for image, top, left in zip(covered, tops, lefts, strict=True):
        image[:, top : top + side, left : left + side] = 0
    return covered


_WAYS: Mapping[Corruption, Callable[[FloatArray, float, np.random.Generator], FloatArray]] = {
    "noise": _noise, "blur": _blur, "brightness": _brightness, "contrast": _contrast, "rotation": _rotation,
    "shift": _shift, "occlusion": _occlusion,
}  # fmt: skip


def attacked(subject: Subject, images: ByteArray, labels: IntArray, condition: Condition) -> Tensor:
    """Return images as the network takes them, each pixel changed by at most the strength so that the loss grows.

    FGSM takes one step by the sign of the gradient, PGD ten of a quarter of the way from a random start.
    """
    device = next(subject.network.parameters()).device
    given = (subject.mean / 255, subject.std / 255)
    mean, std = (torch.as_tensor(part, dtype=torch.float32, device=device)[:, None, None] for part in given)
    clean = torch.from_numpy(images).to(device).float() / 255
    targets, radius, pixels = torch.from_numpy(labels).to(device), condition.strength, clean
    steps = _PGD_STEPS if condition.kind == "pgd" else 1
    if condition.kind == "pgd":
        moved = generator(0, 90 + condition.severity, "explanation").uniform(-radius, radius, images.shape)
        pixels = (clean + torch.from_numpy(moved).float().to(device)).clamp(0, 1)
    with evaluating(subject.network), torch.enable_grad():
        for _ in range(steps):
            start = pixels.detach().requires_grad_()
            loss = cross_entropy(subject.network((start - mean) / std), targets, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, start)
            stepped = pixels + (radius if steps == 1 else radius / 4) * gradient.sign()
            pixels = torch.clamp(torch.minimum(torch.maximum(stepped, clean - radius), clean + radius), 0, 1)
    return ((pixels - mean) / std).detach()


def robustness_of(
    models: Mapping[Name, Sequence[Subject]], images: ByteArray, labels: IntArray, *, batch_size: int = 250
) -> Robustness:
    """Return which images every training of every model names right, under every condition.

    Args:
        models: the trainings of each model, equally many.
        images: uint8 (n, channels, height, width).
        labels: int64 (n,).
        batch_size: images of a forward pass.
    """
    trainings, seeds = [subject for own in models.values() for subject in own], len(next(iter(models.values())))
    rows, examples = [], []
    for condition in (None, *CONDITIONS):
        attack = condition if condition and condition.kind in ATTACKS else None
        shown = images if condition is None or attack else corrupted(images, condition)
        right = np.zeros((len(trainings), len(images)), dtype=bool)
        for place, subject in enumerate(trainings):
            for start in range(0, len(images), batch_size):
                part = slice(start, start + batch_size)
                given = attacked(subject, shown[part], labels[part], attack) if attack else subject.prepare(shown[part])
                with torch.inference_mode(), evaluating(subject.network):
                    right[place, part] = subject.network(given).argmax(1).cpu().numpy() == labels[part]
                if not place and not start:
                    std, mean = (np.array(values)[:, None, None] for values in (subject.std, subject.mean))
                    pixels = given[0].cpu().numpy() * std + mean
                    examples.append(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8))
        rows.append(np.packbits(right, axis=1).reshape(len(models), seeds, -1))
    return Robustness(
        models=tuple(models), conditions=CONDITIONS, images=len(images), right=np.stack(rows, axis=1),
        examples=np.array(examples),
    )  # fmt: skip
