"""What endangers the conclusions drawn from a data set and is known once it is prepared: leaks, gaps, imbalance, range."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ceteris.data.imageset import ImageSet, class_counts, pieces
from ceteris.formats import some
from ceteris.recipe import Count
from ceteris.records import IntArray

LARGE_IMBALANCE = 10.0
DARK = 63  # of 255; where hardly a pixel is brighter, a set is nearly black
_HARDLY = 0.001  # of the pixels
_MANY_LEAKS = 0.5  # of the test images


@dataclass(frozen=True, kw_only=True)
class Hazards:
    """Sizes of what endangers the conclusions; of the test part only counts.

    Attributes:
        test_count: number of test images.
        leaked_test: number of them that are in the training part too.
        leaked_train: number of training images that are in the test part too.
        dropped: number of such training images that ``leaks = "drop"`` left out.
        shared_groups: groups (writers, patients) with images in both parts.
        without_train: classes without a training image.
        without_test: classes without a test image.
        classes: number of classes.
        largest: name and number of training images of the largest class.
        smallest: the same of the smallest class that has any.
        values: smallest and largest value of the training images, 0..255.
        bright: share of their pixels above DARK, 0..1.
        dark: share of their pixels below 255 - DARK, 0..1.
    """

    test_count: int
    leaked_test: int = 0
    leaked_train: int = 0
    dropped: int = 0
    shared_groups: tuple[str, ...] = ()
    without_train: tuple[str, ...] = ()
    without_test: tuple[str, ...] = ()
    classes: int
    largest: tuple[str, int]
    smallest: tuple[str, Count]
    values: tuple[int, int]
    bright: float
    dark: float

    @property
    def imbalance(self) -> float:
        """Images of the largest class divided by those of the smallest."""
        return self.largest[1] / self.smallest[1]

    @property
    def lines(self) -> tuple[str, ...]:
        """One sentence for everything that is large enough to warn of."""
        lines = []
        if self.leaked_test:
            little = self.leaked_test < _MANY_LEAKS * self.test_count
            so = (
                "test results are a little too good by that" if little else "the test result says nothing of new images"
            )
            are = "images are" if self.test_count != 1 else "image is"
            lines.append(
                f"{self.leaked_test:,} of {self.test_count:,} test {are} also in the training part: {so}. "
                'reading.leaks = "drop" leaves them out of the training part.'
            )
        if self.shared_groups:
            several = "group has" if len(self.shared_groups) == 1 else "groups have"
            lines.append(
                f"{len(self.shared_groups)} {several} images in both the training and the test part "
                f"({some(self.shared_groups, 5)}); test results say nothing about images of new groups."
            )
        parts = (
            ("training", self.without_train, ""),
            ("test", self.without_test, "; averages over classes leave them out"),
        )
        for part, missing, so in parts:
            if missing:
                lines.append(f"{len(missing)} of {self.classes} classes have no {part} image: {some(missing, 10)}{so}.")
        if self.imbalance >= LARGE_IMBALANCE:
            lines.append(
                f"The largest class ({self.largest[0]}, {self.largest[1]:,} images) has {self.imbalance:.0f} times the images "
                f"of the smallest ({self.smallest[0]}, {self.smallest[1]:,}): read the macro F1 beside the accuracy."
            )
        if min(self.bright, self.dark) < _HARDLY:
            black, (low, high) = self.bright < _HARDLY, self.values
            side = f"above {DARK}" if black else f"below {255 - DARK}"
            lines.append(
                f"The pixels lie in {low} to {high} of 0 to 255, and {min(self.bright, self.dark):.2%} of them {side}: the "
                f"images are nearly {'black' if black else 'white'}. Small values in files of 8 bits have to be spread over "
                "the whole range first; for pictures of more bits say with reading.white which value is white."
            )
        return tuple(lines)


def find_hazards(
    train: ImageSet,
    test_labels: IntArray,
    leaked: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    groups: Sequence[str],
    dropped: int,
) -> Hazards:
    """Return what endangers conclusions from a set.

    Args:
        train: the training part.
        test_labels: labels of the test part (m,).
        leaked: for every training (n,) and test (m,) image whether it is in the other part too.
        groups: names of the groups that are in both parts.
        dropped: training images that were left out because they are in the test part too.
    """
    counts, test_counts = (class_counts(labels, train.classes) for labels in (train.labels, test_labels))
    present = np.flatnonzero(counts)
    largest, smallest = present[np.argmax(counts[present])], present[np.argmin(counts[present])]
    values = sum((np.bincount(piece.ravel(), minlength=256) for piece in pieces(train.images)), np.zeros(256, np.int64))
    occurring, total = np.flatnonzero(values), values.sum()
    return Hazards(
        test_count=len(test_labels),
        leaked_test=int(leaked[1].sum()),
        leaked_train=int(leaked[0].sum()),
        dropped=dropped,
        shared_groups=tuple(groups),
        without_train=tuple(train.classes[label] for label in np.flatnonzero(counts == 0)),
        without_test=tuple(train.classes[label] for label in np.flatnonzero(test_counts == 0)),
        classes=len(train.classes),
        largest=(train.classes[largest], int(counts[largest])),
        smallest=(train.classes[smallest], int(counts[smallest])),
        values=(int(occurring[0]), int(occurring[-1])),
        bright=float(values[DARK + 1 :].sum() / total),
        dark=float(values[: 255 - DARK].sum() / total),
    )
