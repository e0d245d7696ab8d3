import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.data_samples import even_labels, no_look, png, random_images, write_class_folders

from ceteris.data import DataSet, ReadOptions, load
from ceteris.errors import ConfigError, DataError

NAMES = ("0", "2", "10")  # in the order of their values, not of their letters


def read(root: Path, options: ReadOptions | None = None) -> DataSet:
    return load(str(root), cache_dir=root.parent / "cache", options=options)


@pytest.mark.parametrize(
    ("train", "test"), [("Train", "Test"), ("train", "test"), ("TRAINING", "testing"), ("train", "val")]
)
def test_train_and_test_folders_in_any_letter_case(tmp_path: Path, train: str, test: str) -> None:
    images, labels = random_images(9), even_labels(9, 3)
    write_class_folders(tmp_path / "set" / train, images, labels, NAMES)
    write_class_folders(tmp_path / "set" / test, images[:4], labels[:4], NAMES)
    loaded = read(tmp_path / "set")
    order = np.argsort(labels, kind="stable")
    assert loaded.train.classes == NAMES
    assert np.array_equal(loaded.train.images, images[order])
    assert np.array_equal(loaded.train.labels, labels[order])
    assert loaded.test.open(record_look=no_look).labels.tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("parts", [("",), ("train", "test")])
def test_folders_know_no_groups(tmp_path: Path, parts: tuple[str, ...]) -> None:
    for part in parts:
        write_class_folders(tmp_path / "set" / part, random_images(9), even_labels(9, 3), NAMES)
    with pytest.raises(DataError, match="group_column: this source has no column 'writer'"):
        read(tmp_path / "set", ReadOptions(group_column="writer"))


def test_validation_pictures_join_the_training_part(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 3), ("test", 3)):
        write_class_folders(tmp_path / "set" / part, random_images(count), even_labels(count, 3), NAMES)
    loaded = read(tmp_path / "set")
    assert (len(loaded.train), loaded.test.count) == (9, 3)
    assert any("validation" in line for line in loaded.preprocessing)


def test_without_a_test_folder_a_stratified_fifth_is_held_out_and_stays_the_same(tmp_path: Path) -> None:
    images, labels = random_images(100), even_labels(100, 3)
    write_class_folders(tmp_path / "set", images, labels, NAMES)
    loaded = read(tmp_path / "set")
    assert loaded.test.class_counts.tolist() == [7, 7, 7]
    assert "20%" in loaded.note or "21%" in loaded.note
    again = load(str(tmp_path / "set"), cache_dir=tmp_path / "other")
    assert again.test.fingerprint == loaded.test.fingerprint


@pytest.mark.parametrize("picture_format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_every_picture_format_is_read(tmp_path: Path, picture_format: str) -> None:
    images = np.repeat(np.arange(10, dtype=np.uint8)[:, None, None, None] * 25, 8, axis=2).repeat(8, axis=3)
    for place, pixels in enumerate(images):
        folder = tmp_path / "set" / NAMES[place % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{place}.{picture_format.lower()}").write_bytes(png(pixels, picture_format))
    loaded = read(tmp_path / "set")
    everything = np.concatenate([loaded.train.images, loaded.test.open(record_look=no_look).images])
    found = np.sort(everything[:, :, 4, 4].mean(axis=1))
    assert np.abs(found - np.arange(10) * 25).max() <= (2 if picture_format in ("JPEG", "WEBP", "GIF") else 0)


def twice(tmp_path: Path, pictures: dict[str, Image.Image]) -> DataSet:
    """Read these pictures as a first and as a second class."""
    for part in ("train", "test"):
        for name, picture in pictures.items():
            for label in ("first", "second"):
                folder = tmp_path / "set" / part / label
                folder.mkdir(parents=True, exist_ok=True)
                picture.save(folder / name)
    return read(tmp_path / "set")


def test_sixteen_bits_are_scaled_and_one_bit_is_black_and_white(tmp_path: Path) -> None:
    deep = Image.fromarray(np.array([[0, 257, 65535], [200 * 257, 256, 129]], dtype=np.uint16))
    flat = Image.fromarray(np.array([[True, False, True], [False, False, True]]))
    images = twice(tmp_path, {"a.png": deep, "b.png": flat}).train.images
    assert images[0, 0].tolist() == [[0, 1, 255], [200, 1, 1]]
    assert images[1, 0].tolist() == [[255, 0, 255], [0, 0, 255]]


def test_colour_makes_the_whole_set_rgb_and_transparency_lies_on_white(tmp_path: Path) -> None:
    grey = Image.new("L", (2, 2), 7)
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    palette = Image.new("RGB", (2, 2), (1, 2, 3)).convert("P", palette=Image.Palette.ADAPTIVE)
    images = twice(tmp_path, {"a.png": grey, "b.png": clear, "c.png": palette}).train.images
    assert images[:3, :, 0, 0].tolist() == [[7, 7, 7], [255, 255, 255], [1, 2, 3]]


def test_channels_can_be_demanded(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "set", random_images(12, (3, 4, 4)), even_labels(12, 2), NAMES)
    assert read(tmp_path / "set", ReadOptions(channels=1)).train.shape == (1, 4, 4)
    assert read(tmp_path / "set").train.shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("fit", "middle_row"),
    [("stretch", [200, 200, 200, 200]), ("pad", [200, 200, 200, 200]), ("crop", [200, 200, 200, 200])],
)
def test_other_sizes_need_an_explicit_rule(tmp_path: Path, fit: str, middle_row: list[int]) -> None:
    pictures = {"a.png": Image.new("L", (4, 4), 200), "b.png": Image.new("L", (8, 4), 200)}
    with pytest.raises(DataError, match=r"b\.png: 4 x 8 pixels \(height x width\), but .*a\.png has 4 x 4.*size"):
        twice(tmp_path, pictures)
    options = ReadOptions(size=(4, 4), fit=fit)  # type: ignore[arg-type]
    images = read(tmp_path / "set", options).train.images
    assert images.shape == (4, 1, 4, 4)
    assert images[1, 0, 2].tolist() == [200, 200, 200, 200]
    assert (images[1, 0, 0] == 0).all() == (fit == "pad")  # only padding leaves black above and below


def test_the_orientation_of_a_photograph_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right by 90 degrees to see it as it was
    picture = Image.fromarray(np.array([[0, 255]] * 2, dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1))
    for name in ("a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "set" / name, exif=exif, quality=95)
    image = read(tmp_path / "set").train.images[0, 0]
    assert image[:14].max() < 20
    assert image[18:].min() > 235


def test_broken_pictures_empty_folders_and_unknown_classes_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_class_folders(folder / "train", random_images(6), even_labels(6, 2), NAMES)
    write_class_folders(folder / "test", random_images(6), even_labels(6, 3), NAMES)
    with pytest.raises(DataError, match="has the class '10', which the training part does not have"):
        read(folder)
    write_class_folders(folder / "train", random_images(2), np.array([2, 2]), NAMES)
    victim = folder / "train" / "0" / "00000.png"
    victim.write_bytes(victim.read_bytes()[:60])
    with pytest.raises(DataError, match=r"00000\.png: the image cannot be read"):
        read(folder)
    victim.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"00000\.png: the image cannot be read"):
        read(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no class folders"):
        read(tmp_path / "empty")
    (tmp_path / "empty" / "class").mkdir()
    with pytest.raises(DataError, match="no pictures found"):
        read(tmp_path / "empty")


def test_all_unreadable_pictures_are_listed_with_a_reason_and_can_be_left_out(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "set", random_images(60, (1, 9, 9)), even_labels(60, 3), NAMES)
    cut = tmp_path / "set" / "10" / "00002.png"
    whole = cut.read_bytes()
    damaged = {
        "0/00000.png": (b"", "the file is empty"),
        "0/00003.png": (b"<!DOCTYPE html><html>404</html>", "a web page and no picture"),
        "2/00001.png": (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        "2/00004.png": (bytes(999), "no picture in a known format"),
        "10/00002.png": (whole[:-30], "cut short"),
        "10/00005.png": (whole[:16] + (60_000).to_bytes(4, "big") * 2 + whole[24:], "claims 60000 x 60000 pixels"),
    }
    for name, (content, _) in damaged.items():
        (tmp_path / "set" / name).write_bytes(content)
    with pytest.raises(DataError, match="6 of 60 pictures cannot be read") as raised:
        read(tmp_path / "set")
    for name, (_, reason) in damaged.items():
        line = next(line for line in str(raised.value).splitlines() if name in line)
        assert reason in line
    loaded = read(tmp_path / "set", ReadOptions(skip_unreadable=True))
    assert len(loaded.train) + loaded.test.count == 54
    assert ("unreadable", 6) in loaded.understood.left_out
    assert any("6 of 60 pictures cannot be read and were left out" in text for text in loaded.warnings)


def test_a_picture_that_claims_billions_of_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "set", random_images(4), even_labels(4, 2), NAMES)
    content = bytearray(png(random_images(1)[0]))
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    (tmp_path / "set" / "0" / "bomb.png").write_bytes(content)
    with pytest.raises(DataError, match="claims 60000 x 60000 pixels"):
        read(tmp_path / "set")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_class_names_in_any_script_and_encoding(tmp_path: Path) -> None:
    names = ("äöü", "手", os.fsdecode(b"latin-\xe9"))
    write_class_folders(tmp_path / "set", random_images(12), even_labels(12, 3), names)
    assert set(read(tmp_path / "set").train.classes) == {"äöü", "手", "latin-\ufffd"}


def test_other_files_and_hidden_ones_are_left_alone(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "set", random_images(10), even_labels(10, 2), NAMES)
    (tmp_path / "set" / "0" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "set" / "0" / "._00000.png").write_bytes(b"x")
    (tmp_path / "set" / ".cache").mkdir()
    loaded = read(tmp_path / "set")
    assert len(loaded.train) + loaded.test.count == 10


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="size: "):
        ReadOptions(size=(0, 3))
    with pytest.raises(ConfigError, match="fit: one of pad, crop, stretch"):
        ReadOptions(fit="squash")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="channels: "):
        ReadOptions(channels=2)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="test_fraction: "):
        ReadOptions(test_fraction=1.0)
