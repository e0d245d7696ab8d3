"""What a run leaves in the log: its phases, and why trainings did not finish, in ``ceteris.log`` beside the report."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ceteris.execution.progress import Progress, Work
from ceteris.records import Failed, Record
from ceteris.store.atomic import write_error

LOG_FILE = "ceteris.log"
_LOG = logging.getLogger("ceteris")


class Journal:
    """Logs what a run tells, keeps its records by digest, and passes everything on."""

    def __init__(self, inner: Progress) -> None:
        self.records: dict[str, Record] = {}
        self._inner = inner
        self.planned = inner.planned
        self.asked = inner.asked
        self.started = inner.started
        self.epoch = inner.epoch

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        """Keep the record; log a training that did not finish."""
        self.records[digest] = record
        if isinstance(record, Failed):
            _LOG.error("%s, %s, %s: %s: %s", work.model, work.stage, work.label, record.status, record.error)
            if record.traceback:
                _LOG.error("%s", record.traceback.rstrip())
        self._inner.finished(digest, work, record, reused=reused)

    def phase(self, text: str) -> None:
        """Log what is done besides training."""
        _LOG.info("%s", text)
        self._inner.phase(text)


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
