"""What a running study reports; the command line draws it, a notebook may ignore it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
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


# ---------------------------------------------------------------------------------------------------------------------
# How far a study is

StageKey = tuple[str, StageKind, str]  # model, kind, name: a factor may bear the name of another stage


@dataclass
class Stage:
    """One stage of one model: the units of every trial that is planned, requested so far, and finished."""

    planned: list[float] = field(default_factory=list)
    requested: list[float] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)

    @property
    def trials(self) -> int:
        """The number of trials as far as it is known."""
        return max(len(self.planned), len(self.requested), len(self.finished))


@dataclass
class Estimate:
    """Counts trials and learns, model by model, how many seconds a unit of work takes on this machine.

    A trial's units are the seconds that were predicted for it.
    """

    workers: int
    stages: dict[StageKey, Stage] = field(default_factory=lambda: defaultdict(Stage))
    reused: int = 0
    failed: int = 0
    _seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _units: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def planned(self, stages: Sequence[Sequence[Work]]) -> None:
        """Take what is planned, stage by stage."""
        for work in (work for works in stages for work in works):
            self.stages[_stage_of(work)].planned.append(work.units)

    def requested(self, works: Sequence[Work]) -> None:
        """Take what a stage asks for now; what its model planned in stages before it, and did not ask for, is not needed."""
        for work in works:
            self.stages[_stage_of(work)].requested.append(work.units)
        for now in set(map(_stage_of, works)):
            of_model = [stage for stage in self.stages if stage[0] == now[0]]
            for before in of_model[: of_model.index(now)]:
                self.stages[before].planned.clear()

    def finished(self, work: Work, *, seconds: float, reused: bool, failed: bool) -> None:
        """Count a trial; ``seconds`` is the time that one worker spent on it."""
        self.stages[_stage_of(work)].finished.append(work.units)
        self.failed += failed
        self.reused += reused
        if not reused and not failed:
            self._seconds[work.model] += seconds
            self._units[work.model] += work.units

    @property
    def done(self) -> int:
        """The number of finished trials."""
        return sum(len(stage.finished) for stage in self.stages.values())

    @property
    def total(self) -> int:
        """The number of trials as far as it is known."""
        return sum(stage.trials for stage in self.stages.values())

    def seconds_left(self) -> float:
        """Return the predicted time until the last training ends, in seconds."""
        overall = sum(self._seconds.values()) / sum(self._units.values()) if self._units else 1.0
        left = 0.0
        for (model, _, _), stage in self.stages.items():
            rate = self._seconds[model] / self._units[model] if model in self._units else overall
            left += rate * max(0.0, max(sum(stage.planned), sum(stage.requested)) - sum(stage.finished))
        return left / max(1, self.workers)


def _stage_of(work: Work) -> StageKey:
    return work.model, work.kind, work.stage
