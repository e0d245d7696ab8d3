"""Processes that train: one per core, one thread each, the images shared as pages of one memory-mapped file.

A worker writes the records itself, so that a finished task is on the disk before anybody hears of it. A worker that dies
(killed, out of memory) costs the task that it was training; another worker takes its place.
"""

import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from types import ModuleType

from ceteris.execution.worker import Event, Task, WorkerConfig, serve
from ceteris.training.process_environment import environment_of_workers
from ceteris.user_code import NO_IMPORTS


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    digest: str = ""


class WorkerPool:
    """A fixed number of training processes; use it as a context manager."""

    def __init__(self, workplace: WorkerConfig, count: int) -> None:
        self._workplace = workplace
        self._count = count
        self._context = worker_context()
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

    def submit(self, task: Task) -> None:
        """Give a task to an idle worker; there must be one."""
        worker = next(worker for worker in self._workers if not worker.digest)
        worker.digest = task.digest
        try:
            worker.pipe.send(task)
        except (BrokenPipeError, OSError):
            return  # it died while it was idle: events() notices and reports the task as lost

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
        process = self._context.Process(target=serve, args=(theirs, self._workplace), daemon=True)
        with (
            environment_of_workers(),
            _interrupts_ignored(),
            _main_module_hidden(self._workplace.imports != NO_IMPORTS),
        ):
            process.start()
        theirs.close()
        return _Worker(process=process, pipe=ours)


def worker_context() -> SpawnContext | ForkServerContext:
    """Return how processes are started: on Linux by a server that has imported what they need once for all of them."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ceteris.execution.worker"])
    return context


@contextmanager
def _main_module_hidden(needed: bool) -> Iterator[None]:
    """Keep a process that is started inside from importing the program that runs here, unless its code may be needed.

    Otherwise each worker would import the command line, or run a script that has no ``if __name__ == "__main__"``.
    """
    if needed or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = before


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
