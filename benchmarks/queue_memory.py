"""Measure the memory that the records of a long study take in the process that runs it.

    python benchmarks/queue_memory.py --trials 10000

A pool that does not train answers with records as workers send them, through pickle. Prints the growth of the resident
memory from before the queue to after its last record; the bound is 1 GiB for 10,000 trials.
"""

import argparse
import pickle
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil

from ceteris import recipe as r
from ceteris.execution.progress import Progress
from ceteris.execution.queue import Queue, Records, Request
from ceteris.execution.worker import Done, Event, Task
from ceteris.records import Cost, CrossValidationSplit, Finished, Trial
from ceteris.store import Store
from ceteris.training.device import environment, execution_of

_COST = Cost(
    train_seconds=1.0,
    evaluation_seconds=0.1,
    peak_memory_bytes=2**28,
    parameters=10**6,
    forward_flops_per_image=10**6,
    training_flops=10**12,
    images_per_second=1000.0,
)


class NullPool:
    """Answers every task at once with a light record that has been pickled on the way."""

    def __init__(self) -> None:
        self._waiting: list[Task] = []

    def idle(self) -> int:
        """Return 1: there is always room."""
        return 1

    def submit(self, task: Task) -> None:
        """Take a task."""
        self._waiting.append(task)

    def events(self, timeout: float) -> Iterator[Event]:
        """Yield the records of what waits."""
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            sent = pickle.dumps(Done(digest=task.digest, records=tuple(map(_record, task.trials))))
            yield pickle.loads(sent)


def main() -> None:
    """Print the growth of the resident memory."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    count = parser.parse_args().trials
    process, began = psutil.Process(), time.monotonic()
    before = process.memory_info().rss
    with tempfile.TemporaryDirectory() as folder:
        queue: Queue[int] = Queue(Store(Path(folder)), NullPool(), Progress())
        queue.run([_search(count)])
        grown = process.memory_info().rss - before
    assert len(queue.records) == count
    print(
        f"{count:,} trials: {grown / 2**20:.0f} MiB ({grown / count / 2**10:.1f} KiB each), {time.monotonic() - began:.0f} s"
    )


def _search(count: int) -> Generator[Request, Records, int]:
    """Request ten recipes on five folds at a time."""
    for start in range(0, count, 50):
        numbers = range(start, min(start + 50, count))
        trials = tuple(map(_trial, numbers))
        yield Request(model="m", stage=f"{start}", trials=trials, labels=tuple(map(str, numbers)))
    return count


def _trial(number: int) -> Trial:
    recipe = r.Recipe(
        model=r.ResNet(),
        optimizer=r.SGD(lr=0.1 / (1 + number // 5)),
        augmentation=(r.Shift(), r.Noise()),
    )
    return Trial(
        recipe=recipe,
        data="0" * 64,
        split=CrossValidationSplit(folds=5, index=number % 5, seed=0),
        seed=0,
        execution=execution_of(recipe, "cpu"),
    )


def _record(trial: Trial) -> Finished:
    return Finished(
        trial=trial,
        accuracy=0.5,
        f1=0.5,
        loss=1.0,
        train_accuracy=0.6,
        best_epoch=20,
        epoch_count=20,
        step_count=2000,
        cost=_COST,
        environment=dict(environment()),
    )


if __name__ == "__main__":
    main()
