"""Which column of a table means what: found by the usual names, and where these are missing by what the cells hold."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np

from ceteris.data.formats.csv_file import CsvFile, is_number, is_picture_name
from ceteris.data.source import ReadOptions
from ceteris.errors import DataError

LABEL_COLUMNS = (
    "label", "labels", "class", "target", "y", "category", "class_name", "classes", "label_name", "class_label", "emotion",
    "diagnosis", "species", "breed", "class_id", "level", "dx",
)  # fmt: skip
_PATH_COLUMNS = (
    "path", "file", "filename", "file_name", "image", "image_path", "filepath", "file_path", "img", "image_file",
    "image_name", "img_path", "img_name", "image_filename", "picture", "photo", "images", "filenames",
)  # fmt: skip
_WEAK_PATH_COLUMNS = ("image_id", "id_code", "img_id", "id", "name")  # where their cells name pictures
_SPLIT_COLUMNS = ("split", "part", "subset", "set", "usage", "data set")
_PIXEL_TEXT_COLUMNS = ("pixels", "pixel_values")
_INDEX_COLUMNS = ("", "index", "idx", "id", "row", "row_id", "unnamed: 0")
_NUMBERED = re.compile(r"(?:pixel|pix|px|p|x|f|feature|v|value|col|column|c|attr|attribute|dim)?\d+(?:x\d+)?[rgb]?")
_LABEL_POSITIONS = {"first": 0, "last": -1}  # where the table has no header line
_MARKS = {"0", "1", "0.0", "1.0"}
_SAMPLE = 50  # rows


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The indices of a table's columns by what they mean; None and () for what the table does not have.

    Attributes:
        label: the label.
        one_hot: one column per class with a 1 for the class of the row, where there is no column of labels.
        path: the name of a picture.
        pixel_text: all pixels as a text of numbers.
        pixels: one column per pixel.
        split: the part of the set.
        group: what a split must not tear apart.
        mixed: whether a table of pixels holds texts too, or all pixels in one cell.
        unused: names of the columns that mean nothing here.
    """

    label: int | None
    one_hot: tuple[int, ...] = ()
    path: int | None = None
    pixel_text: int | None = None
    pixels: tuple[int, ...] = ()
    split: int | None = None
    group: int | None = None
    mixed: bool = False
    unused: tuple[str, ...] = ()


def find_columns(table: CsvFile, options: ReadOptions, names_picture: Callable[[str], bool]) -> Columns:
    """Return what the columns of a table mean.

    Args:
        table: the table.
        options: names of columns that the user gave.
        names_picture: whether a cell names a picture that exists.

    Raises:
        DataError: a column that was named is not there, or none holds the label.
    """
    header = table.header
    if header is None:
        return _without_header(table, options)
    split = _find(header, _SPLIT_COLUMNS)
    group = None if options.group_column is None else _named(table, header, options.group_column, "group_column")
    label = _find(header, LABEL_COLUMNS)
    if options.label_column is not None:
        label = _named(table, header, options.label_column, "label_column")
    if group is not None and group == label:
        raise DataError(f"{table.entry}: the column {header[group]!r} cannot be both label_column and group_column.")
    try:
        sample = [row for _, row in islice(table.rows(), _SAMPLE)]
    except DataError:  # raised again where the rows are read
        sample = []
    pixel_text = _find(header, _PIXEL_TEXT_COLUMNS)
    if pixel_text is not None and all(len(row[pixel_text].split()) >= 4 for row in sample):
        if label is None:
            raise _no_label(table, header)
        return Columns(label=label, pixel_text=pixel_text, split=split, group=group, mixed=True)
    path = _path_column(table, header, options, sample, names_picture)
    rest = [index for index in range(len(header)) if index not in (label, path, split, group)]
    if path is not None:
        labels = [index for index in rest if not _is_index(header[index])]
        if label is None and len(labels) == 1:
            label = labels[0]
        marks = {row[index].strip() for row in sample for index in labels}
        one_hot = tuple(labels) if label is None and len(labels) >= 2 and marks and marks <= _MARKS else ()
        if label is None and not one_hot:
            raise _no_label(table, header)
        unused = () if one_hot else tuple(header[index] for index in labels if index != label)
        return Columns(label=label, one_hot=one_hot, path=path, split=split, group=group, unused=unused)
    if label is None:
        raise _no_label(table, header)
    numbered = [index for index in rest if _NUMBERED.fullmatch(_compact(header[index]))]
    if len(numbered) < max(4, len(rest) / 2):
        numbered = [index for index in rest if not _is_index(header[index])]
    known = set(numbered)
    mixed = any(not is_number(cell) for row in sample for index, cell in enumerate(row) if index not in known)
    beside = [*rest, *([] if split is None or mixed else [split])]
    unused = tuple(header[index] for index in beside if index not in numbered and not _is_index(header[index]))
    pixels = tuple(numbered)
    return Columns(label=label, pixels=pixels, split=split, group=group, mixed=mixed, unused=unused)


def _without_header(table: CsvFile, options: ReadOptions) -> Columns:
    if options.group_column is not None:
        raise DataError(
            f"{table.entry}: no column {options.group_column!r}, since the table has no header line. Add one with the names."
        )
    path = next((index for index, cell in enumerate(table.first) if is_picture_name(cell)), None)
    if path is None:
        label = _LABEL_POSITIONS.get((options.label_column or "").lower())
        if label is None:  # first, unless that column never changes and the last one does
            rows = next(table.number_rows(), np.zeros((1, table.columns), dtype=np.int64))
            first, last = (len(np.unique(rows[:, column])) for column in (0, -1))
            label = -1 if first == 1 and 1 < last <= max(2, len(rows) // 2) else 0
        label %= table.columns
        return Columns(label=label, pixels=tuple(index for index in range(table.columns) if index != label))
    if table.columns != 2:
        raise DataError(
            f"{table.entry}: the table has no header line and {table.columns} columns, so that it is not clear which one "
            "holds the label. Add a first line with the names, for instance path,label."
        )
    return Columns(label=1 - path, path=path)


def _path_column(
    table: CsvFile,
    header: list[str],
    options: ReadOptions,
    sample: list[list[str]],
    names_picture: Callable[[str], bool],
) -> int | None:
    if options.path_column is not None:
        return _named(table, header, options.path_column, "path_column")
    strong = _find(header, _PATH_COLUMNS)
    if strong is not None:
        return strong
    weak = [
        index for name in _WEAK_PATH_COLUMNS for index, cell in enumerate(header) if _compact(cell) == _compact(name)
    ]
    for index in weak:
        if any(names_picture(row[index]) for row in sample):
            return index
    all_names = (index for index in range(len(header)) if sample and all(is_picture_name(row[index]) for row in sample))
    return next(all_names, None)


def _find(header: Sequence[str], names: Sequence[str]) -> int | None:
    compact = [_compact(name) for name in header]
    return next((compact.index(_compact(name)) for name in names if _compact(name) in compact), None)


def _named(table: CsvFile, header: list[str], name: str, option: str) -> int:
    column = _find(header, (name,))
    if column is None:
        raise DataError(f"{table.entry}: {option}: no column {name!r}; the columns are {_listed(header)}.")
    return column


def _no_label(table: CsvFile, header: list[str]) -> DataError:
    return DataError(
        f"{table.entry}: no label column. Looked for {', '.join(LABEL_COLUMNS[:8])}, …; the columns are {_listed(header)}. "
        "Name it with label_column."
    )


def _listed(header: list[str]) -> str:
    return ", ".join(name[:40] for name in header[:12]) + (", …" if len(header) > 12 else "")


def _compact(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


@cache
def _compact_index_columns() -> frozenset[str]:
    return frozenset(map(_compact, _INDEX_COLUMNS))


def _is_index(name: str) -> bool:
    return _compact(name) in _compact_index_columns()
