"""A training process: it takes one task after another, trains it and writes its records.

It imports what a training needs and nothing else (no study, no statistics), so that it starts quickly and stays small.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import torch

from ceteris.data import ImageSet, open_train
from ceteris.errors import CeterisError
from ceteris.records import Record, Trial
from ceteris.store import Store
from ceteris.training.compiler import put_off_compiler
from ceteris.training.population import run_population
from ceteris.user_code import ImportPolicy


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """What every worker needs to know: the prepared training images, the store, and whether user code may be imported."""

    train: Path
    store: Path
    imports: ImportPolicy


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one worker trains at once: a single trial, or all members of a population in their order."""

    digests: tuple[str, ...]
    trials: tuple[Trial, ...]

    @property
    def digest(self) -> str:
        """The digest of the population, or of the single trial."""
        return self.trials[0].execution.population or self.digests[0]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that a worker reports about a task (by digest): with its records in the task's order when it is done."""

    kind: Literal["epoch", "done", "lost"]
    digest: str
    epoch: int = 0
    records: tuple[Record, ...] = ()
    message: str = ""


def serve(pipe: Connection, workplace: WorkerConfig) -> None:
    """Train what comes through ``pipe`` until it is closed or the process that started this one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the study, which ends the workers
    _leave_when_orphaned()
    torch.set_num_threads(1)
    put_off_compiler()
    train, store = open_train(workplace.train), Store(workplace.store)
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            records = train_and_keep(
                task, train, store, on_epoch=_Beat(pipe, task.digest).epoch, imports=workplace.imports
            )
            pipe.send(Event(kind="done", digest=task.digest, records=records))
        except CeterisError as error:
            pipe.send(error)


def train_and_keep(
    task: Task,
    train: ImageSet,
    store: Store,
    *,
    on_epoch: Callable[[int], None] = lambda epoch: None,
    imports: ImportPolicy,
) -> tuple[Record, ...]:
    """Train a task, write its records and return them light; one that failed is not kept, so that it is tried again.

    A population is kept whole or not at all.

    Raises:
        StoreError: when a record cannot be written.
        DataError: when the images cannot be split as the study says.
    """
    results = run_population(task.trials, train, on_epoch=on_epoch, imports=imports)
    if all(result.record.status != "failed" for result in results):
        for result in results:
            store.put(result.record, result.weights, result.snapshots)
        if len(results) > 1:
            store.mark_population(task.digest, task.digests)
    return tuple(result.record.light() for result in results)


class _Beat:
    """Reports epochs, but not more than a few times a second."""

    def __init__(self, pipe: Connection, digest: str) -> None:
        self._pipe, self._digest, self._last = pipe, digest, 0.0

    def epoch(self, epoch: int) -> None:
        now = time.monotonic()
        if now - self._last > 0.2:
            self._last = now
            self._pipe.send(Event(kind="epoch", digest=self._digest, epoch=epoch))


def _leave_when_orphaned() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
