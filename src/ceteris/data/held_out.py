"""A test part for sources that have none: drawn once, stratified, groups kept together, written down and used for ever."""

import hashlib
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ceteris.data.options import ReadOptions
from ceteris.data.source import Part, Source
from ceteris.data.splits import stratified_share
from ceteris.errors import DataError
from ceteris.records import IntArray
from ceteris.seeds import generator


def with_test(source: Source, options: ReadOptions, folder: Path) -> Source:
    """Return the source with a test part; where it has none, a stratified share is held out.

    The choice is written to ``folder`` and read from there the next time, so that it outlives every change of the way
    in which it is drawn.

    Raises:
        DataError: a class with a single image, or fewer than two groups.
    """
    if source.test is not None:
        return source
    place = folder / f"{_key(source, options)}.json"
    held_out = _written(place, len(source.train.labels))
    if held_out is None:
        held_out = _draw(source.train, options)
        _write(place, source.name, held_out)
    rest = np.setdiff1d(np.arange(len(source.train.labels)), held_out)
    kept_together = f" with every {options.group_column} on one side" if options.group_column else ""
    note = (
        f"{source.note} The source has no test part; a stratified {len(held_out) / len(source.train.labels):.0%} was drawn "
        f"by ceteris{kept_together}."
    )
    return replace(source, train=source.train.take(rest), test=source.train.take(held_out), note=note.strip())


def grouped_share(labels: IntArray, groups: tuple[str, ...], fraction: float, random: np.random.Generator) -> IntArray:
    """Return sorted indices of about ``fraction`` of the images such that no group is torn apart.

    Groups are taken in random order, each one as long as that brings the class counts held out closer to ``fraction`` of
    every class, measured by squared differences.

    Raises:
        DataError: fewer than two groups.
    """
    names, members = np.unique(np.array(groups), return_inverse=True)
    if len(names) < 2:
        raise DataError(f"groups: at least 2 different groups are needed to split by them, there is {len(names)}.")
    classes = int(labels.max()) + 1
    counts = np.zeros((len(names), classes))  # (groups, classes)
    np.add.at(counts, (members, labels), 1)
    wanted, held = fraction * counts.sum(axis=0), np.zeros(classes)
    chosen: list[int] = []
    for group in random.permutation(len(names)):
        if ((held + counts[group] - wanted) ** 2).sum() < ((held - wanted) ** 2).sum() and len(chosen) < len(names) - 1:
            held += counts[group]
            chosen.append(int(group))
    if not chosen:  # one group holds nearly everything: the smallest one is better than none
        chosen = [int(counts.sum(axis=1).argmin())]
    return np.flatnonzero(np.isin(members, chosen))


def _draw(part: Part, options: ReadOptions) -> IntArray:
    random = generator(0, 0, "split")
    if options.group_column is None:
        return stratified_share(part.labels, options.test_fraction, random)
    if part.groups is None:
        raise DataError(
            f"group_column: this source has no column {options.group_column!r}; groups come from a table's column."
        )
    return grouped_share(part.labels, part.groups, options.test_fraction, random)


def _key(source: Source, options: ReadOptions) -> str:
    groups = source.train.groups if options.group_column else None
    digest = hashlib.sha256(repr((source.name, source.classes, options.test_fraction, groups)).encode())
    digest.update(np.ascontiguousarray(source.train.labels).data)
    return digest.hexdigest()[:32]


def _written(place: Path, count: int) -> IntArray | None:
    try:
        held_out = np.array(json.loads(place.read_text(encoding="utf-8"))["test"], dtype=np.int64)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    usable = held_out.ndim == 1 and 0 < len(held_out) < count and held_out.min() >= 0 and held_out.max() < count
    return np.unique(held_out) if usable else None


def _write(place: Path, name: str, held_out: IntArray) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=place.parent, delete=False, encoding="utf-8") as file:
            json.dump({"name": name, "test": held_out.tolist()}, file)
        os.replace(file.name, place)
    except OSError as error:
        raise DataError(f"{place}: the split cannot be written ({error.strerror or error}).") from error
