"""IDX files (LeCun, Cortes & Burges: MNIST; Cohen et al. 2017: EMNIST): big-endian header, then unsigned bytes."""

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ceteris.data.formats.entries import Entry, entries, read_errors, read_into, read_text
from ceteris.data.imageset import CHUNK_BYTES
from ceteris.data.named import Location, NamedSet, official
from ceteris.data.source import Part, Reader, Source, Understood, filled_part
from ceteris.errors import DataError
from ceteris.records import ByteArray

UPRIGHT = "turned upright (EMNIST's files store columns first)"
_UNSIGNED_BYTE = 0x08
_IMAGES = re.compile(r".*images[-_.]idx3[-_.]ubyte(\.idx)?")


@dataclass(frozen=True, kw_only=True)
class IdxFiles:
    """The files of a set: images and labels of its training part, of its test part where there is one, its mapping."""

    train: tuple[Entry, Entry]
    test: tuple[Entry, Entry] | None
    mapping: Entry | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file or archive once."""
        used = (*self.train, *(self.test or ()), self.mapping)
        return tuple(dict.fromkeys(entry.path for entry in used if entry is not None))


def detect(location: Location) -> Reader | None:
    """Return the reader of IDX files: those of a named set, those in a folder, or the set of one image file; else None.

    Raises:
        DataError: several sets in one folder, or images without labels.
    """
    path, known = location.path, location.known
    if known is not None:
        listed = location.entries() if known.format == "idx" else ()
        complete = (found for files in listed if (found := find_files(files, known.prefix)) and found.test)
        first = next(complete, None)
        return None if first is None else _reader(location, f"{known.name} idx", known.prefix, first)
    if not _IMAGES.fullmatch(Entry(path).name.lower()) and not path.is_dir():
        return None
    folder, wanted = (path, None) if path.is_dir() else (path.parent, path.name.lower().partition("images")[0])
    files = entries(folder)
    if path.is_dir() and not any(below.is_dir() for below in folder.iterdir()):
        files += entries(folder, packed=True)
    if not any("idx3" in entry.name.lower() for entry in files):
        return None
    location.options.only(f"the IDX files in {folder}", "test_fraction")
    prefix = _prefix(folder, files, wanted)
    found = find_files(files, prefix, to_evaluate=location.to_evaluate)
    if found is None:
        raise DataError(f"{folder}: the training labels ({prefix}train-labels-idx1-ubyte) are missing.")
    return _reader(location, f"idx {prefix}", prefix, found)


def find_files(files: list[Entry], prefix: str, *, to_evaluate: bool = False) -> IdxFiles | None:
    """Return the IDX files whose names start with ``prefix``, in usual spellings; None where training files are missing.

    Test files alone are enough ``to_evaluate``.
    """
    pairs: dict[str, tuple[Entry, Entry] | None] = {}
    for part in ("train", "test", "t10k"):
        pair = []
        for kind, dimensions in (("images", 3), ("labels", 1)):
            pattern = re.compile(rf"{re.escape(prefix)}{part}[-_.]{kind}[-_.]idx{dimensions}[-_.]ubyte(\.idx)?")
            pair.append(next((entry for entry in files if pattern.fullmatch(entry.name.lower())), None))
        images, labels = pair
        pairs[part] = None if images is None or labels is None else (images, labels)
    train, test = pairs["train"], pairs["test"] or pairs["t10k"]
    if to_evaluate and train is None:
        train, test = test, None
    return IdxFiles(train=train, test=test, mapping=find_mapping(files, prefix)) if train else None


def find_mapping(files: list[Entry], prefix: str) -> Entry | None:
    """Return the file that maps labels to characters, where there is one."""
    return next((entry for entry in files if entry.name.lower() == f"{prefix}mapping.txt"), None)


def mapped_classes(known: NamedSet, mapping: Entry | None) -> tuple[str, ...]:
    """Return the class names of a named set, those of its mapping file where there is one."""
    table = read_mapping(mapping) if mapping else {}
    return tuple(table.get(number + known.first_label, name) for number, name in enumerate(known.classes))


def idx_part(images: Entry, labels: Entry, *, transposed: bool, first_label: int = 0) -> Part:
    """Return the part made of an image file and its label file.

    Args:
        images: IDX file (n, h, w) or (n, c, h, w).
        labels: IDX file (n,).
        transposed: whether each image is stored with its columns first, as EMNIST's are; it is turned upright.
        first_label: the label that stands for class 0 (1 for EMNIST Letters).

    Raises:
        DataError: a damaged file, or another number of labels than of images.
    """
    shape = idx_shape(images, dimensions=(3, 4))
    numbers = read_idx(labels, dimensions=(1,)).astype(np.int64) - first_label
    if len(numbers) != shape[0]:
        raise DataError(
            f"{labels}: holds {len(numbers)} labels, but {images} holds {shape[0]} images. They do not belong together."
        )
    if 0 in shape:
        raise DataError(f"{images}: holds no image, the header says {_times(shape)}.")
    channels = shape[1] if len(shape) == 4 else 1
    height, width = shape[-2:][::-1] if transposed else shape[-2:]

    def fill(target: ByteArray) -> None:
        for start, piece in _pieces(images, shape):
            stored = piece if piece.ndim == 4 else piece[:, None]  # (b, c, h, w)
            target[start : start + len(piece)] = stored.swapaxes(-1, -2) if transposed else stored

    return filled_part(numbers, (channels, height, width), fill)


def read_idx(entry: Entry, *, dimensions: tuple[int, ...]) -> ByteArray:
    """Return the whole array of an IDX file of unsigned bytes.

    Args:
        entry: the file, plain or compressed.
        dimensions: the numbers of dimensions that are allowed, e.g. (1,) for labels.

    Raises:
        DataError: wrong magic number, truncated, longer or shorter than the header says.
    """
    shape = idx_shape(entry, dimensions=dimensions)
    content = np.empty(shape, dtype=np.uint8)
    for start, piece in _pieces(entry, shape):
        content[start : start + len(piece)] = piece
    return content


def idx_shape(entry: Entry, *, dimensions: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape an IDX file claims, after checking that the file can hold as much.

    Raises:
        DataError: no IDX file of unsigned bytes, or the claim is larger than the file can be.
    """
    with entry.open() as stream:
        shape = _header(stream, entry, dimensions)
    with read_errors(entry):
        most = entry.most_bytes()
    if math.prod(shape) > most:
        raise DataError(
            f"{entry}: the header claims {_times(shape)} = {math.prod(shape)} bytes, but the file holds {most} at most. "
            "It is truncated or damaged; fetch it again."
        )
    return shape


def read_mapping(entry: Entry) -> dict[int, str]:
    """Return label -> class name from an EMNIST mapping file: per line a label and the codes of its characters.

    Raises:
        DataError: a line that is not two or more whole numbers.
    """
    names = {}
    for number, line in enumerate(read_text(entry).splitlines(), start=1):
        try:
            label, *codes = [int(word) for word in line.split()]
            if not 0 <= label <= 255:
                raise ValueError("labels are single bytes")
            if codes:
                names[label] = "/".join(chr(code) for code in codes)
        except (ValueError, OverflowError) as error:
            if line.strip():
                raise DataError(
                    f"{entry}: line {number} should hold a label and character codes such as '10 65', received {line!r}."
                ) from error
    if not names:
        raise DataError(f"{entry}: the mapping is empty; lines such as '10 65' (label, character code) are expected.")
    return names


def _prefix(folder: Path, files: list[Entry], wanted: str | None) -> str:
    """Return what the names of the one set in a folder start with, or of the set of the image file ``wanted``."""
    names = [entry.name.lower() for entry in files if "images" in entry.name.lower()]
    prefixes = sorted({name.partition("train")[0] for name in names if "train" in name})
    if wanted is not None:
        prefixes = [prefix for prefix in reversed(prefixes) if wanted.startswith(prefix)][:1]
    if len(prefixes) > 1:
        raise DataError(f"{folder}: holds several sets ({', '.join(map(repr, prefixes))}). Name the image file of one.")
    if not prefixes:
        raise DataError(f"{folder}: no IDX file with training images (…train-images-idx3-ubyte) in it.")
    return prefixes[0]


def _reader(location: Location, kind: str, prefix: str, files: IdxFiles) -> Reader:
    folder = location.path if location.path.is_dir() else location.path.parent
    return Reader(kind=kind, files=files.paths, read=lambda: _read(folder, prefix, files, location.known))


def _read(folder: Path, prefix: str, files: IdxFiles, known: NamedSet | None) -> Source:
    transposed = known.transposed if known else prefix.startswith("emnist-")
    names = read_mapping(files.mapping) if files.mapping else {}
    first = known.first_label if known else min(names, default=0)  # EMNIST Letters counts its labels from 1
    pairs = [files.train, *([files.test] if files.test else [])]
    train, *test = [idx_part(*pair, transposed=transposed, first_label=first) for pair in pairs]
    used = np.unique(np.concatenate([part.labels for part in (train, *test)])) + first
    unknown = [int(label) for label in used if names and not known and int(label) not in names]
    if unknown:
        raise DataError(f"{files.train[1]}: holds the label {unknown[0]}, which is not in the mapping {files.mapping}.")
    highest = max(int(used.max()), *names, 0)
    source = Source(
        name=prefix.strip("-_. ") or folder.resolve().name,
        title=f"IDX files in {folder.resolve().name}",
        classes=mapped_classes(known, files.mapping)
        if known
        else tuple(names.get(number, str(number)) for number in range(first, highest + 1)),
        train=train,
        test=test[0] if test else None,
        label_meaning="the class number in the label file",
        preprocessing=(UPRIGHT,) if transposed else (),
        understood=Understood(
            train=(files.train[0].name,),
            test=(files.test[0].name,) if files.test else (),
            notes=(f"labels from {first}",) if first else (),
        ),
    )
    return official(known, source)


def _header(stream: IO[bytes], entry: Entry, dimensions: tuple[int, ...]) -> tuple[int, ...]:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != _UNSIGNED_BYTE or start[3] not in dimensions:
        expected = " or ".join(f"0x0000{_UNSIGNED_BYTE:02x}{dimension:02x}" for dimension in dimensions)
        raise DataError(
            f"{entry}: no IDX file of unsigned bytes: expected the magic number {expected}, "
            f"received 0x{start.hex() or '(nothing)'}."
        )
    sizes = stream.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise DataError(f"{entry}: the file ends inside its header, it is truncated. Fetch it again.")
    return struct.unpack(f">{start[3]}I", sizes)


def _pieces(entry: Entry, shape: tuple[int, ...]) -> Iterator[tuple[int, ByteArray]]:
    """Yield where a piece of the array starts, and the piece, until the file ends as its header claims."""
    step = max(1, CHUNK_BYTES // max(1, math.prod(shape[1:])))
    with entry.open() as stream:
        _header(stream, entry, (len(shape),))
        for start in range(0, shape[0], step):
            piece = np.empty((min(step, shape[0] - start), *shape[1:]), dtype=np.uint8)
            if read_into(stream, piece.reshape(-1).data) < piece.size:
                raise DataError(
                    f"{entry}: the header claims {_times(shape)} bytes, but the file ends before that. "
                    "It is truncated; fetch it again."
                )
            yield start, piece
        if stream.read(1):
            raise DataError(
                f"{entry}: the file goes on after the {_times(shape)} bytes that its header claims; it is damaged."
            )


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)
