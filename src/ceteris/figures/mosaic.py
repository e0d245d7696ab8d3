"""Many small pictures as one: a sheet of equal cells, drawn by a single image so that a hundred of them cost no time."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from ceteris.records import ByteArray, Float32Array

CELL = 64  # a picture is enlarged by a whole factor to about this many pixels, so that it stays sharp everywhere


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A picture (height, width, 4) of all cells; cell (row, column) has its corner at (row, column) in cell units."""

    picture: ByteArray
    rows: int
    columns: int
    gap: float


def as_colour(images: ByteArray) -> ByteArray:
    """Turn (n, channels, h, w) into (n, h, w, 3); one channel becomes grey, more than three show their first three."""
    colours = images[:, [0, 0, 0]] if images.shape[1] < 3 else images[:, :3]
    return np.ascontiguousarray(np.moveaxis(colours, 1, -1))


def scaled_to_bytes(pictures: Float32Array, *, symmetric: bool = False) -> ByteArray:
    """Scale each picture (n, h, w) to its own range, or around 0 when ``symmetric``, as grey (n, h, w, 3)."""
    flat = np.nan_to_num(pictures.astype(np.float64)).reshape(len(pictures), -1)
    high = np.abs(flat).max(axis=1, keepdims=True) if symmetric else flat.max(axis=1, keepdims=True)
    low = -high if symmetric else flat.min(axis=1, keepdims=True)
    span = np.where(high > low, high - low, 1.0)
    grey = np.rint(255 * (flat - low) / span).astype(np.uint8).reshape(pictures.shape)
    return np.repeat(grey[..., None], 3, axis=-1)


def sheet(pictures: ByteArray, columns: int, *, gap: float = 0.08) -> Sheet:
    """Lay (n, h, w, 3) out in rows of ``columns`` cells; ``gap`` is the space around a picture in cell units."""
    count, height, width, _ = pictures.shape
    zoom = max(1, CELL // max(height, width))
    enlarged = pictures.repeat(zoom, axis=1).repeat(zoom, axis=2)
    height, width = height * zoom, width * zoom
    side = max(height, width)
    pitch = round(side / (1 - 2 * gap))
    rows = -(-count // columns)
    canvas = np.zeros((rows * pitch, columns * pitch, 4), np.uint8)
    for index, picture in enumerate(enlarged):
        top = (index // columns) * pitch + (pitch - height) // 2
        left = (index % columns) * pitch + (pitch - width) // 2
        canvas[top : top + height, left : left + width, :3] = picture
        canvas[top : top + height, left : left + width, 3] = 255
    return Sheet(picture=canvas, rows=rows, columns=columns, gap=gap)


def draw_sheet(axes: Axes, content: Sheet) -> None:
    """Show the sheet in cell units: x runs 0..columns, y runs 0..rows downwards."""
    axes.imshow(content.picture, extent=(0, content.columns, content.rows, 0), aspect="auto", interpolation="nearest")
    axes.set_xlim(0, content.columns)
    axes.set_ylim(content.rows, 0)
