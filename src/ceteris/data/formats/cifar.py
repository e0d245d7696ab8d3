"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): per image the label bytes, then 3,072 bytes of pixels; or the Python version."""

import tarfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ceteris.data.formats.cifar_pickle import pickled_names, pickled_records, read_cifar_pickle
from ceteris.data.formats.entries import Entry, damage_told, zip_entries
from ceteris.data.source import Part, array_part
from ceteris.errors import DataError
from ceteris.records import ByteArray

_PIXELS = 3 * 32 * 32
_MAX_MEMBER = 1 << 30
_MAX_MEMBERS = 10_000


@dataclass(frozen=True, kw_only=True)
class CifarLayout:
    """Which files hold what, in the binary and in the pickled version, and which label byte counts."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    label_bytes: int
    label_column: int
    pickled_train: tuple[str, ...]
    pickled_test: tuple[str, ...]
    pickled_names: str
    label_keys: tuple[str, ...]
    names_key: str

    @property
    def versions(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The files with images that make the set complete: those of the binary and those of the pickled version."""
        return (*self.train, *self.test), (*self.pickled_train, *self.pickled_test)


CIFAR10 = CifarLayout(
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test=("test_batch.bin",),
    names="batches.meta.txt",
    label_bytes=1,
    label_column=0,
    pickled_train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    pickled_test=("test_batch",),
    pickled_names="batches.meta",
    label_keys=("labels",),
    names_key="label_names",
)


def _cifar100(kind: str, column: int) -> CifarLayout:
    return CifarLayout(
        train=("train.bin",),
        test=("test.bin",),
        names=f"{kind}_label_names.txt",
        label_bytes=2,
        label_column=column,
        pickled_train=("train",),
        pickled_test=("test",),
        pickled_names="meta",
        label_keys=("coarse_labels", "fine_labels"),
        names_key=f"{kind}_label_names",
    )


CIFAR100, CIFAR100_COARSE = _cifar100("fine", 1), _cifar100("coarse", 0)


def cifar_parts(location: Path, layout: CifarLayout, classes: tuple[str, ...]) -> tuple[Part, Part, tuple[str, ...]]:
    """Return training part, test part and class names from an archive or from the folder that it unpacks to.

    Args:
        location: a tar archive (plain, .gz, .xz or .bz2), a .zip archive, or a folder.
        layout: the set's file names and labels.
        classes: names for the case that the file of label names is missing.

    Raises:
        DataError: a file missing, damaged, of a length that is no whole number of images, or a label outside the classes.
    """
    binary, pickled = layout.versions
    wanted = {*binary, *pickled, layout.names, layout.pickled_names}
    files = _files(location, wanted)
    if all(name in files for name in binary):
        names = _listed_names(files.get(layout.names), classes, location)
        batches = {name: np.frombuffer(files[name], dtype=np.uint8) for name in binary}
        parts = (layout.train, layout.test)
    elif all(name in files for name in pickled):
        names = _pickled_class_names(files, layout, classes, location)
        batches = {name: _records(files[name], layout, f"{location} ({name})") for name in pickled}
        parts = (layout.pickled_train, layout.pickled_test)
    else:
        raise DataError(
            f"{location}: {', '.join(binary)} expected in it, found {', '.join(sorted(files)) or 'nothing'}."
        )
    train, test = (_part([batches[name] for name in part], layout, len(names), location) for part in parts)
    return train, test, names


def _files(location: Path, wanted: set[str]) -> dict[str, bytes]:
    if location.is_dir():
        return {name: _read_entry(Entry(location / name)) for name in sorted(wanted) if (location / name).is_file()}
    if location.suffix.lower() == ".zip":
        return {entry.name: _read_entry(entry) for entry in zip_entries(location) if entry.name in wanted}
    return _tar_files(location, wanted)


def _read_entry(entry: Entry) -> bytes:
    with entry.open() as stream:
        return stream.read(_MAX_MEMBER)


def _tar_files(path: Path, wanted: set[str]) -> dict[str, bytes]:
    """Read the wanted files in one pass; nothing is written to disk, so no member can land outside a folder."""
    files: dict[str, bytes] = {}
    try:
        with damage_told(path), closing(tarfile.open(path, "r|*")) as archive:
            for member in _members(archive, path):
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in wanted and name not in files:
                    files[name] = _member_bytes(archive, member, path)
    except (TypeError, AttributeError) as error:  # tarfile lets these escape for some forged headers
        raise DataError(f"{path}: no readable tar archive ({error}). Fetch it again.") from error
    return files


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    total = 0
    for number, member in enumerate(archive):
        total += member.size
        if number >= _MAX_MEMBERS or total > 4 * _MAX_MEMBER:
            raise DataError(f"{path}: the archive unpacks to more than a CIFAR archive holds; it was not read on.")
        yield member


def _member_bytes(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    if member.size > _MAX_MEMBER or member.issparse():
        raise DataError(f"{path}: {member.name} claims {member.size} bytes; at most {_MAX_MEMBER} are read.")
    stream = archive.extractfile(member)
    content = stream.read() if stream else b""
    if len(content) != member.size:
        raise DataError(
            f"{path}: {member.name} ends after {len(content)} of {member.size} bytes. Fetch the archive again."
        )
    return content


def _listed_names(content: bytes | None, classes: tuple[str, ...], location: Path) -> tuple[str, ...]:
    if content is None:
        return classes
    with damage_told(location):
        names = tuple(line.strip() for line in content.decode("utf-8").splitlines() if line.strip())
    return _checked_names(names, classes, location)


def _pickled_class_names(
    files: dict[str, bytes], layout: CifarLayout, classes: tuple[str, ...], location: Path
) -> tuple[str, ...]:
    if layout.pickled_names not in files:
        return classes
    name = f"{location} ({layout.pickled_names})"
    meta = read_cifar_pickle(files[layout.pickled_names], name)
    return _checked_names(pickled_names(meta, layout.names_key, name), classes, location)


def _checked_names(names: tuple[str, ...], classes: tuple[str, ...], location: Path) -> tuple[str, ...]:
    if len(names) != len(classes):
        raise DataError(f"{location}: its file of label names holds {len(names)} names, {len(classes)} are expected.")
    return names


def _records(content: bytes, layout: CifarLayout, name: str) -> ByteArray:
    return pickled_records(read_cifar_pickle(content, name), layout.label_keys, name).reshape(-1)


def _part(contents: Iterable[ByteArray], layout: CifarLayout, classes: int, location: Path) -> Part:
    record = layout.label_bytes + _PIXELS
    batches = list(contents)
    for content in batches:
        if len(content) == 0 or len(content) % record:
            raise DataError(
                f"{location}: a file of {len(content)} bytes is no whole number of images of {record} bytes each. "
                "It is truncated, or of another set."
            )
    records = (np.concatenate(batches) if len(batches) > 1 else batches[0]).reshape(-1, record)
    labels = records[:, layout.label_column].astype(np.int64)
    if labels.max() >= classes:
        raise DataError(
            f"{location}: holds the label {labels.max()}, but the set has {classes} classes, 0 to {classes - 1}."
        )
    return array_part(records[:, layout.label_bytes :].reshape(-1, 3, 32, 32), labels)
