"""Parts made of encoded pictures, wherever these come from: files, table cells, rows of a Parquet file."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ceteris.data.formats.pictures import (
    PictureHeader,
    file_header,
    picture_header,
    pillow_quiet,
    read_picture,
    read_picture_file,
)
from ceteris.data.options import ReadOptions
from ceteris.data.source import Part, filled_part, select
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

PictureStream = Callable[[], Iterator[tuple[str, bytes]]]  # yields (name for messages, encoded picture)

_THREADS_PAY_FROM = 128 * 128  # pixels; below, Python's own work per file outweighs the decoding


def common_shape(headers: Iterable[tuple[str, PictureHeader]], options: ReadOptions) -> tuple[int, int, int]:
    """Return (channels, height, width) of all pictures: RGB as soon as one has colour, one size unless a size is given.

    Raises:
        DataError: no picture at all, or pictures of different sizes without ``options.size``.
    """
    first: tuple[str, PictureHeader] | None = None
    channels = 1
    for name, header in headers:
        first = first or (name, header)
        channels = max(channels, header.channels)
        if options.size is None and (header.height, header.width) != (first[1].height, first[1].width):
            raise _sizes_differ(name, (header.height, header.width), first[0], (first[1].height, first[1].width))
    if first is None:
        raise DataError("No pictures found; at least one is needed.")
    height, width = options.size or (first[1].height, first[1].width)
    return options.channels or channels, height, width


def file_headers(paths: Iterable[str]) -> Iterator[tuple[str, PictureHeader]]:
    """Yield path and header of every file."""
    return ((path, file_header(path)) for path in paths)


def stream_headers(pictures: PictureStream) -> Iterator[tuple[str, PictureHeader]]:
    """Yield name and header of every picture of a stream."""
    return ((name, picture_header(content, name)) for name, content in pictures())


def file_part(
    paths: list[str],
    labels: IntArray,
    shape: tuple[int, int, int],
    options: ReadOptions,
    groups: tuple[str, ...] | None = None,
) -> Part:
    """Return the part made of picture files; each is read when its turn comes."""

    def fill(target: ByteArray) -> None:
        def read(index: int) -> None:
            pixels = read_picture_file(paths[index], shape[0], options)
            target[index] = _of_shape(pixels, paths[index], shape)

        with pillow_quiet():
            if shape[1] * shape[2] < _THREADS_PAY_FROM:
                for index in range(len(paths)):
                    read(index)
                return
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for start in range(0, len(paths), 4096):
                    list(pool.map(read, range(start, min(start + 4096, len(paths)))))

    def take(indices: IntArray) -> Part:
        chosen = [paths[index] for index in indices]
        return file_part(chosen, labels[indices], shape, options, select(groups, indices))

    return Part(labels=labels, shape=shape, fill=fill, take=take, groups=groups)


def stream_part(
    pictures: PictureStream,
    labels: IntArray,
    shape: tuple[int, int, int],
    options: ReadOptions,
    groups: tuple[str, ...] | None = None,
) -> Part:
    """Return the part made of a stream of encoded pictures, in the order of ``labels``."""

    def fill(target: ByteArray) -> None:
        count = 0
        with pillow_quiet():
            for name, content in pictures():
                if count == len(target):
                    raise DataError(
                        f"{name}: more pictures than the {len(target)} labels; they do not belong together."
                    )
                target[count] = _of_shape(read_picture(content, name, shape[0], options), name, shape)
                count += 1
        if count != len(target):
            raise DataError(f"{len(target)} labels, but {count} pictures; they do not belong together.")

    return filled_part(labels, shape, fill, groups)


def preprocessing_of(options: ReadOptions) -> tuple[str, ...]:
    """Return what the options do to every picture, one line each."""
    lines = []
    if options.size:
        lines.append(f"brought to {options.size[0]} x {options.size[1]} pixels (fit: {options.fit}, bilinear)")
    if options.channels:
        lines.append("turned grey" if options.channels == 1 else "brought to three colour channels")
    return tuple(lines)


def class_numbers(labels: list[str], classes: tuple[str, ...]) -> IntArray:
    """Return the number of every label among ``classes``.

    Raises:
        DataError: a label that is none of them.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    unknown = next((label for label in labels if label not in numbers), None)
    if unknown is not None:
        raise DataError(f"labels: {unknown!r} is none of the {len(classes)} classes {', '.join(classes[:20])}.")
    return np.array([numbers[label] for label in labels], dtype=np.int64)


def sorted_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names sorted, by value where all are whole numbers ("2" before "10")."""
    distinct = set(names)
    if all(name.isascii() and name.isdigit() and len(name) < 19 for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))


def _of_shape(pixels: ByteArray, name: str, shape: tuple[int, int, int]) -> ByteArray:
    if pixels.shape != shape:  # a file that changed meanwhile, or an orientation that stands behind the pixels
        raise _sizes_differ(name, pixels.shape[1:], "the first picture", shape[1:])
    return pixels


def _sizes_differ(name: str, size: tuple[int, ...], other_name: str, other: tuple[int, ...]) -> DataError:
    return DataError(
        f"{name}: {size[0]} x {size[1]} pixels (height x width), but {other_name} has {other[0]} x {other[1]}. "
        "All images must have one size: give the size to bring them to (size=height,width) or mend the file."
    )
