"""Which folders are classes and which are parts: what people bring is read as they mean it, or refused in words."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ceteris.data import DataSet, ReadOptions, describe, load, reading_lines
from ceteris.errors import DataError

PETS = ("bird", "cat", "dog")


def draw(root: Path, *patterns: str, count: int = 4, suffix: str = ".png") -> None:
    """Make ``count`` different pictures in every folder; "a/{pets}" stands for a folder per class."""
    for pattern in patterns:
        folders = [pattern.replace("{pets}", pet) for pet in PETS] if "{pets}" in pattern else [pattern]
        for folder in folders:
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                seed = np.frombuffer(f"{folder} {number}".encode(), dtype=np.uint8)
                pixels = np.random.default_rng(seed.tolist()).integers(0, 256, (5, 5), dtype=np.uint8)
                Image.fromarray(pixels).save(root / folder / f"{number}{suffix}")


def read(root: Path, options: ReadOptions | None = None) -> DataSet:
    return load(str(root), cache_dir=root.parent / "cache", options=options)


def counts(data_set: DataSet) -> tuple[int, int]:
    return len(data_set.train), data_set.test.count


@pytest.mark.parametrize(
    "patterns",
    [
        ("animals/{pets}",),
        ("a/b/c/{pets}",),
        ("train/{pets}",),
        ("images/{pets}",),
        ("{pets}/images",),
        ("{pets}/deep/er",),
    ],
)
def test_the_level_that_holds_the_classes_is_found(tmp_path: Path, patterns: tuple[str, ...]) -> None:
    draw(tmp_path / "set", *patterns)
    data_set = read(tmp_path / "set")
    assert data_set.train.classes == PETS
    assert counts(data_set) == (9, 3)  # a stratified fifth, at least one of a class


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("TRAIN", "Valid"),
        ("training_set", "test_set"),
        ("training_set/training_set", "test_set/test_set"),
        ("Training Data", "Testing Data"),
        ("images/train", "images/val"),
        ("train_images", "test_images"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train2017", "val2017"),
        ("a/train/images", "a/dev/images"),
    ],
)
def test_parts_go_by_all_usual_names(tmp_path: Path, train: str, test: str) -> None:
    draw(tmp_path / "set", f"{train}/{{pets}}", count=5)
    draw(tmp_path / "set", f"{test}/{{pets}}", count=2)
    data_set = read(tmp_path / "set")
    assert data_set.train.classes == PETS
    assert counts(data_set) == (15, 6)
    assert f"15 training images in {train}/, 6 test images in {test}/" in reading_lines(data_set)[0]


def test_classes_may_stand_above_the_parts(tmp_path: Path) -> None:
    draw(tmp_path / "set", "{pets}/train", count=5)
    draw(tmp_path / "set", "{pets}/test", count=2)
    data_set = read(tmp_path / "set")
    assert (data_set.train.classes, *counts(data_set)) == (PETS, 15, 6)


def test_system_and_hidden_folders_are_left_out_at_every_depth(tmp_path: Path) -> None:
    root = tmp_path / "set"
    draw(root, "{pets}")
    draw(root, "__MACOSX/cat", "cat/.ipynb_checkpoints", "cat/@eaDir/0.png", ".git/objects", "$RECYCLE.BIN", count=3)
    for name in ("Thumbs.db", ".DS_Store", "cat/._0.png", "dog/desktop.ini"):
        (root / name).write_bytes(b"x")
    data_set = read(root)
    assert (data_set.train.classes, *counts(data_set)) == (PETS, 9, 3)
    assert data_set.understood.left_out == ()


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    draw(tmp_path / "elsewhere", "cat", "dog")
    (tmp_path / "set").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "elsewhere" / "cat" / "back").symlink_to(tmp_path / "elsewhere" / "cat")
    data_set = read(tmp_path / "set")
    assert (data_set.train.classes, sum(counts(data_set))) == (("cat", "dog"), 8)


@pytest.mark.parametrize("name", ["masks", "Annotations", "ground_truth"])
def test_masks_beside_images_are_left_out_and_named(tmp_path: Path, name: str) -> None:
    draw(tmp_path / "inside", "{pets}/images", f"{{pets}}/{name}")
    draw(tmp_path / "above", "images/{pets}", f"{name}/{{pets}}")
    draw(tmp_path / "beside", "{pets}", f"{{pets}}/{name}")
    for form in ("inside", "above", "beside"):
        data_set = read(tmp_path / form)
        assert (data_set.train.classes, *counts(data_set)) == (PETS, 9, 3)
        assert f"{name}/" in data_set.warnings[0]
        assert "12 pictures left out" in data_set.warnings[0]


def test_a_class_called_mask_stays_a_class(tmp_path: Path) -> None:
    draw(tmp_path / "set", "mask", "no mask")
    Image.new("L", (5, 5)).save(tmp_path / "set" / "preview.png")
    data_set = read(tmp_path / "set")
    assert data_set.train.classes == ("mask", "no mask")
    assert any("pictures beside the class folders left out: 1" in text for text in data_set.warnings)


def test_folders_inside_classes_are_warned_of(tmp_path: Path) -> None:
    draw(tmp_path / "set", "wild/lion", "wild/wolf", "tame/cat", "tame/dog")
    data_set = read(tmp_path / "set")
    assert data_set.train.classes == ("tame", "wild")
    assert "tame/cat/, wild/lion/" in data_set.warnings[0]


def test_a_copy_of_the_folder_inside_itself_is_left_out(tmp_path: Path) -> None:
    draw(tmp_path / "set", "{pets}", "set/{pets}")
    data_set = read(tmp_path / "set")
    assert (data_set.train.classes, *counts(data_set)) == (PETS, 9, 3)
    assert "set/ hold the same folders again: 12 pictures left out" in data_set.warnings[0]


def test_a_folder_called_train_is_a_class_among_classes(tmp_path: Path) -> None:
    draw(tmp_path / "set", "bus", "car", "train")
    data_set = read(tmp_path / "set")
    assert data_set.train.classes == ("bus", "car", "train")
    assert "train/ is read as a class" in data_set.warnings[0]


def test_parts_beside_other_folders(tmp_path: Path) -> None:
    draw(tmp_path / "set", "train/{pets}", "test/{pets}", "examples")
    data_set = read(tmp_path / "set")
    assert counts(data_set) == (12, 12)
    assert "examples/ beside the parts are none: 4 pictures left out" in data_set.warnings[0]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (("cat",), "there is one class only, 'cat' (4 pictures)"),
        (("animals/cat",), "there is one class only, 'cat'"),
        (("train/cat", "test/cat"), "there is one class only, 'cat'"),
        (("images",), "no class folders in it, 4 pictures in images/"),
        (("images", "masks"), "no class folders in it, 4 pictures in images/"),
        (("train", "test/{pets}"), "train/ has 4 pictures but no class folders"),
        (("test/{pets}",), "has test/ but no training folder"),
        (("val/{pets}", "test/{pets}"), "has test/, val/ but no training folder"),
        (("train/cat", "train/dog", "extra"), "is train/ a part or a class?"),
        (("train_cats", "test_cats", "train_dogs", "test_dogs"), "hold parts and classes at once"),
        (("fold1/{pets}", "fold2/{pets}"), "fold1/, fold2/ look like pieces of the set"),
        (("train/train/{pets}", "train/val/{pets}", "test/{pets}"), "train/ holds parts itself"),
        (("train/cat", "train/dog", "test/cat", "test/bird"), "the test part has the class 'bird'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(tmp_path: Path, patterns: tuple[str, ...], message: str) -> None:
    draw(tmp_path / "set", *patterns)
    with pytest.raises(DataError) as raised:
        read(tmp_path / "set")
    assert message in str(raised.value)


def test_an_unlabelled_test_folder_is_said_to_be_unlabelled(tmp_path: Path) -> None:
    draw(tmp_path / "set", "train/{pets}", "test")
    data_set = read(tmp_path / "set")
    assert (data_set.train.classes, *counts(data_set)) == (PETS, 9, 3)
    lines = reading_lines(data_set)
    assert "9 training images in train/, 3 test images drawn from them; 4 files left out: test/ (4)" in lines[0]
    assert "test/ has 4 pictures but no class folders, so that they have no labels" in lines[1]


def test_tiny_imagenet_is_read_with_its_labels_of_the_validation_part(tmp_path: Path) -> None:
    root = tmp_path / "set"
    draw(root, "train/n01/images", "train/n02/images", "test/images", suffix=".JPEG")
    draw(root, "val/images", suffix=".JPEG")
    (root / "val" / "val_annotations.txt").write_text(
        "".join(f"{number}.JPEG\tn0{1 + number % 2}\t0\t0\t9\t9\n" for number in range(3))
    )
    (root / "train" / "n01" / "n01_boxes.txt").write_text("x")
    data_set = read(root)
    assert (data_set.train.classes, *counts(data_set)) == (("n01", "n02"), 8, 3)
    assert data_set.test.class_counts.tolist() == [2, 1]
    assert any("1 pictures are not named in val_annotations.txt" in text for text in data_set.warnings)


def test_class_names_are_compared_in_one_form(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    draw(tmp_path / "set", f"train/{decomposed}", "train/Tea", f"test/{composed}", "test/tea ")
    data_set = read(tmp_path / "set")
    assert data_set.train.classes == ("Tea", composed)
    assert data_set.test.class_counts.tolist() == [4, 4]


def test_classes_that_look_alike_and_empty_folders_are_warned_of(tmp_path: Path) -> None:
    draw(tmp_path / "set", "Cat", "cat", "dog")
    (tmp_path / "set" / "nothing").mkdir()
    data_set = read(tmp_path / "set")
    assert data_set.train.classes == ("Cat", "cat", "dog")
    assert "'Cat' and 'cat' differ in letter case or spaces only" in data_set.warnings[0]
    assert "Folders without a picture are no classes: nothing" in data_set.warnings[1]


def test_a_class_without_test_images_is_warned_of(tmp_path: Path) -> None:
    draw(tmp_path / "set", "train/{pets}", "test/cat", "test/dog")
    assert "1 of 3 classes have no test image: bird" in read(tmp_path / "set").warnings[0]


def test_what_is_left_out_is_counted_by_suffix(tmp_path: Path) -> None:
    draw(tmp_path / "set", "{pets}")
    for name in ("cat/1.HEIC", "cat/2.heic", "dog/notes.txt"):
        (tmp_path / "set" / name).write_bytes(b"x")
    data_set = read(tmp_path / "set")
    assert "3 files left out: .heic (2), .txt (1)" in reading_lines(data_set)[0]
    assert "Files in formats that are not read were left out: .heic (2)" in data_set.warnings[0]
    assert describe(data_set).understood == reading_lines(data_set)[0]


def test_a_table_beside_pictures_gives_their_labels(tmp_path: Path) -> None:
    root = tmp_path / "set"
    draw(root, "images", count=12)
    (root / "labels.csv").write_text("filename,label\n" + "".join(f"{n}.png,{PETS[n % 3]}\n" for n in range(12)))
    data_set = read(root)
    assert (data_set.train.classes, *counts(data_set)) == (PETS, 9, 3)
    assert "images in labels.csv" in reading_lines(data_set)[0]


def test_a_competition_s_folders_and_tables(tmp_path: Path) -> None:
    root = tmp_path / "set"
    draw(root, "train", count=12)
    draw(root, "test", count=3)
    (root / "train.csv").write_text("id,label\n" + "".join(f"{n},{PETS[n % 3]}\n" for n in range(12)))
    (root / "sample_submission.csv").write_text("id,label\n0,cat\n")
    data_set = read(root)
    assert (data_set.train.classes, *counts(data_set)) == (PETS, 9, 3)
    assert "3 files left out: pictures that are not in train.csv (3)" in reading_lines(data_set)[0]


def test_tables_beside_class_folders_are_pointed_at_and_used_when_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "set"
    draw(root, "{pets}")
    rows = [f"{pet}/{n}.png,{pet},w{n}" for pet in PETS for n in range(4)]
    (root / "writers.csv").write_text("\n".join(["path,label,writer", *rows]))
    assert "writers.csv beside the pictures was not read" in read(root).warnings[0]
    grouped = read(root, ReadOptions(group_column="writer"))
    assert grouped.train.groups is not None
    (root / "more.csv").write_text("\n".join(["path,label,writer", *rows]))
    with pytest.raises(DataError, match=r"Tables beside the pictures: .*more\.csv.*writers\.csv"):
        read(root, ReadOptions(group_column="writer"))
