"""What a run leaves in the log: its phases, and why trainings did not finish, in ``ceteris.log`` beside the report."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ceteris.store.atomic import write_error

LOG_FILE = "ceteris.log"
_LOG = logging.getLogger("ceteris")


class _LogFile(logging.FileHandler):
    """A log file that ends nothing when the disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name that logging gives it
        """Leave the line out."""


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Append what ceteris logs inside the block to a file, with date and time.

    Raises:
        StoreError: when the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _LogFile(path, encoding="utf-8")
    except OSError as error:
        raise write_error(path, error) from None
    handler.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-7s  %(message)s"))
    level = _LOG.level
    _LOG.setLevel(min(level or logging.INFO, logging.INFO))
    _LOG.addHandler(handler)
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        _LOG.setLevel(level)
        handler.close()
