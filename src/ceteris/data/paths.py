"""Reading what lies at a path: which format is it, and how is it read."""

from functools import partial
from pathlib import Path

import numpy as np

from ceteris.data.formats.cifar import CifarLayout
from ceteris.data.formats.entries import Entry, archived_entries, entries
from ceteris.data.formats.folders import folder_source, folder_stamp
from ceteris.data.formats.idx import idx_part, read_mapping
from ceteris.data.formats.npz import npz_source
from ceteris.data.formats.parquet import parquet_source
from ceteris.data.formats.tables import picture_stamp, table_source
from ceteris.data.locate import Located, cifar_at, idx_file
from ceteris.data.named import find_named
from ceteris.data.options import ReadOptions
from ceteris.data.source import Source
from ceteris.errors import DataError

KNOWN_FORMATS = (
    "a folder of class folders, IDX files (a folder with images and labels), .csv, .npz, .parquet, "
    "a CIFAR archive (.tar.gz, .tar.xz, .zip) or its folder"
)


def locate_path(path: Path, options: ReadOptions) -> Located:
    """Return how the file or folder at ``path`` is to be read.

    Raises:
        DataError: nothing that a reader knows.
    """
    return _locate_folder(path, options) if path.is_dir() else _locate_file(path, options)


def _locate_file(path: Path, options: ReadOptions) -> Located:
    lower = path.name.lower()
    if lower.endswith((".csv", ".csv.gz")):
        stamp = partial(picture_stamp, path)
        return Located(kind="csv", files=(path,), read=lambda: table_source(path, options), stamp=stamp)
    if not lower.endswith(".parquet"):
        options.only(str(path), "test_fraction")
    if lower.endswith(".npz"):
        return Located(kind="npz", files=(path,), read=lambda: npz_source(path, name=path.stem))
    if lower.endswith(".parquet"):
        return Located(kind="parquet", files=(path,), read=lambda: parquet_source(path, options))
    if lower.startswith("cifar-"):
        return _cifar(path, "cifar-100" if lower.startswith("cifar-100") else "cifar-10")
    if "idx3" in lower:
        return _idx_located(path.parent, lower.partition("images")[0])
    raise DataError(f"{path}: no data set in a format that is known. Known: {KNOWN_FORMATS}.")


def _cifar(location: Path, name: str) -> Located:
    known = find_named(name)
    assert known is not None
    assert isinstance(known.layout, CifarLayout)
    return cifar_at(known, known.layout, location)


def _locate_folder(folder: Path, options: ReadOptions) -> Located:
    files = entries(folder)
    if not any(path.is_dir() for path in folder.iterdir()):
        files += archived_entries(folder)
    if any("idx3" in entry.name.lower() for entry in files):
        options.only(f"the IDX files in {folder}", "test_fraction")
        return _idx_located(folder, None)
    if any(entry.name.lower().endswith(".parquet") for entry in files) or (
        (folder / "data").is_dir() and any((folder / "data").glob("*.parquet"))
    ):
        found = tuple(sorted(folder.rglob("*.parquet")))
        return Located(kind="parquet folder", files=found, read=lambda: parquet_source(folder, options))
    names = {entry.name for entry in files}
    if "test.bin" in names or "data_batch_1.bin" in names or "data_batch_1" in names:
        return _cifar(folder, "cifar-100" if "test.bin" in names else "cifar-10")
    return Located(
        kind="folder",
        files=(),
        read=lambda: folder_source(folder, options),
        stamp=partial(folder_stamp, folder),
    )


def _idx_located(folder: Path, prefix: str | None) -> Located:
    files = entries(folder)
    if not any("images" in entry.name.lower() for entry in files):
        files += archived_entries(folder)
    images = [entry.name.lower() for entry in files if "images" in entry.name.lower()]
    prefixes = sorted({name.partition("train")[0] for name in images if "train" in name})
    chosen = prefixes[0] if prefixes else None
    if prefix is not None:
        chosen = next((known for known in reversed(prefixes) if prefix.startswith(known)), None)
    elif len(prefixes) > 1:
        raise DataError(
            f"{folder}: holds several sets ({', '.join(repr(known) for known in prefixes)}). Name the image file of one."
        )
    if chosen is None:
        raise DataError(f"{folder}: no IDX file with training images (…train-images-idx3-ubyte) in it.")
    return _idx_set(folder, files, chosen)


def _idx_set(folder: Path, files: list[Entry], prefix: str) -> Located:
    train = [idx_file(files, prefix, "train", kind) for kind in ("images", "labels")]
    tests = ([idx_file(files, prefix, part, kind) for kind in ("images", "labels")] for part in ("test", "t10k"))
    test = next((pair for pair in tests if None not in pair), None)
    if None in train:
        raise DataError(f"{folder}: the training labels ({prefix}train-labels-idx1-ubyte) are missing.")
    mapping = next((entry for entry in files if entry.name.lower() == f"{prefix}mapping.txt"), None)
    used = [entry for entry in (*train, *(test or ()), mapping) if entry is not None]
    paths = tuple(dict.fromkeys(entry.path for entry in used))
    return Located(
        kind=f"idx {prefix}", files=paths, read=lambda: _read_idx(folder, prefix, used, test is not None, mapping)
    )


def _read_idx(folder: Path, prefix: str, files: list[Entry], has_test: bool, mapping: Entry | None) -> Source:
    transposed = prefix.startswith("emnist-")
    names = read_mapping(mapping) if mapping else {}
    first = min(names, default=0)  # EMNIST Letters counts its labels from 1
    train = idx_part(files[0], files[1], transposed=transposed, first_label=first)
    test = idx_part(files[2], files[3], transposed=transposed, first_label=first) if has_test else None
    used = np.unique(np.concatenate([part.labels for part in (train, test) if part is not None])) + first
    unknown = [int(label) for label in used if names and int(label) not in names]
    if unknown:
        raise DataError(f"{files[1]}: holds the label {unknown[0]}, which is not in the mapping {mapping}.")
    highest = max(int(used.max()), *names, 0)
    return Source(
        name=(prefix.strip("-_. ") or folder.resolve().name),
        title=f"IDX files in {folder.resolve().name}",
        citation="the user's own files",
        licence="not stated",
        classes=tuple(names.get(number, str(number)) for number in range(first, highest + 1)),
        train=train,
        test=test,
        label_meaning="the class number in the label file",
        preprocessing=("turned upright (EMNIST's files store columns first)",) if transposed else (),
    )
