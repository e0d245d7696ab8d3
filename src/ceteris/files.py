"""Files: which of anybody's are opened, what a name may be, where links may lead; and writing that is whole or absent."""

import errno
import json
import os
import re
import secrets
import stat
import time
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from ceteris.errors import StoreError

CACHE_VARIABLE = "CETERIS_CACHE"
_UNFINISHED = ".part"
_HOLES_FROM = 1 << 28  # bytes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # files of no name on Windows


def open_regular(path: Path | str, limit: int) -> BufferedReader:
    """Open a file for reading, if it is a regular one: reading a pipe or a device may never end.

    Raises:
        OSError: it is missing, cannot be read, is no regular file, or holds more than ``limit`` bytes.
        ValueError: its name holds a zero byte.
    """
    check_regular(path, limit)
    return open(path, "rb")


def check_regular(path: Path | str, limit: int) -> None:
    """Check what :func:`open_regular` checks, for readers that open the file themselves."""
    state = os.stat(path)
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file but a folder, a pipe or a device; it was not opened")
    if state.st_size > limit:
        raise OSError(errno.EFBIG, f"it holds {state.st_size:,} bytes; at most {limit:,} are read")
    if state.st_size > _HOLES_FROM and 100 * 512 * getattr(state, "st_blocks", state.st_size) < state.st_size:
        raise OSError(errno.EFBIG, "it is a file of holes: nearly nothing of it lies on the disk")


def open_to_append(path: Path) -> IO[str]:
    """Open a text file to write at its end; it may be absent, and it may be neither a link nor a pipe.

    Raises:
        OSError: it cannot be written.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError(errno.EINVAL, "it is a link, a folder, a pipe or a device, which is not written to")
    return path.open("a", encoding="utf-8")


def json_tree(text: str | bytes) -> Any:
    """Return the plain values of a JSON text.

    Raises:
        ValueError: it is no JSON, nested too deep, or holds a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def file_name(text: str) -> str:
    """Return a text that may be the name of a file on every system: 1 to 100 letters, digits and ``_ . -``.

    Raises:
        ValueError: it is anything else, such as a path or the name of a device.
    """
    if not _NAME.fullmatch(text) or text.endswith(".") or _DEVICES.fullmatch(text):
        raise ValueError(
            "a name has letters (a to z), digits, dots, hyphens and underscores, starts with a letter or digit, "
            f"does not end with a dot, and is no device such as NUL; received {text[:80]!r}"
        )
    return text


def user_cache() -> Path:
    """Return the folder of what ceteris keeps for its user: CETERIS_CACHE, else ceteris in the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ceteris"


def check_links(folder: Path) -> None:
    """Refuse a folder in which links lead to folders elsewhere: what is written through them would lie there.

    Raises:
        StoreError: naming the link.
    """
    root = folder.resolve()
    for place in (*folder.glob("*"), *folder.glob("*/*")):
        if place.is_symlink() and place.is_dir() and not place.resolve().is_relative_to(root):
            raise StoreError(
                f"{place} is a link to {place.resolve()}, outside {folder}. Nothing is written through it: remove the link, or "
                "name another folder."
            )


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path``, flush it to the disk and rename it: a reader sees the old file, the new one, or none.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(6)}{_UNFINISHED}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with unfinished.open("xb") as file:  # unlike a temporary file it has the permissions of the user's umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file of a result or a store, whole or not at all.

    Raises:
        StoreError: when the disk is full or the folder cannot be written.
    """
    try:
        replace_file(path, content)
    except OSError as error:
        raise write_error(path, error) from None


def write_error(path: Path, error: OSError) -> StoreError:
    """Return the message for a failed write; a full disk is named as such."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"The disk is full: {path} could not be written. Nothing that was finished is lost; free some space, "
            "or choose another place with --out, and run the same command again."
        )
    return StoreError(f"{path} cannot be written ({error.strerror or error}). Choose another place with --out.")


def remove_unfinished(folder: Path, *, older_than: float) -> None:
    """Remove what writers that were killed left in a folder and below: files untouched for ``older_than`` seconds.

    A writer may be at work on another machine that shares the folder, so a young file is left alone.
    """
    for path in folder.rglob(f".*{_UNFINISHED}"):
        with suppress(OSError):  # somebody else removed it, or may alone do so
            if time.time() - path.stat().st_mtime > older_than:
                path.unlink()
