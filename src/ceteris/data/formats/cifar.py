"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): per image the label bytes, then 3,072 bytes of pixels; or the Python version.

The Python version is pickles, read by an unpickler that admits only what the official files hold.
"""

import io
import pickle
import pickletools
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ceteris.data.formats.entries import Entry, open_file, read_errors, zip_entries
from ceteris.data.named import Location, NamedSet, find_named, official
from ceteris.data.source import Part, Reader, Source, array_part
from ceteris.errors import DataError
from ceteris.records import ByteArray

_PIXELS = 3 * 32 * 32
_MAX_MEMBER = 1 << 28  # bytes; the largest official file has 155 million
_MAX_MEMBERS = 10_000
_ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")
# What a dictionary of texts, lists of whole numbers, and one array of bytes is written with (pickle protocols 0 to 2).
_OPCODES = frozenset((
    "PROTO", "EMPTY_DICT", "DICT", "BINPUT", "LONG_BINPUT", "PUT", "MARK", "EMPTY_LIST", "LIST", "EMPTY_TUPLE",
    "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "BINGET", "LONG_BINGET", "GET", "SHORT_BINSTRING", "BINSTRING",
    "STRING", "BINUNICODE", "UNICODE", "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "APPEND",
    "APPENDS", "SETITEM", "SETITEMS", "GLOBAL", "REDUCE", "BUILD", "NONE", "NEWTRUE", "NEWFALSE", "STOP",
))  # fmt: skip
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


@dataclass(frozen=True, kw_only=True)
class CifarLayout:
    """Which files hold what, and which label counts; the Python version's files of images lack the suffix .bin.

    Attributes:
        train: files of training images.
        test: files of test images.
        names: files of the class names, binary and Python version.
        label_keys: what the label bytes of an image are called in the Python version, in their order.
        label_column: which of them counts.
        names_key: what the class names are called in the Python version.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    names: tuple[str, str]
    label_keys: tuple[str, ...] = ("coarse_labels", "fine_labels")
    label_column: int
    names_key: str

    @property
    def binary(self) -> tuple[str, ...]:
        """The files with images of the binary version."""
        return (*self.train, *self.test)

    @property
    def pickled(self) -> tuple[str, ...]:
        """The files with images of the Python version."""
        return tuple(name.removesuffix(".bin") for name in self.binary)


def _cifar100(kind: str, column: int) -> CifarLayout:
    names = f"{kind}_label_names"
    return CifarLayout(
        train=("train.bin",), test=("test.bin",), names=(f"{names}.txt", "meta"), label_column=column, names_key=names
    )


LAYOUTS = {
    "cifar-10": CifarLayout(
        train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        test=("test_batch.bin",),
        names=("batches.meta.txt", "batches.meta"),
        label_keys=("labels",),
        label_column=0,
        names_key="label_names",
    ),
    "cifar-100": _cifar100("fine", 1),
    "cifar-100-coarse": _cifar100("coarse", 0),
}


def detect(location: Location) -> Reader | None:
    """Return the reader of the archive or folder of a CIFAR set; None for anything else."""
    known, path = location.known, location.path
    if known is None:
        known = _set_at(path)
        if known is not None and not path.is_dir():
            location.options.only(str(path), "test_fraction")
    elif known.format == "cifar":
        found = _found_in(path, known.name)
        known, path = (None, path) if found is None else (known, found)
    if known is None or known.name not in LAYOUTS:
        return None
    layout = LAYOUTS[known.name]
    wanted = (path / name for name in (*layout.binary, *layout.pickled, *layout.names))
    files = tuple(file for file in wanted if file.is_file()) if path.is_dir() else (path,)

    def read() -> Source:
        train, test, classes = cifar_parts(path, layout, known.classes)
        return official(known, Source(name=known.name, title=known.title, classes=classes, train=train, test=test))

    return Reader(kind=f"{known.name} cifar", files=files, read=read)


def cifar_parts(location: Path, layout: CifarLayout, classes: tuple[str, ...]) -> tuple[Part, Part, tuple[str, ...]]:
    """Return training part, test part and class names from an archive or from the folder that it unpacks to.

    Args:
        location: a tar archive (plain, .gz, .xz or .bz2), a .zip archive, or a folder.
        layout: the set's file names and labels.
        classes: names for the case that the file of label names is missing.

    Raises:
        DataError: a file missing, damaged, of a length that is no whole number of images, or a label outside the classes.
    """
    files = _read_files(location, {*layout.binary, *layout.pickled, *layout.names})
    listed, meta = (files.get(name) for name in layout.names)
    names: tuple[str, ...] | None = None
    if all(name in files for name in layout.binary):
        batches = [np.frombuffer(files[name], dtype=np.uint8) for name in layout.binary]
        if listed is not None:
            with read_errors(location):
                names = tuple(line.strip() for line in listed.decode("utf-8").splitlines() if line.strip())
    elif all(name in files for name in layout.pickled):
        batches = []
        for name in layout.pickled:
            origin = f"{location} ({name})"
            batches.append(pickled_records(read_cifar_pickle(files[name], origin), layout.label_keys, origin))
        if meta is not None:
            origin = f"{location} ({layout.names[1]})"
            entries = read_cifar_pickle(meta, origin).get(layout.names_key)
            if not isinstance(entries, list) or not entries:
                raise DataError(f"{origin}: holds no list {layout.names_key!r} of class names.")
            names = tuple(map(_text, entries))
    else:
        found = ", ".join(sorted(files)) or "nothing"
        raise DataError(f"{location}: {', '.join(layout.binary)} expected in it, found {found}.")
    if names is not None and len(names) != len(classes):
        raise DataError(f"{location}: its file of label names holds {len(names)} names, {len(classes)} are expected.")
    count = len(layout.train)
    train, test = (_part(part, layout, len(classes), location) for part in (batches[:count], batches[count:]))
    return train, test, names or classes


def _set_at(path: Path) -> NamedSet | None:
    """Return the set (CIFAR-10 or CIFAR-100) whose archive or folder lies at ``path``."""
    name = path.name.lower()
    if path.is_dir():
        files = {below.name for below in path.iterdir() if below.is_file()}
        hundred = "test.bin" in files or {"train", "test", "meta"} <= files
        if not hundred and not files & {"data_batch_1.bin", "data_batch_1"}:
            return None
    elif not name.startswith("cifar-"):
        return None
    else:
        hundred = name.startswith("cifar-100")
    return find_named("cifar-100" if hundred else "cifar-10")


def _found_in(folder: Path, name: str) -> Path | None:
    """Return the archive or unpacked folder of the set ``name`` in a folder."""
    stem, layout = name.removesuffix("-coarse"), LAYOUTS[name]
    for below in ("", f"{stem}-batches-bin", f"{stem}-binary", f"{stem}-batches-py", f"{stem}-python"):
        for version in (layout.binary, layout.pickled):
            if all((folder / below / file).is_file() for file in version):
                return folder / below
    archives = (folder / f"{stem}-{kind}{suffix}" for kind in ("binary", "python") for suffix in _ARCHIVE_SUFFIXES)
    return next((archive for archive in archives if archive.is_file()), None)


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
    total = kept = 0
    try:
        with open_file(path) as file, closing(tarfile.open(fileobj=file, mode="r|*")) as archive:
            for number, member in enumerate(archive):
                total += member.size
                if number >= _MAX_MEMBERS or total > 4 * _MAX_MEMBER:
                    raise DataError(f"{path}: the archive unpacks to more than a CIFAR archive holds; not read on.")
                name = member.name.rpartition("/")[2]
                if not member.isfile() or name not in wanted or name in files:
                    continue
                kept += member.size
                if kept > 2 * _MAX_MEMBER or member.size > _MAX_MEMBER or member.issparse():
                    raise DataError(
                        f"{path}: {member.name} claims {member.size} bytes; {_MAX_MEMBER} are read at most."
                    )
                stream = archive.extractfile(member)
                files[name] = stream.read() if stream else b""
                if len(files[name]) != member.size:
                    found = f"{len(files[name])} of {member.size} bytes"
                    raise DataError(f"{path}: {member.name} ends after {found}. Fetch the archive again.")
    except (TypeError, AttributeError) as error:  # tarfile lets these escape for some forged headers
        raise DataError(f"{path}: no readable tar archive ({error}). Fetch it again.") from error
    return files


def _part(batches: list[ByteArray], layout: CifarLayout, classes: int, location: Path) -> Part:
    record = len(layout.label_keys) + _PIXELS
    for content in batches:
        if content.size == 0 or content.size % record:
            raise DataError(
                f"{location}: a file of {content.size} bytes is no whole number of images of {record} bytes each. "
                "It is truncated, or of another set."
            )
    records = np.concatenate([content.reshape(-1, record) for content in batches])
    labels = records[:, layout.label_column].astype(np.int64)
    if labels.max() >= classes:
        raise DataError(
            f"{location}: holds the label {labels.max()}, but the set has {classes} classes, 0 to {classes - 1}."
        )
    return array_part(records[:, len(layout.label_keys) :].reshape(-1, 3, 32, 32), labels)


def read_cifar_pickle(content: bytes, name: str) -> dict[str, Any]:
    """Return the dictionary of an official CIFAR pickle: texts as keys, bytes, lists and one uint8 array as values.

    Raises:
        DataError: the pickle holds anything that the official files do not, or is damaged.
    """
    try:
        for opcode, _, _ in pickletools.genops(content):
            if opcode.name not in _OPCODES:
                raise DataError(f"it uses the pickle operation {opcode.name}")
        loaded = _CifarUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise almost anything
        raise DataError(
            f"{name}: not an official CIFAR pickle ({str(error)[:200]}). It was refused, because a pickle can run code; "
            "use the binary version of the set."
        ) from error
    if not isinstance(loaded, dict):
        raise DataError(f"{name}: not an official CIFAR pickle; it holds no dictionary.")
    return {_text(key): value.values if isinstance(value, _Bytes) else value for key, value in loaded.items()}


def pickled_records(batch: dict[str, Any], label_keys: tuple[str, ...], name: str) -> ByteArray:
    """Return images and labels of a batch in the form of the binary version: uint8 (n, label bytes + 3072).

    Raises:
        DataError: the batch has no such labels or no images, or their numbers differ.
    """
    data = batch.get("data")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        raise DataError(f"{name}: holds no array 'data' of bytes with 3072 columns.")
    columns = [batch.get(key) for key in label_keys]
    for key, column in zip(label_keys, columns, strict=True):
        whole = isinstance(column, list) and all(type(label) is int and 0 <= label <= 255 for label in column)
        if not whole or len(column or ()) != len(data):
            raise DataError(f"{name}: its {key!r} are not one class number per image.")
    return np.concatenate([np.array(columns, dtype=np.uint8).T, data], axis=1)


class _Texts(dict[Any, Any]):
    """A dictionary whose keys are texts: the hash of a tuple of tuples of tuples may take for ever."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, str | bytes):
            raise DataError("it holds a dictionary whose keys are no texts")
        super().__setitem__(key, value)


class _ByteType:
    """Stands for numpy's type of bytes, whose own state is not taken from a file."""

    def __init__(self, code: Any, align: Any, copy: Any) -> None:
        if code not in (b"u1", "u1"):
            raise DataError(f"it holds an array of the type {code!r} instead of bytes")

    def __setstate__(self, state: Any) -> None:
        """Take nothing."""


class _Bytes:
    """Stands for an array of bytes; ``values`` is the array once its state is known."""

    values: ByteArray

    def __init__(self, kind: Any, shape: Any, code: Any) -> None:
        if kind != "ndarray" or shape != (0,) or code not in (b"b", "b"):
            raise DataError("it makes an array in another way")

    def __setstate__(self, state: Any) -> None:
        """Take shape and bytes."""
        _, shape, kind, columns_first, content = state
        if not isinstance(kind, _ByteType) or not isinstance(content, bytes):
            raise DataError("it holds an array of something else than bytes")
        self.values = np.frombuffer(content, dtype=np.uint8).reshape(shape, order="F" if columns_first else "C")


class _CifarUnpickler(pickle._Unpickler):
    """Finds stand-ins of its own in place of the three names of numpy that the official files contain.

    Python's own implementation is used since the one in C reserves as much memory as a forged memo number says.
    """

    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Any]] = {**pickle._Unpickler.dispatch}

    def find_class(self, module: str, name: str) -> Any:
        if module in _ARRAY_MODULES and name == "_reconstruct":
            return _Bytes
        if (module, name) == ("numpy", "ndarray"):
            return "ndarray"
        if (module, name) == ("numpy", "dtype"):
            return _ByteType
        raise DataError(f"it refers to {module}.{name}")

    def _load_dictionary(self) -> None:
        self.append(_Texts())

    def _load_items(self) -> None:
        made, items = _Texts(), self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            made[key] = value
        self.append(made)

    dispatch[pickle.EMPTY_DICT[0]] = _load_dictionary
    dispatch[pickle.DICT[0]] = _load_items


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
