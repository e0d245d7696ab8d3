"""Data sets from the Hugging Face hub by name, ``hf:owner/name`` or ``hf:owner/name:configuration`` (needs ``datasets``)."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

from ceteris.data.formats.parquet import IMAGE_COLUMNS
from ceteris.data.formats.picture_parts import (
    PictureStream,
    class_numbers,
    common_shape,
    preprocessing_of,
    sorted_classes,
    stream_headers,
    stream_part,
)
from ceteris.data.formats.tables import LABEL_COLUMNS
from ceteris.data.options import ReadOptions
from ceteris.data.source import Part, Source
from ceteris.errors import ConfigError, DataError

PREFIX = "hf:"


def hugging_face_source(name: str, options: ReadOptions) -> Source:
    """Return the set ``hf:owner/name[:configuration]``; its test split, else its validation split, is the test part.

    Raises:
        ConfigError: the package ``datasets`` is not installed.
        DataError: the set cannot be fetched, or has no image or label column.
    """
    path, _, configuration = name.removeprefix(PREFIX).partition(":")
    try:
        datasets = import_module("datasets")
    except ImportError as error:
        raise ConfigError(f"{name}: needs the package datasets: pip install datasets.") from error
    try:
        loaded = datasets.load_dataset(path, configuration or None)
    except Exception as error:  # the hub's client raises many types of its own
        raise DataError(f"{name}: cannot be fetched from the Hugging Face hub ({str(error)[:300]}).") from error
    splits = {split: _without_decoding(loaded[split], datasets) for split in loaded}
    return _source(name, path, splits, options)


def _without_decoding(split: Any, datasets: Any) -> Any:
    return split.cast_column(_column(split, IMAGE_COLUMNS, "image"), datasets.Image(decode=False))


def _source(name: str, path: str, splits: dict[str, Any], options: ReadOptions) -> Source:
    if "train" not in splits:
        raise DataError(f"{name}: has no split 'train'; its splits are {', '.join(splits)}.")
    test = next((splits[split] for split in ("test", "validation", "valid") if split in splits), None)
    wanted = (options.label_column,) if options.label_column else (*LABEL_COLUMNS, "fine_label")
    labels = _column(splits["train"], wanted, "label")
    names = getattr(splits["train"].features[labels], "names", None)
    used = [split for split in (splits["train"], test) if split is not None]
    classes = (
        tuple(map(str, names)) if names else sorted_classes(str(label) for split in used for label in split[labels])
    )
    shape = common_shape((header for split in used for header in stream_headers(_pictures(split, name))), options)

    def part(split: Any) -> Part:
        values = list(split[labels])
        numbers = np.array(values, dtype=np.int64) if names else class_numbers([str(v) for v in values], classes)
        groups = _groups(split, options)
        return stream_part(_pictures(split, name), numbers, shape, options, groups)

    return Source(
        name=path.rpartition("/")[2],
        title=path,
        citation=f"Hugging Face hub, {path}",
        licence="see the set's card on the hub",
        classes=classes,
        train=part(splits["train"]),
        test=part(test) if test is not None else None,
        label_meaning=f"the class given in the column {labels!r}",
        preprocessing=preprocessing_of(options),
    )


def _groups(split: Any, options: ReadOptions) -> tuple[str, ...] | None:
    if options.group_column is None:
        return None
    return tuple(map(str, split[_column(split, (options.group_column,), "group")]))


def _column(split: Any, names: tuple[str, ...], what: str) -> str:
    columns = list(split.features)
    found = next((column for name in names for column in columns if column.lower() == name.lower()), None)
    if found is None:
        raise DataError(f"No {what} column. Looked for {', '.join(names)}; the columns are {', '.join(columns)}.")
    return str(found)


def _pictures(split: Any, name: str) -> PictureStream:
    column = _column(split, IMAGE_COLUMNS, "image")

    def pictures() -> Iterator[tuple[str, bytes]]:
        for row, cell in enumerate(split[column]):
            content = cell.get("bytes") if isinstance(cell, dict) else None
            if not isinstance(content, bytes):
                raise DataError(f"{name}: row {row} holds no encoded picture.")
            yield f"{name} (row {row})", content

    return pictures
