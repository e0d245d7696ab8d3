"""Files as readers see them: plain, compressed, or inside a zip archive, without anything being unpacked to disk."""

import bz2
import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from ceteris.errors import CeterisError, DataError

MAX_ARCHIVE_MEMBERS = 2_000_000
MAX_BYTES = 64 << 30  # no single file of a data set may unpack to more than this
_COMPRESSED: dict[
    str, tuple[Callable[[IO[bytes]], Any], int]
] = {  # suffix -> how it is opened, and the most bytes that one compressed byte can become
    ".gz": (gzip.open, 1040),
    ".xz": (lzma.open, 8000),
    ".bz2": (bz2.open, 50_000),
}
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
        stored = self.stored_bytes()
        return min(stored * _COMPRESSED[self.suffix][1] + 1024 if self.suffix else stored, MAX_BYTES)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the unpacked content for reading.

        Raises:
            DataError: the file is missing, cannot be read or is damaged; also for damage met while reading on.
        """
        with read_errors(self), ExitStack() as stack:
            stored: IO[bytes]
            if self.member:
                archive = stack.enter_context(zipfile.ZipFile(self.path))
                stored = stack.enter_context(archive.open(self.member))
            else:
                stored = stack.enter_context(open_file(self.path))
            if self.suffix:
                stored = stack.enter_context(_COMPRESSED[self.suffix][0](stored))
            yield stored


@contextmanager
def read_errors(source: object) -> Iterator[None]:
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


@contextmanager
def open_file(path: Path | str) -> Iterator[BufferedReader]:
    """Open a file for reading; a pipe or a device is refused, since reading it may never end.

    Raises:
        DataError: the file is missing, no regular file, cannot be read or is damaged.
    """
    with read_errors(path):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DataError(f"{path}: no regular file but a folder, a pipe or a device; it was not opened.")
        with open(path, "rb") as file:
            yield file


def entries(directory: Path, *, packed: bool = False) -> list[Entry]:
    """Return the files of a directory (not of those below it), sorted; ``packed``: the members of its zip archives.

    Raises:
        DataError: the directory or an archive cannot be opened.
    """
    with read_errors(directory):
        files = sorted(path for path in directory.iterdir() if path.is_file())
    if packed:
        return [entry for path in files if path.suffix.lower() == ".zip" for entry in zip_entries(path)]
    return [Entry(path) for path in files if path.suffix.lower() != ".zip"]


def zip_entries(path: Path) -> list[Entry]:
    """Return the files inside a zip archive, sorted.

    Raises:
        DataError: no zip archive, or more members than MAX_ARCHIVE_MEMBERS.
    """
    with read_errors(path), zipfile.ZipFile(path) as archive:
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
