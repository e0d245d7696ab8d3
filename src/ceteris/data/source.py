"""What a user may say about how a source is to be read, and what a format hands over: a reader, and what it reads."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field

from ceteris.data.imageset import pieces
from ceteris.errors import ConfigError
from ceteris.records import ByteArray, IntArray

Side = Annotated[int, Field(strict=True, ge=1, le=4096)]


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a folder, table or archive of images is read; nothing here is needed for the named sets.

    ``size`` (height, width) brings images of different sizes to one, by the rule ``fit``: "pad" keeps the whole image and
    fills up with black, "crop" cuts the middle out, "stretch" distorts. ``channels`` 1 or 3 makes them grey or coloured;
    without it one image with colour makes all of them coloured. Columns name the pictures, the labels and the groups (writers,
    patients) that a split must not tear apart. ``test_fraction`` is held out as test part where the source has none of its own.
    ``skip_unreadable`` leaves pictures out that cannot be read, which are otherwise refused. ``white`` is the value that
    becomes 255 in pictures and arrays of more than 8 bits (4095 for 12 bits); without it the smallest of 1, 255 and the
    largest of 10, 12, 14 and 16 bits that no value exceeds. ``leaks`` = "drop" leaves training images out that are in the
    test part too.

    Raises:
        ConfigError: a value out of its range.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # for the study file, whose [reading] this is

    size: tuple[Side, Side] | None = None
    fit: Literal["pad", "crop", "stretch"] = "pad"
    channels: Literal[1, 3] | None = None
    path_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    test_fraction: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.2
    skip_unreadable: Annotated[bool, Field(strict=True)] = False
    white: Annotated[float, Field(gt=0)] | None = None
    leaks: Literal["keep", "drop"] = "keep"

    def __post_init__(self) -> None:
        size = self.size or (1, 1)
        checks = (  # also where Python makes the options, which no pydantic checks then
            (
                "size",
                len(size) == 2 and all(1 <= side <= 4096 for side in size),
                "(height, width) of 1 to 4096 pixels each",
            ),
            ("fit", self.fit in ("pad", "crop", "stretch"), "one of pad, crop, stretch"),
            ("channels", self.channels in (None, 1, 3), "1 (grey), 3 (RGB) or None"),
            ("white", self.white is None or self.white > 0, "a value above 0 (255, 4095 for 12 bits, 65535)"),
            ("leaks", self.leaks in ("keep", "drop"), "keep or drop"),
            ("test_fraction", 0.0 < self.test_fraction < 1.0, "a share between 0 and 1 (both excluded)"),
        )
        for name, fits, allowed in checks:
            if not fits:
                raise ConfigError(f"{name}: {allowed}, received {getattr(self, name)!r}.")

    def key(self) -> str:
        """Return a text that differs whenever the options differ."""
        return repr(sorted(asdict(self).items()))

    def only(self, what: str, *allowed: str) -> None:
        """Raise ConfigError when an option is set that reading ``what`` has no use for.

        Args:
            what: the source, for the message.
            allowed: names of the options that do count.
        """
        plain = ReadOptions()
        for name, value in asdict(self).items():
            if name not in (*allowed, "leaks", "white") and value != getattr(plain, name):
                raise ConfigError(f"{name}: has no effect on {what}, received {value!r}. Leave it out.")


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


@dataclass(frozen=True, kw_only=True)
class About:
    """What is known of a data set besides its images.

    Attributes:
        name: what it is called in files.
        title: what it is called in reports.
        source: the citation, or whose files they are.
        licence: under which they may be used.
        note: what every figure drawn from the set has to say beside it, for instance that the split is not the official one.
        label_meaning: what the classes are.
        preprocessing: what was done to the pixels on reading.
        warnings: what endangers conclusions, one sentence each.
        understood: what the reader took for what.
    """

    name: str
    title: str
    source: str = "the user's own files"
    licence: str = "not stated"
    note: str = ""
    label_meaning: str = ""
    preprocessing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    understood: Understood = Understood()


@dataclass(frozen=True, kw_only=True, eq=False)
class Source(About):
    """A data set that was found and understood; ``test`` is None where the source has no test part of its own."""

    classes: tuple[str, ...]
    train: Part
    test: Part | None
    white: float | None = None  # see ReadOptions; as given or as found out
    sizes: tuple[tuple[int, int], ...] = ()  # (height, width) of the pictures in their files, every size once


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How a set that was detected is read; ``kind`` names the reading, ``files`` and ``stamp`` show when it has changed."""

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
