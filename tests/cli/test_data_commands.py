"""``ceteris data``: every format that lies at a path is described, and what is damaged ends with one message."""

import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ceteris.cli.app import run_command
from tests.data.data_samples import even_labels, idx_bytes, png, random_images, write_class_folders, write_mnist

# CIFAR's shape and number of classes, so that one sample serves all formats.
TRAIN, LABELS = random_images(40, (3, 32, 32), 1), even_labels(40, 10)
TEST, TEST_LABELS = random_images(20, (3, 32, 32), 2), even_labels(20, 10)
GREY, GREY_TEST = TRAIN[:, :1, :8, :8], TEST[:, :1, :8, :8]
NAMES = tuple(f"kind {label}" for label in range(10))


@pytest.fixture(autouse=True)
def no_network_and_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CETERIS_OFFLINE", "1")
    for name in ("CETERIS_DATA", "CETERIS_STORE"):
        monkeypatch.delenv(name, raising=False)


def describe(path: Path, folder: Path, *arguments: object) -> int:
    texts = [str(argument) for argument in arguments]
    return run_command(["data", "describe", str(path), "--store", str(folder / "store"), *texts])


def class_folders(folder: Path) -> Path:
    everything = np.concatenate([TRAIN, TEST]), np.concatenate([LABELS, TEST_LABELS])
    write_class_folders(folder / "set", *everything, NAMES)
    return folder / "set"


def train_and_test_folders(folder: Path) -> Path:
    write_class_folders(folder / "set" / "Train", TRAIN, LABELS, NAMES)
    write_class_folders(folder / "set" / "Test", TEST, TEST_LABELS, NAMES)
    return folder / "set"


def idx_folder(folder: Path) -> Path:
    write_mnist(folder / "set", GREY[:, 0], LABELS, GREY_TEST[:, 0], TEST_LABELS)
    return folder / "set"


def idx_file(folder: Path) -> Path:
    return idx_folder(folder) / "train-images-idx3-ubyte.gz"


def pixel_table(folder: Path) -> Path:
    images, labels = np.concatenate([GREY, GREY_TEST]), np.concatenate([LABELS, TEST_LABELS])
    rows = np.column_stack([labels, images.reshape(60, -1)])
    header = ",".join(["label", *(f"pixel{place}" for place in range(64))])
    np.savetxt(folder / "set.csv", rows, fmt="%d", delimiter=",", header=header, comments="")
    return folder / "set.csv"


def path_table(folder: Path) -> Path:
    rows = ["path,label,split,writer"]
    for part, images, labels in (("train", TRAIN, LABELS), ("test", TEST, TEST_LABELS)):
        for place, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            (folder / f"{part}{place}.png").write_bytes(png(pixels))
            rows.append(f"{part}{place}.png,{NAMES[label]},{part},{part} writer {place % 4}")
    (folder / "set.csv").write_text("\n".join(rows))
    return folder / "set.csv"


def npz(folder: Path) -> Path:
    np.savez(folder / "set.npz", x_train=TRAIN, y_train=LABELS, x_test=TEST, y_test=TEST_LABELS)
    return folder / "set.npz"


def parquet_folder(folder: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (folder / "set").mkdir()
    for part, images, labels in (("train", TRAIN, LABELS), ("test", TEST, TEST_LABELS)):
        table = pyarrow.table(
            {"image": [png(pixels) for pixels in images], "label": [NAMES[label] for label in labels]}
        )
        parquet.write_table(table, folder / "set" / f"{part}-00000-of-00001.parquet")
    return folder / "set"


def cifar_archive(folder: Path) -> Path:
    def records(images: Any, labels: Any) -> bytes:
        return np.column_stack([labels, images.reshape(len(images), -1)]).astype(np.uint8).tobytes()

    members = {
        f"data_batch_{part + 1}.bin": records(TRAIN[8 * part :][:8], LABELS[8 * part :][:8]) for part in range(5)
    }
    path = folder / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in (members | {"test_batch.bin": records(TEST, TEST_LABELS)}).items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


FORMATS: dict[str, tuple[Callable[[Path], Path], Any]] = {
    "class folders": (class_folders, None),
    "Train and Test folders": (train_and_test_folders, TRAIN),
    "IDX folder": (idx_folder, GREY),
    "IDX file": (idx_file, GREY),
    "table of pixels": (pixel_table, None),
    "table of paths": (path_table, TRAIN),
    "npz": (npz, TRAIN),
    "Parquet": (parquet_folder, TRAIN),
    "CIFAR archive": (cifar_archive, TRAIN),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_described_as_json(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write, train = FORMATS[name]
    assert describe(write(tmp_path), tmp_path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    description, audit = told["description"], told["audit"]
    grey = name in ("IDX folder", "IDX file", "table of pixels")
    # without a test part of its own a fifth of the 60 images is held out, a stratified one
    counts = (40, 20) if train is not None else (50, 10)
    assert (description["train_count"], description["test_count"]) == counts
    assert tuple(description["image_shape"]) == ((1, 8, 8) if grey else (3, 32, 32))
    assert description["train_class_counts"] == [counts[0] // 10] * 10
    assert description["test_class_counts"] == [counts[1] // 10] * 10
    assert audit["train_distinct"] == counts[0]
    assert audit["shared"] == []
    if train is not None:
        assert description["channel_mean"] == pytest.approx(train.mean((0, 2, 3)).tolist(), abs=1e-6)
        assert description["channel_deviation"] == pytest.approx(train.std((0, 2, 3)).tolist(), abs=1e-6)
        assert (description["minimum"], description["maximum"]) == (train.min(), train.max())


@pytest.mark.parametrize("name", ["class folders", "table of paths", "npz", "Parquet"])
def test_classes_have_their_names_or_numbers(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert describe(FORMATS[name][0](tmp_path), tmp_path, "--json") == 0
    classes = json.loads(capsys.readouterr().out)["description"]["classes"]
    assert classes == ([str(label) for label in range(10)] if name == "npz" else list(NAMES))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_described_as_tables_and_as_a_page(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "pages" / "set.html"
    assert describe(FORMATS[name][0](tmp_path), tmp_path, "--html", page) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for title in ("Questions and answers", "Classes", "Audit"):
        assert title in shown
    assert "set.html" in shown.replace(" ", "")
    text = page.read_text()
    assert text.count('src="data:image/png;base64,') == 20  # samples and the mean image of each of 10 classes
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)


def test_copies_in_both_parts_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leaking = np.concatenate([TEST[:18], TRAIN[[3, 7]]])
    np.savez(tmp_path / "set.npz", x_train=TRAIN, y_train=LABELS, x_test=leaking, y_test=TEST_LABELS)
    assert describe(tmp_path / "set.npz", tmp_path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["audit"]["shared"] == [[3, 18], [7, 19]]
    assert any("2 of 20 test images are also in the training part" in text for text in told["description"]["warnings"])


def test_reading_options_reach_the_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = path_table(tmp_path)
    options = ("--size", 6, 5, "--fit", "stretch", "--channels", 1, "--label-column", "writer", "--json")
    assert describe(path, tmp_path, *options) == 0
    description = json.loads(capsys.readouterr().out)["description"]
    assert description["image_shape"] == [1, 6, 5]
    assert description["classes"][0] == "test writer 0"


def test_writers_in_both_parts_of_a_given_split_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = path_table(tmp_path)
    assert describe(path, tmp_path, "--group-column", "writer", "--json") == 0
    assert json.loads(capsys.readouterr().out)["description"]["warnings"] == []
    path.write_text(path.read_text().replace("test writer 2", "train writer 2"))
    assert describe(path, tmp_path, "--group-column", "writer", "--json") == 0
    warnings = json.loads(capsys.readouterr().out)["description"]["warnings"]
    assert [text for text in warnings if "1 group has images in both" in text and "train writer 2" in text]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def first_picture(folder: Path) -> Path:
    return min(folder.rglob("*.png"))


DAMAGED: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Path]]] = {
    # how the set is written, and from its path to the file that is cut in half
    "class folders": (class_folders, first_picture),
    "Train and Test folders": (train_and_test_folders, first_picture),
    "IDX folder": (idx_folder, lambda path: path / "train-labels-idx1-ubyte.gz"),
    "IDX file": (idx_file, lambda path: path),
    "table of pixels": (pixel_table, lambda path: path),
    "table of paths": (path_table, lambda path: first_picture(path.parent)),
    "npz": (npz, lambda path: path),
    "Parquet": (parquet_folder, lambda path: path / "test-00000-of-00001.parquet"),
    "CIFAR archive": (cifar_archive, lambda path: path),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_ends_with_one_message(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write, victim_of = DAMAGED[name]
    path = write(tmp_path)
    victim = victim_of(path)
    cut(victim)
    assert describe(path, tmp_path, "--json") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    (message,) = shown.err.splitlines()
    assert message.startswith("error: ")
    assert str(path) in message or victim.name in message


@pytest.mark.parametrize(
    ("write", "arguments", "told"),
    [
        (class_folders, ("--group-column", "writer"), "no column 'writer'"),
        (pixel_table, ("--label-column", "kind"), "no column 'kind'"),
        (npz, ("--size", 4, 4), "size: has no effect"),
        (class_folders, ("--size", 0, 4), "1 to 4096 pixels"),
        (lambda folder: folder / "nowhere.npz", (), "nowhere.npz"),
        (lambda folder: folder, (), "no "),
    ],
)
def test_what_cannot_be_meant_ends_with_one_message(
    write: Callable[[Path], Path],
    arguments: tuple[object, ...],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert describe(write(tmp_path), tmp_path, *arguments) == 1
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith("error: ")
    assert told in message


def test_a_named_set_that_is_not_there_is_not_fetched_offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["data", "describe", "kmnist", "--store", str(tmp_path)]) == 1
    (message,) = capsys.readouterr().err.splitlines()
    assert "kmnist" in message
    assert "offline" in message


def test_the_list_names_sets_sizes_licences_sources_and_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path / "mnist", GREY[:, 0], LABELS, GREY_TEST[:, 0], TEST_LABELS)
    arguments = ["data", "list", "--data-dir", str(tmp_path), "--store", str(tmp_path / "store")]
    assert run_command([*arguments, "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"digits", "mnist", "fashion-mnist", "kmnist", "emnist-balanced", "cifar-100", "medmnist-pathmnist"} <= set(
        rows
    )
    assert (rows["cifar-100"]["train_count"], rows["cifar-100"]["test_count"]) == (50_000, 10_000)
    assert rows["cifar-100"]["image_shape"] == [3, 32, 32]
    assert all(row["licence"] and row["source"] for row in rows.values())
    assert rows["digits"]["where"] == "built in"
    assert str(tmp_path / "mnist") in rows["mnist"]["where"]
    assert rows["cifar-100"]["where"] == ""
    monkeypatch.setenv("COLUMNS", "80")
    assert run_command(arguments) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in rows)


def test_the_same_images_from_every_format_are_described_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {}
    for name in ("Train and Test folders", "table of paths", "npz", "CIFAR archive"):
        folder = tmp_path / name
        folder.mkdir()
        assert describe(FORMATS[name][0](folder), folder, "--json") == 0
        told[name] = json.loads(capsys.readouterr().out)["audit"]
    drift = [answer["brightness_drift"] for answer in told.values()]
    assert np.ptp(np.array(drift, dtype=float), axis=0).max() < 1e-6


def test_an_idx_header_that_claims_more_than_the_file_holds_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = idx_folder(tmp_path)
    (folder / "train-images-idx3-ubyte.gz").unlink()
    header = idx_bytes(np.zeros((1, 8, 8), np.uint8))[:4] + np.array([2**31 - 1, 8, 8], ">u4").tobytes()
    (folder / "train-images-idx3-ubyte").write_bytes(header + bytes(64))
    assert describe(folder, tmp_path) == 1
    (message,) = capsys.readouterr().err.splitlines()
    assert "train-images-idx3-ubyte" in message
