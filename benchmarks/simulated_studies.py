"""Simulated comparisons of two arms: many studies at once, with a known truth.

Three worlds. Gaussian differences with equal correlation are what the corrected t-test assumes. Real cross-validation of
two simple learners (class means, nearest neighbour) on freshly drawn images is what it is used for: there the overlap of
training sets, the use of every image for training and testing, and whole-number accuracies are not assumed but happen.
In both the arms read some features together and some of their own, all equally informative, so that without a gain
neither arm is better: the null hypothesis holds exactly. Results come image by image, or as arrays (studies, blocks).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Draw = Callable[[np.random.Generator, int, float], FloatArray]  # (generator, studies, gain) -> (studies, blocks)


@dataclass(frozen=True, kw_only=True)
class Studies:
    """Differences of two arms (studies, repetitions, images) on held-out images, and the fold that held each one out."""

    differences: FloatArray
    fold: IntArray

    @property
    def blocks(self) -> FloatArray:
        """The difference of every block, (studies, repetitions * folds), as the repetitions come."""
        means = [
            np.where(self.fold == fold, self.differences, 0).sum(axis=2) / (self.fold == fold).sum(axis=2)
            for fold in range(int(self.fold.max()) + 1)
        ]
        return np.stack(means, axis=2).reshape(len(self.differences), -1)


DrawImages = Callable[[np.random.Generator, int, float], Studies]

SHARED, OWN = 4, 6  # features that both arms read, and that each reads alone
SIGNAL = 0.3  # distance of each class mean from 0, in standard deviations
CHUNK = 250  # studies at a time, to bound the memory


def gaussian(blocks: int, correlation: float) -> Draw:
    """Differences with variance 1 and one correlation between all blocks."""

    def draw(generator: np.random.Generator, studies: int, gain: float) -> FloatArray:
        common, own = generator.normal(size=(studies, 1)), generator.normal(size=(studies, blocks))
        return np.asarray(gain + np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)

    return draw


def gaussian_images(
    images: int, folds: int, repeats: int, *, luck: float, correlation: float, persistent: float = 0.4
) -> DrawImages:
    """Normal differences of single images, and a luck of trainings whose variance is ``luck`` times what images explain.

    ``correlation`` is that of the luck of any two blocks, ``persistent`` the share of an image's variance that all
    repetitions have in common. The null hypothesis holds without a gain, which is in standard errors of the images.
    """
    held = images // folds

    def draw(generator: np.random.Generator, studies: int, gain: float) -> Studies:
        own, again = generator.normal(size=(studies, 1, images)), generator.normal(size=(studies, repeats, images))
        common, each = generator.normal(size=(studies, 1, 1)), generator.normal(size=(studies, repeats, folds))
        shift = np.sqrt(luck / held) * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * each)
        fold = generator.permuted(np.tile(np.arange(images) % folds, (studies, repeats, 1)), axis=2)
        noise = np.sqrt(persistent) * own + np.sqrt(1 - persistent) * again
        return Studies(differences=gain / np.sqrt(images) + noise + np.take_along_axis(shift, fold, axis=2), fold=fold)

    return draw


def class_means(images: int, folds: int, repeats: int, *, new_folds: bool = True, noise: float = 0.3) -> Draw:
    """Cross-validated accuracies of two nearest-class-mean learners; ``noise`` stands for the random initialisation."""
    draw = class_mean_images(images, folds, repeats, new_folds=new_folds, noise=noise)
    return lambda generator, studies, gain: draw(generator, studies, gain).blocks


def nearest_neighbours(images: int, folds: int, repeats: int) -> Draw:
    """Cross-validated accuracies of two one-nearest-neighbour learners, which follow single training images."""
    draw = nearest_neighbour_images(images, folds, repeats)
    return lambda generator, studies, gain: draw(generator, studies, gain).blocks


def class_mean_images(
    images: int, folds: int, repeats: int, *, new_folds: bool = True, noise: float = 0.3
) -> DrawImages:
    """The same as :func:`class_means`, image by image."""

    def correct(features: FloatArray, orders: IntArray, generator: np.random.Generator) -> NDArray[np.bool_]:
        held = _by_fold(features, orders, folds)  # (studies, 2 classes, folds, images, features)
        of_fold = held.sum(axis=3)
        means = (of_fold.sum(axis=2, keepdims=True) - of_fold) / (held.shape[3] * (folds - 1))
        weights = means[:, 1] - means[:, 0]  # (studies, folds, features)
        weights = weights + noise * SIGNAL * generator.normal(size=weights.shape)
        centred = held - means.mean(axis=1)[:, None, :, None]
        score = np.einsum("scfid,sfd->scfi", centred, weights)
        return np.asarray((score > 0) == np.array([False, True])[:, None, None])

    return _cross_validation(images, folds, repeats, new_folds, correct)


def nearest_neighbour_images(images: int, folds: int, repeats: int) -> DrawImages:
    """The same as :func:`nearest_neighbours`, image by image."""

    def correct(features: FloatArray, orders: IntArray, generator: np.random.Generator) -> NDArray[np.bool_]:
        ordered = _by_fold(features, orders, folds)
        studies, classes, _, held, width = ordered.shape
        rows = ordered.transpose(0, 2, 1, 3, 4).reshape(studies, images, width)  # fold by fold, class by class
        squares = (rows**2).sum(axis=2)
        distances = squares[:, None] - 2 * rows @ rows.transpose(0, 2, 1)  # (studies, image, candidate)
        fold = np.repeat(np.arange(folds), classes * held)
        label = np.tile(np.repeat(np.arange(classes), held), folds)
        distances[:, fold[:, None] == fold] = np.inf
        right = label[distances.argmin(axis=2)] == label
        return np.asarray(right.reshape(studies, folds, classes, held).transpose(0, 2, 1, 3))

    return _cross_validation(images, folds, repeats, True, correct)


def _cross_validation(
    images: int,
    folds: int,
    repeats: int,
    new_folds: bool,
    correct: Callable[[FloatArray, IntArray, np.random.Generator], NDArray[np.bool_]],
) -> DrawImages:
    """Compare two views of the same images; ``correct`` returns what is right, (studies, classes, folds, images)."""
    half = images // 2
    assert images == 2 * half, "the two classes must be of one size"
    assert half % folds == 0, "the folds must be of one size"

    def draw(generator: np.random.Generator, studies: int, gain: float) -> Studies:
        chunks = [chunk(generator, size, gain) for size in _sizes(studies)]
        return Studies(
            differences=np.concatenate([one.differences for one in chunks]),
            fold=np.concatenate([one.fold for one in chunks]),
        )

    def chunk(generator: np.random.Generator, studies: int, gain: float) -> Studies:
        first, second = _two_views(generator, studies, half, gain)
        differences = np.zeros((studies, repeats, 2, half))
        fold = np.zeros((studies, repeats, 2, half), dtype=np.int64)
        orders = _orders(generator, studies, half)
        places = np.broadcast_to(np.arange(half) * folds // half, orders.shape)
        for repeat in range(repeats):
            if repeat and new_folds:
                orders = _orders(generator, studies, half)
            right = [
                correct(view, orders, generator).reshape(orders.shape).astype(np.float64) for view in (second, first)
            ]
            np.put_along_axis(differences[:, repeat], orders, right[0] - right[1], axis=2)
            np.put_along_axis(fold[:, repeat], orders, places, axis=2)
        shape = (studies, repeats, images)
        return Studies(differences=differences.reshape(shape), fold=fold.reshape(shape))

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
