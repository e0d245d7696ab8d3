"""Parts made of encoded pictures, wherever these come from: files, table cells, rows of a Parquet file."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ceteris.data.formats.pictures import (
    PictureHeader,
    file_header,
    picture_header,
    pillow_quiet,
    read_picture,
    read_picture_file,
)
from ceteris.data.source import Part, ReadOptions, filled_part, select
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

PictureStream = Callable[[], Iterator[tuple[str, bytes]]]  # yields (name for messages, encoded picture)

_MOST_LISTED = 100
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


def stream_headers(pictures: PictureStream) -> Iterator[tuple[str, PictureHeader]]:
    """Yield name and header of every picture of a stream."""
    return ((name, picture_header(content, name)) for name, content in pictures())


@dataclass(frozen=True, kw_only=True)
class CheckedFiles:
    """Picture files after a first look at all of them.

    Attributes:
        shape: (channels, height, width) of all that are read.
        readable: for every list of files the indices of those that are read, int64.
        unreadable: number of files that are left out.
        warnings: which ones, and why.
    """

    shape: tuple[int, int, int]
    readable: tuple[IntArray, ...]
    unreadable: int
    warnings: tuple[str, ...]


def check_files(parts: Sequence[Sequence[str]], options: ReadOptions) -> CheckedFiles:
    """Look at the picture files of all parts; with ``options.skip_unreadable`` those that cannot be read are left out.

    Raises:
        DataError: no pictures, pictures that cannot be read (all are listed), or different sizes without ``options.size``.
    """
    paths = [path for part in parts for path in part]
    problems = _problems(paths, options) if options.skip_unreadable else {}
    headers: dict[PictureHeader, str] = {}  # every size once
    with pillow_quiet():
        for path in paths:
            try:
                if path not in problems:
                    headers.setdefault(file_header(path), path)
            except DataError:
                raise _unreadable(list(_problems(paths, options).values()), len(paths)) from None
    shape = common_shape(((path, header) for header, path in headers.items()), options)
    listed = [str(problem) for problem in list(problems.values())[:_MOST_LISTED]]
    return CheckedFiles(
        shape=shape,
        readable=tuple(
            np.array([index for index, path in enumerate(part) if path not in problems], dtype=np.int64)
            for part in parts
        ),
        unreadable=len(problems),
        warnings=(f"{len(problems)} of {len(paths)} pictures cannot be read and were left out: {' '.join(listed)}",)
        if problems
        else (),
    )


def file_part(
    paths: Sequence[str],
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

        problems = _for_all(len(paths), read, threads=shape[1] * shape[2] >= _THREADS_PAY_FROM)
        if problems:
            raise _unreadable(list(problems.values()), len(paths))

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


def _problems(paths: Sequence[str], options: ReadOptions) -> dict[str, DataError]:
    """Decode every file and return what is wrong with those that cannot be read."""

    def read(index: int) -> None:
        file_header(paths[index])
        read_picture_file(paths[index], 3, options)

    found = _for_all(len(paths), read, threads=True)
    return {paths[index]: problem for index, problem in found.items()}


def _for_all(count: int, work: Callable[[int], object], *, threads: bool) -> dict[int, DataError]:
    """Call ``work`` for every index and return the errors of those that fail."""
    problems: dict[int, DataError] = {}

    def attempt(index: int) -> None:
        try:
            work(index)
        except DataError as error:
            problems[index] = error

    with pillow_quiet():
        if not threads:
            for index in range(count):
                attempt(index)
            return problems
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, count, 4096):
                list(pool.map(attempt, range(start, min(start + 4096, count))))
    return dict(sorted(problems.items()))


def _unreadable(problems: list[DataError], count: int) -> DataError:
    if len(problems) == 1:
        return problems[0]
    listed = "\n".join(f"  {problem}" for problem in problems[:_MOST_LISTED])
    more = f"\n  … and {len(problems) - _MOST_LISTED} more" if len(problems) > _MOST_LISTED else ""
    return DataError(
        f"{len(problems)} of {count} pictures cannot be read. Mend them, or leave them out with skip_unreadable "
        f"(--skip-unreadable):\n{listed}{more}"
    )
