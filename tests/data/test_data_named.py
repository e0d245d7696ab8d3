import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.data.data_samples import even_labels, idx_bytes, no_look, random_images, write_idx, write_mnist

from ceteris.data import find_named, load, named_sets
from ceteris.errors import DataError
from ceteris.records import ByteArray, IntArray

TRAIN, TEST = random_images(52, (1, 28, 28), 1), random_images(26, (1, 28, 28), 2)


def test_digits_are_complete_upright_and_split_once_and_for_all(tmp_path: Path) -> None:
    loaded = load("digits", cache_dir=tmp_path)
    assert (len(loaded.train), loaded.test.count, loaded.train.shape) == (1438, 359, (1, 8, 8))
    assert loaded.train.images.max() == 255
    assert np.abs(loaded.test.class_counts - 36).max() <= 1
    assert loaded.test.fingerprint == load("digits", cache_dir=tmp_path / "again").test.fingerprint


def test_the_synthetic_set_says_that_it_is_synthetic_and_can_be_learned(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    loaded = load("synthetic", cache_dir=tmp_path)
    assert "Synthetic" in loaded.title
    assert "Synthetic" in loaded.note
    test = loaded.test.open(record_look=no_look)
    assert np.bincount(test.labels).tolist() == [50] * 10
    spectrum = [np.abs(np.fft.fft2(part.images[:, 0])).reshape(len(part), -1) for part in (loaded.train, test)]
    model = LogisticRegression(max_iter=200).fit(spectrum[0] / 1e4, loaded.train.labels)
    assert model.score(spectrum[1] / 1e4, test.labels) > 0.5


def test_every_name_has_provenance_counts_and_its_checksums() -> None:
    sets = named_sets()
    assert len({known.name for known in sets}) == len(sets) == 26
    for known in sets:
        assert known.title
        assert known.citation
        assert known.licence
        assert known.counts[0] > known.counts[1] > 0
        assert len(set(known.classes)) == len(known.classes)
        assert find_named(known.name.upper()) is known
        for remote in known.files:
            assert len(remote.sha256) == 64 or len(remote.md5) == 32
            assert all(url.startswith(("https://", "http://")) for url in remote.urls)


def test_aliases_and_unknown_names(tmp_path: Path) -> None:
    assert find_named("emnist-bymerge47") is find_named("emnist-47")
    with pytest.raises(DataError, match=r'"mnits" is neither.*Did you mean "mnist"'):
        load("mnits", cache_dir=tmp_path)


def test_a_set_that_is_not_there_lists_what_was_looked_for_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CETERIS_DATA", raising=False)
    with pytest.raises(DataError) as raised:
        load("kmnist", data_dir=tmp_path / "data", cache_dir=tmp_path / "cache", offline=True)
    message = str(raised.value)
    for part in (
        "train-images-idx3-ubyte",
        str(tmp_path / "data" / "KMNIST" / "raw"),
        "offline",
        "codh.rois.ac.jp",
        "sha256",
    ):
        assert part in message
    with pytest.raises(DataError, match=r"emnist-47: not found.*cannot be downloaded"):
        load("emnist-47", cache_dir=tmp_path / "cache", offline=True)


def plain(folder: Path) -> None:
    write_mnist(folder, TRAIN[:, 0], even_labels(52, 10), TEST[:, 0], even_labels(26, 10), suffix="")


def packed(folder: Path) -> None:
    write_mnist(folder, TRAIN[:, 0], even_labels(52, 10), TEST[:, 0], even_labels(26, 10))


def repacked(suffix: str, pack: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        plain(folder)
        for path in list(folder.iterdir()):
            path.with_name(path.name + suffix).write_bytes(pack(path.read_bytes()))
            path.unlink()

    return write


def zipped(folder: Path) -> None:
    plain(folder)
    with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.glob("*ubyte")):
            archive.write(path, f"inside/{path.name}")
            path.unlink()


def dotted(folder: Path) -> None:
    plain(folder)
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))


@pytest.mark.parametrize("write", [plain, packed, repacked(".xz", lzma.compress), zipped, dotted])
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", ""),
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("fashion-mnist", "FashionMNIST/raw"),
        ("fashion-mnist", "fashion-mnist"),
        ("kmnist", "KMNIST/raw"),
    ],
)
def test_mnist_and_its_kin_in_every_form_and_place(
    tmp_path: Path, write: Callable[[Path], None], name: str, folder: str
) -> None:
    write(tmp_path / "data" / folder)
    loaded = load(name, data_dir=tmp_path / "data", cache_dir=tmp_path / "cache", offline=True)
    known = find_named(name)
    assert known is not None
    assert np.array_equal(loaded.train.images, TRAIN)
    assert np.array_equal(loaded.test.open(record_look=no_look).images, TEST)
    assert loaded.train.classes == known.classes


def test_files_of_another_set_are_not_taken_for_fashion(tmp_path: Path) -> None:
    packed(tmp_path / "data")
    with pytest.raises(DataError, match="fashion-mnist: not found"):
        load("fashion-mnist", data_dir=tmp_path / "data", cache_dir=tmp_path / "cache", offline=True)


def test_fashion_is_not_taken_for_mnist(tmp_path: Path) -> None:
    packed(tmp_path / "FashionMNIST" / "raw")
    zipped(tmp_path / "zips")
    (tmp_path / "zips" / "archive.zip").rename(tmp_path / "zips" / "fashion-mnist.zip")
    for folder in (tmp_path / "FashionMNIST" / "raw", tmp_path / "zips"):
        with pytest.raises(DataError, match="mnist: not found"):
            load("mnist", data_dir=folder, cache_dir=tmp_path / "cache", offline=True)


def test_a_damaged_archive_beside_the_set_does_no_harm(tmp_path: Path) -> None:
    packed(tmp_path / "data")
    (tmp_path / "data" / "another.zip").write_bytes(b"PK damaged")
    assert len(load("mnist", data_dir=tmp_path / "data", cache_dir=tmp_path / "cache").train) == 52


def test_the_data_folder_can_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed(tmp_path / "data" / "mnist")
    monkeypatch.setenv("CETERIS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CETERIS_OFFLINE", "1")
    assert len(load("mnist", cache_dir=tmp_path / "cache").train) == 52


EMNIST = {"balanced": 47, "byclass": 62, "bymerge": 47, "letters": 26, "digits": 10, "mnist": 10}


def emnist_labels(count: int, classes: int, first: int) -> IntArray:
    labels: IntArray = even_labels(count, classes) + first
    return labels


def write_emnist(folder: Path, part: str, *, suffix: str = ".gz") -> None:
    first = 1 if part == "letters" else 0
    for word, images in (("train", TRAIN), ("test", TEST)):
        labels = emnist_labels(len(images), EMNIST[part], first).astype(np.uint8)
        stored = np.ascontiguousarray(images[:, 0].swapaxes(1, 2))
        write_idx(folder / f"emnist-{part}-{word}-images-idx3-ubyte{suffix}", stored)
        write_idx(folder / f"emnist-{part}-{word}-labels-idx1-ubyte{suffix}", labels)


def csv_text(images: ByteArray, labels: IntArray) -> str:
    rows = (",".join(map(str, [label, *image.T.ravel()])) for image, label in zip(images[:, 0], labels, strict=True))
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("part", sorted(EMNIST))
def test_idx_archive_and_csv_of_emnist_give_the_same_upright_images(tmp_path: Path, part: str) -> None:
    write_emnist(tmp_path / "idx" / "emnist", part)
    with zipfile.ZipFile(tmp_path / "idx" / "emnist" / "unused.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    (tmp_path / "zip").mkdir()
    with zipfile.ZipFile(tmp_path / "zip" / "gzip.zip", "w") as archive:
        for path in (tmp_path / "idx" / "emnist").glob("*.gz"):
            archive.write(path, f"gzip/{path.name}")
    (tmp_path / "csv").mkdir()
    with zipfile.ZipFile(tmp_path / "csv" / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for word, images in (("train", TRAIN), ("test", TEST)):
            labels = emnist_labels(len(images), EMNIST[part], 1 if part == "letters" else 0)
            archive.writestr(f"emnist-{part}-{word}.csv", csv_text(images, labels))
    sets = [
        load(f"emnist-{part}", data_dir=tmp_path / form, cache_dir=tmp_path / "c", offline=True)
        for form in ("idx", "zip", "csv")
    ]
    for loaded in sets:
        assert np.array_equal(loaded.train.images, TRAIN)
        assert np.array_equal(loaded.test.open(record_look=no_look).images, TEST)
        assert loaded.train.labels.tolist() == emnist_labels(52, EMNIST[part], 0).tolist()
        assert len(loaded.train.classes) == EMNIST[part]
        assert any("upright" in line for line in loaded.preprocessing)
    assert len({loaded.train.digest for loaded in sets}) == 1


def test_a_mapping_file_is_honoured(tmp_path: Path) -> None:
    write_emnist(tmp_path / "emnist", "digits")
    (tmp_path / "emnist" / "emnist-digits-mapping.txt").write_text("".join(f"{n} {97 + n}\n" for n in range(10)))
    assert load("emnist-digits", data_dir=tmp_path, cache_dir=tmp_path / "c").train.classes == tuple("abcdefghij")


def test_a_zip_that_lies_about_its_contents_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    zipped(folder)
    content = bytearray((folder / "archive.zip").read_bytes())
    content[80:120] = bytes(40)
    (folder / "archive.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"archive\.zip"):
        load("mnist", data_dir=tmp_path, cache_dir=tmp_path / "c", offline=True)
    (folder / "archive.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"archive\.zip"):
        load("mnist", data_dir=tmp_path, cache_dir=tmp_path / "c", offline=True)


def test_images_of_another_size_are_refused_for_a_named_set(tmp_path: Path) -> None:
    small = random_images(20)[:, 0]
    write_mnist(tmp_path / "mnist", small, even_labels(20, 10), small, even_labels(20, 10))
    with pytest.raises(DataError, match=r"images of \(1, 6, 6\).*MNIST has \(1, 28, 28\)"):
        load("mnist", data_dir=tmp_path, cache_dir=tmp_path / "c")


def test_medmnist_joins_validation_to_training_and_knows_the_classes(tmp_path: Path) -> None:
    images = random_images(30, (3, 28, 28)).transpose(0, 2, 3, 1)
    labels = even_labels(30, 9)[:, None].astype(np.uint8)
    parts = {"train": slice(0, 18), "val": slice(18, 20), "test": slice(20, 30)}
    arrays = {f"{part}_images": images[place] for part, place in parts.items()}
    arrays |= {f"{part}_labels": labels[place] for part, place in parts.items()}
    (tmp_path / "medmnist").mkdir()
    np.savez_compressed(tmp_path / "medmnist" / "pathmnist.npz", allow_pickle=True, **arrays)
    loaded = load("medmnist-pathmnist", data_dir=tmp_path, cache_dir=tmp_path / "c", offline=True)
    assert (len(loaded.train), loaded.test.count) == (20, 10)
    assert loaded.train.classes[0] == "adipose"
    assert any("validation images joined" in line for line in loaded.preprocessing)


def test_idx_with_four_dimensions_is_read_as_colour(tmp_path: Path) -> None:
    images = random_images(12, (3, 4, 5))
    for word in ("train", "test"):
        (tmp_path / f"{word}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
        write_idx(tmp_path / f"{word}-labels-idx1-ubyte.gz", even_labels(12, 3).astype(np.uint8))
    assert np.array_equal(load(str(tmp_path), cache_dir=tmp_path / "c").train.images, images)
