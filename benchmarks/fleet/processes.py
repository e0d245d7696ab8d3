"""The processes in which the measurements run: one per core with one thread for ceteris, one with all threads beside them.

They live through the whole benchmark and wait while others are measured, so that every round meets the same machine.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import torch

from ceteris.execution.pools import environment_of_workers, process_count

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Executors of one process each: ``cores`` compute with one thread, ``whole_machine`` with torch's default number."""

    cores: Sequence[Executor]
    whole_machine: Executor

    def on_one_core(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what ``work`` returns in the first process with one thread."""
        return self.cores[0].submit(work, *args, **kwargs).result()

    def on_every_core(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> list[R]:
        """Run ``work`` in all processes with one thread at the same time and return what each returns."""
        return [future.result() for future in [core.submit(work, *args, **kwargs) for core in self.cores]]

    def on_whole_machine(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what ``work`` returns in the process with torch's default threads."""
        return self.whole_machine.submit(work, *args, **kwargs).result()

    def everywhere(self, work: Callable[[], None]) -> None:
        """Run ``work`` once in every process."""
        for future in [process.submit(work) for process in (*self.cores, self.whole_machine)]:
            future.result()


@contextmanager
def start_processes(cores: int | None = None) -> Iterator[Processes]:
    """Start the processes, for all cores that this process may use when ``cores`` is None, and end them afterwards."""
    count = cores or process_count(None, "cpu")
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        single = [
            stack.enter_context(ProcessPoolExecutor(1, spawn, initializer=torch.set_num_threads, initargs=(1,)))
            for _ in range(count)
        ]
        with environment_of_workers():  # executors start their process with the first task
            for process in single:
                process.submit(os.getpid).result()
        # a spawned process would spawn its loader processes too, which starts them more slowly than a user's own script
        usual = ProcessPoolExecutor(1, spawn, initializer=multiprocessing.set_start_method, initargs=(None, True))
        yield Processes(cores=single, whole_machine=stack.enter_context(usual))
