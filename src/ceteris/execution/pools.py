"""Pools that train on this machine: this process, or several with one thread each that share the images' memory.

A worker writes the records itself, so that a finished task is on the disk before anybody knows of it. A worker that dies
(killed, out of memory) costs the task that it was training; another worker takes its place.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from types import ModuleType

import torch

from ceteris.data import ImageSet
from ceteris.errors import ConfigError
from ceteris.execution.worker import Done, Event, Lost, Task, WorkerConfig, serve, train_and_keep
from ceteris.store import Store
from ceteris.training.device import one_thread, resolve_device
from ceteris.user_code import NO_IMPORTS, ImportPolicy

_MOST_PROCESSES = 1024
# Libraries under torch and numpy read these once, when a process starts.
_ENVIRONMENT = {
    # Feature maps of many megabytes come and go with every step; with pages of 4 KiB the processor spends 5 to 10 % of the
    # time of a CNN or a ResNet on finding them. Other C libraries than glibc ignore this.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    # Each worker has one core. numpy's threads would wait for those of the other workers, six times as long as they compute.
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # Python looks for modules in the folder where it starts, first of all: that may be one that somebody else sent.
    "PYTHONSAFEPATH": "1",
}


def process_count(workers: int | None, device: str) -> int:
    """Return the number of training processes: as wanted; else one per GPU of the device, or one per core on a CPU.

    ``device`` is "auto" or a device of this machine; "cuda" means all of its GPUs, "cuda:1" one of them. Only cores that
    this process may use are counted.

    Raises:
        ConfigError: for a number below 0, or when the device is not on this machine.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers is not None and not 0 <= workers <= _MOST_PROCESSES:
        raise ConfigError(
            f"workers: allowed are 0 (train in this process) to {_MOST_PROCESSES}; received {workers}. "
            f"This machine: {cores}."
        )
    if workers is not None:
        return workers
    match resolve_device(device):
        case "cpu":
            return cores
        case "cuda":
            return torch.cuda.device_count()
        case _:
            return 1


class InProcessPool:
    """A pool of one: this process, with one thread for the time of the training, as every worker has.

    For debuggers, and for classes that only this process knows.
    """

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
        """Take a task; it is trained by :meth:`events`."""
        self._waiting.append(task)

    def events(self, timeout: float) -> Generator[Event, None, None]:
        """Train what waits and yield its records."""
        if self._waiting:
            task = self._waiting.pop()
            records = train_and_keep(task, self._train, self._store, imports=self._imports)
            yield Done(digest=task.digest, records=records)


@dataclass
class _Worker:
    """A training process, and the digest of the task that it has, "" for none."""

    process: BaseProcess
    pipe: Connection
    task: str = ""


class WorkerPool:
    """A fixed number of training processes; use it as a context manager."""

    def __init__(self, config: WorkerConfig, count: int) -> None:
        self._config, self._count, self._context = config, count, worker_context()
        self._workers: list[_Worker] = []

    def __enter__(self) -> "WorkerPool":
        self._workers = [self._start(number) for number in range(self._count)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    def idle(self) -> int:
        """Return how many workers have nothing to do."""
        return sum(not worker.task for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Give a task to an idle worker; there must be one."""
        worker = next(worker for worker in self._workers if not worker.task)
        worker.task = task.digest
        try:
            worker.pipe.send(task)
        except OSError:
            return  # it died while it was idle: events() notices and reports the task as lost

    def events(self, timeout: float) -> Iterator[Event]:
        """Yield what the workers report within ``timeout`` seconds; dead workers are replaced.

        Raises:
            StoreError: when a worker could not write its record.
            DataError: when the images cannot be split as the study says.
        """
        waiting = [worker.pipe for worker in self._workers] + [worker.process.sentinel for worker in self._workers]
        ready = wait(waiting, timeout)
        for number, worker in enumerate(self._workers):
            died = worker.process.sentinel in ready
            if died or worker.pipe in ready:
                yield from self._messages(worker)
            if died:
                if worker.task:
                    message = f"the training process died (exit code {worker.process.exitcode})"
                    yield Lost(digest=worker.task, message=message)
                worker.pipe.close()
                self._workers[number] = self._start(number)

    def _messages(self, worker: _Worker) -> Iterator[Event]:
        try:
            while worker.pipe.poll():
                message = worker.pipe.recv()
                if isinstance(message, Exception):
                    raise message
                if isinstance(message, Done):
                    worker.task = ""
                yield message
        except (EOFError, ConnectionResetError):
            return

    def _start(self, number: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, self._config, number), daemon=True)
        with environment_of_workers(), main_thread_prepared(hide_main=self._config.imports == NO_IMPORTS):
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
def environment_of_workers() -> Iterator[None]:
    """Let a process that is started inside inherit what libraries read once when they start; the user's own choices stay."""
    added = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


@contextmanager
def main_thread_prepared(*, hide_main: bool) -> Iterator[None]:
    """Let a process that is started inside ignore Ctrl-C from the first, since the parent answers it and ends the workers.

    With ``hide_main`` it does not import the program that runs here either: each worker would import the command line, or
    run a script that has no ``if __name__ == "__main__"``. In other threads than the main one nothing is prepared: only
    that may say how signals are answered.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    main, interrupt = sys.modules["__main__"], signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hide_main:
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.signal(signal.SIGINT, interrupt)
