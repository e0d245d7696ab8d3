"""Files that are either whole or absent: written beside their place, flushed to the disk, then renamed."""

import errno
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from ceteris.errors import StoreError

_UNFINISHED = ".part"


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader sees the old file, the whole new one, or none.

    Raises:
        StoreError: when the disk is full or the folder cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(6)}{_UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("xb") as file:  # unlike a temporary file it has the permissions of the user's umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise write_error(path, error) from None
        raise


def remove_unfinished(folder: Path, *, older_than: float) -> None:
    """Remove what writers that were killed left in a folder and below: files untouched for ``older_than`` seconds.

    A writer may be at work on another machine that shares the folder, so a young file is left alone.
    """
    for path in folder.rglob(f".*{_UNFINISHED}"):
        with suppress(OSError):  # somebody else removed it, or may alone do so
            if time.time() - path.stat().st_mtime > older_than:
                path.unlink()


def write_error(path: Path, error: OSError) -> StoreError:
    """Return the message for a failed write; a full disk is named as such."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"The disk is full: {path} could not be written. Nothing that was finished is lost; free some space, "
            "or choose another place with --out, and run the same command again."
        )
    return StoreError(f"{path} cannot be written ({error.strerror or error}). Choose another place with --out.")
