"""The queue: several strategies request trials, a pool trains them, the store answers what is known already.

What is trained at once (a single trial, or a population of several) is a task. The queue decides nothing: results do not
depend on the number of workers or on the order in which trials end, since a strategy goes on only when all trials of its
request are there.
"""

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from ceteris.execution.populations import tasks_of
from ceteris.execution.progress import Progress, StageKind, Work
from ceteris.execution.worker import Done, Epoch, Event, Lost, Task
from ceteris.records import Failed, Record, Trial
from ceteris.training.trial import failed_record

T = TypeVar("T")
Records = Mapping[str, Record]  # by digest
SizeOf = Callable[[Trial], float]  # proportional to the training time within one model
_ATTEMPTS = 2
_LOG = logging.getLogger("ceteris")


@dataclass(frozen=True, kw_only=True)
class Request:
    """Trials that a strategy needs for a stage, with the words that the progress display uses for them."""

    model: str
    stage: str
    trials: tuple[Trial, ...]
    labels: tuple[str, ...]
    kind: StageKind = "search"


Strategy = Generator[Request, Records, T]


class KnownRecords(Protocol):
    """Whoever knows records: the store."""

    def find(self, digest: str, *, light: bool) -> Record | None:
        """Return the record of a trial, None where it is not known."""


class Pool(Protocol):
    """Whoever trains: processes here, this process itself, or nobody."""

    def idle(self) -> int:
        """Return how many tasks may be handed in now."""

    def submit(self, task: Task) -> None:
        """Take a task; it is in progress until its Done or Lost is among the events."""

    def events(self, timeout: float) -> Iterable[Event]:
        """Return what happened within ``timeout`` seconds."""


@dataclass
class _Search(Generic[T]):
    """One strategy at work: the records of its request, None before it began, and how many tasks of it are missing."""

    strategy: Strategy[T]
    records: dict[str, Record] | None = None
    missing: int = 0
    result: T = field(init=False)  # set when the strategy has returned


@dataclass
class _Pending(Generic[T]):
    """A task that is not finished, with its trials' work by digest and the searches that wait for it."""

    task: Task
    work: dict[str, Work]
    searches: list[_Search[T]] = field(default_factory=list)
    losses: int = 0


class Queue(Generic[T]):
    """Runs strategies side by side until each has returned its result; ``records`` are all that they met, by digest."""

    def __init__(
        self, store: KnownRecords, pool: Pool, progress: Progress, size_of: SizeOf = lambda trial: 1.0
    ) -> None:
        self.records: dict[str, Record] = {}  # light ones
        self._store, self._pool, self._progress, self._size_of = store, pool, progress, size_of
        self._pending: dict[str, _Pending[T]] = {}  # by the task's digest
        self._todo: deque[_Pending[T]] = deque()  # those of them that the pool does not have

    def run(self, strategies: Sequence[Strategy[T]]) -> list[T]:
        """Return what each strategy returned, in the same order.

        Raises:
            StoreError: when a record cannot be written; all records written before stay.
        """
        searches = [_Search(strategy) for strategy in strategies]
        for search in searches:
            self._advance(search)
        while self._pending:
            while self._todo and self._pool.idle():
                pending = self._todo.popleft()
                for digest, work in pending.work.items():
                    self._progress.started(digest, work)
                self._pool.submit(pending.task)
            for event in self._pool.events(timeout=0.5):
                self._handle(event)
        return [search.result for search in searches]

    def _advance(self, search: _Search[T]) -> None:
        """Let a strategy decide as long as every record that it needs is there."""
        while not search.missing:
            try:
                records = search.records
                request = next(search.strategy) if records is None else search.strategy.send(records)
            except StopIteration as stop:
                search.result = stop.value
                return
            search.records = self._request(search, request)

    def _request(self, search: _Search[T], request: Request) -> dict[str, Record]:
        """Return the records of a request that are known; its other tasks are left to the pool."""
        label_of = dict(zip((trial.digest for trial in request.trials), request.labels, strict=True))
        needed = []
        for task in tasks_of(request.trials):
            work = {
                trial.digest: Work(
                    model=request.model,
                    stage=request.stage,
                    label=label_of[trial.digest],
                    epochs=trial.recipe.epochs,
                    units=self._size_of(trial),
                    kind=request.kind,
                )
                for trial in task.trials
            }
            needed.append(self._pending.get(task.digest) or _Pending(task, work))
        new = [pending for pending in needed if pending.task.digests[0] not in self.records]
        self._progress.requested([work for pending in new for work in pending.work.values()])
        found: dict[str, Record] = {}
        for pending in needed:
            digest = pending.task.digest
            if digest not in self._pending:
                if records := self._known(pending):
                    found |= records
                    continue
                self._pending[digest] = pending
                self._todo.append(pending)
            pending.searches.append(search)
            search.missing += 1
        return found

    def _known(self, pending: _Pending[T]) -> dict[str, Record]:
        """Return the records of a task if this run has met all of them or the store has them, else none."""
        records: dict[str, Record] = {}
        for digest in pending.task.digests:
            record = self.records.get(digest) or self._store.find(digest, light=True)
            if record is None:
                return {}
            records[digest] = record
        for digest, record in records.items():
            if digest not in self.records:
                self._note(digest, pending.work[digest], record, reused=True)
        return records

    def _handle(self, event: Event) -> None:
        pending = self._pending[event.digest]
        match event:
            case Epoch():
                for digest in pending.task.digests:
                    self._progress.epoch(digest, event.epoch)
            case Done():
                self._finish(pending, event.records)
            case Lost():
                pending.losses += 1
                again = pending.losses < _ATTEMPTS
                result = "it is trained again" if again else "it is not tried again"
                _LOG.warning("training %s was lost: %s; %s", event.digest[:16], event.message, result)
                if again:
                    self._todo.appendleft(pending)
                else:
                    self._finish(pending, [failed_record(trial, event.message) for trial in pending.task.trials])

    def _finish(self, pending: _Pending[T], records: Sequence[Record]) -> None:
        del self._pending[pending.task.digest]
        found = {record.digest: record for record in records}
        for digest, record in found.items():
            self._note(digest, pending.work[digest], record, reused=False)
        for search in pending.searches:
            assert search.records is not None, "a search that waits has made a request"
            search.records |= found
            search.missing -= 1
            self._advance(search)

    def _note(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        self.records[digest] = record
        if isinstance(record, Failed):
            _LOG.error("%s, %s, %s: %s: %s", work.model, work.stage, work.label, record.status, record.error)
            if record.traceback:
                _LOG.error("%s", record.traceback.rstrip())
        self._progress.finished(digest, work, record, reused=reused)
