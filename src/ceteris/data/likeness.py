"""Whether pictures to predict look like those of the training: their original size, and what is dark and what is light."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ceteris.data.formats.pictures import picture_header
from ceteris.data.imageset import pieces
from ceteris.records import ByteArray, FloatArray

Size = tuple[int, int]  # height, width

_SAMPLE = 10_000  # images
_FAR = 4.0  # standard deviations
_STEADY = 2.0  # standard deviations; where border minus centre is further from 0, all pictures have the same polarity
_TIMES = 2.0  # how often larger or smaller a size may be
_ASPECT_TIMES = 1.5


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """How the training pictures look.

    Attributes:
        heights: smallest and largest height of the pictures as they lay in their files, pixels.
        widths: the same of their widths.
        aspects: smallest and largest width divided by height.
        brightness: mean and standard deviation over the images of their mean value, 0..255.
        polarity: the same of the mean value of the border minus that of the centre.
    """

    heights: tuple[int, int]
    widths: tuple[int, int]
    aspects: tuple[float, float]
    brightness: tuple[float, float]
    polarity: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Unlike:
    """A picture to predict that is unlike the training pictures.

    Attributes:
        index: its place among the pictures.
        size: its (height, width) where that differs strongly, else None.
        inverted: whether dark and light seem to be exchanged.
    """

    index: int
    size: Size | None
    inverted: bool


def appearance_of(images: ByteArray, sizes: Sequence[Size]) -> Appearance:
    """Return how training images uint8 (n, c, h, w) look, whose files had these sizes (at least one)."""
    chosen = images[:: max(1, len(images) // _SAMPLE)]
    brightness, polarity = _light(chosen)
    heights, widths = zip(*sizes, strict=True)
    aspects = [width / height for height, width in sizes]
    return Appearance(
        heights=(min(heights), max(heights)),
        widths=(min(widths), max(widths)),
        aspects=(min(aspects), max(aspects)),
        brightness=(float(brightness.mean()), float(brightness.std())),
        polarity=(float(polarity.mean()), float(polarity.std())),
    )


def unlike_training(images: ByteArray, sizes: Sequence[Size], appearance: Appearance) -> tuple[Unlike, ...]:
    """Return which pictures differ strongly from the training pictures.

    A size differs strongly when it is more than twice as large or half as small, or when width to height is half as much
    again. Dark and light seem exchanged when the brightness is four standard deviations away or border and centre are the
    other way round than in all training pictures, and the inverted picture would be closer.

    Args:
        images: uint8 (n, c, h, w), as the model sees them.
        sizes: (height, width) of every picture in its file; none where images came as arrays.
        appearance: of the training pictures.
    """
    mean, deviation = appearance.brightness
    side, spread = appearance.polarity
    brightness, polarity = _light(images)
    far = np.abs(brightness - mean) > _FAR * max(deviation, 1.0)
    closer = np.abs(255.0 - brightness - mean) < np.abs(brightness - mean)
    turned = (abs(side) > _STEADY * spread) & (polarity * side < 0) & (np.abs(polarity) > abs(side) / 2)
    inverted = (far | turned) & closer
    (low_height, high_height), (low_width, high_width) = appearance.heights, appearance.widths
    low, high = appearance.aspects
    found = []
    for index in range(len(images)):
        height, width = sizes[index] if sizes else (low_height, low_width)
        usual = (
            low_height / _TIMES <= height <= high_height * _TIMES
            and low_width / _TIMES <= width <= high_width * _TIMES
            and low / _ASPECT_TIMES <= width / height <= high * _ASPECT_TIMES
        )
        if inverted[index] or (sizes and not usual):
            size = (height, width) if sizes and not usual else None
            found.append(Unlike(index=index, size=size, inverted=bool(inverted[index])))
    return tuple(found)


def picture_sizes(paths: Sequence[Path]) -> list[Size]:
    """Return (height, width) of picture files as they lie there, seen upright.

    Raises:
        DataError: a file is missing, cannot be read, or is no picture.
    """
    return [(header.height, header.width) for header in map(picture_header, map(str, paths))]


def _light(images: ByteArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean value of every image, and that of its border minus that of its centre, each (n,)."""
    height, width = images.shape[2:]
    edge = max(1, min(height, width) // 8)
    border = np.ones((height, width), dtype=bool)
    border[edge : height - edge, edge : width - edge] = False
    centre = np.zeros((height, width), dtype=bool)
    centre[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    means, polarities = [], []
    for piece in pieces(images):
        grey = piece.mean(axis=1)  # (b, h, w)
        means.append(grey.mean(axis=(1, 2)))
        polarities.append(grey[:, border].mean(axis=1) - grey[:, centre].mean(axis=1))
    return np.concatenate(means), np.concatenate(polarities)
