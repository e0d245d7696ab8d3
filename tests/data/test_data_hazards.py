"""Leaks, imbalance and pictures unlike the training pictures: found with their sizes, and mended where that is asked for."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.data_samples import even_labels, no_look, random_images

from ceteris.data import DataSet, ReadOptions, from_arrays, load, picture_sizes, reading_lines, unlike_training
from ceteris.data.prepared import prepare
from ceteris.data.source import Source, array_part
from ceteris.errors import DataError
from ceteris.records import ByteArray


def leaky(folder: Path, leaked: int, options: ReadOptions | None = None) -> DataSet:
    """40 training and 20 test images; the first test images lie in the training part, one of them twice."""
    train, test = random_images(40, (1, 8, 8), 1), random_images(20, (1, 8, 8), 2)
    train[:leaked] = test[:leaked]
    train[39] = test[0]
    return from_arrays(train, even_labels(40, 2), test, even_labels(20, 2), cache_dir=folder, options=options)


@pytest.mark.parametrize(("leaked", "so"), [(3, "a little too good"), (20, "says nothing of new images")])
def test_leaks_are_found_with_their_sizes_and_stand_in_the_first_lines(tmp_path: Path, leaked: int, so: str) -> None:
    made = leaky(tmp_path, leaked)
    assert made.hazards is not None
    assert (made.hazards.leaked_test, made.hazards.test_count, made.hazards.leaked_train) == (leaked, 20, leaked + 1)
    line = next(line for line in reading_lines(made) if "also in the training part" in line)
    assert f"{leaked} of 20 test images" in line
    assert so in line


def test_dropping_leaks_leaves_the_test_part_as_it_is(tmp_path: Path) -> None:
    before, after = leaky(tmp_path, 3), leaky(tmp_path, 3, ReadOptions(leaks="drop"))
    assert after.test.fingerprint == before.test.fingerprint
    assert np.array_equal(after.train.images, before.train.images[3:39])
    assert np.array_equal(after.train.labels, before.train.labels[3:39])
    assert after.hazards is not None
    assert (after.hazards.leaked_test, after.hazards.leaked_train, after.hazards.dropped) == (0, 0, 4)
    lines = reading_lines(after)
    assert "4 files left out: training images that are in the test part too (4)" in lines[0]
    assert len(lines) == 1
    test = after.test.open(record_look=no_look).images
    assert not {image.tobytes() for image in after.train.images} & {image.tobytes() for image in test}


def test_dropping_everything_is_refused(tmp_path: Path) -> None:
    images = random_images(20, (1, 8, 8))
    with pytest.raises(DataError, match="leaves no training image: all 20"):
        from_arrays(
            images,
            even_labels(20, 2),
            images,
            even_labels(20, 2),
            cache_dir=tmp_path,
            options=ReadOptions(leaks="drop"),
        )


def test_groups_on_both_sides_are_dropped_too(tmp_path: Path) -> None:
    train = array_part(random_images(12, seed=1), even_labels(12, 2), ("w1", "w2", "w3") * 4)
    test = array_part(random_images(4, seed=2), even_labels(4, 2), ("w3", "w4") * 2)
    source = Source(name="writers", title="writers", classes=("a", "b"), train=train, test=test)
    made = prepare(source, tmp_path / "drop", ReadOptions(leaks="drop"))
    assert len(made.train) == 8
    assert made.hazards is not None
    assert made.hazards.shared_groups == ()
    kept = prepare(source, tmp_path / "keep").hazards
    assert kept is not None
    assert kept.shared_groups == ("w3",)


def test_dropping_works_for_a_folder_of_pictures(tmp_path: Path) -> None:
    for number, image in enumerate(random_images(24, (1, 8, 8))):
        part, label = ("test", number) if number >= 16 else ("train", number)
        target = tmp_path / "set" / part / "ab"[label % 2] / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(target)
        if number in (20, 21):
            Image.fromarray(image[0]).save(tmp_path / "set" / "train" / "ab"[label % 2] / f"copy{number}.png")
    kept = load(str(tmp_path / "set"), cache_dir=tmp_path / "cache")
    dropped = load(str(tmp_path / "set"), cache_dir=tmp_path / "cache", options=ReadOptions(leaks="drop"))
    assert (len(kept.train), len(dropped.train), dropped.test.count) == (18, 16, 8)
    assert kept.test.fingerprint == dropped.test.fingerprint


def test_imbalance_is_told_with_its_size(tmp_path: Path) -> None:
    labels = np.array(["cat"] * 60 + ["dog"] * 3)
    made = from_arrays(
        random_images(63, (1, 8, 8)), labels, random_images(4, (1, 8, 8), 9), labels[59:63], cache_dir=tmp_path
    )
    assert made.hazards is not None
    assert (made.hazards.largest, made.hazards.smallest, made.hazards.imbalance) == (("cat", 60), ("dog", 3), 20.0)
    assert "The largest class (cat, 60 images) has 20 times" in " ".join(reading_lines(made))


def ink(count: int, seed: int, *, paper: int = 0) -> ByteArray:
    """Grey images of 28 x 28 pixels with something light in their middle; ``paper`` 255 gives dark on light."""
    images = np.zeros((count, 1, 28, 28), dtype=np.uint8)
    images[:, :, 9:19, 9:19] = np.random.default_rng(seed).integers(120, 256, (count, 1, 10, 10))
    return images if paper == 0 else 255 - images


@pytest.mark.parametrize("paper", [0, 255])
def test_inverted_pictures_are_noticed(tmp_path: Path, paper: int) -> None:
    made = from_arrays(ink(60, 1, paper=paper), even_labels(60, 2), cache_dir=tmp_path)
    assert made.appearance is not None
    assert unlike_training(ink(20, 2, paper=paper), [], made.appearance) == ()
    found = unlike_training(ink(5, 3, paper=255 - paper), [], made.appearance)
    assert [(picture.index, picture.inverted, picture.size) for picture in found] == [(n, True, None) for n in range(5)]


def test_photographs_are_never_called_inverted(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    light = random.uniform(40, 200, (200, 1, 1, 1))
    photos = np.clip(light + random.normal(0, 40, (200, 3, 16, 16)), 0, 255).astype(np.uint8)
    made = from_arrays(photos[:150], even_labels(150, 2), cache_dir=tmp_path)
    assert made.appearance is not None
    assert unlike_training(photos[150:], [], made.appearance) == ()


def test_pictures_of_another_size_are_noticed(tmp_path: Path) -> None:
    for number in range(12):
        target = tmp_path / "set" / "ab"[number % 2] / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        size = (60 + number, 50)
        Image.fromarray(random_images(1, (1, *size), number)[0, 0]).save(target)
    made = load(str(tmp_path / "set"), cache_dir=tmp_path / "cache", options=ReadOptions(size=(16, 16)))
    assert made.appearance is not None
    assert (made.appearance.heights, made.appearance.widths) == ((60, 71), (50, 50))
    shapes = [(65, 50), (300, 220), (20, 18), (60, 130), (120, 90)]
    paths = [tmp_path / f"{height}x{width}.png" for height, width in shapes]
    for path, (height, width) in zip(paths, shapes, strict=True):
        Image.fromarray(random_images(1, (1, height, width))[0, 0]).save(path)
    sizes = picture_sizes(paths)
    assert sizes == shapes
    found = unlike_training(made.train.images[:5], sizes, made.appearance)
    assert [picture.size for picture in found] == [(300, 220), (20, 18), (60, 130)]
    assert not any(picture.inverted for picture in found)
