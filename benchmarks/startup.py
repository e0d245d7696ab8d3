"""Time what happens before the first training, and measure the memory of a training process.

    nice -n -15 python benchmarks/startup.py --rounds 7

Prints a Markdown table of medians. "CPU" is the computing time of the process (and of those that it waits for), which
another load on the machine changes less than the time by the clock. The images are as many as those of EMNIST (balanced).
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from ceteris import recipe as r
from ceteris.data import ImageSet, from_arrays
from ceteris.execution.pools import WorkerPool
from ceteris.execution.populations import as_population
from ceteris.execution.worker import Done, Lost, Task, WorkerConfig
from ceteris.records import CrossValidationSplit, Execution, Record, Trial, finished
from ceteris.seeds import generator
from ceteris.user_code import NO_IMPORTS

IMAGES, CLASSES, FOLDS = 112_800, 47, 5
READY = "import ceteris.execution.worker; ceteris.execution.worker.put_off_compiler()"
COMMANDS = {
    "import ceteris": (("-c", "import ceteris"), 0.3),
    "ceteris --help": (("-c", "import sys; sys.argv[1:] = ['--help']; from ceteris.cli import main; main()"), 0.4),
    "import torch (for comparison)": (("-c", "import torch"), None),
    "a training process until it is ready": (("-c", READY), 2.0),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print(f"| what | clock | CPU | bound (CPU) |   medians of {rounds}\n| --- | ---: | ---: | ---: |")
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, (arguments, _bound) in COMMANDS.items():
            measured[name].append(run(arguments))
    for name, times in measured.items():
        bound = COMMANDS[name][1]
        clock, computing = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"| {name} | {clock:.2f} s | {computing:.2f} s | {f'{bound} s' if bound else ''} |")
    with tempfile.TemporaryDirectory() as folder:
        workers(Path(folder))


def run(arguments: tuple[str, ...]) -> tuple[float, float]:
    """Return the seconds by the clock and the computing seconds of one Python process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    computing = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, computing


def workers(folder: Path) -> None:
    """Start two workers twice, train one trial and one population, and print what that took."""
    images = emnist_like(folder)
    place = WorkerConfig(train=images, store=folder / "store", imports=NO_IMPORTS)
    for number, told in enumerate(("the first pool of 2 workers", "a second pool")):
        began = time.perf_counter()
        with WorkerPool(place, 2) as pool:
            started = time.perf_counter() - began
            processes = [psutil.Process(worker.process.pid) for worker in pool._workers]
            single = train(pool, trials(number)[:1])
            stacked = train(pool, list(as_population(trials(number))))
            computing = [sum(process.cpu_times()[:2]) for process in processes]
            shared = [process.memory_full_info() for process in processes]
        print(f"| {told}: until both exist | {started:.2f} s | | |")
    for name, record in (("one training", single), (f"{FOLDS} folds stacked", stacked)):
        peak = finished(record).cost.peak_memory_bytes / 2**20
        print(f"\n{name} of {IMAGES:,} images: peak of the worker {peak:.0f} MiB (bound 600), {record.status}")
    sizes = ", ".join(f"{info.rss / 2**20:.0f} MiB of which {info.pss / 2**20:.0f} its share" for info in shared)
    print(f"workers at the end: {sizes}; computing {', '.join(f'{seconds:.1f} s' for seconds in computing)}")


def train(pool: WorkerPool, members: list[Trial]) -> Record:
    """Train a task and return its first record."""
    pool.submit(Task(trials=tuple(members)))
    while True:
        for event in pool.events(timeout=1.0):
            if isinstance(event, Done):
                return event.records[0]
            assert not isinstance(event, Lost), event.message


def trials(seed: int) -> list[Trial]:
    """Return the folds of one repetition of a small network."""
    recipe = r.Recipe(model=r.MLP(hidden=(128, 128, 128)), optimizer=r.Adam(), epochs=1)
    return [
        Trial(
            recipe=recipe,
            data="emnist-like",
            split=CrossValidationSplit(folds=FOLDS, index=fold, seed=seed),
            seed=seed,
            execution=Execution(device="cpu", precision="float32", threads=1, torch="any"),
        )
        for fold in range(FOLDS)
    ]


def emnist_like(folder: Path) -> Path:
    """Write noise of the size of EMNIST (balanced), prepared for memory-mapped reading."""
    pixels = generator(0, 0, "sample").integers(0, 256, (IMAGES, 28, 28), dtype=np.uint8)
    labels = np.arange(IMAGES) % CLASSES
    made = from_arrays(pixels, labels, pixels[:CLASSES], labels[:CLASSES], name="noise", cache_dir=folder / "data")
    assert isinstance(made.train, ImageSet)
    return made.prepared


if __name__ == "__main__":
    main()
