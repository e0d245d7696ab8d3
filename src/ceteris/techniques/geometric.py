"""Geometric augmentation: shift, rotate, scale, shear, flip, crop and elastic distortion of image batches.

Several motions in a row are fused: each one draws a field of where its pixels come from, the fields are chained, and the
images are sampled once, bilinearly, so that they are blurred once at most. Motions by whole pixels copy windows of the
padded images instead. What comes in from outside the image is ``fill``, the background.

A motion's draw is either affine, (n, 2, 3), or a field of displacements, (n, 2, h, w). Both say, in pixels from the
image's centre and in the order x, y, where the pixel at a place of the output comes from. Elastic distortion:
Simard et al. 2003 (ICDAR). Crop: He et al. 2016 (arXiv:1512.03385).
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from ceteris.techniques.draws import normal, uniform

Size = tuple[int, int, int]  # images, height, width
Axis = Literal["horizontal", "vertical"]


def draw_shift(size: Size, *, fraction: float, generator: torch.Generator) -> Tensor:
    """Draw whole-pixel shifts (n, 2, 3) of up to ``fraction`` of height and width, rounded to the nearest pixel."""
    _, height, width = size
    reach = (fraction * width, fraction * height)
    return _translation(_whole_offsets(size, reach, generator=generator))


def draw_crop(size: Size, *, padding: int, generator: torch.Generator) -> Tensor:
    """Draw the places (n, 2, 3) of a crop out of images padded by ``padding`` pixels, all equally probable."""
    reach = (padding + 0.5, padding + 0.5)
    return _translation(_whole_offsets(size, reach, generator=generator))


def draw_rotation(size: Size, *, degrees: float, generator: torch.Generator) -> Tensor:
    """Draw rotations (n, 2, 3) around the image's centre, uniform in ±``degrees``."""
    angle = uniform((size[0],), -math.radians(degrees), math.radians(degrees), generator=generator)
    cos, sin = angle.cos(), angle.sin()
    return _affine(cos, -sin, sin, cos)


def draw_scale(size: Size, *, fraction: float, generator: torch.Generator) -> Tensor:
    """Draw zooms (n, 2, 3) by a factor uniform in 1 ± ``fraction``."""
    inverse = uniform((size[0],), 1 - fraction, 1 + fraction, generator=generator).reciprocal()
    zero = torch.zeros_like(inverse)
    return _affine(inverse, zero, zero, inverse)


def draw_shear(size: Size, *, degrees: float, generator: torch.Generator) -> Tensor:
    """Draw slants (n, 2, 3) along the rows, by an angle uniform in ±``degrees``."""
    limit = math.radians(degrees)
    slant = uniform((size[0],), -limit, limit, generator=generator).tan()
    one, zero = torch.ones_like(slant), torch.zeros_like(slant)
    return _affine(one, slant, zero, one)


def draw_flip(size: Size, *, axis: Axis, probability: float, generator: torch.Generator) -> Tensor:
    """Draw mirror images (n, 2, 3): -1 in the axis that is flipped, with the given ``probability``."""
    sign = 1 - 2 * _flipped(size[0], probability, generator=generator).float()
    one, zero = torch.ones_like(sign), torch.zeros_like(sign)
    return _affine(sign, zero, zero, one) if axis == "horizontal" else _affine(one, zero, zero, sign)


def draw_elastic(size: Size, *, pixels: float, smoothness: float, generator: torch.Generator) -> Tensor:
    """Draw smooth displacements (n, 2, h, w): white noise smoothed by a Gaussian of deviation ``smoothness`` pixels.

    Their standard deviation is ``pixels`` / 2, so that about 95 % of them stay within ±``pixels``.
    """
    count, height, width = size
    rows, columns = (_smoothing(side, smoothness, generator.device) for side in (height, width))
    noise = normal((count, 2, rows.shape[1], columns.shape[1]), generator=generator)
    return (rows * (pixels / 2)) @ (noise @ columns.T)


def warp(images: Tensor, motions: Sequence[Tensor], *, fill: Tensor) -> Tensor:
    """Return the images moved by all ``motions`` in their order, sampled once, bilinearly.

    Args:
        images: floating point (n, c, h, w).
        motions: what the draw functions return, in the order in which they are to act.
        fill: the background's value per channel (c,).
    """
    _, _, height, width = images.shape
    grid = _source_places(motions, height, width, images.device)  # (n, 2, h, w)
    background = fill.view(1, -1, 1, 1)
    moved = functional.grid_sample((images - background).float(), grid.permute(0, 2, 3, 1), align_corners=False)
    return (moved + background).to(images.dtype)


def shift(images: Tensor, *, fraction: float, fill: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by whole pixels, up to ``fraction`` of its height and width; see :func:`draw_shift`."""
    height, width = images.shape[2:]
    return _moved_by_whole_pixels(images, (fraction * width, fraction * height), fill=fill, generator=generator)


def crop(images: Tensor, *, padding: int, fill: Tensor, generator: torch.Generator) -> Tensor:
    """Pad by ``padding`` pixels on every side and crop back at a random place; see :func:`draw_crop`."""
    return _moved_by_whole_pixels(images, (padding + 0.5, padding + 0.5), fill=fill, generator=generator)


def flip(images: Tensor, *, axis: Axis, probability: float, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right ("horizontal") or upside down ("vertical") with the given ``probability``."""
    flipped = _flipped(images.shape[0], probability, generator=generator)
    return torch.where(flipped.view(-1, 1, 1, 1), images.flip(3 if axis == "horizontal" else 2), images)


def _affine(xx: Tensor, xy: Tensor, yx: Tensor, yy: Tensor) -> Tensor:
    zero = torch.zeros_like(xx)
    return torch.stack([xx, xy, zero, yx, yy, zero], dim=1).view(-1, 2, 3)


def _translation(offsets: Tensor) -> Tensor:
    """Return the motion that moves the image by offsets (n, 2), x then y: pixels come from the opposite side."""
    unit = torch.eye(2, device=offsets.device).expand(len(offsets), 2, 2)
    return torch.cat([unit, -offsets[:, :, None]], dim=2)


def _whole_offsets(size: Size, reach: tuple[float, float], *, generator: torch.Generator) -> Tensor:
    """Draw (n, 2) offsets in x and y, uniform within ±reach, rounded to whole pixels."""
    limits = torch.tensor(reach, device=generator.device)
    draws = uniform((size[0], 2), -1.0, 1.0, generator=generator)
    # Halves are rounded to even; without the subtraction -(k + 0.5) could become -(k + 1).
    return (draws * (limits - 1e-4)).round()


def _moved_by_whole_pixels(
    images: Tensor, reach: tuple[float, float], *, fill: Tensor, generator: torch.Generator
) -> Tensor:
    """Copy one window per image out of the padded batch; several times faster than sampling a grid."""
    count, channels, height, width = images.shape
    right, down = (
        math.ceil(limit - 0.5) for limit in reach
    )  # a reach of k + 0.5 makes all of -k .. k equally probable
    offsets = _whole_offsets((count, height, width), reach, generator=generator).long()
    padded = images.new_empty((count, channels, height + 2 * down, width + 2 * right))
    padded.copy_(fill.view(1, -1, 1, 1))
    padded[:, :, down : down + height, right : right + width] = images
    per_image, per_channel, per_row, _ = padded.stride()
    starts = torch.arange(count, device=images.device) * per_image
    starts += (down - offsets[:, 1]) * per_row + (right - offsets[:, 0])
    # Every place of the padded batch as the corner of a window, overlapping and without a copy.
    corners = padded.numel() - (channels - 1) * per_channel - (height - 1) * per_row - (width - 1)
    windows = padded.as_strided((corners, channels, height, width), (1, per_channel, per_row, 1))
    return windows.index_select(0, starts)


def _flipped(count: int, probability: float, *, generator: torch.Generator) -> Tensor:
    return uniform((count,), 0.0, 1.0, generator=generator) < probability


@lru_cache(maxsize=16)
def _smoothing(length: int, deviation: float, device: torch.device) -> Tensor:
    """Return the matrix (length, nodes) that smooths white noise on nodes to values of variance 1 at every pixel.

    Nodes one ``deviation`` apart carry all that a Gaussian of that width lets through, so few numbers are drawn.
    """
    spacing = max(1.0, deviation)
    margin = math.ceil(3 * deviation / spacing)
    nodes = torch.arange(-margin, math.ceil((length - 1) / spacing) + margin + 1) * spacing
    distance = (torch.arange(length)[:, None] - nodes) / deviation
    weights = torch.exp(-distance.square() / 2)
    return (weights / weights.square().sum(dim=1, keepdim=True).sqrt()).to(device)


def _source_places(motions: Sequence[Tensor], height: int, width: int, device: torch.device) -> Tensor:
    """Return where each output pixel comes from, (n, 2, h, w), in grid_sample's units: ±1 at the image's edges.

    The chain is followed from the last motion back to the first. An elastic displacement that affine motions follow is
    taken at the output's pixel: the field looks the same everywhere, so its distribution does not change.
    """
    affine, displacement = _chained(motions)
    half = torch.tensor([[2 / width], [2 / height]], device=device)
    places = ((affine * half).view(-1, 3) @ _centred_pixels(height, width, device)).view(-1, 2, height, width)
    return places if displacement is None else torch.addcmul(places, displacement, half[..., None])


@lru_cache(maxsize=16)
def _centred_pixels(height: int, width: int, device: torch.device) -> Tensor:
    """Return x, y and 1 of all pixels, measured from the image's centre, (3, h * w)."""
    x = torch.arange(width, device=device) - (width - 1) / 2
    y = torch.arange(height, device=device) - (height - 1) / 2
    return torch.stack([x.repeat(height), y.repeat_interleave(width), torch.ones(height * width, device=device)])


def _chained(motions: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Return the affine part (n, 2, 3) and the displacement (n, 2, h, w) of all motions together."""
    affine: Tensor | None = None
    displacement: Tensor | None = None
    for motion in reversed(motions):
        if motion.ndim == 4:
            displacement = motion if displacement is None else displacement + motion
            continue
        if displacement is not None:
            displacement = (motion[:, :, :2] @ displacement.flatten(2)).view_as(displacement)
        if affine is None:
            affine = motion
        else:  # the map that applies what was and then this motion to a place
            both = motion[:, :, :2] @ affine
            both[:, :, 2] += motion[:, :, 2]
            affine = both
    if affine is None:
        affine = torch.eye(2, 3, device=motions[0].device).expand(len(motions[0]), 2, 3)
    return affine, displacement
