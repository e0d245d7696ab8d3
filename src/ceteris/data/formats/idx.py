"""IDX files (LeCun, Cortes & Burges: MNIST; Cohen et al. 2017: EMNIST): big-endian header, then unsigned bytes."""

import math
import struct
from typing import IO

import numpy as np

from ceteris.data.formats.entries import Entry, damage_told, read_into, read_text
from ceteris.data.imageset import CHUNK_BYTES
from ceteris.data.source import Part, filled_part
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

_UNSIGNED_BYTE = 0x08


def read_idx(entry: Entry, *, dimensions: tuple[int, ...]) -> ByteArray:
    """Return the whole array of an IDX file of unsigned bytes.

    Args:
        entry: the file, plain or compressed.
        dimensions: the numbers of dimensions that are allowed, e.g. (1,) for labels.

    Raises:
        DataError: wrong magic number, truncated, longer or shorter than the header says.
    """
    shape = idx_shape(entry, dimensions=dimensions)
    content = np.empty(shape, dtype=np.uint8)
    with entry.open() as stream:
        _header(stream, entry, dimensions)
        _read_pixels(stream, content.reshape(-1), entry, shape)
        _check_end(stream, entry, shape)
    return content


def idx_shape(entry: Entry, *, dimensions: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape an IDX file claims, after checking that the file can hold as much.

    Raises:
        DataError: no IDX file of unsigned bytes, or the claim is larger than the file can be.
    """
    with entry.open() as stream:
        shape = _header(stream, entry, dimensions)
    with damage_told(entry):
        most = entry.most_bytes()
    if math.prod(shape) > most:
        raise DataError(
            f"{entry}: the header claims {_times(shape)} = {math.prod(shape)} bytes, but the file holds {most} at most. "
            "It is truncated or damaged; fetch it again."
        )
    return shape


def idx_part(images: Entry, labels: Entry, *, transposed: bool, first_label: int = 0) -> Part:
    """Return the part made of an image file and its label file.

    Args:
        images: IDX file (n, h, w) or (n, c, h, w).
        labels: IDX file (n,).
        transposed: whether each image is stored with its columns first, as EMNIST's are; it is turned upright.
        first_label: the label that stands for class 0 (1 for EMNIST Letters).

    Raises:
        DataError: a damaged file, or another number of labels than of images.
    """
    shape = idx_shape(images, dimensions=(3, 4))
    numbers = read_idx(labels, dimensions=(1,)).astype(np.int64) - first_label
    if len(numbers) != shape[0]:
        raise DataError(
            f"{labels}: holds {len(numbers)} labels, but {images} holds {shape[0]} images. They do not belong together."
        )
    if 0 in shape:
        raise DataError(f"{images}: holds no image, the header says {_times(shape)}.")
    channels = shape[1] if len(shape) == 4 else 1
    height, width = shape[-2:][::-1] if transposed else shape[-2:]

    def fill(target: ByteArray) -> None:
        _fill(images, shape, target, transposed)

    return filled_part(numbers, (channels, height, width), fill)


def read_mapping(entry: Entry) -> dict[int, str]:
    """Return label -> class name from an EMNIST mapping file: per line a label and the codes of its characters.

    Raises:
        DataError: a line that is not two or more whole numbers.
    """
    names = {}
    for number, line in enumerate(read_text(entry).splitlines(), start=1):
        try:
            label, *codes = [int(word) for word in line.split()]
            if not 0 <= label <= 255:
                raise ValueError("labels are single bytes")
            if codes:
                names[label] = "/".join(chr(code) for code in codes)
        except (ValueError, OverflowError) as error:
            if line.strip():
                raise DataError(
                    f"{entry}: line {number} should hold a label and character codes such as '10 65', received {line!r}."
                ) from error
    if not names:
        raise DataError(f"{entry}: the mapping is empty; lines such as '10 65' (label, character code) are expected.")
    return names


def _header(stream: IO[bytes], entry: Entry, dimensions: tuple[int, ...]) -> tuple[int, ...]:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != _UNSIGNED_BYTE or start[3] not in dimensions:
        expected = " or ".join(f"0x0000{_UNSIGNED_BYTE:02x}{dimension:02x}" for dimension in dimensions)
        raise DataError(
            f"{entry}: no IDX file of unsigned bytes: expected the magic number {expected}, "
            f"received 0x{start.hex() or '(nothing)'}."
        )
    sizes = stream.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise DataError(f"{entry}: the file ends inside its header, it is truncated. Fetch it again.")
    return struct.unpack(f">{start[3]}I", sizes)


def _fill(entry: Entry, shape: tuple[int, ...], target: ByteArray, transposed: bool) -> None:
    step = max(1, CHUNK_BYTES // math.prod(shape[1:]))
    buffer = np.empty((step, *shape[1:]), dtype=np.uint8)
    with entry.open() as stream:
        _header(stream, entry, (3, 4))
        for start in range(0, shape[0], step):
            piece = buffer[: min(step, shape[0] - start)]
            _read_pixels(stream, piece.reshape(-1), entry, shape)
            stored = piece if piece.ndim == 4 else piece[:, None]  # (b, c, h, w)
            target[start : start + len(piece)] = stored.swapaxes(-1, -2) if transposed else stored
        _check_end(stream, entry, shape)


def _read_pixels(stream: IO[bytes], target: ByteArray, entry: Entry, shape: tuple[int, ...]) -> None:
    if read_into(stream, target.data) < len(target):
        raise DataError(
            f"{entry}: the header claims {_times(shape)} bytes, but the file ends before that. "
            "It is truncated; fetch it again."
        )


def _check_end(stream: IO[bytes], entry: Entry, shape: tuple[int, ...]) -> None:
    if stream.read(1):
        raise DataError(
            f"{entry}: the file goes on after the {_times(shape)} bytes that its header claims; it is damaged."
        )


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)


def labels_inside(labels: IntArray, classes: int, entry: Entry) -> None:
    """Raise DataError when a label lies outside 0..classes-1."""
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        bad = int(labels.min()) if labels.min() < 0 else int(labels.max())
        raise DataError(f"{entry}: holds the label {bad}, but the set has {classes} classes, 0 to {classes - 1}.")
