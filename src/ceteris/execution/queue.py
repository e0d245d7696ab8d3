"""The queue: several strategies ask for trials, the workers train them, the store answers what is known already.

What is trained at once (a single trial, or a population of several) is a task.

Results do not depend on the number of workers or on the order in which trials end: a strategy decides only when all
trials it asked for are there.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from ceteris.execution.populations import tasks_of
from ceteris.execution.progress import Progress, Work
from ceteris.execution.request import Request
from ceteris.execution.worker import Event, Task
from ceteris.records import Record, Trial
from ceteris.training import failed_record

T = TypeVar("T")
Strategy = Generator[Request, Mapping[str, Record], T]
SizeOf = Callable[[Trial], float]
_ATTEMPTS = 2


class KnownRecords(Protocol):
    """Whoever knows records: the store."""

    def find(self, digest: str, *, light: bool = False) -> Record | None:
        """Return the record of a trial, without its arrays if ``light``; None where it is not known."""


class Pool(Protocol):
    """Whoever trains: processes here, or this process itself."""

    def idle(self) -> int:
        """Return how many tasks may be handed in now."""

    def submit(self, task: Task) -> None:
        """Take a task."""

    def events(self, timeout: float) -> Iterable[Event]:
        """Tell what happened within ``timeout`` seconds."""


@dataclass
class _Chain(Generic[T]):
    """One strategy at work: what it waits for, and what it got."""

    strategy: Strategy[T]
    waiting: set[str] = field(default_factory=set)
    records: dict[str, Record] = field(default_factory=dict)
    result: list[T] = field(default_factory=list)


class Queue(Generic[T]):
    """Runs strategies side by side until each has returned its result."""

    def __init__(self, store: KnownRecords, pool: Pool, progress: Progress, size_of: SizeOf) -> None:
        self._store, self._pool, self._progress, self._size_of = store, pool, progress, size_of
        self._todo: deque[Task] = deque()
        self._tasks: dict[str, Task] = {}
        self._work: dict[str, Work] = {}
        self._attempts: dict[str, int] = {}
        self._known: dict[str, Record] = {}

    def run(self, strategies: Sequence[Strategy[T]]) -> list[T]:
        """Return what each strategy returned, in the same order.

        Raises:
            StoreError: when a record cannot be written; all records written before stay.
        """
        chains: list[_Chain[T]] = [_Chain(strategy) for strategy in strategies]
        for chain in chains:
            self._advance(chain, first=True)
        while any(chain.waiting for chain in chains):
            self._hand_out()
            for event in self._pool.events(timeout=0.5):
                self._hear(event, chains)
        return [chain.result[0] for chain in chains]

    def _advance(self, chain: _Chain[T], *, first: bool = False) -> None:
        """Let a strategy decide as long as everything that it asks for is known."""
        while not chain.waiting:
            try:
                request = next(chain.strategy) if first else chain.strategy.send(chain.records)
            except StopIteration as stop:
                chain.result.append(stop.value)
                return
            first = False
            chain.records = {}
            self._ask(chain, request)

    def _ask(self, chain: _Chain[T], request: Request) -> None:
        wanted = {trial.digest: (trial, label) for trial, label in zip(request.trials, request.labels, strict=True)}
        for digest, (trial, label) in wanted.items():
            self._work.setdefault(digest, self._work_of(trial, request, label))
        self._progress.asked([self._work[digest] for digest in wanted if digest not in self._known])
        for task in tasks_of({digest: trial for digest, (trial, _) in wanted.items()}):
            records = self._records_of(task)
            if records:
                chain.records |= records
                continue
            chain.waiting |= set(task.digests)
            if task.digest not in self._tasks:
                self._tasks[task.digest] = task
                self._todo.append(task)

    def _work_of(self, trial: Trial, request: Request, label: str) -> Work:
        return Work(
            model=request.model,
            stage=request.stage,
            label=label,
            epochs=trial.recipe.epochs,
            units=self._size_of(trial),
            kind=request.kind,
        )

    def _records_of(self, task: Task) -> dict[str, Record]:
        """Return the records of a task if all are known or in the store, else none."""
        known = {digest: self._known.get(digest) or self._store.find(digest, light=True) for digest in task.digests}
        records = {digest: record for digest, record in known.items() if record}
        if len(records) < len(known):
            return {}
        for digest in records.keys() - self._known.keys():
            self._known[digest] = records[digest]
            self._progress.finished(digest, self._work[digest], records[digest], reused=True)
        return records

    def _hand_out(self) -> None:
        for _ in range(min(self._pool.idle(), len(self._todo))):
            task = self._todo.popleft()
            for digest in task.digests:
                self._progress.started(digest, self._work[digest])
            self._pool.submit(task)

    def _hear(self, event: Event, chains: Sequence[_Chain[T]]) -> None:
        task = self._tasks[event.digest]
        if event.kind == "epoch":
            for digest in task.digests:
                self._progress.epoch(digest, event.epoch)
            return
        records = event.records
        if event.kind == "lost":
            self._attempts[event.digest] = self._attempts.get(event.digest, 0) + 1
            if self._attempts[event.digest] < _ATTEMPTS:
                self._todo.appendleft(task)
                return
            records = tuple(failed_record(trial, event.message) for trial in task.trials)
        self._settle(task, records, chains)

    def _settle(self, task: Task, records: Sequence[Record], chains: Sequence[_Chain[T]]) -> None:
        del self._tasks[task.digest]
        found = {record.digest: record for record in records}
        self._known |= found
        for digest, record in found.items():
            self._progress.finished(digest, self._work[digest], record, reused=False)
        for chain in chains:
            if chain.waiting & found.keys():
                chain.waiting -= found.keys()
                chain.records |= found
                self._advance(chain)
