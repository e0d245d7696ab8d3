"""A data set as a study receives it: training images in the open, test images under seal.

Of the test part only counts are known; its images come out only with a note of the look.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ceteris.data.hazards import Hazards
from ceteris.data.imageset import ImageSet, class_counts
from ceteris.data.likeness import Appearance
from ceteris.data.source import About, ReadOptions
from ceteris.records import IntArray


class SealedTest:
    """A test set that tells its size and its fingerprint, and gives its images out only through :meth:`open`.

    Attributes:
        count: number of test images.
        class_counts: images per class, int64 (classes,).
        image_shape: (channels, height, width).
        classes: class names.
        fingerprint: content digest of the images, labels and class names (sha256, hexadecimal).
    """

    __slots__ = ("__read", "class_counts", "classes", "count", "fingerprint", "image_shape")

    def __init__(
        self,
        *,
        read: Callable[[], ImageSet],
        class_counts: IntArray,
        image_shape: tuple[int, int, int],
        classes: tuple[str, ...],
        fingerprint: str,
    ) -> None:
        self.__read = read
        self.count = int(class_counts.sum())
        self.class_counts = class_counts
        self.image_shape = image_shape
        self.classes = classes
        self.fingerprint = fingerprint

    def open(self, *, record_look: Callable[[str], None]) -> ImageSet:
        """Return the test images, after ``record_look(fingerprint)`` has written the look down.

        When ``record_look`` raises, nothing is read and nothing is returned.
        """
        record_look(self.fingerprint)
        return self.__read()

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"SealedTest({self.count} images, {len(self.classes)} classes, {self.fingerprint[:12]}…)"


def seal(images: ImageSet) -> SealedTest:
    """Put an ImageSet in memory under seal."""
    return SealedTest(
        read=partial(replace, images),  # unlike a lambda it can travel to another process
        class_counts=class_counts(images.labels, images.classes),
        image_shape=images.shape,
        classes=images.classes,
        fingerprint=images.digest,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet(About):
    """A data set with its provenance.

    ``prepared`` is the folder of the prepared copy: a worker process opens the training part from there with
    ``open_train(prepared)``. ``reading`` says how the images were read, with what was found out on the way, ``hazards`` the
    sizes of what endangers conclusions, ``appearance`` how its pictures look (both None for copies that an earlier version
    made).
    """

    train: ImageSet
    test: SealedTest
    prepared: Path
    reading: ReadOptions
    hazards: Hazards | None = None
    appearance: Appearance | None = None
