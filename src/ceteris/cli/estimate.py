"""How much of a study is done, and when it will end; a trial's units are the seconds that were predicted for it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ceteris.execution.progress import StageKind, Work

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
    """Counts trials and learns, model by model, how many seconds a unit of work takes on this machine."""

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
