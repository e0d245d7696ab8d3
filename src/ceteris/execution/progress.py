"""What a study tells while it runs; the command line draws it, a notebook may ignore it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ceteris.execution.request import StageKind
from ceteris.records import Record


@dataclass(frozen=True, kw_only=True)
class Work:
    """One trial as the display knows it; ``units`` are proportional to its training time within one model."""

    model: str
    stage: str
    label: str
    epochs: int
    units: float
    kind: StageKind = "search"


class Progress(Protocol):
    """Listens to a running study."""

    def planned(self, stages: Sequence[Sequence[Work]]) -> None:
        """Hear, stage by stage, what will be trained as far as it can be known."""

    def asked(self, work: Sequence[Work]) -> None:
        """Hear which trials a stage really asks for; they take the place of its planned ones."""

    def started(self, digest: str, work: Work) -> None:
        """Hear that a worker began a trial."""

    def epoch(self, digest: str, epoch: int) -> None:
        """Hear that a trial finished an epoch (from 1)."""

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        """Hear that a trial's record is there; ``reused`` when it came from the store."""

    def phase(self, text: str) -> None:
        """Hear what is being done besides training."""

    def note(self, text: str) -> None:
        """Hear what should stay in view: how the data were read, what endangers the conclusions."""


class Silent:
    """A listener that does nothing."""

    def planned(self, stages: Sequence[Sequence[Work]]) -> None:
        """Ignore."""

    def asked(self, work: Sequence[Work]) -> None:
        """Ignore."""

    def started(self, digest: str, work: Work) -> None:
        """Ignore."""

    def epoch(self, digest: str, epoch: int) -> None:
        """Ignore."""

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        """Ignore."""

    def phase(self, text: str) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""
