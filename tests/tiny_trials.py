"""Small images that can be learnt in a moment, and trials on them."""

from typing import Any

import numpy as np

from ceteris import recipe as r
from ceteris.data import ImageSet, make_image_set
from ceteris.records import CrossValidationSplit, Execution, Split, Trial

MLP = r.Recipe(model=r.MLP(hidden=(16,)), optimizer=r.SGD(lr=0.05), epochs=2, batch_size=8)
CNN = r.Recipe(model=r.CNN(filters=(4, 8), kernels=(3, 3), head=(8,)), optimizer=r.SGD(lr=0.05), epochs=2, batch_size=8)
RESNET = r.Recipe(
    model=r.ResNet(blocks=(1, 1), filters=(4, 8), kernel=3), optimizer=r.SGD(lr=0.05), epochs=2, batch_size=8
)


def tiny_images(count: int = 48, *, classes: int = 3, channels: int = 1, seed: int = 0) -> ImageSet:
    """Images of 8 x 8 pixels: a bright bar whose place tells the class, under noise; integers only, so equal anywhere."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = random.integers(0, 100, (count, channels, 8, 8))
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label : 2 * label + 2] += 120
    return make_image_set(images.astype(np.uint8), labels, tuple(f"class {label}" for label in range(classes)))


def tiny_trial(
    recipe: r.Recipe = MLP, *, fold: int = 0, seed: int = 0, split: Split | None = None, **other: Any
) -> Trial:
    return Trial(
        recipe=recipe,
        data="tiny",
        split=split or CrossValidationSplit(folds=3, index=fold, seed=seed),
        seed=seed,
        execution=Execution(device="cpu", precision="float32", threads=1, torch="any"),
        **other,
    )
