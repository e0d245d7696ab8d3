"""What a running study looks like in a terminal: what runs, what is done, what remains, when it will end."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from ceteris.execution.progress import Progress, StageKind, Work
from ceteris.formats import clock
from ceteris.records import Failed, Record

_SECONDS_BETWEEN_LINES = 10.0

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


class Display(Progress):
    """A bar for every model where there is a terminal, and plain lines where there is none; use it as a context manager."""

    def __init__(self, console: Console, workers: int) -> None:
        self.estimate = Estimate(workers=max(1, workers))
        self._console = console
        self._running: dict[str, tuple[Work, int]] = {}
        self._began: dict[str, float] = {}
        self._phase = ""
        self._started = time.monotonic()
        self._last_line = 0.0
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[stages]}", markup=False),
            console=console,
            auto_refresh=False,
        )
        self._tasks: dict[str, TaskID] = {}
        self._live = Live(get_renderable=self._draw, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def planned(self, stages: Sequence[Sequence[Work]]) -> None:
        """Take what is planned."""
        self.estimate.planned(stages)
        self._count()

    def requested(self, work: Sequence[Work]) -> None:
        """Take what a stage asks for."""
        self.estimate.requested(work)
        self._count()

    def started(self, digest: str, work: Work) -> None:
        """Show a trial as running."""
        self._running[digest] = (work, 0)
        self._began[digest] = time.monotonic()

    def epoch(self, digest: str, epoch: int) -> None:
        """Show how far a trial is."""
        if digest in self._running:
            self._running[digest] = (self._running[digest][0], epoch)

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        """Count a trial; tell of one that did not end well."""
        self._running.pop(digest, None)
        seconds = time.monotonic() - self._began.pop(digest, time.monotonic())
        failed = isinstance(record, Failed)
        # the members of a population are trained at the same time
        seconds /= record.trial.execution.members
        self.estimate.finished(work, seconds=seconds, reused=reused, failed=failed)
        self._count()
        if isinstance(record, Failed) and not reused:
            self._console.print(
                f"{work.model}, {work.stage}, {work.label}: {record.status}: {record.error}",
                style="yellow",
                markup=False,
            )
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            self.note(f"{self._clock()}  {self._summary()}  {'; '.join(self._running_texts())}")

    def phase(self, text: str) -> None:
        """Show what is done besides training."""
        self._phase = text
        if not self._console.is_terminal:
            self.note(f"{self._clock()}  {text}")

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _summary(self) -> str:
        estimate = self.estimate
        left = estimate.seconds_left()
        end = datetime.now() + timedelta(seconds=left)
        extra = f", {estimate.reused} from the store" if estimate.reused else ""
        extra += f", {estimate.failed} did not finish" if estimate.failed else ""
        return f"{estimate.done} of {estimate.total} trainings{extra}; about {clock(left)} left, until {end:%H:%M:%S}"

    def _draw(self) -> Group:
        running = [Text(f"  {text}", style="dim") for text in self._running_texts()]
        head = Text(f"{self._clock()}  {self._summary() if self.estimate.total else ''}")
        return Group(head, self._bars, *running, Text(f"  {self._phase}", style="italic"))

    def _count(self) -> None:
        """Bring the bar of every model up to date."""
        for model in dict.fromkeys(model for model, _, _ in self.estimate.stages):
            stages = [(name, stage) for (of, _, name), stage in self.estimate.stages.items() if of == model]
            left = [name for name, stage in stages if len(stage.finished) < stage.trials]
            if model not in self._tasks:
                self._tasks[model] = self._bars.add_task(model, stages="")
            self._bars.update(
                self._tasks[model],
                total=sum(stage.trials for _, stage in stages),
                completed=sum(len(stage.finished) for _, stage in stages),
                stages=f"{left[0]}, then {len(left) - 1} more" if len(left) > 1 else "".join(left) or "done",
            )

    def _clock(self) -> str:
        return clock(time.monotonic() - self._started)

    def _running_texts(self) -> list[str]:
        return [
            f"{work.model} · {work.stage} · {work.label} · epoch {epoch}/{work.epochs}"
            for work, epoch in self._running.values()
        ]
