"""Time the reading, preparing and reopening of data sets, beside image-by-image loading through a DataLoader.

    python benchmarks/data_speed.py --data-dir ../shared/datasets
    python benchmarks/data_speed.py --million        # a folder of a million links, takes minutes and some disk

Prints one line per measurement: what, how long, the bound that is promised, and whether it holds. Times are the best of
three where the work can be repeated cheaply, single measurements otherwise. Memory is the peak resident memory of a
process that does nothing else. "cpu" is the computing time alone, which another load on the machine changes less.
"""

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ceteris.data import DataSet, load, open_train

PICTURES = 70_000


def seconds(work: Callable[[], Any], repeat: int = 1) -> float:
    return min(both_clocks(work)[0] for _ in range(repeat))


def both_clocks(work: Callable[[], Any]) -> tuple[float, float]:
    """Return the seconds by the clock on the wall and those that this process spent computing."""
    started, computing = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - computing


def line(what: str, value: str, promised: str = "", holds: bool | None = None) -> None:
    print(
        f"{what:58} {value:>26}  {promised:16} {'' if holds is None else 'holds' if holds else 'DOES NOT HOLD'}",
        flush=True,
    )


@contextlib.contextmanager
def scratch(where: Path | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ceteris-benchmark-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def named_set(name: str, first: float, again: float, data_dir: Path, work: Path) -> DataSet:
    def read() -> DataSet:
        return load(name, data_dir=data_dir, cache_dir=work / name, offline=True)

    taken, computing = both_clocks(read)
    line(f"{name}: first preparation", f"{taken:.2f} s (cpu {computing:.2f})", f"≤ {first:g} s", taken <= first)
    taken = seconds(read, repeat=3)
    line(f"{name}: loading again", f"{taken * 1000:.1f} ms", f"< {again * 1000:g} ms", taken < again)
    code = (
        "import sys, time; from pathlib import Path; from ceteris.data import load; import ceteris.data.named\n"
        "started = time.perf_counter()\n"
        "load(sys.argv[1], data_dir=Path(sys.argv[2]), cache_dir=Path(sys.argv[3]), offline=True)\n"
        "print(time.perf_counter() - started)"
    )
    command = [sys.executable, "-c", code, name, str(data_dir), str(work / name)]
    taken = min(float(subprocess.check_output(command)) for _ in range(3))
    line(
        f"{name}: loading again in a new process, imports done",
        f"{taken * 1000:.1f} ms",
        f"< {again * 1000:g} ms",
        taken < again,
    )
    return read()


def write_pictures(images: np.ndarray, labels: np.ndarray, root: Path) -> None:
    for label in range(10):
        (root / "Train" / str(label)).mkdir(parents=True)
        (root / "Test" / str(label)).mkdir(parents=True)
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        part = "Train" if place < 60_000 else "Test"
        Image.fromarray(image[0]).save(root / part / str(label) / f"{place:05d}.png", compress_level=1)


def picture_folder(mnist: DataSet, work: Path) -> Path:
    test = mnist.test.open(record_look=lambda fingerprint: None)
    images = np.concatenate([mnist.train.images, test.images])
    labels = np.concatenate([mnist.train.labels, test.labels])
    write_pictures(images, labels, work / "pictures")
    taken, computing = both_clocks(lambda: load(str(work / "pictures"), cache_dir=work / "cache"))
    rate, cpu_rate = PICTURES / taken, PICTURES / computing
    shown = f"{rate:,.0f}/s (cpu {cpu_rate:,.0f}/s)"
    line(f"folder of {PICTURES:,} PNG files: first preparation", shown, "≥ 5,000/s", rate >= 5_000)
    taken = seconds(lambda: load(str(work / "pictures"), cache_dir=work / "cache"), repeat=2)
    line("folder of PNG files: loading again (lists every file)", f"{taken:.2f} s")
    return work / "pictures"


def beside_a_data_loader(mnist: DataSet, pictures: Path) -> None:
    """Read one epoch of batches of 128 both ways; the per-image way is that of torchvision's ImageFolder and transforms."""
    torch: Any = import_module("torch")
    torch.set_num_threads(1)

    class PerImage(torch.utils.data.Dataset):  # type: ignore[misc]
        def __init__(self) -> None:
            self.files = sorted((pictures / "Train").rglob("*.png"))

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, place: int) -> tuple[Any, int]:
            with Image.open(self.files[place]) as image:
                pixels = np.asarray(image.convert("L"))
            tensor = torch.from_numpy(pixels.copy())[None].float().div(255)
            return tensor.sub(0.1307).div(0.3081), int(self.files[place].parent.name)

    def per_image(workers: int) -> None:
        for _ in torch.utils.data.DataLoader(PerImage(), batch_size=128, shuffle=True, num_workers=workers):
            pass

    def from_the_map() -> None:
        train = open_train(mnist.prepared)
        order = np.random.default_rng(0).permutation(len(train))
        for start in range(0, len(order), 128):
            places = order[start : start + 128]
            torch.from_numpy(train.images[places]).float().sub(33.3).div(78.6)
            torch.from_numpy(train.labels[places])

    ours = seconds(from_the_map, repeat=3)
    line("one epoch of MNIST in batches of 128 from the map", f"{ours:.3f} s")
    for workers in (0, 2):
        theirs = seconds(lambda workers=workers: per_image(workers))  # type: ignore[misc]
        line(f"the same image by image, DataLoader with {workers} workers", f"{theirs:.2f} s = {theirs / ours:.0f} x")


def shared_pages(mnist: DataSet) -> None:
    code = (
        "import sys; from pathlib import Path; from ceteris.data import open_train\n"
        "train = open_train(Path(sys.argv[1])); int(train.images.sum(dtype='int64'))\n"
        "fields = dict(row.split(':', 1) for row in open('/proc/self/smaps_rollup') if ':' in row)\n"
        "print(fields['Private_Dirty'].split()[0], end=' ')\n"
        "rows = open('/proc/self/smaps').read().split('train_images.npy')[1].splitlines()\n"
        "print(next(row.split()[1] for row in rows if row.startswith('Private_Dirty')))"
    )
    output = subprocess.check_output([sys.executable, "-c", code, str(mnist.prepared)], text=True).split()
    line("pages of the images that a worker holds for itself", f"{output[1]} KiB", "0", int(output[1]) == 0)


def peak_of(code: str, *arguments: str) -> tuple[float, float]:
    """Return seconds and peak resident MiB of a process that runs ``code``."""
    tail = "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    started = time.perf_counter()
    peak = float(subprocess.check_output([sys.executable, "-c", code + tail, *arguments], text=True).split()[-1])
    return time.perf_counter() - started, peak


def link_pictures(count: int, root: Path) -> None:
    """Make ``count`` files in 100 class folders, hard links to 1,000 different pictures."""
    source = root.parent / "originals"
    if not source.is_dir():
        source.mkdir()
        for place in range(1_000):
            pixels = np.random.default_rng(place).integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(source / f"{place}.png")
    for label in range(100):
        (root / f"class{label:02d}").mkdir(parents=True)
    for place in range(count):
        os.link(source / f"{place % 1000}.png", root / f"class{place % 100:02d}" / f"{place}.png")


def million(work: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ceteris.data import load\n"
        "load(sys.argv[1], cache_dir=Path(sys.argv[2]))"
    )
    per_image = []
    for count in (100_000, 1_000_000):
        link_pictures(count, work / f"links{count}")
        taken, peak = peak_of(code, str(work / f"links{count}"), str(work / "cache"))
        per_image.append(taken / count)
        line(f"folder of {count:,} pictures: time", f"{taken:.1f} s = {count / taken:,.0f}/s")
        line(f"folder of {count:,} pictures: peak memory", f"{peak:.0f} MiB", "< 1024 MiB", peak < 1024)
    growth = per_image[1] / per_image[0]
    line("time per picture, a million to a hundred thousand", f"{growth:.2f}", "linear", growth < 1.3)
    batches = (
        "import sys, numpy; from pathlib import Path; from ceteris.data import open_train\n"
        "train = open_train(Path(sys.argv[1])); random = numpy.random.default_rng(0)\n"
        "for _ in range(1000): train.images[random.integers(0, len(train), 128)]"
    )
    prepared = max((work / "cache" / "prepared").iterdir(), key=lambda path: (path / "train_images.npy").stat().st_size)
    own = "\nrows = open('/proc/self/status').read().splitlines()\n"
    own += "print(next(int(row.split()[1]) for row in rows if row.startswith('RssAnon')) / 1024)"
    output = subprocess.check_output([sys.executable, "-c", batches + own, str(prepared)], text=True)
    size = (prepared / "train_images.npy").stat().st_size / 2**20
    line(f"1,000 random batches from the map of {size:.0f} MiB: own memory", f"{float(output):.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CETERIS_DATA", "../shared/datasets")))
    parser.add_argument("--work", type=Path, default=None, help="folder for temporary files")
    parser.add_argument("--million", action="store_true")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, numpy {np.__version__}")
    with scratch(arguments.work) as work:
        if arguments.million:
            million(work)
            return
        mnist = named_set("mnist", 1.0, 0.05, arguments.data_dir, work)
        named_set("cifar-100", 15.0, 0.1, arguments.data_dir, work)
        pictures = picture_folder(mnist, work)
        shared_pages(mnist)
        beside_a_data_loader(mnist, pictures)
    print(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
