"""Sets that are known by name: the table ``named.toml`` says what they are and where they are looked for."""

import math
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np

from ceteris.data.download import RemoteFile
from ceteris.data.formats.entries import Entry, entries
from ceteris.data.source import ReadOptions, Source, Understood
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

    @property
    def wanted(self) -> str:
        """The files that are looked for, as a message names them."""
        if self.format == "cifar":
            stem = self.name.removesuffix("-coarse")
            return f"{stem}-binary or {stem}-python (.tar.gz, .tar.xz, .tar, .zip, or the folder that it unpacks to)"
        if self.format == "npz":
            return self.files[0].name
        images = f"{self.prefix}train-images-idx3-ubyte"
        return f"{images} with its labels and the test pair (plain, .gz, .xz, .bz2, or in a .zip)"


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

    @classmethod
    def of(cls, known: NamedSet, *, where: str) -> "SetRow":
        """Return the row of a named set that was found at ``where``."""
        return cls(
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
            where=where,
        )

    @property
    def present(self) -> bool:
        """Whether the set can be loaded without the network."""
        return bool(self.where)


@dataclass(frozen=True, kw_only=True)
class Location:
    """What every format is asked about.

    Attributes:
        path: a file or folder.
        options: how the user wants it read.
        known: the named set that is looked for there; None where the user named the path.
        to_evaluate: whether one part or one class alone will do, since nothing is trained on it.
    """

    path: Path
    options: ReadOptions = field(default_factory=ReadOptions)
    known: NamedSet | None = None
    to_evaluate: bool = False

    def entries(self) -> Iterator[list[Entry]]:
        """Yield the files of the folder that can belong to the named set, then those and the files in its zip archives."""
        known = self.known
        kin = [word for word in _KIN if known and word not in known.name.replace("-", "")]
        where = "" if known and known.name.startswith("emnist") else f"{self.path.parent.name}/{self.path.name}/"
        files: list[Entry] = []
        for packed in (False, True):
            for entry in entries(self.path, packed=packed):
                name = f"{where}{entry.path.name}/{entry.member}".lower().replace("-", "")
                if not any(word in name for word in kin):
                    files.append(entry)
            yield files


@cache
def named_sets() -> tuple[NamedSet, ...]:
    """Return all sets that are known by name."""
    table = tomllib.loads(package_files("ceteris.data").joinpath("named.toml").read_text(encoding="utf-8"))
    sets = []
    for row in table["set"]:
        fields: dict[str, Any] = table["family"].get(row.get("family"), {}) | row
        fields.pop("family", None)
        urls = fields.pop("urls", [])
        files = [
            RemoteFile(**file, urls=tuple(url.replace("{file}", file["name"]) for url in urls))
            for file in fields.get("files", [])
        ]
        fields |= {
            "classes": table["classes"][fields["classes"]],
            "tables": [tuple(pair) for pair in fields.get("tables", [])],
            "files": files,
        }
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
        sets.append(NamedSet(**dict[str, Any](values)))
    return tuple(sets)


def find_named(name: str) -> NamedSet | None:
    """Return the set of that name or alias (in any letter case), or None."""
    wanted = name.lower()
    return next((known for known in named_sets() if wanted == known.name or wanted in known.aliases), None)


def unknown_name(name: str) -> DataError:
    """Return the error for a name that is neither a known set nor a path."""
    known = [entry.name for entry in named_sets()]
    return DataError(
        f'"{name}" is neither a known data set nor an existing path: there is no {os.path.abspath(os.path.expanduser(name))}.'
        f"{did_you_mean(name.lower(), known)} "
        f"Known: {', '.join(known)}; or name a folder or file."
    )


def search_roots(data_dir: Path | None, cache_dir: Path) -> tuple[Path, ...]:
    """Return the folders in which named sets are looked for: the user's (or CETERIS_DATA), then the one for downloads."""
    own = data_dir or os.environ.get(DATA_VARIABLE)
    downloads = Path(cache_dir) / "downloads"
    return (Path(own), downloads) if own else (downloads,)


def search_folders(known: NamedSet, roots: tuple[Path, ...]) -> list[Path]:
    """Return the folders in which a named set is looked for; for one that is built in any folder will do."""
    if known.format == "built in":
        return [Path()]
    return list(dict.fromkeys(root / folder for root in roots for folder in known.folders))


def official(known: NamedSet | None, source: Source) -> Source:
    """Return what was read as the set ``known``, after checking that it can be it; without a known set as it is.

    When the files do not hold the official numbers of images, the note and a warning say so.

    Raises:
        DataError: no test part, another shape of images, or a label outside the classes.
    """
    if known is None:
        return source
    source = replace(source, name=known.name, title=known.title, source=known.citation, licence=known.licence)
    source = replace(source, label_meaning=known.label_meaning, note=known.note, understood=Understood())
    if known.format == "built in":
        return source
    if source.test is None:
        raise DataError(f"{known.name}: the files have no test part, but {known.title} has one. Fetch them again.")
    if source.train.shape != known.shape:
        raise DataError(
            f"{known.name}: the files hold images of {source.train.shape} (channels, height, width), {known.title} has "
            f"{known.shape}. They are of another set; name them by their path."
        )
    labels = np.concatenate([source.train.labels, source.test.labels])
    wrong = labels[(labels < 0) | (labels >= len(source.classes))]
    if len(wrong):
        raise DataError(
            f"{known.name}: holds the label {wrong[0]}, but the set has {len(source.classes)} classes, "
            f"0 to {len(source.classes) - 1}."
        )
    counts = (len(source.train.labels), len(source.test.labels))
    if counts == known.counts:
        return source
    difference = (
        f"The files hold {counts[0]} training and {counts[1]} test images; {known.title} has {known.counts[0]} and "
        f"{known.counts[1]}. This is not the complete official set."
    )
    return replace(source, note=f"{known.note} {difference}".strip(), warnings=(difference,))
