"""Files as readers see them: plain, compressed, or inside a zip archive, without anything being unpacked to disk."""

import bz2
import errno
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, Any

from ceteris.errors import CeterisError, DataError
from ceteris.files import open_regular

MAX_ARCHIVE_MEMBERS = 2_000_000
MAX_BYTES = 64 << 30  # no single file of a data set may unpack to more than this
_UNPACKED_ANYHOW = 1 << 28
_COMPRESSED: dict[str, Callable[[IO[bytes]], Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
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
            return min(information.file_size, most_unpacked(information.compress_size))

    def most_bytes(self) -> int:
        """Return an upper bound for the number of bytes that :meth:`open` can give."""
        stored = self.stored_bytes()
        return most_unpacked(stored) if self.suffix else stored

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
                stored = stack.enter_context(_COMPRESSED[self.suffix](stored))
            if self.suffix or self.member:
                stored = BufferedReader(_Unpacked(stored, self.most_bytes()), 1 << 16)
            yield stored


class _Unpacked(RawIOBase):
    """What a packed file unpacks to, until it is more than anybody packs."""

    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._left = stream, most

    def readable(self) -> bool:
        """Say that it is for reading."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill ``target`` and return the number of bytes."""
        count: int = self._stream.readinto(target)
        self._left -= count
        if self._left < 0:
            raise OSError(errno.EFBIG, "it unpacks to more bytes than such a file holds")
        return count


def most_unpacked(stored: int) -> int:
    """Return the most bytes that so many packed ones may become: images and tables do not pack by more than 200."""
    return min(max(_UNPACKED_ANYHOW, 200 * stored), MAX_BYTES)


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
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{source}: the file is damaged or not what its name says ({reason}). Fetch it again."
        ) from error


@contextmanager
def open_file(path: Path | str, *, limit: int = MAX_BYTES) -> Iterator[BufferedReader]:
    """Open a file for reading; a pipe or a device is refused, since reading it may never end.

    Raises:
        DataError: the file is missing, no regular file, longer than ``limit`` bytes, cannot be read or is damaged.
    """
    with read_errors(path), open_regular(path, limit) as file:
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
