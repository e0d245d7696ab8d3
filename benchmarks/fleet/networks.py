"""The four networks that are measured, from small to large, as recipes, and made-up images to train them on."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ceteris.data import ImageSet, make_image_set
from ceteris.models.summary import summarise
from ceteris.recipe import Recipe
from ceteris.records import CrossValidationSplit, Trial
from ceteris.seeds import generator
from ceteris.training.build import build_model
from ceteris.training.device import execution_of
from ceteris.training.single import streams_of
from typical_loop import CLASSES, made_up_characters

FOLDS = 5
_PER_FOLD = FOLDS * CLASSES  # in multiples of this all folds have the same size
_MOST_IMAGES = 100 * _PER_FOLD

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {
        "model": {"kind": "mlp", "hidden": (128, 128, 128), "batch_norm": True, "dropout": 0.2},
        "optimizer": {"kind": "adam", "lr": 1e-3},
    },
    "small-cnn": {"model": "small-cnn", "optimizer": {"kind": "sgd", "lr": 0.01, "momentum": 0.9}},
    "cnn": {
        "model": {"kind": "cnn", "filters": (32, 64, 128), "kernels": (5, 5, 3), "head": (128,), "batch_norm": True},
        "optimizer": {"kind": "adam", "lr": 1e-3},
    },
    "resnet": {
        "model": {"kind": "resnet", "blocks": (2, 2, 2), "filters": (64, 128, 256), "batch_norm": True},
        "optimizer": {"kind": "adam", "lr": 1e-3},
    },
}

TITLES = {
    "mlp": "MLP 128-128-128",
    "small-cnn": "CNN 8-16-32",
    "cnn": "CNN 32-64-128",
    "resnet": "ResNet 64-128-256",
}


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much one measurement trains: ``epochs`` of ``steps`` full batches of ``batch_size`` images."""

    batch_size: int
    steps: int
    epochs: int = 1

    @property
    def images(self) -> int:
        """The images that go through the network."""
        return self.batch_size * self.steps * self.epochs

    @property
    def sample(self) -> int:
        """The size of an image set whose folds leave at least so many images to fit on."""
        needed = -(-self.batch_size * self.steps * FOLDS // (FOLDS - 1))
        return -(-needed // _PER_FOLD) * _PER_FOLD


def load_of(seconds: float, *, seconds_per_image: float, batch_size: int) -> Load:
    """Return the load that keeps one core busy for about ``seconds``, at least one step."""
    steps = max(1, round(seconds / (seconds_per_image * batch_size)))
    per_epoch = min(steps, _MOST_IMAGES * (FOLDS - 1) // FOLDS // batch_size)
    return Load(batch_size=batch_size, steps=per_epoch, epochs=max(1, round(steps / per_epoch)))


def recipe_of(network: str, load: Load) -> Recipe:
    """Return the recipe of one of ``NETWORKS``."""
    return Recipe(**NETWORKS[network], batch_size=load.batch_size, epochs=load.epochs, precision="auto")


def trial_of(network: str, load: Load, member: int = 0) -> Trial:
    """Return the training of one fold on the made-up images; members count through folds and then through seeds."""
    recipe, seed = recipe_of(network, load), member // FOLDS
    split = CrossValidationSplit(folds=FOLDS, index=member % FOLDS, seed=seed, images=load.sample)
    return Trial(recipe=recipe, data=characters().digest, split=split, seed=seed, execution=execution_of(recipe, "cpu"))


@cache
def characters() -> ImageSet:
    """Return made-up images of 28 x 28 pixels in 47 classes, enough for every load."""
    images, labels = made_up_characters(_MOST_IMAGES)
    shuffled = generator(0, 0, "sample").permutation(len(labels))
    classes = tuple(f"class {number}" for number in range(CLASSES))
    return make_image_set(np.ascontiguousarray(images[shuffled][:, None]), labels[shuffled], classes)


def training_flops(network: str) -> int:
    """Return the FLOPs of training on one image: the forward pass, and about twice that for the backward pass."""
    trial = trial_of(network, Load(batch_size=1, steps=1))
    model = build_model(
        trial.recipe.model,
        input_shape=characters().shape,
        classes=CLASSES,
        generator=streams_of(trial).initialisation,
    )
    return 3 * summarise(model, characters().shape).flops
