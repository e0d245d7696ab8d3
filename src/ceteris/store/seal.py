"""The ledger of looks at a test set: one line for every time that one was opened, and why."""

import json
from pathlib import Path

from ceteris.digests import plain
from ceteris.findings import Look
from ceteris.store.atomic import append_line
from ceteris.store.codec import from_tree


def looks_at(root: Path, fingerprint: str) -> tuple[Look, ...]:
    """Return all looks at the test set with this fingerprint, oldest first.

    A line that is no look was being written when the power went: its look was never allowed, so it does not count.
    """
    path = _ledger(root, fingerprint)
    if not path.exists():
        return ()
    return tuple(look for line in path.read_bytes().split(b"\n") if (look := _look_in(line)))


def record_look(root: Path, fingerprint: str, look: Look) -> None:
    """Write one look into the ledger: one line for every time that the test set is opened.

    Raises:
        StoreError: when it cannot be written; then the test set must stay shut.
    """
    append_line(_ledger(root, fingerprint), json.dumps(plain(look), ensure_ascii=False))


def _ledger(root: Path, fingerprint: str) -> Path:
    return root / "looks" / f"{fingerprint[:32]}.jsonl"


def _look_in(line: bytes) -> Look | None:
    try:
        look: Look = from_tree(Look, json.loads(line))
    except (ValueError, TypeError, AttributeError):
        return None
    return look
