"""A training process: it takes one task after another, trains it and writes its records.

It imports what a training needs and nothing else (no study, no statistics), so that it starts quickly and stays small.
"""

import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from ceteris.data import ImageSet, open_train
from ceteris.errors import CeterisError
from ceteris.records import Record, Trial
from ceteris.store import Store
from ceteris.training.compiler import put_off_compiler
from ceteris.training.loop import OnEpoch
from ceteris.training.population import run_population
from ceteris.training.trial import run_trial
from ceteris.user_code import ImportPolicy

_SECONDS_BETWEEN_EPOCHS = 0.2  # that are reported


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """What every worker needs to know: the prepared training images, the store, and which user code may be imported.

    With ``device`` "cuda", each worker trains on a GPU of its own as far as there are enough of them.
    """

    train: Path
    store: Path
    imports: ImportPolicy
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one worker trains at once: a single trial, or all members of a population in their order."""

    trials: tuple[Trial, ...]

    @property
    def digest(self) -> str:
        """The digest of the population, or of the single trial."""
        return self.trials[0].execution.population or self.trials[0].digest

    @property
    def digests(self) -> tuple[str, ...]:
        """The digests of the trials."""
        return tuple(trial.digest for trial in self.trials)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """The task with this digest has finished an epoch (from 1)."""

    digest: str
    epoch: int


@dataclass(frozen=True, kw_only=True)
class Done:
    """The task with this digest is finished; its records are light ones, in its order."""

    digest: str
    records: tuple[Record, ...]


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The task with this digest came to nothing: its worker died."""

    digest: str
    message: str


Event = Epoch | Done | Lost


def serve(pipe: Connection, config: WorkerConfig, number: int) -> None:
    """Train what comes through ``pipe`` until it is closed or the process that started this one is gone.

    ``number`` counts the workers of a pool from 0.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the study, which ends the workers
    exit_with_parent()
    torch.set_num_threads(1)
    put_off_compiler()
    if config.device == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())
    train, store = open_train(config.train), Store(config.store)
    with suppress(EOFError, OSError):  # nobody waits at the other end of the pipe any more
        while True:
            task: Task = pipe.recv()
            try:
                records = train_and_keep(task, train, store, on_epoch=_reporter(pipe, task), imports=config.imports)
                pipe.send(Done(digest=task.digest, records=records))
            except CeterisError as error:
                pipe.send(error)


def train_and_keep(
    task: Task, train: ImageSet, store: Store, *, on_epoch: OnEpoch = lambda epoch: None, imports: ImportPolicy
) -> tuple[Record, ...]:
    """Train a task, write its records and return them light; one that failed is not kept, so that it is tried again.

    A population is kept whole or not at all.

    Raises:
        StoreError: when a record cannot be written.
        DataError: when the images cannot be split as the study says.
        OSError: when ``on_epoch`` raises one.
    """
    if len(task.trials) == 1:
        results = [run_trial(task.trials[0], train, on_epoch=on_epoch, imports=imports)]
    else:
        results = run_population(task.trials, train, on_epoch=on_epoch, imports=imports)
    if all(result.record.status != "failed" for result in results):
        for result in results:
            store.put(result.record, result.weights, result.snapshots)
        if len(results) > 1:
            store.mark_population(task.digest, task.digests)
    return tuple(result.record.light() for result in results)


def exit_with_parent() -> None:
    """End this process as soon as the one that started it through the fork server has ended, in whatever way it did.

    Its own parent in the operating system is no guide: that is the fork server, which lives as long as its children.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return  # this is the study itself

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _reporter(pipe: Connection, task: Task) -> OnEpoch:
    """Return what reports the epochs of a task, but not more than a few times a second."""
    last = 0.0

    def report(epoch: int) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS_BETWEEN_EPOCHS:
            last = time.monotonic()
            pipe.send(Epoch(digest=task.digest, epoch=epoch))

    return report
