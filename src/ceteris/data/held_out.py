"""A test part for sources that have none: drawn once, stratified, groups kept together, written down and used for ever."""

import hashlib
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ceteris.data.options import ReadOptions
from ceteris.data.source import Source
from ceteris.data.splits import held_out_share
from ceteris.errors import DataError
from ceteris.records import IntArray
from ceteris.seeds import generator


def with_test(source: Source, options: ReadOptions, folder: Path) -> Source:
    """Return the source with a test part; where it has none, a stratified share is held out.

    The choice is written to ``folder`` and read from there the next time, so that it outlives every change of the way
    in which it is drawn.

    Raises:
        DataError: a class with a single image, a source that knows no groups, or fewer than two of them.
    """
    if options.group_column is not None and source.train.groups is None:
        raise DataError(
            f"group_column: this source has no column {options.group_column!r}; groups come from a table's column."
        )
    if source.test is not None:
        return source
    file = folder / f"{_key(source, options)}.json"
    held_out = _read(file, len(source.train.labels))
    if held_out is None:
        groups, random = source.train.groups, generator(0, 0, "split")
        held_out = held_out_share(source.train.labels, groups, options.test_fraction, random, source.classes)
        _write(file, source.name, held_out)
    rest = np.setdiff1d(np.arange(len(source.train.labels)), held_out)
    kept_together = f" with every {options.group_column} on one side" if options.group_column else ""
    note = (
        f"{source.note} The source has no test part; a stratified {len(held_out) / len(source.train.labels):.0%} was drawn "
        f"by ceteris{kept_together}."
    )
    return replace(source, train=source.train.take(rest), test=source.train.take(held_out), note=note.strip())


def _key(source: Source, options: ReadOptions) -> str:
    groups = source.train.groups if options.group_column else None
    digest = hashlib.sha256(repr((source.name, source.classes, options.test_fraction, groups)).encode())
    digest.update(np.ascontiguousarray(source.train.labels).data)
    return digest.hexdigest()[:32]


def _read(file: Path, count: int) -> IntArray | None:
    try:
        held_out = np.array(json.loads(file.read_text(encoding="utf-8"))["test"], dtype=np.int64)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    usable = held_out.ndim == 1 and 0 < len(held_out) < count and held_out.min() >= 0 and held_out.max() < count
    return np.unique(held_out) if usable else None


def _write(file: Path, name: str, held_out: IntArray) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as unfinished:
            json.dump({"name": name, "test": held_out.tolist()}, unfinished)
        os.replace(unfinished.name, file)
    except OSError as error:
        raise DataError(f"{file}: the split cannot be written ({error.strerror or error}).") from error
