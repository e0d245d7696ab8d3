"""Finding the files of a set, by name below a data folder or by path, before anything is read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ceteris.data.catalogue import BuiltIn, IdxLayout, NamedSet
from ceteris.data.formats.cifar import CifarLayout, cifar_parts
from ceteris.data.formats.digits import digits_source
from ceteris.data.formats.entries import Entry, entries
from ceteris.data.formats.folders import folder_source, folder_stamp
from ceteris.data.formats.idx import idx_part, labels_inside, read_mapping
from ceteris.data.options import ReadOptions
from ceteris.data.source import Source
from ceteris.errors import DataError

_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where a set lies and how to read it: ``kind`` names the reading, ``files`` and ``stamp`` tell when it has changed."""

    kind: str
    files: tuple[Path, ...]
    read: Callable[[], Source]
    stamp: Callable[[], str] = str


def locate_named(known: NamedSet, data_dir: Path | None) -> Located:
    """Return where a named set lies below ``data_dir``.

    Raises:
        DataError: not there; the message lists what was looked for and where.
    """
    layout = known.layout
    if isinstance(layout, BuiltIn):
        return Located(kind=known.name, files=(), read=digits_source)
    if data_dir is None:
        raise DataError(
            f"{known.name}: no data folder is given. Name the folder that holds the files (--data-dir, or the environment "
            "variable CETERIS_DATA)."
        )
    for folder in _folders(known, data_dir):
        found = _in_folder(known, layout, folder)
        if found:
            return found
    raise _not_found(known, data_dir)


def locate_path(path: Path, options: ReadOptions) -> Located:
    """Return how the file or folder at ``path`` is to be read.

    Raises:
        DataError: nothing there, or nothing that a reader knows.
    """
    if path.is_dir():
        return _locate_folder(path, options)
    raise DataError(f"{path}: no data set in a format that is known. Known: IDX pairs, CIFAR archives, class folders.")


def _folders(known: NamedSet, data_dir: Path) -> list[Path]:
    found = [data_dir / folder for folder in known.folders]
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


def _in_folder(known: NamedSet, layout: IdxLayout | CifarLayout, folder: Path) -> Located | None:
    if isinstance(layout, IdxLayout):
        return _idx_in(known, layout, entries(folder))
    return _cifar_in(known, layout, folder)


def _idx_in(known: NamedSet, layout: IdxLayout, files: list[Entry]) -> Located | None:
    pairs = [
        _idx_file(files, layout.prefix, part, kind)
        for part in (layout.train, layout.test)
        for kind in ("images", "labels")
    ]
    if None in pairs:
        return None
    present = [entry for entry in pairs if entry is not None]
    mapping = next((entry for entry in files if entry.name.lower() == layout.mapping), None) if layout.mapping else None
    paths = tuple(dict.fromkeys(entry.path for entry in (*present, *([mapping] if mapping else []))))
    return Located(kind=f"{known.name} idx", files=paths, read=lambda: _read_idx(known, layout, present, mapping))


def _idx_file(files: list[Entry], prefix: str, part: str, kind: str) -> Entry | None:
    dimensions = 3 if kind == "images" else 1
    pattern = re.compile(rf"{re.escape(prefix)}{part}[-_.]{kind}[-_.]idx{dimensions}[-_.]ubyte")
    return next((entry for entry in files if pattern.fullmatch(entry.name.lower())), None)


def _read_idx(known: NamedSet, layout: IdxLayout, files: list[Entry], mapping: Entry | None) -> Source:
    classes = known.classes
    if mapping is not None:
        table = read_mapping(mapping)
        classes = tuple(table.get(number + layout.first_label, name) for number, name in enumerate(known.classes))
    train, test = (
        idx_part(images, labels, transposed=layout.transposed, first_label=layout.first_label)
        for images, labels in (files[:2], files[2:])
    )
    labels_inside(train.labels, len(classes), files[1])
    labels_inside(test.labels, len(classes), files[3])
    return _named_source(known, Source(
        name=known.name, title=known.title, citation=known.citation, licence=known.licence, classes=classes, train=train,
        test=test, preprocessing=("turned upright (the files store columns first)",) if layout.transposed else (),
    ))  # fmt: skip


def _cifar_in(known: NamedSet, layout: CifarLayout, folder: Path) -> Located | None:
    if all((folder / name).is_file() for name in (*layout.train, *layout.test)):
        files = tuple(folder / name for name in layout.wanted if (folder / name).is_file())
        return Located(kind=f"{known.name} binary", files=files, read=lambda: _read_cifar(known, layout, folder))
    for stem in known.archives:
        for suffix in _TAR_SUFFIXES:
            archive = folder / f"{stem}{suffix}"
            if archive.is_file():
                return Located(
                    kind=f"{known.name} binary", files=(archive,), read=lambda: _read_cifar(known, layout, archive)
                )
    return None


def _read_cifar(known: NamedSet, layout: CifarLayout, location: Path) -> Source:
    train, test, classes = cifar_parts(location, layout, known.classes)
    return _named_source(known, Source(
        name=known.name, title=known.title, citation=known.citation, licence=known.licence, classes=classes, train=train,
        test=test,
    ))  # fmt: skip


def _named_source(known: NamedSet, source: Source) -> Source:
    assert source.test is not None
    counts = (len(source.train.labels), len(source.test.labels))
    official = (known.train_count, known.test_count)
    note = known.note
    if counts != official:
        difference = (
            f"The files hold {counts[0]} training and {counts[1]} test images; {known.title} has {official[0]} and "
            f"{official[1]}. This is not the complete set."
        )
        note = f"{note} {difference}".strip()
    from dataclasses import replace

    warnings = (note,) if counts != official else ()
    return replace(source, note=note, label_meaning=known.label_meaning, warnings=(*source.warnings, *warnings))


def _locate_folder(folder: Path, options: ReadOptions) -> Located:
    return Located(
        kind=f"folder {options.key()}",
        files=(),
        read=lambda: folder_source(folder, options),
        stamp=lambda: "\n".join(folder_stamp(folder)),
    )


def _not_found(known: NamedSet, data_dir: Path) -> DataError:
    layout = known.layout
    if isinstance(layout, IdxLayout):
        wanted = (
            f"{layout.prefix}{layout.train}-images-idx3-ubyte (plain, .gz or in a .zip), its labels and the test pair"
        )
    else:
        wanted = f"{known.archives[0]}.tar.gz (or .tar.xz, .tar) or the folder that it unpacks to"
    places = ", ".join(str(data_dir / folder) if folder else str(data_dir) for folder in known.folders)
    return DataError(
        f"{known.name}: not found. Looked for {wanted} in: {places}. Put the files there or name another data folder."
    )
