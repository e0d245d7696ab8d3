"""Parts made of encoded pictures, wherever these come from: files, table cells, rows of a Parquet file."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ceteris.data.formats.entries import damage_told
from ceteris.data.formats.pictures import (
    PictureHeader,
    header_suffices,
    picture_header,
    pillow_quiet,
    read_picture,
    read_picture_file,
)
from ceteris.data.options import ReadOptions
from ceteris.data.source import Part, filled_part
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

PictureStream = Callable[[], Iterator[tuple[str, bytes]]]  # yields (name for messages, encoded picture)

_HEADER_BYTES = 4096  # what a PNG file says about itself mostly lies in them
_THREADS_PAY_FROM = 128 * 128  # pixels; below, Python's own work per file outweighs the decoding
_MAX_FILE_BYTES = 1 << 30


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
    """Yield path and header of every file; of a PNG file only the first bytes are read."""
    for path in paths:
        with damage_told(path), open(path, "rb") as file:
            start = file.read(_HEADER_BYTES)
            whole = start if header_suffices(start) else start + file.read(_MAX_FILE_BYTES)
        yield path, picture_header(whole, path)


def stream_headers(pictures: PictureStream) -> Iterator[tuple[str, PictureHeader]]:
    """Yield name and header of every picture of a stream."""
    for name, content in pictures():
        yield name, picture_header(content, name)


def file_part(
    paths: list[str],
    labels: IntArray,
    shape: tuple[int, int, int],
    options: ReadOptions,
    groups: tuple[str, ...] | None = None,
) -> Part:
    """Return the part made of picture files; each is read when its turn comes."""

    def fill(target: ByteArray) -> None:
        _fill_from_files(target, paths, shape, options)

    def take(places: IntArray) -> Part:
        chosen = None if groups is None else tuple(groups[place] for place in places)
        return file_part([paths[place] for place in places], labels[places], shape, options, chosen)

    return Part(labels=labels, shape=shape, fill=fill, take=take, groups=groups)


def stream_part(
    pictures: PictureStream, labels: IntArray, shape: tuple[int, int, int], options: ReadOptions,
    groups: tuple[str, ...] | None = None,
) -> Part:  # fmt: skip
    """Return the part made of a stream of encoded pictures, in the order of ``labels``."""

    def fill(target: ByteArray) -> None:
        place = -1
        with pillow_quiet():
            for place, (name, content) in enumerate(pictures()):
                if place == len(target):
                    raise DataError(
                        f"{name}: more pictures than the {len(target)} labels; they do not belong together."
                    )
                target[place] = _of_shape(read_picture(content, name, shape[0], options), name, shape)
        if place + 1 != len(target):
            raise DataError(f"{len(target)} labels, but {place + 1} pictures; they do not belong together.")

    return filled_part(labels, shape, fill, groups)


def preprocessing_of(options: ReadOptions) -> tuple[str, ...]:
    """Return what the options do to every picture, one line each."""
    lines = []
    if options.size:
        lines.append(f"brought to {options.size[0]} x {options.size[1]} pixels (fit: {options.fit}, bilinear)")
    if options.channels:
        lines.append("turned grey" if options.channels == 1 else "brought to three colour channels")
    return tuple(lines)


def _fill_from_files(target: ByteArray, paths: list[str], shape: tuple[int, int, int], options: ReadOptions) -> None:
    def read(place: int) -> None:
        target[place] = _of_shape(read_picture_file(paths[place], shape[0], options), paths[place], shape)

    with pillow_quiet():
        if shape[1] * shape[2] < _THREADS_PAY_FROM:
            for place in range(len(paths)):
                read(place)
            return
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(paths), 4096):
                list(pool.map(read, range(start, min(start + 4096, len(paths)))))


def _of_shape(pixels: ByteArray, name: str, shape: tuple[int, int, int]) -> ByteArray:
    if pixels.shape != shape:  # a photograph turned by its metadata, or a file that changed meanwhile
        raise _sizes_differ(name, pixels.shape[1:], "the first picture", shape[1:])
    return pixels


def _sizes_differ(name: str, size: tuple[int, ...], other_name: str, other: tuple[int, ...]) -> DataError:
    return DataError(
        f"{name}: {size[0]} x {size[1]} pixels (height x width), but {other_name} has {other[0]} x {other[1]}. "
        "All images must have one size: give the size to bring them to (size=height,width) or mend the file."
    )


def class_numbers(labels: list[str], classes: tuple[str, ...]) -> IntArray:
    """Return the place of every label among ``classes``.

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
