"""What a running study reports; the command line draws it, a notebook may ignore it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ceteris.records import Record

# What a stage of a model's experiment is for: recipes or values are searched (tuning included), arms are compared with an
# incumbent block by block, baseline and best are confirmed, finals are trained. Names of stages are for people: a factor
# may be called "final".
StageKind = Literal["search", "comparison", "confirmation", "final"]


@dataclass(frozen=True, kw_only=True)
class Work:
    """One trial as the display knows it; ``units`` are proportional to its training time within one model."""

    model: str
    stage: str
    label: str = ""
    epochs: int
    units: float
    kind: StageKind = "search"


class Progress:
    """Listens to a running study. Every method does nothing here; a listener overrides those that it needs."""

    def planned(self, stages: Sequence[Sequence[Work]]) -> None:
        """Take, stage by stage, what will be trained as far as it can be known."""

    def requested(self, work: Sequence[Work]) -> None:
        """Take the trials that a stage really needs; they replace its planned ones."""

    def started(self, digest: str, work: Work) -> None:
        """A worker began a trial."""

    def epoch(self, digest: str, epoch: int) -> None:
        """A trial finished an epoch (from 1)."""

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        """A trial has its record, a light one; ``reused`` when it came from the store."""

    def phase(self, text: str) -> None:
        """The study does something besides training."""

    def note(self, text: str) -> None:
        """Take what should stay in view: how the data were read, what endangers the conclusions."""
