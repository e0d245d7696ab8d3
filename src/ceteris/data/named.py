"""Sets that are known by name: the table ``named.toml`` says what they are, and here they are found on this machine."""

import math
import os
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np

from ceteris.data.download import RemoteFile
from ceteris.data.formats import cifar
from ceteris.data.formats.built_in import BUILT_IN
from ceteris.data.formats.entries import Entry, entries
from ceteris.data.formats.idx import UPRIGHT, find_files, find_mapping, idx_part, read_mapping
from ceteris.data.formats.npz import npz_source
from ceteris.data.formats.tables import pixel_table
from ceteris.data.source import Located, Part, ReadOptions, Source, array_part
from ceteris.errors import DataError, did_you_mean

DATA_VARIABLE = "CETERIS_DATA"
_KIN = ("fashion", "kmnist", "kuzushiji", "emnist", "qmnist", "notmnist")  # they use the file names of MNIST


@dataclass(frozen=True, kw_only=True)
class NamedSet:
    """One set that is known by name; the fields are explained at the head of ``named.toml``.

    ``prefix``, ``transposed``, ``first_label`` and ``tables`` (pairs of CSV files that hold the same) belong to IDX files.
    """

    name: str
    aliases: tuple[str, ...] = ()
    title: str
    citation: str
    licence: str
    classes: tuple[str, ...]
    counts: tuple[int, int]
    shape: tuple[int, int, int]
    label_meaning: str
    note: str = ""
    format: str
    folders: tuple[str, ...] = ()
    prefix: str = ""
    transposed: bool = False
    first_label: int = 0
    tables: tuple[tuple[str, str], ...] = ()
    files: tuple[RemoteFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SetRow:
    """One named set to print; ``where`` is the file or folder it was found in, "built in", or "" when it is not there.

    ``download_bytes`` is 0 where the size is not published or nothing has to be fetched. ``checksum`` says by what a
    download is verified: "sha256", "md5", or "" when the set cannot be downloaded.
    """

    name: str
    title: str
    train_count: int
    test_count: int
    classes: int
    image_shape: tuple[int, int, int]
    image_bytes: int
    download_bytes: int
    checksum: str
    licence: str
    source: str
    where: str

    @property
    def present(self) -> bool:
        """Whether the set can be loaded without the network."""
        return bool(self.where)


@cache
def named_sets() -> tuple[NamedSet, ...]:
    """Return all sets that are known by name."""
    table = tomllib.loads(package_files("ceteris.data").joinpath("named.toml").read_text(encoding="utf-8"))
    return tuple(_from_table(table, row) for row in table["set"])


def find_named(name: str) -> NamedSet | None:
    """Return the set of that name or alias (in any letter case), or None."""
    wanted = name.lower()
    return next((known for known in named_sets() if wanted == known.name or wanted in known.aliases), None)


def unknown_name(name: str) -> DataError:
    """Return the error for a name that is neither a known set nor a path."""
    known = [entry.name for entry in named_sets()]
    return DataError(
        f'"{name}" is neither a known data set nor an existing path: there is no {Path(name).expanduser().absolute()}.'
        f"{did_you_mean(name.lower(), known)} "
        f"Known: {', '.join(known)}; or name a folder or file."
    )


def search_roots(data_dir: Path | None, cache_dir: Path) -> tuple[Path, ...]:
    """Return the folders in which named sets are looked for: the user's (or CETERIS_DATA), then the one for downloads."""
    own = data_dir or os.environ.get(DATA_VARIABLE)
    downloads = Path(cache_dir) / "downloads"
    return (Path(own), downloads) if own else (downloads,)


def list_sets(data_dir: Path | None, *, cache_dir: Path) -> tuple[SetRow, ...]:
    """Return a row for every named set, found below ``data_dir`` (default: CETERIS_DATA) or among the downloads."""
    roots, rows = search_roots(data_dir, cache_dir), []
    for known in named_sets():
        try:
            located = find(known, roots)
            files = () if located is None else located.files
            where = str(files[0].parent if len(files) > 1 else files[0]) if files else ""
        except DataError as error:
            where = f"damaged: {error}"
        rows.append(
            SetRow(
                name=known.name,
                title=known.title,
                train_count=known.counts[0],
                test_count=known.counts[1],
                classes=len(known.classes),
                image_shape=known.shape,
                image_bytes=sum(known.counts) * math.prod(known.shape),
                download_bytes=sum(remote.size for remote in known.files),
                checksum=next(("sha256" if remote.sha256 else "md5" for remote in known.files), ""),
                licence=known.licence,
                source=known.citation,
                where="built in" if known.format == "built in" else where,
            )
        )
    return tuple(rows)


def find(known: NamedSet, roots: tuple[Path, ...]) -> Located | None:
    """Return where a named set lies below one of the folders ``roots``, or None.

    Raises:
        DataError: not found, and an archive in which it may be cannot be opened.
    """
    if known.format == "built in":
        facts = {name: getattr(known, name) for name in ("title", "citation", "licence", "note", "label_meaning")}
        return Located(kind=known.name, files=(), read=lambda: replace(BUILT_IN[known.name](), **facts))
    problems = []
    for folder in (folder for folder in _search_folders(known, roots) if folder.is_dir()):
        try:
            found = _in_folder(known, folder)
        except DataError as error:
            problems.append(error)
        else:
            if found:
                return found
    if problems:
        raise problems[0]
    return None


def not_found(known: NamedSet, roots: tuple[Path, ...]) -> str:
    """Return the sentence that says what was looked for and where."""
    wanted = {
        "idx": f"{known.prefix}train-images-idx3-ubyte with its labels and the test pair "
        "(plain, .gz, .xz, .bz2, or in a .zip)",
        "npz": known.files[0].name if known.files else "",
        "cifar": f"{' or '.join(cifar.archive_names(known.name))} (.tar.gz, .tar.xz, .tar, .zip, or the folder that it "
        "unpacks to)",
    }[known.format]
    return f"{known.name}: not found. Looked for {wanted} in: {', '.join(map(str, _search_folders(known, roots)))}."


def match(path: Path, options: ReadOptions) -> Located | None:
    """Return how the archive or folder of a CIFAR set at ``path`` is read, or None for anything else."""
    name = cifar.set_at(path)
    known = find_named(name) if name else None
    if known is None:
        return None
    if not path.is_dir():
        options.only(str(path), "test_fraction")
    return _cifar_at(known, path)


def _from_table(table: dict[str, Any], row: dict[str, Any]) -> NamedSet:
    fields = table["family"].get(row.get("family"), {}) | row
    fields.pop("family", None)
    urls = fields.pop("urls", [])
    fields["classes"] = table["classes"][fields["classes"]]
    fields["tables"] = [tuple(pair) for pair in fields.get("tables", [])]
    fields["files"] = [
        RemoteFile(**file, urls=tuple(url.replace("{file}", file["name"]) for url in urls))
        for file in fields.get("files", [])
    ]
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return NamedSet(**values)


def _search_folders(known: NamedSet, roots: tuple[Path, ...]) -> list[Path]:
    return list(dict.fromkeys(root / folder for root in roots for folder in known.folders))


def _in_folder(known: NamedSet, folder: Path) -> Located | None:
    match known.format:
        case "cifar":
            location = cifar.find_location(known.name, folder)
            return _cifar_at(known, location) if location else None
        case "npz":
            path = folder / known.files[0].name
            return _npz_at(known, path) if path.is_file() else None
        case _:
            files = _own_files(known, folder, entries(folder))
            found = _idx_or_tables(known, files)
            return found or _idx_or_tables(known, files + _own_files(known, folder, entries(folder, packed=True)))


def _own_files(known: NamedSet, folder: Path, files: list[Entry]) -> list[Entry]:
    """Leave out what lies in a folder or archive of another set."""
    kin = [word for word in _KIN if word not in known.name.replace("-", "")]
    where = f"{folder.parent.name}/{folder.name}/" if not known.name.startswith("emnist") else ""
    names = [f"{where}{entry.path.name}/{entry.member}".lower().replace("-", "") for entry in files]
    return [entry for entry, name in zip(files, names, strict=True) if not any(word in name for word in kin)]


def _idx_or_tables(known: NamedSet, files: list[Entry]) -> Located | None:
    found = find_files(files, known.prefix)
    if found is not None and found.test is not None:
        pairs, first = (found.train, found.test), known.first_label

        def read_idx() -> Source:
            train, test = (idx_part(*pair, transposed=known.transposed, first_label=first) for pair in pairs)
            return _source(known, _mapped_classes(known, found.mapping), train, test)

        return Located(kind=f"{known.name} idx", files=found.paths, read=read_idx)
    by_name = {entry.name.lower(): entry for entry in files}
    names = next((pair for pair in known.tables if all(name in by_name for name in pair)), None)
    if names is None:
        return None
    tables, mapping = [by_name[name] for name in names], find_mapping(files, known.prefix)

    def read_tables() -> Source:
        parts = [pixel_table(entry, transposed=known.transposed) for entry in tables]
        train, test = (array_part(images, labels - known.first_label) for images, labels in parts)
        return _source(known, _mapped_classes(known, mapping), train, test)

    paths = dict.fromkeys(entry.path for entry in (*tables, mapping) if entry is not None)
    return Located(kind=f"{known.name} csv", files=tuple(paths), read=read_tables)


def _mapped_classes(known: NamedSet, mapping: Entry | None) -> tuple[str, ...]:
    table = read_mapping(mapping) if mapping else {}
    return tuple(table.get(number + known.first_label, name) for number, name in enumerate(known.classes))


def _npz_at(known: NamedSet, path: Path) -> Located:
    def read() -> Source:
        source = npz_source(path, name=known.name, classes=known.classes)
        if source.test is None:
            raise DataError(f"{path}: has no test part, but {known.title} has one. Fetch the file again.")
        return _source(known, source.classes, source.train, source.test, source.preprocessing)

    return Located(kind=f"{known.name} npz", files=(path,), read=read)


def _cifar_at(known: NamedSet, location: Path) -> Located:
    layout = cifar.LAYOUTS[known.name]

    def read() -> Source:
        train, test, classes = cifar.cifar_parts(location, layout, known.classes)
        return _source(known, classes, train, test)

    return Located(kind=f"{known.name} cifar", files=cifar.files_at(location, layout), read=read)


def _source(
    known: NamedSet, classes: tuple[str, ...], train: Part, test: Part, preprocessing: tuple[str, ...] = ()
) -> Source:
    """Return the parts as the set ``known``, after checking that they can be it.

    When the files do not hold the official numbers of images, the note and a warning say so.
    """
    if train.shape != known.shape:
        raise DataError(
            f"{known.name}: the files hold images of {train.shape} (channels, height, width), {known.title} has "
            f"{known.shape}. They are of another set; name them by their path."
        )
    labels = np.concatenate([train.labels, test.labels])
    wrong = labels[(labels < 0) | (labels >= len(classes))]
    if len(wrong):
        raise DataError(
            f"{known.name}: holds the label {wrong[0]}, but the set has {len(classes)} classes, 0 to {len(classes) - 1}."
        )
    counts = (len(train.labels), len(test.labels))
    difference = (
        f"The files hold {counts[0]} training and {counts[1]} test images; {known.title} has {known.counts[0]} and "
        f"{known.counts[1]}. This is not the complete official set."
    )
    return Source(
        name=known.name,
        title=known.title,
        citation=known.citation,
        licence=known.licence,
        classes=classes,
        train=train,
        test=test,
        note=known.note if counts == known.counts else f"{known.note} {difference}".strip(),
        label_meaning=known.label_meaning,
        preprocessing=(UPRIGHT, *preprocessing) if known.transposed else preprocessing,
        warnings=() if counts == known.counts else (difference,),
    )
