"""Finding the files of a set that is known by name, in any form in which they are passed around."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ceteris.data.catalogue import IdxLayout, NamedSet, NpzLayout
from ceteris.data.formats.cifar import CifarLayout, cifar_parts
from ceteris.data.formats.entries import Entry, archived_entries, entries
from ceteris.data.formats.idx import idx_part, labels_inside, read_mapping
from ceteris.data.formats.npz import npz_source
from ceteris.data.formats.tables import pixel_table
from ceteris.data.options import ReadOptions
from ceteris.data.source import Part, Source, array_part
from ceteris.errors import DataError

_KIN = ("fashion", "kmnist", "kuzushiji", "emnist", "qmnist", "notmnist")
_ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where a set lies and how to read it: ``kind`` names the reading, ``files`` and ``stamp`` tell when it has changed."""

    kind: str
    files: tuple[Path, ...]
    read: Callable[[], Source]
    stamp: Callable[[], str] = str


def find_files(known: NamedSet, roots: tuple[Path, ...]) -> Located | None:
    """Return where a named set lies below one of the folders ``roots``, or None.

    Raises:
        DataError: not found, and an archive in which it may be cannot be opened.
    """
    places = dict.fromkeys(root / folder for root in roots for folder in known.folders)
    problems = []
    for place in places:
        try:
            found = _in_folder(known, place) if place.is_dir() else None
        except DataError as error:
            problems.append(error)
        else:
            if found:
                return found
    if problems:
        raise problems[0]
    return None


def not_found(known: NamedSet, roots: tuple[Path, ...]) -> str:
    """Return the sentence that tells what was looked for and where."""
    layout = known.layout
    if isinstance(layout, IdxLayout):
        first = f"{layout.prefix}{layout.train}-images-idx3-ubyte"
        wanted = f"{first} with its labels and the test pair (plain, .gz, .xz, .bz2, or in a .zip)"
    elif isinstance(layout, NpzLayout):
        wanted = layout.file
    else:
        wanted = f"{' or '.join(known.archives)} (.tar.gz, .tar.xz, .tar, .zip, or the folder that it unpacks to)"
    if not roots:
        return f"{known.name}: no data folder was given, so nothing was looked for on this machine."
    places = dict.fromkeys(str(root / folder) for root in roots for folder in known.folders)
    return f"{known.name}: not found. Looked for {wanted} in: {', '.join(places)}."


def _in_folder(known: NamedSet, folder: Path) -> Located | None:
    match known.layout:
        case IdxLayout() as layout:
            files = _own_files(known, folder, entries(folder))
            found = _idx_among(known, layout, files) or _tables_among(known, layout, files)
            if found:
                return found
            files += _own_files(known, folder, archived_entries(folder))
            return _idx_among(known, layout, files) or _tables_among(known, layout, files)
        case NpzLayout() as layout:
            return _npz_in(known, folder / layout.file)
        case CifarLayout() as layout:
            return _cifar_in(known, layout, folder)
        case _:
            return None


def _own_files(known: NamedSet, folder: Path, files: list[Entry]) -> list[Entry]:
    """Leave out what lies in a folder or archive of another set: MNIST and its kin use the same file names."""
    kin = [word for word in _KIN if word not in known.name.replace("-", "")]
    where = f"{folder.parent.name}/{folder.name}/" if not known.name.startswith("emnist") else ""
    return [
        entry
        for entry in files
        if not any(word in f"{where}{entry.path.name}/{entry.member}".lower().replace("-", "") for word in kin)
    ]


def _idx_among(known: NamedSet, layout: IdxLayout, files: list[Entry]) -> Located | None:
    found = [
        idx_file(files, layout.prefix, part, kind)
        for part in (layout.train, layout.test)
        for kind in ("images", "labels")
    ]
    present = [entry for entry in found if entry is not None]
    if len(present) < len(found):
        return None
    mapping = _mapping(files, layout)
    paths = tuple(dict.fromkeys(entry.path for entry in (*present, *([mapping] if mapping else []))))
    return Located(kind=f"{known.name} idx", files=paths, read=lambda: _read_idx(known, layout, present, mapping))


def idx_file(files: list[Entry], prefix: str, part: str, kind: str) -> Entry | None:
    """Return the IDX file of ``part`` ("train") and ``kind`` ("images" or "labels") with this prefix, in usual spellings."""
    dimensions = 3 if kind == "images" else 1
    pattern = re.compile(rf"{re.escape(prefix)}{part}[-_.]{kind}[-_.]idx{dimensions}[-_.]ubyte(\.idx)?")
    return next((entry for entry in files if pattern.fullmatch(entry.name.lower())), None)


def _mapping(files: list[Entry], layout: IdxLayout) -> Entry | None:
    return next((entry for entry in files if layout.mapping and entry.name.lower() == layout.mapping), None)


def _read_idx(known: NamedSet, layout: IdxLayout, files: list[Entry], mapping: Entry | None) -> Source:
    classes = _mapped_classes(known, layout, mapping)
    train, test = (
        idx_part(images, labels, transposed=layout.transposed, first_label=layout.first_label)
        for images, labels in (files[:2], files[2:])
    )
    labels_inside(train.labels, len(classes), files[1])
    labels_inside(test.labels, len(classes), files[3])
    return _named(known, classes, train, test, layout)


def _mapped_classes(known: NamedSet, layout: IdxLayout, mapping: Entry | None) -> tuple[str, ...]:
    table = read_mapping(mapping) if mapping else {}
    return tuple(table.get(number + layout.first_label, name) for number, name in enumerate(known.classes))


def _tables_among(known: NamedSet, layout: IdxLayout, files: list[Entry]) -> Located | None:
    by_name = {entry.name.lower(): entry for entry in files}
    present = ((by_name.get(train), by_name.get(test)) for train, test in layout.tables)
    train, test = next((pair for pair in present if None not in pair), (None, None))
    if train is None or test is None:
        return None
    pair, mapping = (train, test), _mapping(files, layout)
    paths = tuple(dict.fromkeys(entry.path for entry in (*pair, *([mapping] if mapping else []))))
    return Located(kind=f"{known.name} csv", files=paths, read=lambda: _read_tables(known, layout, pair, mapping))


def _read_tables(known: NamedSet, layout: IdxLayout, pair: tuple[Entry, Entry], mapping: Entry | None) -> Source:
    train, test = (_table_part(entry, layout, len(known.classes)) for entry in pair)
    return _named(known, _mapped_classes(known, layout, mapping), train, test, layout)


def _table_part(entry: Entry, layout: IdxLayout, classes: int) -> Part:
    images, labels = pixel_table(entry, ReadOptions(), transposed=layout.transposed)
    numbers = labels - layout.first_label
    labels_inside(numbers, classes, entry)
    return array_part(images, numbers)


def _npz_in(known: NamedSet, path: Path) -> Located | None:
    if not path.is_file():
        return None
    return Located(kind=f"{known.name} npz", files=(path,), read=lambda: _read_npz(known, path))


def _read_npz(known: NamedSet, path: Path) -> Source:
    source = npz_source(path, name=known.name, classes=known.classes)
    if source.test is None:
        raise DataError(f"{path}: has no test part, but {known.title} has one. Fetch the file again.")
    return _named(known, source.classes, source.train, source.test, None, source.preprocessing)


def _cifar_in(known: NamedSet, layout: CifarLayout, folder: Path) -> Located | None:
    location = _cifar_location(known, layout, folder)
    return cifar_at(known, layout, location) if location else None


def cifar_at(known: NamedSet, layout: CifarLayout, location: Path) -> Located:
    """Return how the archive or folder at ``location`` is read as the set ``known``."""
    files: tuple[Path, ...] = (location,)
    if location.is_dir():
        wanted = (*layout.versions[0], *layout.versions[1], layout.names, layout.pickled_names)
        files = tuple(location / name for name in wanted if (location / name).is_file())
    return Located(kind=f"{known.name} cifar", files=files, read=lambda: _read_cifar(known, layout, location))


def _cifar_location(known: NamedSet, layout: CifarLayout, folder: Path) -> Path | None:
    stem = known.archives[0].removesuffix("-binary")
    unpacked = ("", f"{stem}-batches-bin", f"{stem}-binary", f"{stem}-batches-py", f"{stem}-python")
    for place in (folder / name for name in unpacked):
        if any(all((place / name).is_file() for name in version) for version in layout.versions):
            return place
    archives = (folder / f"{name}{suffix}" for name in known.archives for suffix in _ARCHIVE_SUFFIXES)
    return next((archive for archive in archives if archive.is_file()), None)


def _read_cifar(known: NamedSet, layout: CifarLayout, location: Path) -> Source:
    train, test, classes = cifar_parts(location, layout, known.classes)
    return _named(known, classes, train, test, None)


def _named(
    known: NamedSet, classes: tuple[str, ...], train: Part, test: Part, layout: IdxLayout | None,
    preprocessing: tuple[str, ...] = (),
) -> Source:  # fmt: skip
    if train.shape != known.image_shape:
        raise DataError(
            f"{known.name}: the files hold images of {train.shape} (channels, height, width), {known.title} has "
            f"{known.image_shape}. They are of another set; name them by their path."
        )
    turned = ("turned upright (the files store columns first)",) if layout is not None and layout.transposed else ()
    source = Source(
        name=known.name, title=known.title, citation=known.citation, licence=known.licence, classes=classes, train=train,
        test=test, note=known.note, label_meaning=known.label_meaning, preprocessing=(*turned, *preprocessing),
    )  # fmt: skip
    return _complete(known, source, len(train.labels), len(test.labels))


def _complete(known: NamedSet, source: Source, train: int, test: int) -> Source:
    """Say so when the files do not hold the official numbers of images."""
    if (train, test) == (known.train_count, known.test_count):
        return source
    difference = (
        f"The files hold {train} training and {test} test images; {known.title} has {known.train_count} and "
        f"{known.test_count}. This is not the complete official set."
    )
    note = f"{source.note} {difference}".strip()
    return replace(source, note=note, warnings=(*source.warnings, difference))
