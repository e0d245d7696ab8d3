"""Data sets that somebody sent: odd files in the place of them, archives that unpack to more than a disk, headers that lie."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.attacks.conftest import Attack
from tests.attacks.test_studies import ODD_FILES

NAMES = [
    "set.csv",
    "set.csv.gz",
    "set.npz",
    "set.parquet",
    "train-images-idx3-ubyte",
    "cifar-10-binary.tar.gz",
    "cifar-10.zip",
    "set",
]


class Planted:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return open, ("executed", "w")


@pytest.mark.parametrize("make", ODD_FILES)
@pytest.mark.parametrize("name", NAMES)
def test_odd_files_are_no_data_set(victim: Attack, tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    make(tmp_path / name)
    outcome = victim("data", "describe", name, "--store", "store", folder=tmp_path)
    outcome.assert_refused(tmp_path / "store", words="")


# ---------------------------------------------------------------------------------------------------------------------
# Tables


def picture(path: Path, *, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 90).save(path)


def zeros(open_packed: Callable[..., Any], count: int, piece: bytes = bytes(1 << 20)) -> bytes:
    """Return ``count`` times a piece, packed; a packed file may have many parts, so that only 32 are packed here."""
    buffer = io.BytesIO()
    with open_packed(buffer, "wb") as packed:
        for _ in range(min(32, count)):
            packed.write(piece)
    return buffer.getvalue() * max(1, count // 32)


TABLES: dict[str, Callable[[], bytes]] = {
    "no text": lambda: os.urandom(10_000),
    "zeros": lambda: bytes(1 << 22),
    "one long line": lambda: b"path,label\n" + b"x" * (1 << 24),
    "one long quoted cell": lambda: b'path,label\n"' + b"x\n" * (1 << 23),
    "many columns": lambda: b"," * (1 << 21),
    "pictures outside": lambda: b"path,label\n../../../../../../etc/passwd,a\n/etc/hostname,b\n",
    "pictures that are pipes": lambda: b"path,label\npipe.png,a\nzero.png,b\n",
    "a picture's name with a zero": lambda: b"path,label\na\\0.png,a\nb.png\0,b\n",
    "a picture's name of many letters": lambda: b"path,label\n" + b"a" * 100_000 + b".png,a\n",
    "picture names of many folders": lambda: b"path,label\n" + b"a/" * 60_000 + b"b.png,a\n",
    "numbers of many digits": lambda: b"label,p0,p1,p2,p3\n" + b"9" * 100_000 + b",1,2,3,4\n",
    "numbers that are infinite": lambda: b"label,p0,p1,p2,p3\n1e999,inf,nan,3,4\n",
    "labels of many letters": lambda: b"path,label\na.png," + b"x" * 100_000 + b"\na.png,b\n",
    "pixels in a cell without an end": lambda: b"emotion,pixels\n0," + b"1 " * 60_000 + b"\n",
    "a gz file of lines": lambda: zeros(gzip.open, 400, b"a.png,b\n" * (1 << 17)),
    "a gz file of zeros": lambda: zeros(gzip.open, 3000),
    "an xz file of lines": lambda: zeros(lzma.open, 300, b"1,2,3,4,5\n" * (1 << 17)),
    "a bz2 file of zeros": lambda: zeros(bz2.open, 1000),
    "gz in gz": lambda: gzip.compress(zeros(gzip.open, 2000)),
    "as many classes as rows": lambda: b"label,p0\n" + b"".join(b"%d,1\n" % number for number in range(300_000)),
}


@pytest.mark.parametrize("name", TABLES)
def test_hostile_tables_are_refused_in_words(victim: Attack, tmp_path: Path, name: str) -> None:
    content = TABLES[name]()
    suffix = {b"\x1f\x8b": ".gz", b"\xfd7": ".xz", b"BZ": ".bz2"}.get(content[:2], "")
    picture(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / f"set.csv{suffix}").write_bytes(content)
    outcome = victim("data", "describe", f"set.csv{suffix}", "--store", "store", folder=tmp_path)
    outcome.assert_refused(tmp_path / "store", words="")


# ---------------------------------------------------------------------------------------------------------------------
# Arrays


def npz(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(description: str, data: bytes = b"") -> bytes:
    header = description.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header + data


def array(values: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(values), allow_pickle=True)
    return buffer.getvalue()


def claim(shape: str, *, kind: str = "'|u1'", order: str = "False") -> bytes:
    return npy(f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}}}", bytes(100))


LABELS = array([0, 1, 0, 1])


def bomb() -> bytes:
    """Return an archive of half a megabyte whose one array has half a gigabyte of zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("y.npy", array(np.zeros(1 << 19, np.int64)))
        with archive.open("x.npy", "w") as member:
            member.write(claim(f"({1 << 19}, 32, 32)")[:-100])
            for _ in range(1 << 9):
                member.write(bytes(1 << 20))
    return buffer.getvalue()


def slipping() -> bytes:
    """Return an archive whose members' names lead out of the folder into which they would be unpacked."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../x.npy", array(np.zeros((4, 8, 8), np.uint8)))
        archive.writestr("/tmp/slipped/y.npy", LABELS)
    return buffer.getvalue()


ARRAYS: dict[str, Callable[[], bytes]] = {
    "no archive": lambda: os.urandom(5000),
    "pickled objects": lambda: npz(x=array(np.array([Planted()], object)), y=LABELS),
    "a pickle instead of an array": lambda: npz(x=pickle.dumps(Planted()), y=LABELS),
    "a shape larger than memory": lambda: npz(x=claim(f"({10**12}, 8, 8)"), y=LABELS),
    "a shape larger than numbers": lambda: npz(x=claim(f"({10**40}, 8, 8)"), y=LABELS),
    "a shape below zero": lambda: npz(x=claim("(-1, -1, 100)"), y=LABELS),
    "a shape of many sides": lambda: npz(x=claim("(" + "1," * 3000 + ")"), y=LABELS),
    "a shape of nothing and much": lambda: npz(x=claim(f"(0, {10**15}, {10**15})"), y=LABELS),
    "items without bytes": lambda: npz(x=claim(f"({10**12},)", kind="'|S0'"), y=claim(f"({10**12},)", kind="'|S0'")),
    "items of many bytes": lambda: npz(x=claim("()", kind="'|V2000000000'"), y=LABELS),
    "records": lambda: npz(x=claim("(4,)", kind="[('a', '|u1'), ('b', '|O')]"), y=LABELS),
    "a header of brackets": lambda: npz(x=npy("(" * 9000), y=LABELS),
    "a header that calls": lambda: npz(
        x=npy("{'descr': open('executed', 'w'), 'fortran_order': False, 'shape': ()}"), y=LABELS
    ),
    "a header of many bytes": lambda: npz(x=npy("{" + " " * 5_000_000 + "}"), y=LABELS),
    "labels of many letters": lambda: npz(
        x=array(np.zeros((4, 8, 8), np.uint8)), y=array(["x" * 1_000_000, "b", "b", "b"])
    ),
    "class numbers beyond every class": lambda: npz(
        x=array(np.zeros((4, 8, 8), np.uint8)), y=array([0, 1, 2**52, -(2**52)]), classes=array(["a", "b"])
    ),
    "many arrays": lambda: npz(**{f"a{number}": LABELS for number in range(2000)}),
    "more than it says": bomb,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_hostile_arrays_are_refused_in_words(victim: Attack, tmp_path: Path, name: str) -> None:
    (tmp_path / "set.npz").write_bytes(ARRAYS[name]())
    outcome = victim("data", "describe", "set.npz", "--store", "store", folder=tmp_path)
    outcome.assert_refused(tmp_path / "store", words="")
    assert not (tmp_path / "executed").exists()


def test_members_of_an_archive_are_not_unpacked(victim: Attack, tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_bytes(slipping())
    victim("data", "describe", "set.npz", "--store", "store", folder=tmp_path).assert_harmless(tmp_path / "store")


# ---------------------------------------------------------------------------------------------------------------------
# IDX, CIFAR


def idx(*shape: int, data: bytes = b"") -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + data


IDX: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a header that lies": ("", lambda: idx(60_000, 28, 28, data=bytes(1000))),
    "a header larger than numbers": ("", lambda: idx(2**32 - 1, 2**32 - 1, 2**32 - 1, data=bytes(1000))),
    "a gz file of zeros": (".gz", lambda: zeros(gzip.open, 1, idx(2_000_000, 32, 32)) + zeros(gzip.open, 2000)),
    "an xz file of zeros": (".xz", lambda: zeros(lzma.open, 1, idx(1_000_000, 32, 32)) + zeros(lzma.open, 1000)),
    "images without a pixel": ("", lambda: idx(2**32 - 1, 0, 28)),
}


@pytest.mark.parametrize("name", IDX)
def test_hostile_idx_files_are_refused_in_words(victim: Attack, tmp_path: Path, name: str) -> None:
    suffix, make = IDX[name]
    (tmp_path / "set").mkdir()
    content = make()
    (tmp_path / f"set/train-images-idx3-ubyte{suffix}").write_bytes(content)
    count = {".gz": 2_000_000, ".xz": 1_000_000}.get(suffix, 4)
    (tmp_path / "set/train-labels-idx1-ubyte").write_bytes(
        idx(count, data=bytes(count // 2) + b"\1" * (count - count // 2))
    )
    outcome = victim("data", "describe", "set", "--store", "store", folder=tmp_path)
    outcome.assert_refused(tmp_path / "store", words="train-images")


def tar(*members: tuple[tarfile.TarInfo, bytes | None]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content) if content is not None else None)
    return buffer.getvalue()


def member(
    name: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes | None]:
    information = tarfile.TarInfo(name)
    information.type, information.linkname, information.size = kind, link, len(content)
    return information, content if kind == tarfile.REGTYPE else None


BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def tar_of_zeros() -> bytes:
    """Return an archive of one file that is longer than any official one."""
    information = tarfile.TarInfo("data_batch_1.bin")
    information.size = 3073 * 100_000
    header = gzip.compress(information.tobuf())
    return header + zeros(gzip.open, 300) + gzip.compress(bytes(information.size - (288 << 20) + 10240))


def pickled(content: bytes) -> bytes:
    return tar(*(member(f"cifar-10-batches-py/{name}", content) for name in BATCHES))


def nested_tuples() -> bytes:
    """Return a pickle of a dictionary whose key is a tuple of a tuple of … three of each: its hash takes years."""
    deep = b"".join(
        b"h" + bytes([level]) + b"h" + bytes([level]) + b"\x87q" + bytes([level + 1]) for level in range(60)
    )
    start = b"\x80\x02}q\xf0(K\x01q\x00"
    return start + deep + b"K\x01u."


def evil_state() -> bytes:
    """Return a pickle that gives numpy's own type of bytes another state."""
    return b"\x80\x02}U\x04datacnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\x7fJ\xff\xff\xff\x7fK?tbs."


CIFAR: dict[str, Callable[[], bytes]] = {
    "members outside": lambda: tar(*(member(f"../../../tmp/slipped/{name}.bin", bytes(3073)) for name in BATCHES)),
    "members that are links": lambda: tar(
        *(member(f"{name}.bin", kind=tarfile.SYMTYPE, link="/etc/passwd") for name in BATCHES)
    ),
    "members that are devices": lambda: tar(*(member(f"{name}.bin", kind=tarfile.CHRTYPE) for name in BATCHES)),
    "members that are pipes": lambda: tar(*(member(f"{name}.bin", kind=tarfile.FIFOTYPE) for name in BATCHES)),
    "many members": lambda: tar(*(member(f"file {number}") for number in range(20_000))),
    "zeros": tar_of_zeros,
    "pickles that call": lambda: pickled(pickle.dumps(Planted(), protocol=2)),
    "pickles that call by another way": lambda: pickled(b"\x80\x02(cos\nsystem\nU\x0etouch executedo."),
    "pickles of tuples in tuples": lambda: pickled(nested_tuples()),
    "pickles with the state of a type": lambda: pickled(evil_state()),
    "pickles of large numbers": lambda: pickled(b"\x80\x02L" + b"9" * 1_000_000 + b"L\n."),
    "pickles of lists in lists": lambda: pickled(b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."),
}


@pytest.mark.parametrize("name", CIFAR)
def test_hostile_archives_are_refused_in_words(victim: Attack, tmp_path: Path, name: str) -> None:
    (tmp_path / "cifar-10.tar.gz").write_bytes(CIFAR[name]())
    outcome = victim("data", "describe", "cifar-10.tar.gz", "--store", "store", folder=tmp_path)
    if name == "members outside":
        outcome.assert_harmless(tmp_path / "store")
    else:
        outcome.assert_refused(tmp_path / "store", words="")
    assert not (tmp_path / "executed").exists()


# ---------------------------------------------------------------------------------------------------------------------
# Folders, Parquet, prepared copies


def test_folders_with_pipes_devices_and_loops_are_read_without_them(victim: Attack, tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(6):
            picture(tmp_path / f"set/{name}/{number}.png")
        os.mkfifo(tmp_path / f"set/{name}/pipe.png")
        (tmp_path / f"set/{name}/zero.png").symlink_to("/dev/zero")
        (tmp_path / f"set/{name}/loop").symlink_to(tmp_path / "set")
    outcome = victim("data", "describe", "set", "--store", "store", folder=tmp_path)
    outcome.assert_harmless(tmp_path / "store")
    assert outcome.status == 0


@pytest.mark.parametrize(
    "label",
    [
        "\x1b]0;owned\x07\x1b[31m",
        "=cmd|' /C calc'!A0",
        "a\nb",
        "<script>alert(1)</script>",
        "\u202egnp.exe",
        os.fsdecode(b"\xff\xfe"),
        "{0.__class__}",
        "%s%n",
        "[red]x[/red]",
    ],
)
def test_hostile_class_names_are_shown_as_they_are(victim: Attack, tmp_path: Path, label: str) -> None:
    for name in (label.replace("/", "∕"), "b"):
        for number in range(6):
            picture(tmp_path / f"set/{name}/{number}.png")
    outcome = victim("data", "describe", "set", "--store", "store", "--html", "page.html", folder=tmp_path)
    outcome.assert_harmless(tmp_path / "store", tmp_path)
    assert outcome.status == 0
    assert not set(outcome.output) & {"\x1b", "\x07", "\u202e"}
    assert "<script" not in (tmp_path / "page.html").read_text()
    (tmp_path / "set" / "b" / "0.png").write_bytes(b"")
    again = victim("data", "describe", "set", "--store", "store", folder=tmp_path)
    again.assert_refused(tmp_path / "store", words="0.png")


def test_deep_folders_are_refused_in_words(victim: Attack, tmp_path: Path) -> None:
    place = tmp_path / "set" / "/".join("d" * 200)
    picture(place / "0.png")
    victim("data", "describe", "set", "--store", "store", folder=tmp_path).assert_refused(
        tmp_path / "store", words="deep"
    )


def test_a_parquet_file_of_more_rows_than_bytes_is_refused(victim: Attack, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    labels = pyarrow.array(np.zeros(20_000_000, np.int8))
    images = pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.zeros(20_000_000, np.int8)), pyarrow.array([b"x"]))
    parquet.write_table(pyarrow.table({"image": images, "label": labels}), tmp_path / "set.parquet")
    outcome = victim("data", "describe", "set.parquet", "--store", "store", folder=tmp_path)
    outcome.assert_refused(tmp_path / "store", words="set.parquet")


@pytest.fixture(scope="module")
def prepared(victim: Attack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared copy of a small set, as it lies in a store."""
    folder = tmp_path_factory.mktemp("prepared")
    for name in ("a", "b"):
        for number in range(6):
            picture(folder / f"set/{name}/{number}.png")
    assert victim("data", "describe", "set", "--store", "store", folder=folder).status == 0
    return next((folder / "store/data/prepared").iterdir())


META: dict[str, Callable[[str], str]] = {
    "lists in lists": lambda text: "[" * 100_000,
    "a number of many digits": lambda text: '{"format": ' + "9" * 100_000 + "}",
    "no table": lambda text: "[1]",
    "nothing in it": lambda text: '{"format": 1}',
    "a digest that is a path": lambda text: changed(text, "test", digest="../../../../elsewhere/evil"),
    "a digest with a zero": lambda text: changed(text, "test", digest="a\0b"),
    "counts below zero": lambda text: changed(text, "test", class_counts=[-5, 7]),
    "counts that are texts": lambda text: changed(text, "test", class_counts="ab"),
    "other counts": lambda text: changed(text, "train", class_counts=[10**15, 1]),
    "a shape that is none": lambda text: changed(text, image_shape=[10**9, 10**9, 10**9]),
    "classes that are numbers": lambda text: changed(text, classes=[1, 2]),
    "classes that are missing": lambda text: changed(text, classes=["a"]),
    "a name of lists": lambda text: changed(text, name=[[1]], title={"a": 1}),
}


def changed(text: str, part: str = "", **values: object) -> str:
    tree = json.loads(text)
    (tree[part] if part else tree).update(values)
    return json.dumps(tree)


def copied(prepared: Path, folder: Path) -> Path:
    copy = folder / "copy"
    copy.mkdir()
    for file in prepared.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


@pytest.mark.parametrize("name", META)
def test_hostile_descriptions_of_prepared_copies_are_refused(
    victim: Attack, prepared: Path, tmp_path: Path, name: str
) -> None:
    copy = copied(prepared, tmp_path)
    (copy / "meta.json").write_text(META[name]((copy / "meta.json").read_text()))
    victim("data", "describe", "copy", "--store", "store", folder=tmp_path).assert_refused(tmp_path / "store", words="")


@pytest.mark.parametrize("make", [*ODD_FILES[:4], *ARRAYS])
def test_hostile_arrays_in_prepared_copies_are_refused(
    victim: Attack, prepared: Path, tmp_path: Path, make: str | Callable[[Path], None]
) -> None:
    copy = copied(prepared, tmp_path)
    if isinstance(make, str) and make in ("no archive", "more than it says", "many arrays"):
        pytest.skip("about archives")
    (copy / "train_images.npy").unlink()
    if isinstance(make, str):
        with zipfile.ZipFile(io.BytesIO(ARRAYS[make]())) as archive:
            (copy / "train_images.npy").write_bytes(archive.read(archive.namelist()[0]))
    else:
        make(copy / "train_images.npy")
    outcome = victim("data", "describe", "copy", "--store", "store", folder=tmp_path)
    outcome.assert_refused(tmp_path / "store", words="copy")
    assert not (tmp_path / "executed").exists()


def test_labels_beyond_the_classes_in_a_prepared_copy_are_refused(
    victim: Attack, prepared: Path, tmp_path: Path
) -> None:
    copy = copied(prepared, tmp_path)
    labels = np.load(copy / "train_labels.npy")
    np.save(copy / "train_labels.npy", labels + 7)
    victim("data", "describe", "copy", "--store", "store", folder=tmp_path).assert_refused(tmp_path / "store", words="")
