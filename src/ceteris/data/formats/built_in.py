"""Sets that are always there: scikit-learn's digits, and digits of a dot font for tests and documentation."""

from collections.abc import Callable
from typing import cast

import numpy as np

from ceteris.data.named import Location, official
from ceteris.data.source import Reader, Source, array_part
from ceteris.records import ByteArray, IntArray
from ceteris.seeds import generator

DIGITS = tuple("0123456789")
GREY_LEVELS = 16
TRAIN_COUNT, TEST_COUNT, SIZE = 2000, 500, 20
_FONT = (  # five columns of seven dots per digit; the lowest bit of a column is its top dot
    (62, 81, 73, 69, 62), (0, 66, 127, 64, 0), (66, 97, 81, 73, 70), (33, 65, 69, 75, 49), (24, 20, 18, 127, 16),
    (39, 69, 69, 69, 57), (60, 74, 73, 73, 48), (1, 113, 9, 5, 3), (54, 73, 73, 73, 54), (6, 73, 73, 41, 30),
)  # fmt: skip


def digits_source() -> Source:
    """Return 1,797 images of 8 x 8 pixels (Alpaydin & Kaynak 1998), their 17 grey levels spread over 0..255.

    The set comes with scikit-learn and has no test part of its own.
    """
    from sklearn.datasets import load_digits  # takes a second to import, and only the first preparation needs it

    bunch = load_digits()
    images = cast(ByteArray, np.round(bunch.images * (255 / GREY_LEVELS)).astype(np.uint8))[:, None]  # (n, 1, 8, 8)
    train = array_part(images, bunch.target.astype(np.int64))
    return Source(
        name="digits",
        title="digits",
        classes=DIGITS,
        train=train,
        test=None,
        preprocessing=("grey levels 0..16 spread over 0..255",),
    )


def synthetic_source() -> Source:
    """Return 2,000 training and 500 test images of 20 x 20 pixels: ten digits, shifted, dimmed and noisy, always the same."""
    random = generator(0, 0, "sample")
    train, test = (_draw(count, random) for count in (TRAIN_COUNT, TEST_COUNT))
    return Source(name="synthetic", title="synthetic", classes=DIGITS, train=array_part(*train), test=array_part(*test))


def _draw(count: int, random: np.random.Generator) -> tuple[ByteArray, IntArray]:
    dots = (np.array(_FONT, dtype=np.uint8)[:, None, :] >> np.arange(7, dtype=np.uint8)[:, None]) & 1  # (10, 7, 5)
    glyphs = dots.repeat(2, axis=1).repeat(2, axis=2)  # (10, 14, 10)
    labels = random.permutation(np.arange(count) % 10).astype(np.int64)
    images = random.normal(0.0, 25.0, (count, SIZE, SIZE))
    brightness = random.uniform(90.0, 230.0, count)
    corners = random.integers(0, (SIZE - 14 + 1, SIZE - 10 + 1), (count, 2))
    for index, (label, (top, left)) in enumerate(zip(labels, corners, strict=True)):
        images[index, top : top + 14, left : left + 10] += brightness[index] * glyphs[label]
    return np.clip(np.round(images), 0, 255).astype(np.uint8)[:, None], labels  # (n, 1, 20, 20)


BUILT_IN: dict[str, Callable[[], Source]] = {"digits": digits_source, "synthetic": synthetic_source}


def detect(location: Location) -> Reader | None:
    """Return the reader of a built-in set; None for anything else."""
    known = location.known
    if known is None or known.name not in BUILT_IN:
        return None
    return Reader(kind=known.name, files=(), read=lambda: official(known, BUILT_IN[known.name]()))
