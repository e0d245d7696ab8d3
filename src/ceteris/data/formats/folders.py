"""Pictures in class folders: <class>/<picture>, optionally below Train/ and Test/ (any letter case)."""

import hashlib
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from ceteris.data.formats.entries import read_errors
from ceteris.data.formats.picture_parts import common_shape, file_headers, file_part, preprocessing_of, sorted_classes
from ceteris.data.formats.pictures import SUFFIXES, picture_header, read_picture
from ceteris.data.options import ReadOptions
from ceteris.data.source import Located, Source
from ceteris.errors import DataError
from ceteris.records import IntArray

_TRAIN, _TEST = ("train", "training"), ("test", "testing")
_VALIDATION = ("val", "valid", "validation", "dev")


@dataclass(frozen=True, kw_only=True)
class FolderLayout:
    """Which folders hold the class folders of each part; ``test`` is None where there is no test part."""

    train: tuple[Path, ...]
    test: Path | None
    joined: bool  # a validation part was joined to the training part


def match(path: Path, options: ReadOptions) -> Located | None:
    """Return how a folder of class folders is read, or None for a file."""
    if not path.is_dir():
        return None
    read = partial(folder_source, path, options)
    return Located(kind="folder", files=(), read=read, stamp=partial(_folder_stamp, path))


def folder_layout(root: Path) -> FolderLayout:
    """Return the parts of a folder of pictures, by the names of its folders.

    Training and validation folders together make the training part when there is a test folder; validation takes the
    place of a missing test folder.

    Raises:
        DataError: the folder is missing, or a test folder stands there without a training folder.
    """
    by_name = {path.name.lower(): path for path in _folders(root)}
    train, test, validation = (
        next((by_name[name] for name in names if name in by_name), None) for names in (_TRAIN, _TEST, _VALIDATION)
    )
    if train is None and test is not None:
        raise DataError(f"{root}: has a folder {test.name}/ but no folder Train/ beside it.")
    if train is None:
        return FolderLayout(train=(root,), test=None, joined=False)
    if test is None:
        return FolderLayout(train=(train,), test=validation, joined=False)
    return FolderLayout(train=(train, validation) if validation else (train,), test=test, joined=validation is not None)


def folder_source(root: Path, options: ReadOptions) -> Source:
    """Return the pictures of a folder of class folders as a source.

    Raises:
        DataError: no pictures, a class only the test part has, an unreadable picture, or pictures of different sizes
            while ``options.size`` is not given.
    """
    layout = folder_layout(root)
    classes = _class_names(layout.train)
    train = _listed(layout.train, classes)
    test = _listed((layout.test,), classes) if layout.test else None
    if not train[0] or (test and not test[0]):
        raise DataError(
            f"{root}: no pictures found. Expected a folder per class with {', '.join(sorted(SUFFIXES))} files."
        )
    shape = common_shape(file_headers(chain(train[0], test[0] if test else ())), options)
    joined = ("the folder's validation pictures joined the training part; validation is drawn from it",)
    return Source(
        name=root.resolve().name,
        title=f"Pictures in the folder {root.resolve().name}",
        citation="the user's own folder",
        licence="not stated",
        classes=tuple(os.fsencode(name).decode("utf-8", "replace") for name in classes),
        train=file_part(*train, shape, options),
        test=file_part(*test, shape, options) if test else None,
        label_meaning="the folder that a picture lies in",
        preprocessing=(*preprocessing_of(options), *(joined if layout.joined else ())),
    )


def unreadable_pictures(root: Path, options: ReadOptions) -> tuple[str, ...]:
    """Return one message for every picture of the folder that cannot be read; loading stops at the first of them.

    Raises:
        DataError: the folder itself cannot be understood; see :func:`folder_source`.
    """
    layout = folder_layout(root)
    classes = _class_names(layout.train)
    folders = (*layout.train, *((layout.test,) if layout.test else ()))
    messages = []
    for path in (path for folder in folders for path, _ in _pictures(folder, classes)):
        try:
            content = Path(path).read_bytes()
            read_picture(content, path, picture_header(content, path).channels, options)
        except (DataError, OSError) as error:
            messages.append(str(error))
    return tuple(messages)


def _folder_stamp(root: Path) -> str:
    """Return a digest of the paths, sizes and times of change of all files below ``root``: it changes when they do."""
    digest = hashlib.sha256()
    with read_errors(root):
        for folder, folders, files in os.walk(root):
            folders.sort()
            below = os.path.relpath(folder, root)
            for name in sorted(files):
                state = os.stat(f"{folder}/{name}")
                line = f"{below}/{name} {state.st_size} {state.st_mtime_ns}\n"
                digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _folders(root: Path) -> list[Path]:
    with read_errors(root):
        return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _class_names(folders: tuple[Path, ...]) -> tuple[str, ...]:
    names = sorted_classes(path.name for folder in folders for path in _folders(folder))
    if not names:
        raise DataError(f"{folders[0]}: no class folders in it. Expected one folder per class, each with its pictures.")
    return names


def _listed(folders: tuple[Path, ...], classes: tuple[str, ...]) -> tuple[list[str], IntArray]:
    paths, labels = [], array("q")  # a folder may hold millions of pictures, so nothing else is kept of each
    for folder in folders:
        for path, label in _pictures(folder, classes):
            paths.append(path)
            labels.append(label)
    return paths, np.array(labels, dtype=np.int64)


def _pictures(folder: Path, classes: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    numbers = {name: number for number, name in enumerate(classes)}
    present = [path.name for path in _folders(folder)]
    for name in present:
        if name not in numbers:
            raise DataError(
                f"{folder}: has the class {name!r}, which the training part does not have. "
                f"Its classes: {', '.join(classes[:20])}."
            )
    for name in sorted(present, key=numbers.__getitem__):
        for path in _files_below(str(folder / name)):
            yield path, numbers[name]


def _files_below(folder: str) -> Iterator[str]:
    with read_errors(folder):
        for below, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(files):
                if name[0] != "." and os.path.splitext(name)[1].lower() in SUFFIXES:
                    yield os.path.join(below, name)
