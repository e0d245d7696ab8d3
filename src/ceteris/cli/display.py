"""What a running study looks like in a terminal: what runs, what is done, what remains, when it will end."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from ceteris.execution.progress import Estimate, Progress, Work
from ceteris.formats import clock
from ceteris.records import Failed, Record

_SECONDS_BETWEEN_LINES = 10.0


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
