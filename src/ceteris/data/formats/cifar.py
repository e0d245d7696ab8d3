"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): per image the label bytes, then 3,072 bytes of pixels; or the Python version."""

import tarfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ceteris.data.formats.cifar_pickle import pickled_names, pickled_records, read_cifar_pickle
from ceteris.data.formats.entries import Entry, open_file, read_errors, zip_entries
from ceteris.data.source import Part, array_part
from ceteris.errors import DataError
from ceteris.records import ByteArray

_PIXELS = 3 * 32 * 32
_MAX_MEMBER = 1 << 30
_MAX_MEMBERS = 10_000
_ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")


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


LAYOUTS = {
    "cifar-10": CifarLayout(
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
    ),
    "cifar-100": _cifar100("fine", 1),
    "cifar-100-coarse": _cifar100("coarse", 0),
}


def set_at(path: Path) -> str | None:
    """Return the name of the set ("cifar-10" or "cifar-100") whose archive or folder lies at ``path``, or None."""
    if path.is_dir():
        files = {below.name for below in path.iterdir() if below.is_file()}
        if "test.bin" in files or {"train", "test", "meta"} <= files:
            return "cifar-100"
        return "cifar-10" if files & {"data_batch_1.bin", "data_batch_1"} else None
    name = path.name.lower()
    return ("cifar-100" if name.startswith("cifar-100") else "cifar-10") if name.startswith("cifar-") else None


def archive_names(name: str) -> tuple[str, str]:
    """Return the stems of the archives that a set is published in: binary and Python version."""
    stem = name.removesuffix("-coarse")
    return f"{stem}-binary", f"{stem}-python"


def find_location(name: str, folder: Path) -> Path | None:
    """Return the archive or unpacked folder of the set ``name`` in a folder, or None."""
    stem = name.removesuffix("-coarse")
    for below in ("", f"{stem}-batches-bin", f"{stem}-binary", f"{stem}-batches-py", f"{stem}-python"):
        if any(all((folder / below / file).is_file() for file in version) for version in LAYOUTS[name].versions):
            return folder / below
    archives = (folder / f"{archive}{suffix}" for archive in archive_names(name) for suffix in _ARCHIVE_SUFFIXES)
    return next((archive for archive in archives if archive.is_file()), None)


def files_at(location: Path, layout: CifarLayout) -> tuple[Path, ...]:
    """Return the files that are read: the archive, or what there is of the set in a folder."""
    if not location.is_dir():
        return (location,)
    wanted = (*layout.versions[0], *layout.versions[1], layout.names, layout.pickled_names)
    return tuple(location / name for name in wanted if (location / name).is_file())


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
    files = _read_files(location, {*binary, *pickled, layout.names, layout.pickled_names})
    if all(name in files for name in binary):
        listed = files.get(layout.names)
        with read_errors(location):
            lines = [] if listed is None else listed.decode("utf-8").splitlines()
        names = None if listed is None else tuple(line.strip() for line in lines if line.strip())
        batches = {name: np.frombuffer(files[name], dtype=np.uint8) for name in binary}
        parts = (layout.train, layout.test)
    elif all(name in files for name in pickled):
        meta, origin = files.get(layout.pickled_names), f"{location} ({layout.pickled_names})"
        names = None if meta is None else pickled_names(read_cifar_pickle(meta, origin), layout.names_key, origin)
        batches = {}
        for name in pickled:
            label = f"{location} ({name})"
            records = pickled_records(read_cifar_pickle(files[name], label), layout.label_keys, label)
            batches[name] = records.reshape(-1)
        parts = (layout.pickled_train, layout.pickled_test)
    else:
        raise DataError(
            f"{location}: {', '.join(binary)} expected in it, found {', '.join(sorted(files)) or 'nothing'}."
        )
    if names is not None and len(names) != len(classes):
        raise DataError(f"{location}: its file of label names holds {len(names)} names, {len(classes)} are expected.")
    train, test = (_part([batches[name] for name in part], layout, len(classes), location) for part in parts)
    return train, test, classes if names is None else names


def _read_files(location: Path, wanted: set[str]) -> dict[str, bytes]:
    if location.is_dir():
        found = [Entry(location / name) for name in sorted(wanted) if (location / name).is_file()]
    elif location.suffix.lower() == ".zip":
        found = [entry for entry in zip_entries(location) if entry.name in wanted]
    else:
        return _tar_files(location, wanted)
    files = {}
    for entry in found:
        with entry.open() as stream:
            files[entry.name] = stream.read(_MAX_MEMBER)
    return files


def _tar_files(path: Path, wanted: set[str]) -> dict[str, bytes]:
    """Read the wanted files in one pass; nothing is written to disk, so no member can land outside a folder."""
    files: dict[str, bytes] = {}
    try:
        with open_file(path) as file, closing(tarfile.open(fileobj=file, mode="r|*")) as archive:
            total = 0
            for number, member in enumerate(archive):
                total += member.size
                if number >= _MAX_MEMBERS or total > 4 * _MAX_MEMBER:
                    raise DataError(
                        f"{path}: the archive unpacks to more than a CIFAR archive holds; it was not read on."
                    )
                name = member.name.rpartition("/")[2]
                if not member.isfile() or name not in wanted or name in files:
                    continue
                if member.size > _MAX_MEMBER or member.issparse():
                    raise DataError(
                        f"{path}: {member.name} claims {member.size} bytes; at most {_MAX_MEMBER} are read."
                    )
                stream = archive.extractfile(member)
                files[name] = stream.read() if stream else b""
                if len(files[name]) != member.size:
                    raise DataError(
                        f"{path}: {member.name} ends after {len(files[name])} of {member.size} bytes. "
                        "Fetch the archive again."
                    )
    except (TypeError, AttributeError) as error:  # tarfile lets these escape for some forged headers
        raise DataError(f"{path}: no readable tar archive ({error}). Fetch it again.") from error
    return files


def _part(batches: list[ByteArray], layout: CifarLayout, classes: int, location: Path) -> Part:
    record = layout.label_bytes + _PIXELS
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
