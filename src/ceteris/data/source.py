"""What a reader hands over: everything known about a source before its pixels are read, and how to read them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ceteris.data.imageset import pieces
from ceteris.records import ByteArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One part (training or test) of a source.

    Attributes:
        labels: int64 (n,).
        shape: (channels, height, width).
        fill: writes all images into the array uint8 (n, c, h, w) that it is given, in the order of ``labels``.
        take: returns the part that holds only the images at the given places, in that order.
        groups: names what belongs together (a writer, a patient), one entry per image, where it is known.
    """

    labels: IntArray
    shape: tuple[int, int, int]
    fill: Callable[[ByteArray], None]
    take: Callable[[IntArray], "Part"]
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A data set that was found and understood; ``test`` is None where the source has no test part of its own."""

    name: str
    title: str
    citation: str
    licence: str
    classes: tuple[str, ...]
    train: Part
    test: Part | None
    note: str = ""
    label_meaning: str = ""
    preprocessing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def array_part(images: ByteArray, labels: IntArray, groups: tuple[str, ...] | None = None) -> Part:
    """Return the part made of images (n, c, h, w) that are in memory or in a map already."""

    def fill(target: ByteArray) -> None:
        start = 0
        for piece in pieces(images):
            target[start : start + len(piece)] = piece
            start += len(piece)

    def take(places: IntArray) -> Part:
        chosen = None if groups is None else tuple(groups[place] for place in places)
        return array_part(images[places], labels[places], chosen)

    return Part(labels=labels, shape=images.shape[1:], fill=fill, take=take, groups=groups)


def filled_part(
    labels: IntArray,
    shape: tuple[int, int, int],
    fill: Callable[[ByteArray], None],
    groups: tuple[str, ...] | None = None,
) -> Part:
    """Return a part whose ``fill`` can only produce all images in order (a stream); taking some reads all of it."""

    def take(places: IntArray) -> Part:
        images = np.empty((len(labels), *shape), dtype=np.uint8)
        fill(images)
        return array_part(images, labels, groups).take(places)

    return Part(labels=labels, shape=shape, fill=fill, take=take, groups=groups)


def without_classes_missing(source: Source) -> Source:
    """Return the source with a warning for every class that has no training image."""
    counts = np.bincount(source.train.labels, minlength=len(source.classes))
    empty = [source.classes[index] for index in np.flatnonzero(counts == 0)]
    if not empty:
        return source
    warning = f"{len(empty)} of {len(source.classes)} classes have no training image: {', '.join(empty[:10])}"
    return replace(source, warnings=(*source.warnings, warning))
