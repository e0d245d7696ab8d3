"""The ledger of looks at a test set: one line for every time that one was opened, and why."""

import json
import os
from contextlib import suppress
from pathlib import Path

from ceteris.digests import plain
from ceteris.errors import StoreError
from ceteris.files import json_tree, open_regular, open_to_append, write_error
from ceteris.findings import Look
from ceteris.store.codec import from_tree

_MOST_BYTES = 64 << 20


def looks_at(root: Path, fingerprint: str) -> tuple[Look, ...]:
    """Return all looks at the test set with this fingerprint, oldest first.

    A line that is no look was being written when the power went: its look was never allowed, so it does not count.
    """
    path = _ledger(root, fingerprint)
    if not path.exists():
        return ()
    looks: list[Look] = []
    try:
        text = _text(path)
    except OSError as error:
        raise StoreError(f"{path}: the ledger of looks at a test set cannot be read ({error.strerror}).") from None
    for line in text.split(b"\n"):
        with suppress(ValueError):
            looks.append(from_tree(Look, json_tree(line)))
    return tuple(looks)


def record_look(root: Path, fingerprint: str, look: Look) -> None:
    """Write one look as a line into the ledger and flush it to the disk; a half-written last line is ended first.

    Raises:
        StoreError: when it cannot be written; then the test set must stay shut.
    """
    path, line = _ledger(root, fingerprint), json.dumps(plain(look), ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_to_append(path) as file:
            torn = file.tell() > 0 and not _text(path).endswith(b"\n")
            file.write("\n" * torn + line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise write_error(path, error) from None


def _text(path: Path) -> bytes:
    with open_regular(path, _MOST_BYTES) as file:
        return file.read()


def _ledger(root: Path, fingerprint: str) -> Path:
    return root / "looks" / f"{fingerprint[:32]}.jsonl"
