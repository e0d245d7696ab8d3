"""Files as readers see them: plain, compressed, or inside a zip archive, without anything being unpacked to disk."""

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from ceteris.errors import CeterisError, DataError

MAX_ARCHIVE_MEMBERS = 2_000_000
MAX_BYTES = 64 << 30  # no single file of a data set may unpack to more than this
_COMPRESSED = {".gz": 1040, ".xz": 8000, ".bz2": 50_000}  # suffix -> the most bytes that one compressed byte can become
_DAMAGE = (
    OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, zipfile.LargeZipFile, tarfile.TarError, RuntimeError,
    NotImplementedError, ValueError, OverflowError, struct.error, KeyError, IndexError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A file, or the member of a zip archive; ``name`` is its base name without the suffix of a compression."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Base name without the suffix of a compression."""
        base = self.member.rpartition("/")[2] if self.member else self.path.name
        stem, dot, suffix = base.rpartition(".")
        return stem if dot and f".{suffix.lower()}" in _COMPRESSED else base

    @property
    def suffix(self) -> str:
        """Suffix of a compression (".gz"), or "" for a plain file."""
        suffix = "." + (self.member or self.path.name).rpartition(".")[2].lower()
        return suffix if suffix in _COMPRESSED else ""

    def __str__(self) -> str:
        return f"{self.path} ({self.member})" if self.member else str(self.path)

    def stored_bytes(self) -> int:
        """Return the number of bytes as they lie there, before a .gz, .xz or .bz2 is unpacked."""
        if not self.member:
            return self.path.stat().st_size
        with zipfile.ZipFile(self.path) as archive:
            information = archive.getinfo(self.member)
            return min(information.file_size, 1040 * information.compress_size + 1040)

    def most_bytes(self) -> int:
        """Return an upper bound for the number of bytes that :meth:`open` can give."""
        return min(self.stored_bytes() * _COMPRESSED.get(self.suffix, 1) + 1024 * bool(self.suffix), MAX_BYTES)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the unpacked content for reading.

        Raises:
            DataError: the file is missing, cannot be read or is damaged; also for damage met while reading on.
        """
        with damage_told(self), self._stored() as stored, _unpacked(stored, self.suffix) as stream:
            yield stream

    @contextmanager
    def _stored(self) -> Iterator[IO[bytes]]:
        if not self.member:
            with self.path.open("rb") as stream:
                yield stream
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as stream:
            yield stream


@contextmanager
def damage_told(source: object) -> Iterator[None]:
    """Turn what goes wrong in reading ``source`` into one DataError that names it."""
    try:
        yield
    except CeterisError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{source}: the file does not exist. Check the path.") from error
    except PermissionError as error:
        raise DataError(f"{source}: no permission to read it.") from error
    except EOFError as error:
        raise DataError(f"{source}: the file ends too early, it is truncated. Fetch it again.") from error
    except _DAMAGE as error:
        raise DataError(
            f"{source}: the file is damaged or not what its name says ({error}). Fetch it again."
        ) from error


def entries(directory: Path) -> list[Entry]:
    """Return the files of a directory (not of those below it), zip archives left out, sorted."""
    return [Entry(path) for path in _files(directory) if path.suffix.lower() != ".zip"]


def archived_entries(directory: Path) -> list[Entry]:
    """Return the members of all zip archives of a directory.

    Raises:
        DataError: an archive cannot be opened.
    """
    archives = [path for path in _files(directory) if path.suffix.lower() == ".zip"]
    return [entry for archive in archives for entry in zip_entries(archive)]


def _files(directory: Path) -> list[Path]:
    with damage_told(directory):
        return sorted(path for path in directory.iterdir() if path.is_file())


def zip_entries(path: Path) -> list[Entry]:
    """Return the files inside a zip archive, sorted.

    Raises:
        DataError: no zip archive, or more members than MAX_ARCHIVE_MEMBERS.
    """
    with damage_told(path), zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if not name.endswith("/"))
    if len(names) > MAX_ARCHIVE_MEMBERS:
        raise DataError(f"{path}: the archive holds {len(names)} files; at most {MAX_ARCHIVE_MEMBERS} are read.")
    return [Entry(path, name) for name in names]


def read_text(entry: Entry, *, limit: int = 1 << 20) -> str:
    """Return a small text file (UTF-8, ``limit`` bytes at most)."""
    with entry.open() as stream:
        content = stream.read(limit + 1)
        if len(content) > limit:
            raise DataError(f"{entry}: a text of at most {limit} bytes was expected, it is longer.")
        return content.decode("utf-8-sig")


def read_into(stream: IO[bytes], target: memoryview) -> int:
    """Read until ``target`` is full or the stream ends; return the number of bytes read."""
    done = 0
    while done < len(target):
        piece = stream.read(min(len(target) - done, 1 << 20))
        if not piece:
            break
        target[done : done + len(piece)] = piece
        done += len(piece)
    return done


@contextmanager
def _unpacked(stream: IO[bytes], suffix: str) -> Iterator[IO[bytes]]:
    if suffix == ".gz":
        with gzip.GzipFile(fileobj=stream) as unpacked:
            yield cast(IO[bytes], unpacked)
    elif suffix == ".xz":
        with lzma.LZMAFile(stream) as unpacked_xz:
            yield unpacked_xz
    elif suffix == ".bz2":
        with bz2.BZ2File(stream) as unpacked_bz2:
            yield unpacked_bz2
    else:
        yield stream
