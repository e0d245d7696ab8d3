"""Throw damaged and forged files at every reader: each must end in an image set or in an error for people.

    python benchmarks/fuzz_readers.py --inputs 120000

Valid files of every format and layout are damaged by random changes of bytes, cuts, insertions, repetitions and forged
numbers. A crash is any other exception, the death of the process, more than 5 seconds of computing, memory beyond the limit
(1 GiB above that of the idle process), or a valid file that is refused. Inputs that crash are kept in the folder ``--keep``.
"""

import argparse
import gzip
import io
import multiprocessing
import os
import queue
import resource
import signal
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ceteris.data.formats import cifar
from ceteris.data.formats.arrays import arrays_source, read_images
from ceteris.data.formats.cifar import read_cifar_pickle
from ceteris.data.formats.entries import Entry, zip_entries
from ceteris.data.formats.folders import folder_source
from ceteris.data.formats.idx import idx_part, read_mapping
from ceteris.data.formats.npz import npz_source, read_npy
from ceteris.data.formats.parquet import parquet_source
from ceteris.data.formats.pictures import picture_header, read_picture
from ceteris.data.formats.tables import table_source
from ceteris.data.imageset import check_labels
from ceteris.data.source import Part, ReadOptions, Source
from ceteris.errors import CeterisError, DataError
from ceteris.records import ByteArray

SECONDS = 5  # of computing, so that another load on the machine makes no difference
WALL_SECONDS = 60  # by the clock
MEMORY = 1 << 30
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40)
OPTIONS = ReadOptions()
CIFAR10, CIFAR100 = (tuple(f"class {number}" for number in range(count)) for count in (10, 100))


@dataclass(frozen=True, kw_only=True)
class Target:
    """A reader under fire: its valid files and what is done with a damaged one."""

    name: str
    suffix: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], None]
    packed: Callable[[bytes], bytes] | None = None  # how a damaged content is packed so that its checksums are right

    def forged(self, random: np.random.Generator) -> bytes:
        seed = self.seeds[int(random.integers(0, len(self.seeds)))]
        if self.packed is None:
            return mutated(seed, random)
        return self.packed(mutated(seed, random)) if random.random() < 0.7 else mutated(self.packed(seed), random)


def materialise(part: Part, classes: tuple[str, ...]) -> None:
    images = np.empty((len(part.labels), *part.shape), dtype=np.uint8)
    part.fill(images)
    if len(part.labels):
        check_labels(part.labels, classes, count=len(images))


def materialise_source(source: Source) -> None:
    for part in (source.train, source.test):
        if part is not None:
            materialise(part, source.classes)


def images(count: int, shape: tuple[int, ...]) -> ByteArray:
    return np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)


def idx(array: ByteArray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(members: dict[str, bytes], mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            information = tarfile.TarInfo(f"cifar-100-binary/{name}")
            information.size = len(content)
            archive.addfile(information, io.BytesIO(content))
    return stream.getvalue()


def cifar_files() -> dict[str, bytes]:
    records = images(4, (3074,)) % 20
    names = "\n".join(CIFAR100).encode()
    return {"train.bin": records.tobytes(), "test.bin": records[:2].tobytes(), "fine_label_names.txt": names}


def pictures() -> tuple[bytes, ...]:
    grey, colour = images(1, (9, 7))[0], images(1, (9, 7, 3))[0]
    found = []
    for array in (grey, colour, images(1, (9, 7, 4))[0], np.arange(63, dtype=np.uint16).reshape(9, 7) * 1000):
        for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"):
            stream = io.BytesIO()
            try:
                Image.fromarray(array).save(stream, kind)
            except (OSError, KeyError, ValueError):
                continue
            found.append(stream.getvalue())
    return tuple(found)


def npz_files() -> tuple[bytes, ...]:
    found = []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, x_train=images(6, (5, 5)), y_train=np.arange(6) % 3, x_test=images(3, (5, 5)), y_test=np.arange(3))
        found.append(stream.getvalue())
    return tuple(found)


def parquet_files() -> tuple[bytes, ...]:
    pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    stream = io.BytesIO()
    cells = [{"bytes": content, "path": None} for content in pictures()[:1] * 4]
    parquet.write_table(pyarrow.table({"image": cells, "label": [0, 1, 0, 1]}), stream)
    return (stream.getvalue(),)


def pickles() -> tuple[bytes, ...]:
    """Write what Python 2 wrote for the official files: byte strings, lists of small numbers, an array of bytes."""
    pixels = images(3, (3072,)).tobytes()
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = empty + b"(K\x01K\x03M\x00\x0c\x86" + dtype + b"\x89T" + struct.pack("<i", len(pixels)) + pixels + b"tb"
    labels = b"U\x0bfine_labels](K\x01K\x02K\x03eU\x0dcoarse_labels](K\x00K\x00K\x01e"
    return b"\x80\x02}(U\x04data" + array + labels + b"u.", b"\x80\x02}(" + labels + b"U\x04nameU\x05appleu."


def read_idx_pair(path: Path) -> None:
    labels = path.with_name("labels")
    labels.write_bytes(idx(np.arange(6, dtype=np.uint8)))
    materialise(idx_part(Entry(path), Entry(labels), transposed=True), tuple("012345"))


def idx_zip(content: bytes) -> bytes:
    return zipped({"images": content, "labels": idx(np.arange(6, dtype=np.uint8))})


def fast_gzip(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=1)


def npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz_file(content: bytes) -> bytes:
    return zipped({"images.npy": content, "labels.npy": npy(np.arange(6, dtype=np.uint8) % 3)})


def read_npz(path: Path) -> None:
    materialise_source(npz_source(path, name="x"))


def read_zip(path: Path) -> None:
    found = zip_entries(path)
    if not found:
        raise DataError("an empty archive is refused where a set is looked for in it")
    materialise(idx_part(found[0], found[-1], transposed=False), tuple("012345"))


def read_cifar(path: Path) -> None:
    train, test, names = cifar.cifar_parts(path, cifar.LAYOUTS["cifar-100"], CIFAR100)
    materialise(train, names)
    materialise(test, names)


def read_cifar_folder(path: Path) -> None:
    for number in range(1, 6):
        (path.parent / f"data_batch_{number}.bin").write_bytes(path.read_bytes())
    (path.parent / "test_batch.bin").write_bytes(path.read_bytes())
    train, _, names = cifar.cifar_parts(path.parent, cifar.LAYOUTS["cifar-10"], CIFAR10)
    materialise(train, names)


def read_one_picture(path: Path) -> None:
    content = path.read_bytes()
    header = picture_header(str(path), content)
    read_picture(str(path), content, header.channels, OPTIONS)
    read_picture(str(path), content, 3, ReadOptions(size=(8, 8)))


def tree(path: Path, *names: str) -> Path:
    """Return a folder with valid pictures of these names beside ``path``, made once."""
    folder = path.parent / "tree"
    for name in names:
        target = folder / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(pictures_cache[0])
    return folder


def read_picture_folder(path: Path) -> None:
    """Read a folder in which one picture, also one of 16 bits or floats, is damaged; it may be left out."""
    folder = tree(path, "a/0.png", "a/1.png", "b/0.png", "b/1.png")
    (folder / "b" / "damaged.tif").write_bytes(path.read_bytes())
    for skip in (False, True):
        materialise_source(folder_source(folder, ReadOptions(skip_unreadable=skip, size=(9, 7))))


def read_annotated_folder(path: Path) -> None:
    """Read Tiny ImageNet's layout, whose validation part is labelled by a file of lines."""
    folder = tree(path, "train/n1/images/0.png", "train/n2/images/1.png", "val/images/v0.png", "val/images/v1.png")
    (folder / "val" / "val_annotations.txt").write_bytes(path.read_bytes())
    materialise_source(folder_source(folder, OPTIONS))


def read_labelled_folder(path: Path) -> None:
    """Read pictures that a table beside them labels."""
    folder = tree(path, *(f"images/{name}.png" for name in "abcdef"))
    (folder / "labels.csv").write_bytes(path.read_bytes())
    materialise_source(folder_source(folder, OPTIONS))


def read_array(path: Path) -> None:
    """Read an array as a model reads it that takes grey images of 5 x 5 pixels."""
    with path.open("rb") as stream:
        try:
            array = read_npy(stream, 1 << 20)
        except Exception as error:  # as for the members of an .npz file
            raise DataError(str(error)) from error
    read_images(array, ReadOptions(white=4095.0), shape=(1, 5, 5))
    materialise_source(arrays_source((array, np.arange(len(array)) % 2), None, name="arrays"))


def parquet_file(picture: bytes) -> bytes:
    pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    stream = io.BytesIO()
    cells = [{"bytes": content, "path": None} for content in (picture, *pictures_cache[:1] * 3)]
    parquet.write_table(pyarrow.table({"image": cells, "label": ["cat", "dog", "cat", "dog"]}), stream)
    return stream.getvalue()


def read_parquet_pictures(path: Path) -> None:
    for skip in (False, True):
        materialise_source(parquet_source(path, ReadOptions(skip_unreadable=skip, size=(9, 7))))


def deep_pictures() -> tuple[bytes, ...]:
    found = []
    for array in (
        np.arange(63).reshape(9, 7).astype(np.uint16) * 65,
        np.linspace(0, 1, 63, dtype=np.float32).reshape(9, 7),
    ):
        stream = io.BytesIO()
        Image.fromarray(array).save(stream, "TIFF")
        found.append(stream.getvalue())
    return tuple(found)


def read_picture_table(path: Path) -> None:
    for name in "abcdef":
        (path.parent / f"{name}.png").write_bytes(pictures_cache[0])
    materialise_source(table_source(path, OPTIONS))


pictures_cache = pictures()


def targets() -> tuple[Target, ...]:
    image_file, label_file = idx(images(6, (5, 4))), idx(np.arange(6, dtype=np.uint8))
    rows = "".join(",".join(map(str, row)) + "\n" for row in (images(5, (10,)) % 200).tolist())
    table = "label," + ",".join(f"p{place}" for place in range(9)) + "\n" + rows
    paths = "path,label,split\n" + "".join(
        f"{name}.png,{name > 'c'},{'test' if name in 'ae' else 'train'}\n" for name in "abcdef"
    )
    one_hot = "image_id;cat;dog\r\n" + "".join(f"{name};{int(name > 'c')};{int(name <= 'c')}\r\n" for name in "abcdef")
    faces = "emotion,pixels,Usage\n" + "".join(
        f"{n % 2},{n} 1 2 3,{'Training' if n else 'PrivateTest'}\n" for n in range(4)
    )
    spellings = (table, rows, table.replace(",", ";"), "sep=\t\n" + table.replace(",", "\t"), faces)
    header = ",".join(f"p{place}" for place in range(9))
    texts = f"{header},label,split\n" + "".join(
        f"{','.join(map(str, row))},{'cat' if n % 2 else 'dog'},{'train' if n else 'test'}\n"
        for n, row in enumerate((images(5, (9,)) / 255.0).round(3).tolist())
    )
    binary = f"label,{header}\n" + "".join(",".join(map(str, row)) + "\n" for row in (images(5, (10,)) % 2).tolist())
    kaggle = '"Image Path",Category,fold\n' + "".join(f"set\\train\\{name}.png, {name > 'c'} ,1\n" for name in "abcdef")
    beside = "id_code,diagnosis\n" + "".join(f"{name},{name > 'c'}\n" for name in "abcdef")
    pair = zipped({"images.gz": gzip.compress(image_file), "labels": label_file})
    return (
        Target(name="IDX", suffix="", seeds=(image_file,), read=read_idx_pair),
        Target(name="IDX gz", suffix=".gz", seeds=(image_file,), read=read_idx_pair, packed=gzip.compress),
        Target(name="IDX in zip", suffix=".zip", seeds=(image_file,), read=read_zip, packed=idx_zip),
        Target(name="zip archive", suffix=".zip", seeds=(pair,), read=read_zip),
        Target(
            name="EMNIST mapping",
            suffix=".txt",
            seeds=(b"0 48\n1 49\n10 65 97\n",),
            read=lambda p: void(read_mapping(Entry(p))),
        ),
        Target(
            name="CIFAR binary", suffix=".bin", seeds=((images(2, (3073,)) % 10).tobytes(),), read=read_cifar_folder
        ),
        Target(
            name="CIFAR tar",
            suffix=".tar.gz",
            seeds=tuple(tarred(cifar_files(), mode) for mode in ("w", "w:gz", "w:xz", "w:bz2")),
            read=read_cifar,
        ),
        Target(
            name="CIFAR tar.gz",
            suffix=".tar.gz",
            seeds=(tarred(cifar_files(), "w"),),
            read=read_cifar,
            packed=fast_gzip,
        ),
        Target(
            name="CIFAR pickle",
            suffix=".pickle",
            seeds=pickles(),
            read=lambda p: void(read_cifar_pickle(p.read_bytes(), str(p))),
        ),
        Target(name="picture", suffix=".png", seeds=pictures_cache, read=read_one_picture),
        Target(
            name="pixel table",
            suffix=".csv",
            seeds=(*(text.encode() for text in spellings), table.encode("utf-16")),
            read=lambda p: materialise_source(table_source(p, OPTIONS)),
        ),
        Target(
            name="picture table",
            suffix=".csv",
            seeds=(
                paths.encode(),
                one_hot.encode(),
                paths.encode("utf-16"),
                kaggle.encode(),
                beside.encode("utf-16-le"),
            ),
            read=read_picture_table,
        ),
        Target(
            name="texts and pixels",
            suffix=".csv",
            seeds=(texts.encode(), binary.encode(), texts.replace(",", ";").encode("utf-16")),
            read=lambda p: materialise_source(table_source(p, OPTIONS)),
        ),
        Target(
            name="table in a folder",
            suffix=".csv",
            seeds=(beside.encode(), one_hot.encode()),
            read=read_labelled_folder,
        ),
        Target(
            name="annotations",
            suffix=".txt",
            seeds=(b"v0.png\tn1\t0\t0\t8\t8\nv1.png\tn2\t0\t0\t8\t8\n",),
            read=read_annotated_folder,
        ),
        Target(
            name="picture in a folder",
            suffix=".tif",
            seeds=(*pictures_cache, *deep_pictures()),
            read=read_picture_folder,
        ),
        Target(
            name="array",
            suffix=".npy",
            seeds=(npy(images(6, (5, 5))), npy(images(6, (5, 5)) / 255.0), npy(images(6, (1, 5, 5)).astype("u2"))),
            read=read_array,
        ),
        Target(
            name="picture in Parquet",
            suffix=".parquet",
            seeds=pictures_cache,
            read=read_parquet_pictures,
            packed=parquet_file,
        ),
        Target(name="npz", suffix=".npz", seeds=(npy(images(6, (5, 5))),), read=read_npz, packed=npz_file),
        Target(
            name="npz archive",
            suffix=".npz",
            seeds=npz_files(),
            read=lambda p: materialise_source(npz_source(p, name="x")),
        ),
        Target(
            name="Parquet",
            suffix=".parquet",
            seeds=parquet_files(),
            read=lambda p: materialise_source(parquet_source(p, OPTIONS)),
        ),
    )


def void(value: object) -> None:
    """Drop what a reader gives."""


def mutated(seed: bytes, random: np.random.Generator) -> bytes:
    content = bytearray(seed)
    for _ in range(int(random.integers(1, 6))):
        place = int(random.integers(0, max(1, len(content))))
        match int(random.integers(0, 8)):
            case 0:
                content[place : place + 1] = bytes([int(random.integers(0, 256))])
            case 1:
                if content:
                    content[place % len(content)] ^= 1 << int(random.integers(0, 8))
            case 2:
                del content[place:]
            case 3:
                del content[place : place + int(random.integers(1, 32))]
            case 4:
                content[place:place] = random.bytes(int(random.integers(1, 32)))
            case 5:
                width = int(random.choice([1, 2, 4, 8]))
                number = int(random.choice(NUMBERS)) % (1 << (8 * width))
                order = ("big", "little")[int(random.integers(0, 2))]
                content[place : place + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
            case 6:
                length = int(random.integers(1, 64))
                content[place:place] = content[place : place + length] * int(random.integers(1, 20))
            case _:
                text = (b"9" * 30, b"-1", b"nan", b"1e999", b",", b"\n", b"\0", b'"', b"\xff", b"inf")
                content[place:place] = text[int(random.integers(0, len(text)))]
    return bytes(content) if random.random() > 0.02 else random.bytes(int(random.integers(0, 300)))


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a child process reports: an input that crashed, or at its end the outcomes and its peak memory in KiB."""

    outcomes: Counter[str]
    peak: int = 0
    content: bytes = b""
    text: str = ""


def too_long(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds of computing or {WALL_SECONDS} by the clock")


def set_timers(computing: float, wall: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, computing)
    signal.setitimer(signal.ITIMER_REAL, wall)


def fire(target: Target, count: int, seed: int, folder: Path, report: "multiprocessing.Queue[Result]") -> None:
    warnings.simplefilter("ignore")
    idle = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (idle + MEMORY, idle + MEMORY))
    for alarm in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(alarm, too_long)
    random, outcomes = np.random.default_rng(seed), Counter[str]()
    path = folder / f"input{target.suffix}"
    valid = [seed if target.packed is None else target.packed(seed) for seed in target.seeds]
    for number in range(count + len(valid)):
        path.write_bytes(valid[number] if number < len(valid) else target.forged(random))
        set_timers(SECONDS, WALL_SECONDS)
        try:
            target.read(path)
            outcomes["read"] += number >= len(valid)
        except BaseException as error:
            if isinstance(error, CeterisError) and number >= len(valid):
                outcomes["refused"] += 1
                continue
            crash = Counter(crashed=1)
            report.put(Result(outcomes=crash, content=path.read_bytes(), text=traceback.format_exc()))
        finally:
            set_timers(0, 0)
    report.put(Result(outcomes=outcomes, peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def fire_in_child(target: Target, count: int, seed: int, keep: Path) -> tuple[Counter[str], int]:
    context = multiprocessing.get_context("fork")
    report: multiprocessing.Queue[Result] = context.Queue()
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None
    outcomes = Counter[str]()
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        child = context.Process(target=fire, args=(target, count, seed, Path(folder), report))
        child.start()
        while True:
            result = next_result(report, child, Path(folder) / f"input{target.suffix}")
            outcomes += result.outcomes
            if not result.content:
                child.join()
                return outcomes, result.peak
            (keep / f"{target.name}-{outcomes['crashed']}{target.suffix}").write_bytes(result.content)
            if outcomes["crashed"] <= 3:
                print(result.text)
            if not child.is_alive() and report.empty():
                return outcomes, 0


def next_result(report: "multiprocessing.Queue[Result]", child: BaseProcess, path: Path) -> Result:
    while True:
        try:
            return report.get(timeout=1)
        except queue.Empty:
            if not child.is_alive():
                return Result(outcomes=Counter(crashed=1), content=path.read_bytes(), text="the process died")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=120_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-crashes"))
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    chosen = [target for target in targets() if arguments.only in target.name]
    total: Counter[str] = Counter()
    print(f"{'reader':20} {'inputs':>8} {'read':>8} {'refused':>8} {'crashed':>8} {'peak MiB':>9} {'seconds':>8}")
    for number, target in enumerate(chosen):
        started = time.perf_counter()
        count = -(-arguments.inputs // len(chosen))
        outcomes, peak = fire_in_child(target, count, arguments.seed * 1000 + number, arguments.keep)
        total += outcomes
        row = f"{target.name:20} {sum(outcomes.values()):8} {outcomes['read']:8} {outcomes['refused']:8}"
        print(f"{row} {outcomes['crashed']:8} {peak / 1024:9.0f} {time.perf_counter() - started:8.1f}", flush=True)
    print(f"inputs {sum(total.values())}, crashes {total['crashed']}")
    return 1 if total["crashed"] else 0


if __name__ == "__main__":
    sys.exit(main())
