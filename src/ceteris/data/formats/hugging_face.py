"""Data sets from the Hugging Face hub by name, ``hf:owner/name`` or ``hf:owner/name:configuration`` (needs ``datasets``)."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from ceteris.data.formats.parquet import find_image_column, rows_source
from ceteris.data.options import ReadOptions
from ceteris.data.source import Located, Source
from ceteris.errors import ConfigError, DataError

_PREFIX = "hf:"


def match(name: str, options: ReadOptions) -> Located | None:
    """Return how the set ``hf:owner/name[:configuration]`` is read, or None for another name."""
    if not name.startswith(_PREFIX):
        return None
    return Located(kind=name, files=(), read=partial(_hub_source, name, options))


class _Split:
    """One split of a set, its pictures left encoded."""

    def __init__(self, name: str, split: Any, datasets: Any) -> None:
        self.name = name
        self.columns: list[str] = list(split.features)
        self._split = split.cast_column(find_image_column(self), datasets.Image(decode=False))

    def values(self, column: str) -> list[Any]:
        return list(self._split[column])

    def cells(self, column: str) -> Iterator[Any]:
        return iter(self._split[column])

    def class_names(self, column: str) -> tuple[str, ...] | None:
        names = getattr(self._split.features[column], "names", None)
        return tuple(map(str, names)) if names else None


def _hub_source(name: str, options: ReadOptions) -> Source:
    """Return a set of the hub; its test split, else its validation split, is the test part.

    Raises:
        ConfigError: the package ``datasets`` is not installed.
        DataError: the set cannot be fetched, or has no image or label column.
    """
    path, _, configuration = name.removeprefix(_PREFIX).partition(":")
    try:
        datasets = import_module("datasets")
    except ImportError as error:
        raise ConfigError(f"{name}: needs the package datasets: pip install datasets.") from error
    try:
        loaded = datasets.load_dataset(path, configuration or None)
    except Exception as error:  # the hub's client raises many types of its own
        raise DataError(f"{name}: cannot be fetched from the Hugging Face hub ({str(error)[:300]}).") from error
    if "train" not in loaded:
        raise DataError(f"{name}: has no split 'train'; its splits are {', '.join(loaded)}.")
    test = next((split for split in ("test", "validation", "valid") if split in loaded), None)
    splits = [_Split(f"{name}, {split}", loaded[split], datasets) for split in ("train", test) if split]
    source = rows_source(splits[:1], splits[1:], options, name=path.rpartition("/")[2], title=path)
    return replace(source, citation=f"Hugging Face hub, {path}", licence="see the set's card on the hub")
