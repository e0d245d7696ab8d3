"""How much of a study is done, and when it will end."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ceteris.execution.progress import StageKind, Work

StageKey = tuple[str, StageKind, str]  # model, kind, name: a factor may bear the name of another stage


def stage_of(work: Work) -> StageKey:
    """Return the stage that a trial belongs to."""
    return work.model, work.kind, work.stage


@dataclass
class _Stage:
    """One stage of one model: trials and their sizes as planned, as requested so far, and as done."""

    planned: int = 0
    planned_units: float = 0.0
    requested: int = 0
    requested_units: float = 0.0
    done: int = 0
    done_units: float = 0.0

    @property
    def trials(self) -> int:
        return max(self.planned, self.requested, self.done)

    @property
    def units_left(self) -> float:
        return max(0.0, max(self.planned_units, self.requested_units) - self.done_units)

    def close(self) -> None:
        """Hear that nothing more will be asked for: what was planned beyond it is not needed."""
        self.planned, self.planned_units = 0, 0.0


@dataclass
class Estimate:
    """Counts trials and learns, model by model, how many seconds a unit of work takes on this machine."""

    workers: int
    stages: dict[StageKey, _Stage] = field(default_factory=dict)
    reused: int = 0
    failed: int = 0
    _seconds: dict[str, float] = field(default_factory=dict)
    _units: dict[str, float] = field(default_factory=dict)

    def planned(self, stages: Sequence[Sequence[Work]]) -> None:
        """Take what is planned, stage by stage."""
        for works in stages:
            for work in works:
                stage = self.stages.setdefault(stage_of(work), _Stage())
                stage.planned += 1
                stage.planned_units += work.units

    def requested(self, works: Sequence[Work]) -> None:
        """Take what a stage asks for now; the stages of its model that were planned before it are over."""
        for work in works:
            stage = self.stages.setdefault(stage_of(work), _Stage())
            stage.requested += 1
            stage.requested_units += work.units
        for now in set(map(stage_of, works)):
            of_model = [other for other in self.stages if other[0] == now[0]]
            for other in of_model[: of_model.index(now)]:
                self.stages[other].close()

    def finished(self, work: Work, *, seconds: float, reused: bool, failed: bool) -> None:
        """Count a trial; ``seconds`` is the time that one worker spent on it."""
        stage = self.stages.setdefault(stage_of(work), _Stage())
        stage.done += 1
        stage.done_units += work.units
        self.failed += failed
        self.reused += reused
        if not reused and not failed:
            self._seconds[work.model] = self._seconds.get(work.model, 0.0) + seconds
            self._units[work.model] = self._units.get(work.model, 0.0) + work.units

    @property
    def done(self) -> int:
        """The number of finished trials."""
        return sum(stage.done for stage in self.stages.values())

    @property
    def total(self) -> int:
        """The number of trials as far as it is known."""
        return sum(stage.trials for stage in self.stages.values())

    def seconds_left(self) -> float:
        """Return the predicted time until the last training ends, in seconds."""
        left = sum(stage.units_left * self._rate(model) for (model, _, _), stage in self.stages.items())
        return left / max(1, self.workers)

    def _rate(self, model: str) -> float:
        """Seconds per unit: of this model, or of all models so far; 1 before anything was measured."""
        if self._units.get(model):
            return self._seconds[model] / self._units[model]
        units = sum(self._units.values())
        return sum(self._seconds.values()) / units if units else 1.0
