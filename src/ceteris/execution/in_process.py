"""Training in this process, one task at a time: for debuggers and for classes that only this process knows."""

from collections.abc import Generator
from contextlib import ExitStack

from ceteris.data import ImageSet
from ceteris.execution.worker import Event, Task, train_and_keep
from ceteris.store import Store
from ceteris.training import one_thread
from ceteris.user_code import ImportPolicy


class InProcessPool:
    """A pool of one: this process, with one thread for the time of the training, as every worker has."""

    def __init__(self, train: ImageSet, store: Store, *, imports: ImportPolicy) -> None:
        self._train, self._store, self._imports = train, store, imports
        self._waiting: list[Task] = []
        self._one_thread = ExitStack()

    def __enter__(self) -> "InProcessPool":
        self._one_thread.enter_context(one_thread())
        return self

    def __exit__(self, *_: object) -> None:
        self._one_thread.close()

    def idle(self) -> int:
        """Return 1 when nothing is waiting."""
        return 0 if self._waiting else 1

    def submit(self, task: Task) -> None:
        """Take a task; it is trained when the events are asked for."""
        self._waiting.append(task)

    def events(self, timeout: float) -> Generator[Event, None, None]:
        """Train what waits and yield its records."""
        for task in [self._waiting.pop() for _ in self._waiting[:1]]:
            records = train_and_keep(task, self._train, self._store, imports=self._imports)
            yield Event(kind="done", digest=task.digest, records=records)
