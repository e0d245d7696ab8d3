"""The ledger of looks at a test set: one line for every time that one was opened, and why."""

import json
import os
from contextlib import suppress
from pathlib import Path

from ceteris.digests import plain
from ceteris.findings import Look
from ceteris.store.atomic import write_error
from ceteris.store.codec import from_tree


def looks_at(root: Path, fingerprint: str) -> tuple[Look, ...]:
    """Return all looks at the test set with this fingerprint, oldest first.

    A line that is no look was being written when the power went: its look was never allowed, so it does not count.
    """
    path = _ledger(root, fingerprint)
    if not path.exists():
        return ()
    looks: list[Look] = []
    for line in path.read_bytes().split(b"\n"):
        with suppress(ValueError, TypeError, AttributeError):
            looks.append(from_tree(Look, json.loads(line)))
    return tuple(looks)


def record_look(root: Path, fingerprint: str, look: Look) -> None:
    """Write one look as a line into the ledger and flush it to the disk; a half-written last line is ended first.

    Raises:
        StoreError: when it cannot be written; then the test set must stay shut.
    """
    path, line = _ledger(root, fingerprint), json.dumps(plain(look), ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.exists() and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn + line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise write_error(path, error) from None


def _ledger(root: Path, fingerprint: str) -> Path:
    return root / "looks" / f"{fingerprint[:32]}.jsonl"
