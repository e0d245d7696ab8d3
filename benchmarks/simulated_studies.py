"""Simulated comparisons of two arms: many studies at once, with a known truth, as arrays (studies, blocks).

Three worlds. Gaussian differences with equal correlation are what the corrected t-test assumes. Real cross-validation of
two simple learners (class means, nearest neighbour) on freshly drawn images is what it is used for: there the overlap of
training sets, the use of every image for training and testing, and whole-number accuracies are not assumed but happen.
In both the arms read some features together and some of their own, all equally informative, so that without a gain
neither arm is better: the null hypothesis holds exactly.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Draw = Callable[[np.random.Generator, int, float], FloatArray]  # (generator, studies, gain) -> (studies, blocks)

SHARED, OWN = 4, 6  # features that both arms read, and that each reads alone
SIGNAL = 0.3  # distance of each class mean from 0, in standard deviations
CHUNK = 250  # studies at a time, to bound the memory


def gaussian(blocks: int, correlation: float) -> Draw:
    """Differences with variance 1 and one correlation between all blocks."""

    def draw(generator: np.random.Generator, studies: int, gain: float) -> FloatArray:
        common, own = generator.normal(size=(studies, 1)), generator.normal(size=(studies, blocks))
        return np.asarray(gain + np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)

    return draw


def class_means(images: int, folds: int, repeats: int, *, new_folds: bool = True, noise: float = 0.3) -> Draw:
    """Cross-validated accuracies of two nearest-class-mean learners; ``noise`` stands for the random initialisation."""

    def accuracies(features: FloatArray, orders: IntArray, generator: np.random.Generator) -> FloatArray:
        held = _by_fold(features, orders, folds)  # (studies, 2 classes, folds, images, features)
        of_fold = held.sum(axis=3)
        means = (of_fold.sum(axis=2, keepdims=True) - of_fold) / (held.shape[3] * (folds - 1))
        weights = means[:, 1] - means[:, 0]  # (studies, folds, features)
        weights = weights + noise * SIGNAL * generator.normal(size=weights.shape)
        centred = held - means.mean(axis=1)[:, None, :, None]
        score = np.einsum("scfid,sfd->scfi", centred, weights)
        return np.asarray(((score > 0) == np.array([False, True])[:, None, None]).mean(axis=(1, 3)))

    return _cross_validation(images, folds, repeats, new_folds, accuracies)


def nearest_neighbours(images: int, folds: int, repeats: int) -> Draw:
    """Cross-validated accuracies of two one-nearest-neighbour learners, which follow single training images."""

    def accuracies(features: FloatArray, orders: IntArray, generator: np.random.Generator) -> FloatArray:
        ordered = _by_fold(features, orders, folds)
        studies, classes, _, held, width = ordered.shape
        rows = ordered.transpose(0, 2, 1, 3, 4).reshape(studies, images, width)  # fold by fold, class by class
        squares = (rows**2).sum(axis=2)
        distances = squares[:, None] - 2 * rows @ rows.transpose(0, 2, 1)  # (studies, image, candidate)
        fold = np.repeat(np.arange(folds), classes * held)
        label = np.tile(np.repeat(np.arange(classes), held), folds)
        distances[:, fold[:, None] == fold] = np.inf
        right = label[distances.argmin(axis=2)] == label
        return np.asarray(right.reshape(studies, folds, -1).mean(axis=2))

    return _cross_validation(images, folds, repeats, True, accuracies)


def _cross_validation(
    images: int,
    folds: int,
    repeats: int,
    new_folds: bool,
    accuracies: Callable[[FloatArray, IntArray, np.random.Generator], FloatArray],
) -> Draw:
    half = images // 2
    assert images == 2 * half, "the two classes must be of one size"
    assert half % folds == 0, "the folds must be of one size"

    def draw(generator: np.random.Generator, studies: int, gain: float) -> FloatArray:
        return np.concatenate([chunk(generator, size, gain) for size in _sizes(studies)])

    def chunk(generator: np.random.Generator, studies: int, gain: float) -> FloatArray:
        first, second = _two_views(generator, studies, half, gain)
        blocks = []
        orders = _orders(generator, studies, half)
        for repeat in range(repeats):
            if repeat and new_folds:
                orders = _orders(generator, studies, half)
            blocks.append(accuracies(second, orders, generator) - accuracies(first, orders, generator))
        return np.concatenate(blocks, axis=1)

    return draw


def _sizes(studies: int) -> Iterator[int]:
    for start in range(0, studies, CHUNK):
        yield min(CHUNK, studies - start)


def _two_views(generator: np.random.Generator, studies: int, half: int, gain: float) -> tuple[FloatArray, FloatArray]:
    """Draw what each arm sees, (studies, 2 classes, images of a class, features); the second arm's own signal has a gain."""
    signal = np.full(SHARED + 2 * OWN, SIGNAL)
    signal[SHARED + OWN :] += gain
    features = generator.normal(size=(studies, 2, half, len(signal))) + np.array([-1, 1])[:, None, None] * signal
    return features[..., : SHARED + OWN], np.concatenate(
        (features[..., :SHARED], features[..., SHARED + OWN :]), axis=-1
    )


def _orders(generator: np.random.Generator, studies: int, half: int) -> IntArray:
    return generator.permuted(np.tile(np.arange(half), (studies, 2, 1)), axis=2)


def _by_fold(features: FloatArray, orders: IntArray, folds: int) -> FloatArray:
    """Reorder the images of each class and cut them into folds, (studies, classes, folds, images, features)."""
    ordered = np.take_along_axis(features, orders[..., None], axis=2)
    return ordered.reshape(*features.shape[:2], folds, -1, features.shape[-1])
