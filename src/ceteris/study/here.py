"""Training in this process, one trial at a time: for debuggers and for classes that only this process knows."""

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import replace

from ceteris.data import ImageSet
from ceteris.records import Trial
from ceteris.store import Store
from ceteris.study.workers import Event
from ceteris.training import one_thread, run_trial


class HerePool:
    """A pool of one: this process, with one thread for the time of the training, as every worker has."""

    def __init__(self, train: ImageSet, store: Store, *, allow_imports: bool) -> None:
        self._train, self._store, self._allow_imports = train, store, allow_imports
        self._waiting: list[tuple[str, Trial]] = []
        self._one_thread = ExitStack()

    def __enter__(self) -> "HerePool":
        self._one_thread.enter_context(one_thread())
        return self

    def __exit__(self, *_: object) -> None:
        self._one_thread.close()

    def idle(self) -> int:
        """Return 1 when nothing is waiting."""
        return 0 if self._waiting else 1

    def submit(self, digest: str, trial: Trial) -> None:
        """Take a trial; it is trained when the events are asked for."""
        self._waiting.append((digest, trial))

    def events(self, timeout: float) -> Generator[Event, None, None]:
        """Train what waits and yield its record."""
        for digest, trial in [self._waiting.pop() for _ in self._waiting[:1]]:
            result = run_trial(trial, self._train, allow_imports=self._allow_imports)
            record = replace(result.record, digest=digest)
            if record.status != "failed":
                self._store.put(record, result.weights, result.snapshots)
            yield Event(kind="done", digest=digest, record=record)
