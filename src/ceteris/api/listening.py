"""Keeps every record that a run meets, and passes on what it hears."""

from ceteris.execution.progress import Progress, Work
from ceteris.records import Record


class Listener:
    """A progress listener that collects the records by digest before it passes everything on."""

    def __init__(self, inner: Progress) -> None:
        self.records: dict[str, Record] = {}
        self._inner = inner
        self.planned = inner.planned
        self.asked = inner.asked
        self.started = inner.started
        self.epoch = inner.epoch
        self.phase = inner.phase

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        """Keep the record and pass it on."""
        self.records[digest] = record
        self._inner.finished(digest, work, record, reused=reused)
