"""How much of a study is done, and when it will end."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ceteris.study import Work


@dataclass
class _Stage:
    """One stage of one model: how many trials it has, and the size of those that are not finished."""

    trials: int = 0
    units: float = 0.0
    done: int = 0
    asked: bool = False


@dataclass
class Estimate:
    """Counts trials and learns, model by model, how many seconds a unit of work takes on this machine."""

    workers: int
    stages: dict[tuple[str, str], _Stage] = field(default_factory=dict)
    reused: int = 0
    failed: int = 0
    _seconds: dict[str, float] = field(default_factory=dict)
    _units: dict[str, float] = field(default_factory=dict)

    def planned(self, stages: Sequence[Sequence[Work]]) -> None:
        """Take what is planned, stage by stage."""
        for works in stages:
            for work in works:
                stage = self.stages.setdefault((work.model, work.stage), _Stage())
                stage.trials += 1
                stage.units += work.units

    def asked(self, works: Sequence[Work]) -> None:
        """Take what a stage really asks for, in place of what was planned for it."""
        for work in works:
            stage = self.stages.setdefault((work.model, work.stage), _Stage())
            if not stage.asked:
                stage.asked, stage.trials, stage.units = True, 0, 0.0
            stage.trials += 1
            stage.units += work.units

    def finished(self, work: Work, *, seconds: float, reused: bool, failed: bool) -> None:
        """Count a trial; ``seconds`` is the time that one worker spent on it."""
        stage = self.stages.setdefault((work.model, work.stage), _Stage(trials=1, units=work.units))
        stage.done += 1
        stage.units = max(0.0, stage.units - work.units)
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
        return sum(max(stage.trials, stage.done) for stage in self.stages.values())

    def seconds_left(self) -> float:
        """Return the predicted time until the last training ends, in seconds."""
        left = sum(stage.units * self._rate(model) for (model, _), stage in self.stages.items())
        return left / max(1, self.workers)

    def _rate(self, model: str) -> float:
        """Seconds per unit: of this model, or of all models so far; 1 before anything was measured."""
        if self._units.get(model):
            return self._seconds[model] / self._units[model]
        units = sum(self._units.values())
        return sum(self._seconds.values()) / units if units else 1.0
