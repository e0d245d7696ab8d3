import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.data.data_samples import even_labels, no_look, random_images

from ceteris.data import load
from ceteris.data.formats.cifar import read_cifar_pickle
from ceteris.errors import DataError
from ceteris.records import ByteArray

TRAIN, TEST = random_images(200, (3, 32, 32), 1), random_images(100, (3, 32, 32), 2)
FINE, TEST_FINE = even_labels(200, 100), even_labels(100, 100)


def binary100(images: ByteArray) -> bytes:
    fine = even_labels(len(images), 100).astype(np.uint8)
    return np.concatenate([fine[:, None] % 20, fine[:, None], images.reshape(len(images), -1)], axis=1).tobytes()


def files100() -> dict[str, bytes]:
    fine = "".join(f"fine{number}\n" for number in range(100))
    coarse = "".join(f"coarse{number}\n" for number in range(20))
    return {
        "train.bin": binary100(TRAIN),
        "test.bin": binary100(TEST),
        "fine_label_names.txt": fine.encode(),
        "coarse_label_names.txt": coarse.encode(),
    }


def pack(path: Path, files: dict[str, bytes], mode: str, inside: str = "cifar-100-binary") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(f"{inside}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def place(folder: Path, form: str, files: dict[str, bytes], stem: str = "cifar-100-binary") -> None:
    if form == "folder":
        (folder / "cifar-100" / stem).mkdir(parents=True)
        for name, content in files.items():
            (folder / "cifar-100" / stem / name).write_bytes(content)
    elif form == ".zip":
        with zipfile.ZipFile(folder / f"{stem}.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(f"{stem}/{name}", content)
    else:
        modes = {".tar": "w", ".tar.gz": "w:gz", ".tar.xz": "w:xz", ".tar.bz2": "w:bz2"}
        pack(folder / "cifar-100" / f"{stem}{form}", files, modes[form])


@pytest.mark.parametrize("form", ["folder", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".zip"])
@pytest.mark.parametrize(
    ("name", "classes", "labels"), [("cifar-100", "fine", FINE), ("cifar-100-coarse", "coarse", FINE % 20)]
)
def test_every_form_gives_pixels_labels_and_names_in_order(
    tmp_path: Path, form: str, name: str, classes: str, labels: np.ndarray
) -> None:
    place(tmp_path, form, files100())
    loaded = load(name, data_dir=tmp_path, cache_dir=tmp_path / "cache", offline=True)
    assert np.array_equal(loaded.train.images, TRAIN)
    assert np.array_equal(loaded.train.labels, labels)
    assert loaded.train.classes[:2] == (f"{classes}0", f"{classes}1")
    assert np.array_equal(loaded.test.open(record_look=no_look).images, TEST)
    assert "not the complete official set" in loaded.note


def test_an_archive_loads_by_its_path(tmp_path: Path) -> None:
    path = pack(tmp_path / "cifar-100-binary.tar.gz", files100(), "w:gz")
    loaded = load(str(path), cache_dir=tmp_path / "cache")
    assert np.array_equal(loaded.train.images, TRAIN)
    (tmp_path / "notes.xyz").write_text("nothing")
    with pytest.raises(DataError, match=r"notes\.xyz: no data set in a format that is known\. Known: a folder"):
        load(str(tmp_path / "notes.xyz"), cache_dir=tmp_path / "cache")


def test_cifar10_batches_are_joined_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    images, labels = random_images(60, (3, 32, 32)), even_labels(60, 10)
    records = np.concatenate([labels[:, None].astype(np.uint8), images.reshape(60, -1)], axis=1)
    for number in range(5):
        (folder / f"data_batch_{number + 1}.bin").write_bytes(records[10 * number : 10 * number + 10].tobytes())
    (folder / "test_batch.bin").write_bytes(records[50:].tobytes())
    for where in (
        load("cifar-10", data_dir=tmp_path, cache_dir=tmp_path / "a"),
        load(str(folder), cache_dir=tmp_path / "b"),
    ):
        assert np.array_equal(where.train.images, images[:50])
        assert np.array_equal(where.train.labels, labels[:50])
        assert where.train.classes[0] == "airplane"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train.bin": binary100(TRAIN)[:-1]}, "no whole number of images of 3074 bytes"),
        ({"train.bin": b""}, "a file of 0 bytes"),
        ({"train.bin": bytes([0, 100]) + bytes(3072)}, "holds the label 100, but the set has 100 classes"),
        ({"fine_label_names.txt": b"one\ntwo\n"}, "holds 2 names, 100 are expected"),
        ({"fine_label_names.txt": b"\xff\xfe\x00"}, "damaged"),
    ],
)
def test_wrong_contents_are_refused(tmp_path: Path, change: dict[str, bytes], message: str) -> None:
    place(tmp_path, "folder", files100() | change)
    with pytest.raises(DataError, match=message):
        load("cifar-100", data_dir=tmp_path, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("keep", [0, 2, 3, 11, 100, 5000, 200_000])
def test_a_truncated_archive_is_one_clear_message(tmp_path: Path, keep: int) -> None:
    path = pack(tmp_path / "cifar-100" / "cifar-100-binary.tar.gz", files100(), "w:gz")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"cifar-100-binary\.tar\.gz"):
        load("cifar-100", data_dir=tmp_path, cache_dir=tmp_path / "cache")


def test_members_that_point_outside_and_links_are_never_followed(tmp_path: Path) -> None:
    path = tmp_path / "cifar-100" / "cifar-100-binary.tar"
    pack(path, {"../../../outside/train.bin": b"x" * 10}, "w")
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("cifar-100-binary/test.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DataError, match=r"train\.bin, test\.bin expected in it, found train\.bin"):
        load("cifar-100", data_dir=tmp_path, cache_dir=tmp_path / "cache")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cache", "cifar-100"]


def test_an_archive_that_unpacks_to_too_much_is_not_read_on(tmp_path: Path) -> None:
    path = tmp_path / "cifar-100" / "cifar-100-binary.tar"
    path.parent.mkdir()
    header = tarfile.TarInfo("cifar-100-binary/train.bin")
    header.size = 1 << 40
    path.write_bytes(header.tobuf() + bytes(10_240))
    with pytest.raises(DataError, match="more than a CIFAR archive holds"):
        load("cifar-100", data_dir=tmp_path, cache_dir=tmp_path / "cache")


# The official Python version was written by Python 2: texts are byte strings. These few operations write the same.


def text(value: str) -> bytes:
    return b"U" + bytes([len(value)]) + value.encode()


def whole(values: np.ndarray) -> bytes:
    return b"](" + b"".join(b"K" + bytes([value]) for value in values) + b"e"


def texts(values: list[str]) -> bytes:
    return b"](" + b"".join(text(value) for value in values) + b"e"


def array(images: ByteArray) -> bytes:
    content = images.reshape(len(images), -1).tobytes()
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"J" + struct.pack("<i", len(images)) + b"M\x00\x0c\x86"
    return empty + b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", len(content)) + content + b"tb"


def pickled(entries: dict[str, bytes]) -> bytes:
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."


def pickled100(images: ByteArray) -> bytes:
    fine = even_labels(len(images), 100)
    return pickled({"data": array(images), "fine_labels": whole(fine), "coarse_labels": whole(fine % 20)})


def test_the_python_version_gives_the_same_set(tmp_path: Path) -> None:
    meta = pickled(
        {
            "fine_label_names": texts([f"fine{number}" for number in range(100)]),
            "coarse_label_names": texts([f"coarse{number}" for number in range(20)]),
        }
    )
    place(
        tmp_path / "py",
        ".tar.gz",
        {"train": pickled100(TRAIN), "test": pickled100(TEST), "meta": meta},
        "cifar-100-python",
    )
    place(tmp_path / "bin", ".tar.gz", files100())
    for name in ("cifar-100", "cifar-100-coarse"):
        from_pickle, from_binary = (
            load(name, data_dir=tmp_path / form, cache_dir=tmp_path / "cache") for form in ("py", "bin")
        )
        assert from_pickle.train.digest == from_binary.train.digest
        assert from_pickle.test.fingerprint == from_binary.test.fingerprint


@pytest.mark.parametrize(
    "content",
    [
        b"cposix\nsystem\n(S'touch owned'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"\x80\x02cnumpy.core.multiarray\nfromfile\n.",
        b"\x80\x02cnumpy\nload\n(U\x01xtR.",
        b"\x80\x02}r\xff\xff\xff\x7f.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x00.",
        b"\x80\x02](K\x01e.",
        b"",
        b"garbage",
        pickled100(TRAIN)[:-40],
        array(TRAIN[:2]).replace(b"K\x00\x85", b"J\xff\xff\xff\x7f\x85") + b".",
        pickled({"data": array(TRAIN[:2]).replace(b"U\x02u1", b"U\x02O8")}),
    ],
)
def test_any_other_pickle_is_refused_and_runs_nothing(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if content == b"\x80\x02}r\xff\xff\xff\x7f.":  # a forged memo number costs nothing and is otherwise harmless
        assert read_cifar_pickle(content, "batch") == {}
        return
    with pytest.raises(DataError, match="not an official CIFAR pickle"):
        read_cifar_pickle(content, "batch")
    assert not list(tmp_path.iterdir())
