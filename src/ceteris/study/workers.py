"""Processes that train: one per core, one thread each, the images shared as pages of one memory-mapped file.

A worker writes the record itself, so that a finished trial is on the disk before anybody hears of it. A worker that
dies (killed, out of memory) costs the trial that it was training; another worker takes its place.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

from ceteris.errors import CeterisError
from ceteris.records import Trial, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What every worker needs to know: the prepared training images, the store, and whether user code may be imported."""

    train: Path
    store: Path
    allow_imports: bool


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that a worker reports about a trial (by digest)."""

    kind: Literal["epoch", "done", "lost"]
    digest: str
    epoch: int = 0
    record: TrialRecord | None = None
    message: str = ""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    digest: str = ""


class WorkerPool:
    """A fixed number of training processes; use it as a context manager."""

    def __init__(self, workplace: Workplace, count: int) -> None:
        self._workplace = workplace
        self._count = count
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def __enter__(self) -> "WorkerPool":
        self._workers = [self._start() for _ in range(self._count)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    def idle(self) -> int:
        """Return how many workers have nothing to do."""
        return sum(not worker.digest for worker in self._workers)

    def submit(self, digest: str, trial: Trial) -> None:
        """Give a trial to an idle worker; there must be one."""
        worker = next(worker for worker in self._workers if not worker.digest)
        worker.digest = digest
        try:
            worker.pipe.send((digest, trial))
        except (BrokenPipeError, OSError):
            return  # it died while it was idle: events() notices and reports the trial as lost

    def events(self, timeout: float) -> Iterator[Event]:
        """Yield what the workers report within ``timeout`` seconds; dead workers are replaced.

        Raises:
            StoreError: when a worker could not write its record.
            DataError: when the images cannot be split as the study says.
        """
        waiting = [worker.pipe for worker in self._workers] + [worker.process.sentinel for worker in self._workers]
        ready = wait(waiting, timeout)
        for place, worker in enumerate(self._workers):
            if worker.pipe in ready:
                yield from self._messages(worker)
            if worker.process.sentinel in ready:
                yield from self._messages(worker)
                if worker.digest:
                    code = worker.process.exitcode
                    yield Event(
                        kind="lost", digest=worker.digest, message=f"the training process died (exit code {code})"
                    )
                worker.pipe.close()
                self._workers[place] = self._start()

    def _messages(self, worker: _Worker) -> Iterator[Event]:
        try:
            while worker.pipe.poll():
                message = worker.pipe.recv()
                if isinstance(message, Exception):
                    raise message
                if message.kind == "done":
                    worker.digest = ""
                yield message
        except (EOFError, ConnectionResetError):
            return

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._workplace, os.getpid()), daemon=True)
        with _interrupts_ignored():
            process.start()
        theirs.close()
        return _Worker(process=process, pipe=ours)


def _work(pipe: Connection, workplace: Workplace, parent: int) -> None:
    _leave_when_orphaned(parent)
    import torch

    torch.set_num_threads(1)
    from ceteris.data import open_train
    from ceteris.store import Store
    from ceteris.training import run_trial

    train = open_train(workplace.train)
    store = Store(workplace.store)
    while True:
        try:
            digest, trial = pipe.recv()
        except (EOFError, OSError):
            return
        beat = _Beat(pipe, digest)
        try:
            result = run_trial(trial, train, on_epoch=beat.epoch, allow_imports=workplace.allow_imports)
            record = replace(result.record, digest=digest)
            if record.status != "failed":  # what failed for a passing reason is tried again next time
                store.put(record, result.weights, result.snapshots)
            pipe.send(Event(kind="done", digest=digest, record=record))
        except CeterisError as error:
            pipe.send(error)


class _Beat:
    """Reports epochs, but not more than a few times a second."""

    def __init__(self, pipe: Connection, digest: str) -> None:
        self._pipe, self._digest, self._last = pipe, digest, 0.0

    def epoch(self, epoch: int) -> None:
        now = time.monotonic()
        if now - self._last > 0.2:
            self._last = now
            self._pipe.send(Event(kind="epoch", digest=self._digest, epoch=epoch))


def _leave_when_orphaned(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Let a process that is started inside inherit that it ignores Ctrl-C: the parent answers it and ends the workers."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say how signals are answered
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
