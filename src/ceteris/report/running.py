"""The page of a running study: how far it is and what is known so far; it reloads itself until the report takes its place."""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

import numpy as np
from markupsafe import Markup

from ceteris.errors import StoreError
from ceteris.execution.progress import Estimate, Progress, Work
from ceteris.formats import clock
from ceteris.records import Finished, Record
from ceteris.report.html import environment_of_pages, template
from ceteris.report.table import Table, columns, made
from ceteris.store import write_bytes

SECONDS_BETWEEN = 10.0  # while a comparison goes on
RELOAD = 5  # seconds


class RunningPage(Progress):
    """Writes the page after every comparison and passes all that it hears on; use it as a context manager.

    Nothing is written before a training begins: a study whose trainings are all in the store is its report at once. When the
    block ends with an error the page says that the study was stopped and reloads no more.
    """

    def __init__(
        self,
        progress: Progress,
        path: Path,
        *,
        title: str,
        models: Mapping[str, str],
        stages: Mapping[str, str],
        workers: int,
    ) -> None:
        """Listen for ``progress``; ``models`` and ``stages`` are titles by name."""
        self._progress, self._path, self._title, self._models, self._stages = progress, path, title, models, stages
        self._estimate = Estimate(workers=max(1, workers))
        self._records: dict[str, dict[str, dict[str, list[Record]]]] = defaultdict(lambda: defaultdict(dict))
        self._began: dict[str, float] = {}
        self._phase, self._started, self._written, self._page = "", time.monotonic(), 0.0, environment_of_pages()

    def __enter__(self) -> "RunningPage":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None and self._written:
            self._phase = "The study was stopped. Run it again: finished trainings are not repeated."
            self._write(running=False)

    def planned(self, stages: Sequence[Sequence[Work]]) -> None:
        """Take what is planned."""
        self._estimate.planned(stages)
        self._progress.planned(stages)

    def requested(self, work: Sequence[Work]) -> None:
        """Take what a stage asks for."""
        self._estimate.requested(work)
        self._progress.requested(work)

    def started(self, digest: str, work: Work) -> None:
        """Begin the page with the first training."""
        self._began[digest] = time.monotonic()
        self._progress.started(digest, work)
        if not self._written:
            self._write()

    def epoch(self, digest: str, epoch: int) -> None:
        """Pass it on."""
        self._progress.epoch(digest, epoch)

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        """Count a trial; a comparison that is complete with it brings the page up to date."""
        seconds = (time.monotonic() - self._began.pop(digest, time.monotonic())) / record.trial.execution.members
        failed = not isinstance(record, Finished)
        self._estimate.finished(work, seconds=seconds, reused=reused, failed=failed)
        self._records[work.model][work.stage].setdefault(work.label, []).append(record)
        self._progress.finished(digest, work, record, reused=reused)
        stage = self._estimate.stages[work.model, work.kind, work.stage]
        complete = len(stage.finished) >= len(stage.requested)
        if self._written and (complete or time.monotonic() - self._written > SECONDS_BETWEEN):
            self._write()

    def phase(self, text: str) -> None:
        """Show what is done besides training."""
        self._phase = text
        self._progress.phase(text)
        if self._written:
            self._write()

    def note(self, text: str) -> None:
        """Pass it on."""
        self._progress.note(text)

    def _write(self, *, running: bool = True) -> None:
        """Write the page; where that fails the study goes on without."""
        self._written = time.monotonic()
        page = self._page.get_template("running.html.jinja").render(
            style=Markup(template("page.css")),
            reload=RELOAD if running else 0,
            title=self._title,
            told=self._told(),
            phase=self._phase,
            now=f"{datetime.now():%Y-%m-%d %H:%M:%S}",
            estimate=self._estimate,
            models=[(title, *self._model(name)) for name, title in self._models.items()],
        )
        try:
            write_bytes(self._path, page.encode())
        except StoreError as error:
            logging.getLogger("ceteris").warning("the page of the running study could not be written: %s", error)

    def _told(self) -> str:
        estimate = self._estimate
        parts = [f"{estimate.done:,} of {estimate.total:,} trainings after {clock(time.monotonic() - self._started)}"]
        parts += [f"{estimate.reused:,} of them from the store"] if estimate.reused else []
        parts += [f"{estimate.failed:,} did not finish"] if estimate.failed else []
        parts += [f"about {clock(estimate.seconds_left())} left"] if estimate.done < estimate.total else []
        return "; ".join(parts) + "."

    def _model(self, name: str) -> tuple[int, int, list[Table]]:
        """Return a model's finished and expected trainings, and a table of every comparison, the newest first."""
        stages = [stage for (model, _, _), stage in self._estimate.stages.items() if model == name]
        found = [table_so_far(self._stages.get(stage, stage), levels) for stage, levels in self._records[name].items()]
        return sum(len(stage.finished) for stage in stages), sum(stage.trials for stage in stages), found[::-1]


def table_so_far(stage: str, levels: dict[str, list[Record]]) -> Table:
    """Return what every level of a stage reached on its held-out images so far, the best mean first."""
    titles = columns(
        "level", ("finished", "count"), ("mean accuracy", "share"), ("lowest", "share"), ("highest", "share"),
        ("failed", "count"),
    )  # fmt: skip
    rows: list[tuple[str, int, float | None, float | None, float | None, int]] = []
    for label, records in levels.items():
        values = np.array([record.accuracy for record in records if isinstance(record, Finished)])
        mean, low, high = (float(of(values)) if len(values) else None for of in (np.mean, np.min, np.max))
        rows.append((label, len(values), mean, low, high, len(records) - len(values)))
    rows.sort(key=lambda row: -(row[2] or 0.0))
    return made(stage, stage, titles, rows)
