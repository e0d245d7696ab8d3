"""Parts made of encoded pictures, wherever these come from: files, table cells, rows of a Parquet file."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np

from ceteris.data.formats.pictures import (
    PictureHeader,
    open_picture,
    picture_header,
    pillow_quiet,
    read_picture,
    white_of_pictures,
)
from ceteris.data.source import Part, ReadOptions, Source, select
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

Picture = tuple[str, bytes | None]  # name for messages, encoded picture; None where it is the file of that name
PictureStream = Callable[[], Iterable[Picture]]

_MOST_LISTED = 100
_THREADS_PAY_FROM = 128 * 128  # pixels; below, Python's own work per file outweighs the decoding
_AT_ONCE = 256  # pictures in memory


@dataclass(frozen=True, kw_only=True)
class CheckedPictures:
    """Pictures after a first look at all of them.

    Attributes:
        shape: (channels, height, width) of all that are read.
        reading: the options, with the white that the values of more than 8 bits fit.
        readable: for every part the indices of the pictures that are read, int64.
        unreadable: number of pictures that are left out.
        warnings: which ones, and why.
        sizes: (height, width) of the pictures in their files, every size once.
    """

    shape: tuple[int, int, int]
    reading: ReadOptions
    readable: tuple[IntArray, ...]
    unreadable: int
    warnings: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]

    def told_in(self, source: Source) -> Source:
        """Return the source of these pictures with what is to be said of them."""
        white, understood = self.reading.white, source.understood
        notes = () if white is None else (f"values of more than 8 bits: {white:,.0f} is white",)
        left_out = (("unreadable", self.unreadable),) if self.unreadable else ()
        return replace(
            source,
            preprocessing=(*preprocessing_of(self.reading), *source.preprocessing),
            warnings=(*self.warnings, *source.warnings),
            understood=replace(
                understood, left_out=(*understood.left_out, *left_out), notes=(*understood.notes, *notes)
            ),
            white=white,
            sizes=self.sizes,
        )


def check_pictures(parts: Sequence[PictureStream], options: ReadOptions) -> CheckedPictures:
    """Look at the pictures of all parts; with ``options.skip_unreadable`` those that cannot be read are left out.

    All are RGB as soon as one has colour, and have one size unless a size is given. Where some have more than 8 bits, the
    white that fits their largest value is found out.

    Raises:
        DataError: no pictures, pictures that cannot be read (all are listed), or different sizes without ``options.size``.
    """
    headers: dict[PictureHeader, str] = {}  # every size once
    counts = [0] * len(parts)
    problems = _problems(parts, options) if options.skip_unreadable else {}
    with pillow_quiet():
        for number, part in enumerate(parts):
            for index, picture in enumerate(part()):
                counts[number] += 1
                try:
                    if (number, index) not in problems:
                        headers.setdefault(picture_header(*picture), picture[0])
                except DataError:
                    raise _unreadable(
                        list(_problems(parts, options).values()), sum(1 for p in parts for _ in p())
                    ) from None
    if not headers:
        raise DataError("No pictures found; at least one is needed.")
    first = next(iter(headers))
    for header, name in headers.items():
        if options.size is None and (header.height, header.width) != (first.height, first.width):
            raise _sizes_differ(name, (header.height, header.width), headers[first], (first.height, first.width))
    channels = options.channels or max(header.channels for header in headers)
    shape = (channels, *(options.size or (first.height, first.width)))
    if options.white is None and any(header.deep for header in headers):
        opened = (
            open_picture(*picture)
            for number, part in enumerate(parts)
            for index, picture in enumerate(part())
            if (number, index) not in problems
        )
        options = replace(options, white=white_of_pictures(opened))
    listed = " ".join(str(problem) for problem in list(problems.values())[:_MOST_LISTED])
    kept = [[index for index in range(count) if (part, index) not in problems] for part, count in enumerate(counts)]
    return CheckedPictures(
        shape=shape,
        reading=options,
        readable=tuple(np.array(indices, dtype=np.int64) for indices in kept),
        unreadable=len(problems),
        warnings=(f"{len(problems)} of {sum(counts)} pictures cannot be read and were left out: {listed}",)
        if problems
        else (),
        sizes=tuple(sorted({(header.height, header.width) for header in headers})),
    )


def picture_files(paths: Sequence[str]) -> PictureStream:
    """Return the stream of picture files."""
    return lambda: ((path, None) for path in paths)


def file_part(
    paths: Sequence[str], labels: IntArray, checked: CheckedPictures, groups: tuple[str, ...] | None = None
) -> Part:
    """Return the part made of picture files; each is read when its turn comes."""

    def take(indices: IntArray) -> Part:
        return file_part([paths[index] for index in indices], labels[indices], checked, select(groups, indices))

    fill = partial(fill_pictures, picture_files(paths), checked.shape, checked.reading)
    return Part(labels=labels, shape=checked.shape, fill=fill, take=take, groups=groups)


def preprocessing_of(options: ReadOptions) -> tuple[str, ...]:
    """Return what the options do to every picture, one line each."""
    lines = []
    if options.white:
        lines.append(f"values of 0 to {options.white:,.0f} brought to 0 to 255")
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


def fill_pictures(
    pictures: PictureStream, shape: tuple[int, int, int], options: ReadOptions, target: ByteArray
) -> None:
    """Read pictures into ``target`` uint8 (n, c, h, w).

    Raises:
        DataError: pictures that cannot be read (all are listed), of another shape, or more or fewer than the target holds.
    """

    def read(index: int, picture: Picture) -> None:
        if index >= len(target):
            raise _OtherCountError(
                f"{picture[0]}: more pictures than the {len(target)} labels; they do not belong together."
            )
        pixels = read_picture(*picture, shape[0], options)
        if pixels.shape != shape:  # a file that changed meanwhile, or an orientation that stands behind the pixels
            raise _sizes_differ(picture[0], pixels.shape[1:], "the first picture", shape[1:])
        target[index] = pixels

    count, problems = _each(pictures(), read, threads=shape[1] * shape[2] >= _THREADS_PAY_FROM)
    if problems:
        raise _unreadable(list(problems.values()), count)
    if count != len(target):
        raise DataError(f"{len(target)} labels, but {count} pictures; they do not belong together.")


class _OtherCountError(DataError):
    """More pictures than labels: there is no use in reading on."""


def _problems(parts: Sequence[PictureStream], options: ReadOptions) -> dict[tuple[int, int], DataError]:
    """Decode every picture and return what is wrong with those that cannot be read, by part and index."""

    def read(index: int, picture: Picture) -> None:
        picture_header(*picture)
        read_picture(*picture, 3, options)

    found = [_each(part(), read, threads=True)[1] for part in parts]
    return {(number, index): error for number, part in enumerate(found) for index, error in part.items()}


def _each(
    pictures: Iterable[Picture], work: Callable[[int, Picture], object], *, threads: bool
) -> tuple[int, dict[int, DataError]]:
    """Call ``work`` for every picture; return how many there are, and the errors of those that fail."""
    problems: dict[int, DataError] = {}
    count = 0

    def attempt(index: int, picture: Picture) -> None:
        try:
            work(index, picture)
        except _OtherCountError:
            raise
        except DataError as error:
            problems[index] = error

    with pillow_quiet(), ThreadPoolExecutor(os.cpu_count() if threads else 1) as pool:
        source = iter(pictures)
        while some := list(islice(source, _AT_ONCE)):
            list((pool.map if threads else map)(attempt, range(count, count + len(some)), some))
            count += len(some)
    return count, dict(sorted(problems.items()))


def _sizes_differ(name: str, size: tuple[int, ...], other_name: str, other: tuple[int, ...]) -> DataError:
    return DataError(
        f"{name}: {size[0]} x {size[1]} pixels (height x width), but {other_name} has {other[0]} x {other[1]}. "
        "All images must have one size: give the size to bring them to (size=height,width) or mend the file."
    )


def _unreadable(problems: list[DataError], count: int) -> DataError:
    if len(problems) == 1:
        return problems[0]
    listed = "\n".join(f"  {problem}" for problem in problems[:_MOST_LISTED])
    more = f"\n  … and {len(problems) - _MOST_LISTED} more" if len(problems) > _MOST_LISTED else ""
    return DataError(
        f"{len(problems)} of {count} pictures cannot be read. Mend them, or leave them out with skip_unreadable "
        f"(--skip-unreadable):\n{listed}{more}"
    )
