import hashlib
import tarfile
from pathlib import Path

import numpy as np
import pytest
from tests.data.data_samples import no_look, official_folder

from ceteris.data import DataSet, audit, describe, load, standardisation
from ceteris.data.formats.entries import Entry, entries, read_into
from ceteris.records import ByteArray

# The numbers are those of the README beside the official data.


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def official(name: str, cache: Path) -> DataSet:
    return load(name, data_dir=official_folder(), cache_dir=cache, offline=True)


def unit_moments(data_set: DataSet) -> tuple[list[float], list[float]]:
    mean, deviation = standardisation(data_set.train.images, np.arange(len(data_set.train)))
    return (mean / 255).round(4).tolist(), (deviation / 255).round(4).tolist()


def unpacked_md5(entry: Entry) -> str:
    with entry.open() as stream:
        return hashlib.md5(stream.read(), usedforsecurity=False).hexdigest()


def test_mnist_is_byte_exact(cache: Path) -> None:
    data_set = official("mnist", cache)
    assert (len(data_set.train), data_set.test.count, data_set.note) == (60_000, 10_000, "")
    assert unit_moments(data_set) == ([0.1307], [0.3081])
    sums = {entry.name: unpacked_md5(entry) for entry in entries(official_folder() / "mnist")}
    assert sums["train-images-idx3-ubyte"] == "6bbc9ace898e44ae57da46a324031adb"
    assert sums["t10k-images-idx3-ubyte"] == "2646ac647ad5339dbf082846283269ea"
    labels = (official_folder() / "mnist" / "train-labels-idx1-ubyte.gz").stat().st_size
    assert labels == 28_878


def test_mnist_has_no_copies(cache: Path) -> None:
    found = audit(official("mnist", cache), near=False)
    assert (found.train_distinct, found.test_distinct) == (60_000, 10_000)
    assert len(found.shared) == 0


def test_the_read_pixels_of_mnist_are_those_of_the_file(cache: Path) -> None:
    content = np.empty(16 + 60_000 * 784, dtype=np.uint8)
    with Entry(official_folder() / "mnist" / "train-images-idx3-ubyte.gz").open() as stream:
        assert read_into(stream, content.data) == len(content)
    assert np.array_equal(official("mnist", cache).train.images.reshape(-1), content[16:])


def test_emnist_47_counts_moments_and_note(cache: Path) -> None:
    data_set = official("emnist-47", cache)
    assert (len(data_set.train), data_set.test.count) == (29_610, 7_050)
    told = describe(data_set, folds=5)
    assert told.train_class_counts.tolist() == [630] * 47
    assert told.test_class_counts.tolist() == [150] * 47
    assert unit_moments(data_set) == ([0.1745], [0.3327])
    assert "not the official EMNIST Balanced split" in told.note
    assert "".join(data_set.train.classes) == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
    found = audit(data_set, near=False)
    assert (found.train_distinct, found.test_distinct, len(found.shared)) == (29_610, 7_050, 0)


def shape_of(data_set: DataSet, name: str) -> ByteArray:
    label = data_set.train.classes.index(name)
    mean: ByteArray = data_set.train.images[data_set.train.labels == label, 0].mean(axis=0)
    return mean


def test_emnist_is_upright(cache: Path) -> None:
    data_set = official("emnist-47", cache)
    seven, ell, tee = (shape_of(data_set, name) for name in ("7", "L", "T"))
    assert seven[5:10].mean() > 2 * seven[18:23].mean()  # the bar of a 7 is at its top
    assert ell[18:24].mean() > 1.5 * ell[4:10].mean()  # the foot of an L is at its bottom
    assert ell[:, 6:13].mean() > 1.2 * ell[:, 15:22].mean()  # and its stem to the left
    assert tee[4:10, 4:24].mean() > 1.5 * tee[16:22, 4:24].mean()


@pytest.fixture(scope="module")
def cifar_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the archive once; unpacking it again for every name would take most of the time of these tests."""
    archive = official_folder() / "cifar-100" / "cifar-100-binary.tar.xz"
    folder = tmp_path_factory.mktemp("cifar")
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    return folder / "cifar-100-binary"


@pytest.fixture(scope="module")
def cifar(cifar_folder: Path, cache: Path) -> DataSet:
    return load("cifar-100", data_dir=cifar_folder.parent, cache_dir=cache, offline=True)


def test_cifar_100_moments_and_counts(cifar: DataSet) -> None:
    assert (len(cifar.train), cifar.test.count) == (50_000, 10_000)
    assert unit_moments(cifar) == ([0.5071, 0.4865, 0.4409], [0.2673, 0.2564, 0.2762])
    told = describe(cifar)
    assert set(told.train_class_counts.tolist()) == {500}
    assert set(told.test_class_counts.tolist()) == {100}
    assert told.classes[0] == "apple"


def test_cifar_100_is_byte_exact(cifar: DataSet, cifar_folder: Path) -> None:
    sums = {name: unpacked_md5(Entry(cifar_folder / f"{name}.bin")) for name in ("train", "test")}
    assert sums == {"train": "6172c7755cfe09b2fe270c85cebc1b15", "test": "4499cfba6c016c1be1438163640a0898"}
    record = np.fromfile(cifar_folder / "test.bin", dtype=np.uint8, count=3074, offset=3074 * 77)
    test = cifar.test.open(record_look=no_look)
    assert np.array_equal(test.images[77].ravel(), record[2:])
    assert test.labels[77] == record[1]


def test_coarse_labels_have_equal_classes_and_join_five_fine_ones_each(cifar: DataSet, cifar_folder: Path) -> None:
    coarse = load("cifar-100-coarse", data_dir=cifar_folder.parent, cache_dir=cifar.prepared.parents[1], offline=True)
    assert np.bincount(coarse.train.labels).tolist() == [2500] * 20
    assert coarse.test.class_counts.tolist() == [500] * 20
    pairs = np.unique(np.stack([cifar.train.labels, coarse.train.labels]), axis=1)
    assert pairs.shape == (2, 100)
    assert coarse.train.classes[pairs[1, 0]] == "fruit_and_vegetables"  # that is where apples belong


def test_cifar_100_holds_ten_images_in_both_parts_and_the_report_is_warned(cifar: DataSet) -> None:
    found = audit(cifar, near=False)
    assert (found.train_distinct, found.test_distinct) == (49_986, 9_998)
    assert len(found.shared) == 10
    assert any(
        text.startswith("10 of 10,000 test images are also in the training part") for text in describe(cifar).warnings
    )
