"""What a reader hands over: where a set lies, what is known of it before its pixels are read, and how to read them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
        take: returns the part that holds only the images of the given indices, in that order.
        groups: names what belongs together (a writer, a patient), one entry per image, where it is known.
    """

    labels: IntArray
    shape: tuple[int, int, int]
    fill: Callable[[ByteArray], None]
    take: Callable[[IntArray], "Part"]
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Understood:
    """What a reader took for what, for the line that is shown before anything is trained.

    Attributes:
        train: where the training images were found (folders, files, columns), () where nothing is to be said.
        test: the same for the test part.
        left_out: what was left out (a suffix, a folder, a reason) and how many files of it.
        notes: further choices of the reader, one phrase each.
    """

    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A data set that was found and understood; ``test`` is None where the source has no test part of its own."""

    name: str
    title: str
    citation: str = "the user's own files"
    licence: str = "not stated"
    classes: tuple[str, ...]
    train: Part
    test: Part | None
    note: str = ""
    label_meaning: str = ""
    preprocessing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    understood: Understood = Understood()


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where a set lies and how to read it: ``kind`` names the reading, ``files`` and ``stamp`` show when it has changed."""

    kind: str
    files: tuple[Path, ...]
    read: Callable[[], Source]
    stamp: Callable[[], str] = str


def array_part(images: ByteArray, labels: IntArray, groups: tuple[str, ...] | None = None) -> Part:
    """Return the part made of images (n, c, h, w) that are in memory or in a map already."""

    def fill(target: ByteArray) -> None:
        start = 0
        for piece in pieces(images):
            target[start : start + len(piece)] = piece
            start += len(piece)

    def take(indices: IntArray) -> Part:
        return array_part(images[indices], labels[indices], select(groups, indices))

    return Part(labels=labels, shape=images.shape[1:], fill=fill, take=take, groups=groups)


def filled_part(
    labels: IntArray,
    shape: tuple[int, int, int],
    fill: Callable[[ByteArray], None],
    groups: tuple[str, ...] | None = None,
) -> Part:
    """Return a part whose ``fill`` can only produce all images in order (a stream); taking some reads all of it."""

    def take(indices: IntArray) -> Part:
        images = np.empty((len(labels), *shape), dtype=np.uint8)
        fill(images)
        return array_part(images, labels, groups).take(indices)

    return Part(labels=labels, shape=shape, fill=fill, take=take, groups=groups)


def select(groups: tuple[str, ...] | None, indices: IntArray) -> tuple[str, ...] | None:
    """Return the groups of the images of these indices."""
    return None if groups is None else tuple(groups[index] for index in indices)
