"""Files that are either whole or absent: written beside their place, flushed to the disk, then renamed."""

import errno
import os
import secrets
from pathlib import Path

from ceteris.errors import StoreError


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader sees the old file, the whole new one, or none.

    Raises:
        StoreError: when the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_and_rename(path, content)
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


def append_line(path: Path, line: str) -> None:
    """Append one line to a text file and flush it to the disk; a half-written last line is ended first.

    Raises:
        StoreError: when the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.exists() and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn + line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise write_error(path, error) from None


def _write_and_rename(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with unfinished.open(
            "xb"
        ) as file:  # unlike a temporary file it has the permissions that the user's umask asks for
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
