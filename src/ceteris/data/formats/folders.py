"""Pictures in class folders, with or without folders for the parts; or labelled by a table that lies beside them."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ceteris.data.formats import tables
from ceteris.data.formats.entries import read_errors
from ceteris.data.formats.folder_layout import Folder, Layout, NoClassFoldersError, part_of, read_tree, understand
from ceteris.data.formats.picture_parts import (
    check_pictures,
    file_part,
    picture_files,
    sorted_classes,
)
from ceteris.data.formats.pictures import UNREAD_SUFFIXES
from ceteris.data.named import Location
from ceteris.data.source import Reader, ReadOptions, Source, Understood
from ceteris.errors import DataError
from ceteris.records import IntArray

_JOINED = "the folder's validation pictures joined the training part; validation is drawn from it"
_MOST_TABLES = 20


def detect(location: Location) -> Reader | None:
    """Return the reader of a folder of pictures, or None for a file."""
    path = location.path
    if location.known is not None or not path.is_dir():
        return None
    read = partial(folder_source, path, location.options, to_evaluate=location.to_evaluate)
    return Reader(kind="folder", files=(), read=read, stamp=partial(_folder_stamp, path))


def folder_source(root: Path, options: ReadOptions, *, to_evaluate: bool = False) -> Source:
    """Return the pictures of a folder as a source.

    Training and validation folders together make the training part when there is a test folder; validation takes the
    place of a missing test folder. Where the folders name no classes, a table beside them is read that does. ``to_evaluate``
    takes one part or one class alone, too.

    Raises:
        DataError: no pictures, no classes or only one, a class only the test part has, an unreadable picture, or pictures
            of different sizes while ``options.size`` is not given.
    """
    tree = read_tree(str(root))
    others = [Path(folder.path, name) for folder in (tree, *tree.below) for name in folder.others]
    others = [file for file in others if tables.is_table(file) and "submission" not in file.name.lower()][:_MOST_TABLES]
    beside = [file for file in others if tables.names_pictures(file)]  # in the folder or one level below
    beside = [file for file in beside if part_of(file.stem) == "train"] or beside
    if beside and (options.label_column or options.group_column):
        return _from_table(tree, beside, options, None)
    try:
        layout = understand(tree, to_evaluate=to_evaluate)
        if not to_evaluate and len({label for part in layout.pictures.values() for label in part}) < 2:
            ((label, paths),) = layout.pictures["train"].items()
            raise NoClassFoldersError(
                f"{root}: there is one class only, {label!r} ({len(paths):,} pictures). Two at least are needed: one folder "
                "per class, each with its pictures."
            )
    except NoClassFoldersError as error:
        if not beside:
            raise
        return _from_table(tree, beside, options, error)
    return _from_layout(root, layout, options, beside)


def _from_layout(root: Path, layout: Layout, options: ReadOptions, beside: list[Path]) -> Source:
    train, validation, test = (layout.pictures.get(part, {}) for part in ("train", "validation", "test"))
    training, testing = ([train, validation], test) if test else ([train], validation)
    names = sorted_classes({label for part in training for label in part} | (layout.empty & testing.keys()))
    testing = _known_classes(testing, names, layout)
    listed = [_listed(training, names), _listed([testing], names)]
    checked = check_pictures([picture_files(paths) for paths, _ in listed], options)
    parts = [
        file_part([paths[index] for index in kept], labels[kept], checked)
        for (paths, labels), kept in zip(listed, checked.readable, strict=True)
    ]
    joined = len(validation) > 0 and len(test) > 0
    folders = [tuple(layout.folders.get(part, ())) for part in ("train", "validation", "test")]
    suffixes = layout.root.suffixes_left_out()
    source = Source(
        name=root.resolve().name,
        title=f"Pictures in the folder {root.resolve().name}",
        source="the user's own folder",
        classes=tuple(os.fsencode(name).decode("utf-8", "replace") for name in names),
        train=parts[0],
        test=parts[1] if testing else None,
        label_meaning="the folder that a picture lies in",
        preprocessing=(_JOINED,) if joined else (),
        warnings=(*layout.warnings, *_remarks(layout, names, suffixes, beside)),
        understood=Understood(
            train=folders[0] + (folders[1] if joined else ()),
            test=folders[2] or folders[1],
            left_out=(*suffixes.most_common(), *layout.left_out.items()),
        ),
    )
    return checked.told_in(source)


def _known_classes(testing: dict[str, list[str]], names: tuple[str, ...], layout: Layout) -> dict[str, list[str]]:
    """Return the test pictures under the names of the training classes; letter case and spaces may differ."""
    known: dict[str, list[str]] = {}
    plain = defaultdict(list)
    for name in names:
        plain[_plain(name)].append(name)
    for label, paths in testing.items():
        alike = plain[_plain(label)]
        if label not in names and len(alike) != 1:
            raise DataError(
                f"{layout.root.path}: the test part has the class {label!r}, which the training part does not have. "
                f"Its classes: {', '.join(names[:20])}."
            )
        known.setdefault(label if label in names else alike[0], []).extend(paths)
    return known


def _listed(parts: Iterable[dict[str, list[str]]], names: tuple[str, ...]) -> tuple[list[str], IntArray]:
    paths: list[str] = []
    counts = []
    for part in parts:
        for number, name in enumerate(names):
            paths += part.get(name, [])
            counts.append((number, len(part.get(name, []))))
    labels, repeats = np.array(counts, dtype=np.int64).reshape(-1, 2).T
    return paths, np.repeat(labels, repeats)


def _remarks(layout: Layout, names: tuple[str, ...], suffixes: Counter[str], beside: list[Path]) -> list[str]:
    """Return warnings of pictures that are not read, of tables that are not used, and of names that look alike."""
    remarks = []
    unread = {suffix: count for suffix, count in suffixes.items() if suffix in UNREAD_SUFFIXES}
    if unread:
        listed = ", ".join(f"{suffix} ({count:,})" for suffix, count in unread.items())
        remarks.append(f"Files in formats that are not read were left out: {listed}. Convert them to PNG or JPEG.")
    if beside:
        listed = ", ".join(path.name for path in beside)
        remarks.append(
            f"{listed} beside the pictures was not read, since the folders name the classes; name it to use it."
        )
    same = {_plain(name): name for name in names}
    alike = [name for name in names if same[_plain(name)] != name]
    if alike:
        remarks.append(f"The classes {alike[0]!r} and {same[_plain(alike[0])]!r} differ in letter case or spaces only.")
    gone = sorted(layout.empty - set(names))
    if gone:
        remarks.append(f"Folders without a picture are no classes: {', '.join(gone[:10])}.")
    return remarks


def _plain(name: str) -> str:
    return "".join(name.casefold().split())


def _from_table(tree: Folder, beside: list[Path], options: ReadOptions, reason: DataError | None) -> Source:
    if len(beside) > 1:
        raise DataError(
            f"{reason or tree.path} Tables beside the pictures: {', '.join(map(str, beside))}. "
            "Name the one that holds the labels."
        ) from reason
    source = tables.table_source(beside[0], options)
    used = len(source.train.labels) + (len(source.test.labels) if source.test else 0)
    left_out = [(f"pictures that are not in {beside[0].name}", tree.count - used)] if tree.count > used else []
    understood = replace(source.understood, left_out=(*source.understood.left_out, *left_out))
    return replace(source, understood=understood)


def _folder_stamp(root: Path) -> str:
    """Return a digest of the paths, sizes and times of change of all files that count: it changes when they do."""
    digest, start = hashlib.sha256(), str(root)
    with read_errors(root):
        for path in read_tree(start).all_files():
            state = os.stat(path)
            line = f"{path[len(start) :]} {state.st_size} {state.st_mtime_ns}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
