"""Exact statistics of pixels, per channel, over any selection of images."""

import numpy as np

from ceteris.data.imageset import CHUNK_BYTES
from ceteris.records import ByteArray, FloatArray, IntArray


def standardisation(images: ByteArray, indices: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation per channel, each (channels,), in units of 0..255.

    The sums are sums of integers below 2**53 and therefore exact, whatever the order of the images. A channel that does
    not vary gets the deviation 1, so that one can always divide by it.

    Args:
        images: uint8 (n, c, h, w).
        indices: places of the images that count, (m,), m ≥ 1.
    """
    channels = images.shape[1]
    totals, squares = np.zeros(channels), np.zeros(channels)
    step = max(1, CHUNK_BYTES // 8 // max(1, images[:1].nbytes))
    for start in range(0, len(indices), step):
        piece = images[indices[start : start + step]]  # (b, c, h, w)
        for channel in range(channels):
            values = piece[:, channel].astype(np.float64).ravel()
            totals[channel] += values.sum()
            squares[channel] += np.einsum("i,i->", values, values)  # a dot product would start the threads of numpy
    return _moments(totals, squares, len(indices) * images.shape[2] * images.shape[3])


def _moments(totals: FloatArray, squares: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    # N·Σx² - (Σx)² in Python's unbounded integers: no cancellation, so a constant channel gives exactly 0.
    spread = [count * int(square) - int(total) ** 2 for total, square in zip(totals, squares, strict=True)]
    deviation = np.array([np.sqrt(float(value)) / count if value > 0 else 1.0 for value in spread])
    return totals / count, deviation
