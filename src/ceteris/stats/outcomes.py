"""Results image by image: what each training of a recipe got right on the images that were held out from it.

A figure such as accuracy is written as the mean of one value per image, for every criterion that a study can ask for. Two
recipes are compared by the differences of these values on the same images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ceteris.errors import ConfigError
from ceteris.records import FloatArray, IntArray

_DIGITS = 12  # of weighted sums, so that what is the same on every image differs by exactly nothing

Criterion = Literal["accuracy", "macro-f1", "balanced-accuracy", "log-loss"]


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockOutcome:
    """One training's result on its held-out images.

    ``images`` (n,) are sorted numbers of images in the training set, ``values`` (n,) have the block's figure as their
    mean, higher is better; see :func:`image_values`. ``repetition`` counts the cross-validations from 0.
    ``log_likelihood`` (n,) recognises trainings that came out the same; ``groups`` (n,) is equal for images that belong
    together (one writer, one patient).
    """

    images: IntArray
    values: FloatArray
    repetition: int = 0
    log_likelihood: FloatArray | None = None
    groups: IntArray | None = None

    @property
    def figure(self) -> float:
        """The mean of the values."""
        return float(self.values.mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """One recipe's results on the blocks of a design; None where a training did not finish or was not asked for."""

    blocks: tuple[BlockOutcome | None, ...]

    @classmethod
    def of_figures(cls, figures: FloatArray, *, folds: int) -> "Outcomes":
        """Return outcomes of which only the figures (blocks,) are known; NaN where there is none."""
        nobody = np.zeros(1, dtype=np.int64)
        blocks = [
            BlockOutcome(images=nobody, values=np.array([figure]), repetition=place // folds)
            for place, figure in enumerate(figures)
        ]
        return cls(blocks=tuple(None if np.isnan(block.figure) else block for block in blocks))

    @property
    def figures(self) -> FloatArray:
        """The figure of every block, (blocks,); NaN where there is none."""
        return np.array([np.nan if block is None else block.figure for block in self.blocks])


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockDifference:
    """Level minus incumbent on the held-out images of one block; ``units`` (n,) numbers images, or the groups they are in.

    ``same`` says that the two trainings came out alike to the last bit.
    """

    units: IntArray
    values: FloatArray
    repetition: int
    same: bool

    @property
    def mean(self) -> float:
        """The difference of the block's figures."""
        return float(self.values.mean())


def paired_blocks(incumbent: Outcomes, level: Outcomes) -> list[BlockDifference]:
    """Return the differences, level minus incumbent, on all blocks that both finished.

    Raises:
        ConfigError: the two have different numbers of blocks, or a block holds out other images for one than for the other.
    """
    if len(incumbent.blocks) != len(level.blocks):
        raise ConfigError(
            "two recipes can be compared when both have one result per block (None where a training failed), "
            f"received {len(level.blocks)} and {len(incumbent.blocks)} blocks"
        )
    return [
        _difference(before, after, number)
        for number, (before, after) in enumerate(zip(incumbent.blocks, level.blocks, strict=True))
        if before is not None and after is not None
    ]


def _difference(before: BlockOutcome, after: BlockOutcome, number: int) -> BlockDifference:
    if not np.array_equal(before.images, after.images):
        raise ConfigError(
            f"block {number} holds out {len(after.images)} images for one recipe and {len(before.images)} for the other, "
            "or other ones; compare recipes on the same splits"
        )
    values = after.values - before.values
    same = not values.any()
    if before.log_likelihood is not None and after.log_likelihood is not None:
        same = same and np.array_equal(before.log_likelihood, after.log_likelihood)
    units = before.images if before.groups is None else before.groups
    return BlockDifference(units=units, values=values, repetition=before.repetition, same=same)


def weighted_outcomes(members: Sequence[Outcomes], weights: Sequence[float] | FloatArray) -> Outcomes:
    """Return the weighted sum of several recipes' results, block by block; None where any of them has none.

    Weights that add up to 1 give a mean over recipes, others a contrast of them.
    """
    blocks: list[BlockOutcome | None] = []
    for of_block in zip(*(member.blocks for member in members), strict=True):
        present = [block for block in of_block if block is not None]
        if len(present) < len(of_block):
            blocks.append(None)
            continue
        values = np.tensordot(np.asarray(weights), np.stack([block.values for block in present]), axes=1).round(_DIGITS)
        first = present[0]
        blocks.append(
            BlockOutcome(images=first.images, values=values, repetition=first.repetition, groups=first.groups)
        )
    return Outcomes(blocks=tuple(blocks))


def image_values(
    criterion: Criterion,
    *,
    labels: IntArray,
    predicted: NDArray[np.integer],
    log_likelihood: NDArray[np.floating],
    classes: int,
) -> FloatArray:
    """Return one value per image (n,) whose mean is the figure that the criterion asks for, higher is better.

    Accuracy: 1 where the answer is right. Balanced accuracy: 1 / (share of the class times the classes present) where it is
    right. Log-loss: the log-likelihood, which is minus the loss. Macro F1, which is no mean over images: F1 plus each
    image's influence on it (Hampel 1974), that is per class F + (2 [right] - F ([true] + [predicted])) n / (true + predicted).

    Args:
        criterion: what is asked for.
        labels: true classes (n,) in 0..classes - 1.
        predicted: answers (n,).
        log_likelihood: natural logarithm of the probability of the true class (n,).
        classes: of the data set; in macro F1 one that is neither present nor predicted counts as 0.
    """
    right = labels == predicted
    match criterion:
        case "accuracy":
            return np.asarray(right, dtype=np.float64)
        case "log-loss":
            return np.asarray(log_likelihood, dtype=np.float64)
        case "balanced-accuracy":
            counts = np.bincount(labels, minlength=classes)
            return np.asarray(right * len(labels) / (np.count_nonzero(counts) * counts[labels]))
        case "macro-f1":
            margins = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes)
            weight = len(labels) / np.maximum(margins, 1)  # (classes,)
            f1 = 2 * np.bincount(labels[right], minlength=classes) / np.maximum(margins, 1)
            influence = 2 * right * weight[labels] - (f1 * weight)[labels] - (f1 * weight)[predicted]
            return np.asarray((f1.sum() + influence) / classes)
