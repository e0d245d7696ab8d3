import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.data.data_samples import even_labels, no_look, random_images

from ceteris.data import ReadOptions, from_arrays, load
from ceteris.data.formats.arrays import read_images
from ceteris.errors import ConfigError, DataError

IMAGES, LABELS = random_images(30, (3, 8, 8)), even_labels(30, 3)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (IMAGES, IMAGES),
        (IMAGES.transpose(0, 2, 3, 1), IMAGES),
        (IMAGES[:, 0], IMAGES[:, :1]),
        (IMAGES / 255.0, IMAGES),
        ((IMAGES / 255.0).astype(np.float32), IMAGES),
        (IMAGES.astype(np.float64), IMAGES),
        (IMAGES.astype(np.int64), IMAGES),
        (IMAGES.astype(np.uint16) * np.uint16(257), IMAGES),
        (np.concatenate([IMAGES, IMAGES[:, :1]], axis=1), IMAGES),
        (IMAGES > 127, np.where(IMAGES > 127, 255, 0)),
    ],
)
def test_every_usual_array_becomes_bytes(array: NDArray[np.generic], expected: NDArray[np.generic]) -> None:
    made = read_images(array)
    assert made.dtype == np.uint8
    assert np.array_equal(made, expected)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 5)), "expected the shape"),
        (np.full((2, 4, 4), np.nan), "32 missing values"),
        (np.full((2, 4, 4), -1.0), r"received -1 to -1.*images \+ 1"),
        (np.full((2, 4, 4), 300), "received 300 to 300"),
        (np.full((2, 4, 4), "a"), "numbers are expected"),
        (np.full((2, 4, 4), np.inf), "received inf"),
    ],
)
def test_other_arrays_are_refused(array: NDArray[np.generic], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_images(array)


def test_from_arrays_keeps_the_parts_and_prepares_them_once(tmp_path: Path) -> None:
    names = np.array(["cat", "dog", "ant"])
    first, again = (
        from_arrays(IMAGES[:20], names[LABELS[:20]], IMAGES[20:], names[LABELS[20:]], name="mine", cache_dir=tmp_path)
        for _ in range(2)
    )
    assert first.train.classes == ("ant", "cat", "dog")
    assert [first.train.classes[label] for label in first.train.labels] == names[LABELS[:20]].tolist()
    assert np.array_equal(first.test.open(record_look=no_look).images, IMAGES[20:])
    assert first.prepared == again.prepared
    assert len(list((tmp_path / "prepared").iterdir())) == 1


def test_from_arrays_takes_one_hot_labels_and_class_names(tmp_path: Path) -> None:
    made = from_arrays(IMAGES, np.eye(3)[LABELS], name="mine", cache_dir=tmp_path, classes=("a", "b", "c"))
    assert made.train.classes == ("a", "b", "c")
    assert made.test.class_counts.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (LABELS[:-1], None, "30 images, but 29 labels"),
        (LABELS + 0.5, None, "whole numbers or texts"),
        (np.zeros((30, 2)), None, "one label per image or one-hot"),
        (LABELS, ("a", "b"), "the label 2, but there are 2 classes"),
        (np.array(["a"] * 29 + ["z"]), ("a", "b"), "'z' is none of the classes a, b"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    tmp_path: Path, labels: NDArray[np.generic], classes: tuple[str, ...] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        from_arrays(
            IMAGES,
            labels,
            IMAGES[:3],
            labels[:3],
            name="mine",
            cache_dir=tmp_path,
            classes=classes,
        )


KEYS = [
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("X_train", "Y_train", "X_test", "Y_test"),
    ("images_train", "labels_train", "images_test", "labels_test"),
]


@pytest.mark.parametrize("keys", KEYS)
def test_npz_with_the_usual_keys(tmp_path: Path, keys: tuple[str, str, str, str]) -> None:
    channels_last = IMAGES.transpose(0, 2, 3, 1)
    contents = (channels_last[:20], LABELS[:20, None], channels_last[20:], LABELS[20:, None])
    arrays: dict[str, NDArray[Any]] = dict(zip(keys, contents, strict=True))
    np.savez_compressed(tmp_path / "set.npz", allow_pickle=True, **arrays)
    loaded = load(str(tmp_path / "set.npz"), cache_dir=tmp_path / "cache")
    assert np.array_equal(loaded.train.images, IMAGES[:20])
    assert np.array_equal(loaded.test.open(record_look=no_look).labels, LABELS[20:])


def test_npz_without_parts_with_names_and_fortran_order(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "set.npz", images=np.asfortranarray(IMAGES[:, 0]), labels=LABELS, classes=np.array(["a", "b", "c"])
    )
    loaded = load(str(tmp_path / "set.npz"), cache_dir=tmp_path / "cache")
    assert loaded.train.classes == ("a", "b", "c")
    found = {image.tobytes() for image in loaded.train.images}
    assert found <= {image.tobytes() for image in IMAGES[:, 0]}


def npz_bytes(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def npy_header(text: str) -> bytes:
    body = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 no archive", "damaged"),
        (
            npz_bytes({"x.npy": npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999,)}")}),
            "claims",
        ),
        (npz_bytes({"x.npy": npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}")}), "Python objects"),
        (npz_bytes({"x.npy": npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 2)}")}), "claims"),
        (npz_bytes({"x.npy": npy_header("{'descr': '|u1', 'shape': (6,(5), }")}), "cannot be read"),
        (npz_bytes({"x.npy": b"\x93NUMPY\x01\x00\xff\xff"}), "cannot be read|truncated"),
        (
            npz_bytes({"other.npy": npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (0,)}")}),
            "no images and labels",
        ),
        (
            npz_bytes({"images.npy": npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (0,)}")}),
            "labels of the part",
        ),
    ],
)
def test_damaged_or_dangerous_npz_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(str(path), cache_dir=tmp_path / "cache")


def test_an_option_without_effect_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=IMAGES, labels=LABELS)
    with pytest.raises(ConfigError, match="size: has no effect on"):
        load(str(tmp_path / "set.npz"), cache_dir=tmp_path / "cache", options=ReadOptions(size=(4, 4)))
    (tmp_path / "set.csv").write_text("label,a\n0,1\n")
    with pytest.raises(ConfigError, match="channels: has no effect on the table of pixels"):
        load(str(tmp_path / "set.csv"), cache_dir=tmp_path / "cache", options=ReadOptions(channels=3))
    with pytest.raises(ConfigError, match="channels: has no effect on the named set digits"):
        load("digits", cache_dir=tmp_path / "cache", options=ReadOptions(channels=3))


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("-1", "0", "1"), "not labelled"),
        (("clear", "clear primary", "clear primary water", "cloudy"), "several tags"),
        (("maple tree", "oak tree", "palm tree", "tree house"), ""),
        (("-1", "-2", "0"), ""),
        (("cat", "dog", "dog fish"), ""),
    ],
)
def test_labels_that_look_like_something_else_than_classes_are_warned_of(
    tmp_path: Path, classes: tuple[str, ...], words: str
) -> None:
    labels = np.array(classes)[even_labels(24, len(classes))]
    found = from_arrays(random_images(24), labels, name="odd", cache_dir=tmp_path).warnings
    assert any(words in warning for warning in found) if words else not found
