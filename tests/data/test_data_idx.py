import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from tests.data.data_samples import even_labels, idx_bytes, no_look, random_images, write_idx, write_mnist

from ceteris.data import load
from ceteris.data.formats.entries import Entry
from ceteris.data.formats.idx import idx_part, read_idx, read_mapping
from ceteris.errors import DataError
from ceteris.records import ByteArray


def grey(count: int, seed: int = 0) -> ByteArray:
    images: ByteArray = random_images(count, (1, 5, 7), seed)[:, 0]
    return images


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_images_and_labels_come_back(tmp_path: Path, suffix: str) -> None:
    images = grey(9)
    part = idx_part(
        Entry(write_idx(tmp_path / f"images{suffix}", images)),
        Entry(write_idx(tmp_path / f"labels{suffix}", np.arange(9, dtype=np.uint8))),
        transposed=False,
    )
    target = np.empty((9, *part.shape), dtype=np.uint8)
    part.fill(target)
    assert part.shape == (1, 5, 7)
    assert np.array_equal(target[:, 0], images)
    assert part.labels.tolist() == list(range(9))


def test_transposed_images_are_turned_upright(tmp_path: Path) -> None:
    upright = grey(4)
    stored = upright.swapaxes(1, 2)
    images = Entry(write_idx(tmp_path / "images", np.ascontiguousarray(stored)))
    labels = Entry(write_idx(tmp_path / "labels", np.arange(1, 5, dtype=np.uint8)))
    part = idx_part(images, labels, transposed=True, first_label=1)
    target = np.empty((4, *part.shape), dtype=np.uint8)
    part.fill(target)
    assert np.array_equal(target[:, 0], upright)
    assert part.labels.tolist() == [0, 1, 2, 3]


def damaged(content: bytes, kind: str) -> bytes:
    return {
        "wrong magic": b"\0\0\x0d\x03" + content[4:],
        "no idx at all": b"<html>not found</html>",
        "empty": b"",
        "truncated header": content[:6],
        "truncated pixels": content[:-1],
        "longer than claimed": content + b"\0",
        "claims far more": content[:4] + struct.pack(">III", 2**31, 2**10, 2**10) + content[16:],
    }[kind]


DAMAGES = {
    "wrong magic": "magic number 0x00000803 .*received 0x00000d03",
    "no idx at all": "no IDX file of unsigned bytes",
    "empty": "magic number",
    "truncated header": "ends inside its header",
    "truncated pixels": "truncated|ends before",
    "longer than claimed": "goes on after",
    "claims far more": "header claims 2147483648 x 1024 x 1024",
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", sorted(DAMAGES))
def test_damaged_image_files_are_named_with_what_is_wrong(tmp_path: Path, kind: str, packed: bool) -> None:
    folder = tmp_path / "data"
    write_mnist(folder, grey(9), even_labels(9, 3), grey(4), even_labels(4, 3))
    content = damaged(idx_bytes(grey(9)), kind)
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(content))
    if not packed:
        path.unlink()
        path.with_suffix("").write_bytes(content)
    with pytest.raises(DataError, match=DAMAGES[kind]) as raised:
        load(str(folder), cache_dir=tmp_path / "cache")
    assert "train-images-idx3-ubyte" in str(raised.value)


def test_truncated_and_corrupt_gz_are_one_clear_message(tmp_path: Path) -> None:
    whole = gzip.compress(idx_bytes(grey(500)))
    for name, content in (("cut", whole[: len(whole) // 2]), ("flipped", whole[:200] + b"\xff" * 20 + whole[220:])):
        path = tmp_path / f"{name}.gz"
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}\.gz.*(truncated|damaged)"):
            read_idx(Entry(path), dimensions=(3,))


def test_labels_that_do_not_belong_to_the_images_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path / "data", grey(9), even_labels(8, 3), grey(4), even_labels(4, 3))
    with pytest.raises(DataError, match=r"holds 8 labels, but .* holds 9 images"):
        load(str(tmp_path / "data"), cache_dir=tmp_path / "cache")


def test_a_label_outside_the_classes_of_a_named_set_is_refused(tmp_path: Path) -> None:
    images = random_images(11, (1, 28, 28))[:, 0]
    write_mnist(tmp_path / "mnist", images, even_labels(11, 11), images, even_labels(11, 10))
    with pytest.raises(DataError, match="holds the label 10, but the set has 10 classes"):
        load("mnist", data_dir=tmp_path, cache_dir=tmp_path / "cache")


def test_a_folder_of_idx_files_loads_by_its_path(tmp_path: Path) -> None:
    train, test = grey(9), grey(4, seed=1)
    write_mnist(tmp_path / "mine", train, even_labels(9, 3), test, even_labels(4, 3), suffix="")
    loaded = load(str(tmp_path / "mine"), cache_dir=tmp_path / "cache")
    assert np.array_equal(loaded.train.images[:, 0], train)
    assert np.array_equal(loaded.test.open(record_look=no_look).images[:, 0], test)
    assert loaded.train.classes == ("0", "1", "2")


def test_mapping_files_give_characters_and_wrong_lines_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mapping.txt"
    path.write_text("0 48\n1 65 97\n\n")
    assert read_mapping(Entry(path)) == {0: "0", 1: "A/a"}
    for content in ("300 65\n", "-1 65\n", "0 forty-eight\n", "0 99999999999\n", "", "0 48\n" * 300_000):
        path.write_text(content)
        with pytest.raises(DataError, match=r"mapping\.txt"):
            read_mapping(Entry(path))


def test_one_of_several_sets_in_a_folder_is_named_by_its_image_file(tmp_path: Path) -> None:
    first, second = grey(9, seed=1), grey(9, seed=2)
    for prefix, images in (("one-", first), ("two-", second)):
        write_mnist(tmp_path, images, even_labels(9, 3), images[:4], even_labels(4, 3), prefix=prefix)
    with pytest.raises(DataError, match=r"holds several sets.*Name the image file"):
        load(str(tmp_path), cache_dir=tmp_path / "cache")
    loaded = load(str(tmp_path / "two-train-images-idx3-ubyte.gz"), cache_dir=tmp_path / "cache")
    assert np.array_equal(loaded.train.images[:, 0], second)


def test_emnist_letters_by_path_count_their_labels_from_one(tmp_path: Path) -> None:
    images = grey(6)
    prefix = "emnist-letters-"
    labels = even_labels(6, 3) + 1
    write_mnist(tmp_path, images, labels, images, labels, prefix=prefix, test_word="test")
    (tmp_path / f"{prefix}mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")
    loaded = load(str(tmp_path), cache_dir=tmp_path / "cache")
    assert loaded.train.classes == ("A/a", "B/b", "C/c")
    assert loaded.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert np.array_equal(loaded.train.images[:, 0], images.swapaxes(1, 2))


def test_training_images_without_labels_are_told(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", grey(4))
    with pytest.raises(DataError, match=r"labels \(train-labels-idx1-ubyte\) are missing"):
        load(str(tmp_path), cache_dir=tmp_path / "cache")


def test_a_label_that_is_not_in_the_mapping_is_told(tmp_path: Path) -> None:
    write_mnist(tmp_path, grey(6), even_labels(6, 3), grey(6), even_labels(6, 3))
    (tmp_path / "mapping.txt").write_text("0 65\n1 66\n")
    with pytest.raises(DataError, match=r"holds the label 2, which is not in the mapping"):
        load(str(tmp_path), cache_dir=tmp_path / "cache")
