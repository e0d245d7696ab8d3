"""Whatever form images in memory have, training and prediction see the same bytes, or are refused in words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.data.data_samples import even_labels, random_images

from ceteris.data import ReadOptions, from_arrays, labels_among, parts_of, read_images, reading_lines
from ceteris.data.formats.arrays import arrays_source
from ceteris.errors import ConfigError, DataError
from ceteris.records import ByteArray

VALUES: dict[str, Callable[[ByteArray], Any]] = {
    "bytes": lambda images: images,
    "0..1": lambda images: images / 255.0,
    "0..1 in 32 bits": lambda images: (images / 255.0).astype(np.float32),
    "0..255": lambda images: images.astype(np.float32),
    "int64": lambda images: images.astype(np.int64),
    "16 bits": lambda images: images.astype(np.uint16) * np.uint16(257),
    "Fortran order": np.asfortranarray,
}
AXES: dict[str, Callable[[Any], Any]] = {
    "channels first": lambda images: images,
    "channels last": lambda images: images.transpose(0, 2, 3, 1),
    "no channels": lambda images: images[:, 0] if images.shape[1] == 1 else images,
}
CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "array": lambda images: images,
    "list of arrays": list,
    "lists": lambda images: images.tolist(),
    "tensor": lambda images: torch.tensor(images.copy()) if images.dtype != np.uint16 else images,
    "list of tensors": lambda images: [torch.tensor(i.copy()) if i.dtype != np.uint16 else i for i in images],
    "series of arrays": lambda images: pd.Series(list(images)),
}


def filled(source_images: Any, labels: Any) -> tuple[ByteArray, ReadOptions]:
    source = arrays_source((source_images, labels), None, name="arrays")
    images = np.empty((len(source.train.labels), *source.train.shape), dtype=np.uint8)
    source.train.fill(images)
    return images, ReadOptions(white=source.white)


@settings(max_examples=150, deadline=None)
@given(
    form=st.tuples(*(st.sampled_from(sorted(forms)) for forms in (VALUES, AXES, CONTAINERS))),
    asked=st.tuples(*(st.sampled_from(sorted(forms)) for forms in (VALUES, AXES, CONTAINERS))),
    channels=st.sampled_from([1, 3]),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    count=st.integers(2, 6),
    seed=st.integers(0, 99),
)
def test_training_and_prediction_see_the_same_bytes_whatever_the_form(
    form: tuple[str, str, str],
    asked: tuple[str, str, str],
    channels: int,
    size: tuple[int, int],
    count: int,
    seed: int,
) -> None:
    images = random_images(count, (channels, *size), seed)
    images[0, 0, :2, 0] = (0, 255)  # black and white are there, so that every form has its full range

    def made(names: tuple[str, str, str], pixels: ByteArray) -> Any:
        values, axes, container = names
        return CONTAINERS[container](AXES[axes](VALUES[values](pixels)))

    shape = (channels, *size)
    may_be_refused = "16 bits" in (form[0], asked[0])  # numbers whose white is not known
    try:
        trained, reading = filled(made(form, images), even_labels(count, 2))
        assert np.array_equal(trained, images)
        assert np.array_equal(read_images(made(asked, images), reading, shape=shape), images)
        alone = made((asked[0], asked[1], "array"), images)[0]
        assert np.array_equal(read_images(alone, reading, shape=shape), images[:1])
    except DataError as error:
        if not may_be_refused:
            raise AssertionError("refused") from error


@pytest.mark.parametrize("white", [1023, 4095, 16383, 65535])
def test_a_dark_picture_of_many_bits_is_read_as_training_was(white: int) -> None:
    images = np.linspace(0, white, 2 * 36).reshape(2, 6, 6).astype(np.uint16)
    trained, reading = filled(images, [0, 1])
    assert reading.white == white
    assert (trained.min(), trained.max()) == (0, 255)
    dark = images[:1] // 8
    assert np.array_equal(read_images(dark, reading, shape=(1, 6, 6)), np.round(dark * 255.0 / white)[:, None])


def test_pixels_of_0_and_1_are_black_and_white() -> None:
    images = random_images(4, (1, 6, 6)) % 2
    trained, reading = filled(images, [0, 1, 0, 1])
    assert set(np.unique(trained)) == {0, 255}
    assert np.array_equal(read_images(images[:1], reading, shape=(1, 6, 6)), trained[:1])
    assert np.array_equal(read_images(images * 255, reading, shape=(1, 6, 6)), trained)
    grey = ReadOptions()  # of a model that was trained on bytes: a dark picture stays dark
    assert np.array_equal(read_images(images, grey, shape=(1, 6, 6)), images)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "1", "I;16"])
def test_pillows_pictures_are_read_like_picture_files(tmp_path: Path, mode: str) -> None:
    colours = random_images(3, (3, 9, 7)).transpose(0, 2, 3, 1)
    if mode == "I;16":
        pictures = [Image.fromarray(image[..., 0].astype(np.uint16) * np.uint16(16)) for image in colours]
    else:
        pictures = [Image.fromarray(image).convert(mode) for image in colours]
    trained, reading = filled(pictures, ["a", "b", "a"])
    shape = trained.shape[1:]
    assert np.array_equal(read_images(pictures, reading, shape=shape), trained)
    assert np.array_equal(read_images(pictures[1], reading, shape=shape), trained[1:2])
    folder = tmp_path / "set"
    for number, picture in enumerate(pictures):
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        picture.save(folder / "ab"[number % 2] / f"{number}.png")
    from ceteris.data.formats.folders import folder_source

    source = folder_source(folder, ReadOptions())
    images = np.empty((3, *source.train.shape), dtype=np.uint8)
    source.train.fill(images)
    assert np.array_equal(images, trained[[0, 2, 1]])


def test_flattened_rows_are_square_grey_images() -> None:
    images = random_images(5, (1, 6, 6))
    frame = pd.DataFrame(images.reshape(5, -1))
    assert np.array_equal(filled(frame, pd.Series(["a", "b", "a", "b", "a"]))[0], images)
    assert np.array_equal(read_images(frame, shape=(1, 6, 6)), images)
    with pytest.raises(DataError, match="Rows of pixels need"):
        read_images(images.reshape(5, -1)[:, :35])
    with pytest.raises(DataError, match="Rows of pixels need"):
        read_images(images.reshape(5, -1), shape=(3, 2, 6))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            random_images(4, (3, 6, 6)),
            r"images of 1 x 6 x 6 .* are expected, as in training; received .*\(4, 3, 6, 6\)",
        ),
        (random_images(4, (1, 6, 7)), r"received an array of the shape \(4, 1, 6, 7\)"),
        ([np.zeros((6, 6), np.uint8), np.zeros((6, 7), np.uint8)], r"they have the shapes \(6, 6\), \(6, 7\)"),
        ("some/path.png", "an array or a list is expected, received str"),
        (None, "received NoneType"),
        ([], "expected the shape"),
        (np.zeros((0, 6, 6)), "holds no image"),
        (np.full((2, 6, 6), np.nan), "72 missing values"),
        (np.linspace(-1, 1, 36).reshape(1, 6, 6), "undo any other standardisation"),
        (np.full((1, 6, 6), 4000.0), "reading.white"),
        (np.array([["a"]]), "numbers are expected|expected the shape"),
    ],
)
def test_other_images_are_refused_in_words(images: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_images(images, shape=(1, 6, 6))


def test_labels_in_every_form_mean_the_same() -> None:
    classes = ("cat", "dog", "eel")
    numbers = [0, 2, 1]
    names = [classes[number] for number in numbers]
    for labels in (names, np.array(names), pd.Series(names), pd.Categorical(names), numbers, np.eye(3)[numbers]):
        assert labels_among(labels, classes).tolist() == numbers
    assert labels_among(torch.tensor(numbers), classes).tolist() == numbers
    assert labels_among([7, 3], ("3", "7")).tolist() == [1, 0]
    for labels, message in ((["cow"], "'cow' is none of"), ([3], "3 is none of"), ([0, None], "1 labels are missing")):
        with pytest.raises(DataError, match=message):
            labels_among(labels, classes)


def test_labels_of_both_parts_are_of_one_kind_and_spaces_around_them_do_not_count(tmp_path: Path) -> None:
    images = random_images(12, (1, 6, 6))
    made = from_arrays(images, ["cat", "cat ", " dog"] * 4, cache_dir=tmp_path)
    assert made.train.classes == ("cat", "dog")
    with pytest.raises(DataError, match="the labels of one part are texts, those of the other numbers"):
        from_arrays(images, ["cat", "dog"] * 6, images, [0, 1] * 6, cache_dir=tmp_path)


def test_the_same_bytes_in_another_form_are_described_as_what_they_are(tmp_path: Path) -> None:
    images = random_images(20, (1, 6, 6))
    for form, told in ((images, "uint8, white is 255"), (images / 255.0, "float64, white is 1")):
        assert told in reading_lines(from_arrays(form, even_labels(20, 2), cache_dir=tmp_path))[0]


def test_the_parts_of_what_a_run_is_given() -> None:
    x, y = random_images(4, (1, 6, 6)), np.array([0, 1, 0, 1])
    for data in (((x, y), (x, y)), ([x, y], [x, y]), (x, y, x, y)):
        train, test = parts_of(data)
        assert test is not None
        assert train[0] is x
        assert test[1] is y
    assert parts_of((x, y))[1] is None
    assert parts_of(([x[0], x[1]], [0, 1]))[1] is None  # two pictures and two labels
    for wrong, message in (("a/folder", "the text 'a/folder'"), ((x,), "received 1 parts"), (x, "received ndarray")):
        with pytest.raises(ConfigError, match=message):
            parts_of(wrong)


def test_options_of_files_have_no_effect_on_arrays_and_are_refused(tmp_path: Path) -> None:
    images, labels = random_images(20, (1, 6, 6)), even_labels(20, 2)
    with pytest.raises(ConfigError, match="size: has no effect on arrays in memory"):
        from_arrays(images, labels, cache_dir=tmp_path, options=ReadOptions(size=(4, 4)))
    pictures = [Image.fromarray(image[0]) for image in images]
    made = from_arrays(pictures, labels, cache_dir=tmp_path, options=ReadOptions(size=(4, 5), channels=3, leaks="drop"))
    assert made.train.shape == (3, 4, 5)
    half = from_arrays(images, labels, cache_dir=tmp_path, options=ReadOptions(test_fraction=0.5))
    assert (len(half.train), half.test.count) == (10, 10)


def test_arrays_are_named_as_arrays(tmp_path: Path) -> None:
    made = from_arrays(random_images(20, (1, 6, 6)) / 255.0, even_labels(20, 2), cache_dir=tmp_path)
    assert (made.name, made.title, made.source) == ("arrays", "Arrays in memory", "the user's own arrays")
    assert "train: (20, 1, 6, 6) float64, white is 1" in reading_lines(made)[0]
    assert made.reading.white == 1
