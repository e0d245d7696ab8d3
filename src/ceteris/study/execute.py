"""The queue: several strategies ask for trials, the workers train them, the store answers what is known already.

Results do not depend on the number of workers or on the order in which trials end: a strategy decides only when all
trials it asked for are there.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from ceteris.records import Trial, TrialRecord
from ceteris.store import Store, trial_digest
from ceteris.study.greedy import Request
from ceteris.study.progress import Progress, Work
from ceteris.study.workers import Event
from ceteris.training import failed_record

T = TypeVar("T")
Strategy = Generator[Request, Mapping[str, TrialRecord], T]
SizeOf = Callable[[Trial], float]
_ATTEMPTS = 2


class Pool(Protocol):
    """Whoever trains: processes here, or this process itself."""

    def idle(self) -> int:
        """Return how many trials may be handed in now."""

    def submit(self, digest: str, trial: Trial) -> None:
        """Take a trial."""

    def events(self, timeout: float) -> Iterable[Event]:
        """Tell what happened within ``timeout`` seconds."""


@dataclass
class _Chain(Generic[T]):
    """One strategy at work: what it waits for, and what it got."""

    strategy: Strategy[T]
    waiting: set[str] = field(default_factory=set)
    records: dict[str, TrialRecord] = field(default_factory=dict)
    result: list[T] = field(default_factory=list)


class Queue(Generic[T]):
    """Runs strategies side by side until each has returned its result."""

    def __init__(self, store: Store, pool: Pool, progress: Progress, size_of: SizeOf) -> None:
        self._store, self._pool, self._progress, self._size_of = store, pool, progress, size_of
        self._todo: deque[str] = deque()
        self._trials: dict[str, Trial] = {}
        self._work: dict[str, Work] = {}
        self._attempts: dict[str, int] = {}
        self._known: dict[str, TrialRecord] = {}

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
        wanted = dict(
            zip(map(trial_digest, request.trials), zip(request.trials, request.labels, strict=True), strict=True)
        )
        for digest, (trial, label) in wanted.items():
            self._work.setdefault(digest, self._work_of(trial, request, label))
        self._progress.asked([self._work[digest] for digest in wanted if digest not in self._known])
        for digest, (trial, _) in wanted.items():
            record = self._known.get(digest) or self._from_store(digest)
            if record:
                chain.records[digest] = record
                continue
            chain.waiting.add(digest)
            if digest not in self._trials:
                self._trials[digest] = trial
                self._todo.append(digest)

    def _work_of(self, trial: Trial, request: Request, label: str) -> Work:
        return Work(
            model=request.model,
            stage=request.stage,
            label=label,
            epochs=trial.recipe.epochs,
            units=self._size_of(trial),
        )

    def _from_store(self, digest: str) -> TrialRecord | None:
        record = self._store.find(digest)
        if record:
            self._known[digest] = record
            self._progress.finished(digest, self._work[digest], record, reused=True)
        return record

    def _hand_out(self) -> None:
        for _ in range(min(self._pool.idle(), len(self._todo))):
            digest = self._todo.popleft()
            self._progress.started(digest, self._work[digest])
            self._pool.submit(digest, self._trials[digest])

    def _hear(self, event: Event, chains: Sequence[_Chain[T]]) -> None:
        if event.kind == "epoch":
            self._progress.epoch(event.digest, event.epoch)
            return
        record = event.record
        if event.kind == "lost":
            self._attempts[event.digest] = self._attempts.get(event.digest, 0) + 1
            if self._attempts[event.digest] < _ATTEMPTS:
                self._todo.appendleft(event.digest)
                return
            record = replace(failed_record(self._trials[event.digest], event.message), digest=event.digest)
        if record:
            self._settle(record, chains)

    def _settle(self, record: TrialRecord, chains: Sequence[_Chain[T]]) -> None:
        digest = record.digest
        self._known[digest] = record
        self._trials.pop(digest, None)
        self._progress.finished(digest, self._work[digest], record, reused=False)
        for chain in chains:
            if digest in chain.waiting:
                chain.waiting.discard(digest)
                chain.records[digest] = record
                self._advance(chain)
