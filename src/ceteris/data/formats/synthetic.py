"""A synthetic set for tests and documentation: ten digits of a 5 x 7 dot font, shifted, dimmed and noisy."""

import numpy as np

from ceteris.data.source import Source, array_part
from ceteris.records import ByteArray, IntArray
from ceteris.seeds import generator

_FONT = (  # five columns of seven dots per digit; the lowest bit of a column is its top dot
    (62, 81, 73, 69, 62), (0, 66, 127, 64, 0), (66, 97, 81, 73, 70), (33, 65, 69, 75, 49), (24, 20, 18, 127, 16),
    (39, 69, 69, 69, 57), (60, 74, 73, 73, 48), (1, 113, 9, 5, 3), (54, 73, 73, 73, 54), (6, 73, 73, 41, 30),
)  # fmt: skip
TRAIN_COUNT, TEST_COUNT, SIZE = 2000, 500, 20


def synthetic_source() -> Source:
    """Return the synthetic set: 2,000 training and 500 test images of 20 x 20 pixels in 10 classes, always the same."""
    random = generator(0, 0, "sample")
    train, test = (_draw(count, random) for count in (TRAIN_COUNT, TEST_COUNT))
    return Source(
        name="synthetic",
        title="Synthetic digits",
        citation="drawn by ceteris from a dot font; no real data",
        licence="public domain",
        classes=tuple("0123456789"),
        train=array_part(*train),
        test=array_part(*test),
        note="Synthetic images: accuracies on them say nothing about real data.",
        label_meaning="the digit that was drawn",
    )


def _draw(count: int, random: np.random.Generator) -> tuple[ByteArray, IntArray]:
    labels = random.permutation(np.arange(count) % 10).astype(np.int64)
    images = random.normal(0.0, 25.0, (count, SIZE, SIZE))
    brightness = random.uniform(90.0, 230.0, count)
    corners = random.integers(0, (SIZE - 14 + 1, SIZE - 10 + 1), (count, 2))
    for place, (label, (top, left)) in enumerate(zip(labels, corners, strict=True)):
        images[place, top : top + 14, left : left + 10] += brightness[place] * _glyph(int(label))
    return np.clip(np.round(images), 0, 255).astype(np.uint8)[:, None], labels  # (n, 1, 20, 20)


def _glyph(digit: int) -> ByteArray:
    columns = np.array(_FONT[digit], dtype=np.uint8)
    dots = ((columns[None, :] >> np.arange(7, dtype=np.uint8)[:, None]) & 1).astype(np.uint8)  # (7, 5)
    return dots.repeat(2, axis=0).repeat(2, axis=1)
