import gzip
from pathlib import Path

import numpy as np
import pytest
from tests.data.data_samples import even_labels, no_look, png, random_images

from ceteris.data import DataSet, ReadOptions, load, split_indices
from ceteris.errors import DataError
from ceteris.records import ByteArray, CrossValidationSplit, IntArray

IMAGES, LABELS = random_images(30, (1, 4, 4)), even_labels(30, 3)


def table(images: ByteArray, labels: IntArray, *, header: bool = True, end: str = "\n", quoted: bool = False) -> str:
    rows = [["label", *(f"pixel{place}" for place in range(images[0].size))]] if header else []
    rows += [[str(label), *map(str, image.ravel())] for image, label in zip(images, labels, strict=True)]
    return "".join(",".join(f'"{cell}"' if quoted else cell for cell in row) + end for row in rows)


def read(tmp_path: Path, text: str | bytes, name: str = "set.csv", options: ReadOptions | None = None) -> DataSet:
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return load(str(tmp_path / name), cache_dir=tmp_path / "cache", options=options)


def everything(loaded: DataSet) -> tuple[ByteArray, IntArray]:
    test = loaded.test.open(record_look=no_look)
    return np.concatenate([loaded.train.images, test.images]), np.concatenate([loaded.train.labels, test.labels])


def same_images(loaded: DataSet, images: ByteArray, labels: IntArray) -> bool:
    found = {(image.tobytes(), int(label)) for image, label in zip(*everything(loaded), strict=True)}
    return found == {(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)}


@pytest.mark.parametrize(
    "text",
    [
        table(IMAGES, LABELS),
        table(IMAGES, LABELS, header=False),
        table(IMAGES, LABELS, end="\r\n"),
        table(IMAGES, LABELS).rstrip("\n"),
        table(IMAGES, LABELS, quoted=True),
        "\ufeff" + table(IMAGES, LABELS),
        table(IMAGES, LABELS).replace(",7,", ",7.0,"),
        gzip.compress(table(IMAGES, LABELS).encode()),
    ],
    ids=["plain", "no header", "crlf", "no last newline", "quoted", "byte order mark", "decimals", "gz"],
)
def test_pixel_tables_in_every_spelling(tmp_path: Path, text: str | bytes) -> None:
    loaded = read(tmp_path, text, "set.csv.gz" if isinstance(text, bytes) else "set.csv")
    assert loaded.train.shape == (1, 4, 4)
    assert same_images(loaded, IMAGES, LABELS)


def test_three_values_per_pixel_are_colours_with_channels_last(tmp_path: Path) -> None:
    images = random_images(10, (3, 4, 4))
    loaded = read(tmp_path, table(images.transpose(0, 2, 3, 1), LABELS[:10], header=False))
    assert same_images(loaded, images, LABELS[:10])


def test_the_label_column_may_stand_anywhere_and_be_named(tmp_path: Path) -> None:
    rows = ["a,b,c,kind,d"] + [f"{place},1,2,{place % 2},3" for place in range(10)]
    loaded = read(tmp_path, "\n".join(rows), options=ReadOptions(label_column="Kind"))
    assert sorted(everything(loaded)[0][:, 0, 0, 0].tolist()) == list(range(10))
    assert everything(loaded)[0][0, 0, 0, 1:].tolist() == [1]
    assert everything(loaded)[0][0, 0, 1].tolist() == [2, 3]
    with pytest.raises(DataError, match=r"no label column.*columns are a, b, c, kind, d.*label_column"):
        read(tmp_path, "\n".join(rows), "other.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the table is empty"),
        ("label,a,b\n1,2,3\n", "2 pixel columns beside the label make no square"),
        ("label,a\n", "no rows"),
        ("label,a\n1,2\n1,2,3\n", "row 3 has 3 columns, the first line has 2"),
        ("label,a\n1,x\n", "should hold whole numbers"),
        ("label,a\n1,1.5\n", "should hold whole numbers"),
        ("label,a\n1,nan\n", "should hold whole numbers"),
        ("label,a\n1,2\r\r3\n", "no readable CSV|columns"),
        ("label,a\n1,256\n", "pixel values lie in 0..255, found 256"),
        ("label,a\n1,-1\n", "pixel values lie in 0..255, found -1"),
        ("1," * 250_000 + "1\n", "the first line is longer"),
        ("label,a\n" + "1" * 3_000_000, "a line is longer|whole numbers"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_large_tables_are_read_in_pieces_and_name_the_right_row(tmp_path: Path) -> None:
    images = random_images(12_000, (1, 16, 16))
    text = table(images, even_labels(12_000, 10))
    assert len(text) > 9_000_000
    assert same_images(read(tmp_path, text), images, even_labels(12_000, 10))
    with pytest.raises(DataError, match="row 12002 should hold whole numbers"):
        read(tmp_path, text + "x" + ",1" * 256 + "\n", "bad.csv")


def picture_table(tmp_path: Path, columns: str, extra: list[str]) -> str:
    (tmp_path / "pictures").mkdir(exist_ok=True)
    for place, image in enumerate(IMAGES):
        (tmp_path / "pictures" / f"{place}.png").write_bytes(png(image))
    names = ["cat", "dog", "ant"]
    rows = [f"pictures/{place}.png,{names[LABELS[place]]}{extra[place] if extra else ''}" for place in range(30)]
    return "\n".join([columns, *rows]) + "\n"


def test_paths_and_labels(tmp_path: Path) -> None:
    loaded = read(tmp_path, picture_table(tmp_path, "filename,label", []))
    assert loaded.train.classes == ("ant", "cat", "dog")
    assert same_images(loaded, IMAGES, np.array([1, 2, 0])[LABELS])


def test_a_split_column_makes_the_parts(tmp_path: Path) -> None:
    text = picture_table(
        tmp_path, "path,class,split", [f",{'test' if place >= 24 else 'train'}" for place in range(30)]
    )
    loaded = read(tmp_path, text)
    assert np.array_equal(loaded.test.open(record_look=no_look).images, IMAGES[24:])
    assert np.array_equal(loaded.train.images, IMAGES[:24])


def test_a_group_column_keeps_every_writer_on_one_side(tmp_path: Path) -> None:
    text = picture_table(tmp_path, "path,label,writer", [f",w{place // 3}" for place in range(30)])
    loaded = read(tmp_path, text, options=ReadOptions(group_column="writer"))
    place_of = {image.tobytes(): place for place, image in enumerate(IMAGES)}
    train = {place_of[image.tobytes()] // 3 for image in loaded.train.images}
    test = {place_of[image.tobytes()] // 3 for image in loaded.test.open(record_look=no_look).images}
    assert test
    assert not train & test
    assert "every writer on one side" in loaded.note
    with pytest.raises(DataError, match="no column 'patient'"):
        read(tmp_path, text, "b.csv", ReadOptions(group_column="patient"))


def test_the_folds_of_a_table_with_groups_keep_every_writer_together(tmp_path: Path) -> None:
    text = picture_table(tmp_path, "path,label,writer", [f",w{place // 3}" for place in range(30)])
    train = read(tmp_path, text, options=ReadOptions(group_column="writer")).train
    place_of = {image.tobytes(): place for place, image in enumerate(IMAGES)}
    writers = np.array([place_of[image.tobytes()] // 3 for image in train.images])
    for index in range(4):
        split = CrossValidationSplit(folds=4, index=index, seed=0)
        fit, out = split_indices(split, train.labels, train.groups)
        assert len(out)
        assert not np.intersect1d(writers[fit], writers[out]).size


def pixel_text_with_writers() -> str:
    lines = table(IMAGES, LABELS).splitlines()
    cells = ["Writer", *(str(1000 + place // 3) for place in range(30))]
    return "\n".join(f"{cell},{line}" for cell, line in zip(cells, lines, strict=True))


def test_a_group_column_beside_pixels(tmp_path: Path) -> None:
    loaded = read(tmp_path, pixel_text_with_writers(), options=ReadOptions(group_column="writer"))
    assert same_images(loaded, IMAGES, LABELS)
    place_of = {image.tobytes(): place for place, image in enumerate(IMAGES)}
    train = [place_of[image.tobytes()] // 3 for image in loaded.train.images]
    test = {place_of[image.tobytes()] // 3 for image in loaded.test.open(record_look=no_look).images}
    assert loaded.train.groups is not None
    assert test
    assert not set(train) & test
    same = np.equal.outer(train, train)
    assert np.array_equal(np.equal.outer(loaded.train.groups, loaded.train.groups), same)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (table(IMAGES, LABELS), ReadOptions(group_column="writer"), "no column 'writer'"),
        (
            table(IMAGES, LABELS, header=False),
            ReadOptions(group_column="writer"),
            "no column 'writer', since .* header",
        ),
        (table(IMAGES, LABELS), ReadOptions(group_column="label"), "cannot be both label_column and group_column"),
        (
            pixel_text_with_writers().replace("1003", "anna"),
            ReadOptions(group_column="writer"),
            "row 11 should hold whole numbers",
        ),
    ],
)
def test_groups_beside_pixels_that_cannot_be_meant_are_refused(
    tmp_path: Path, text: str, options: ReadOptions, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text, options=options)


def test_a_picture_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.png: the file does not exist"):
        read(tmp_path, "path,label\nnowhere.png,1\n")


def test_a_changed_picture_is_read_again(tmp_path: Path) -> None:
    text = picture_table(tmp_path, "path,label", [])
    first = read(tmp_path, text)
    assert read(tmp_path, text).prepared == first.prepared
    (tmp_path / "pictures" / "0.png").write_bytes(png(255 - IMAGES[0]))
    changed = load(str(tmp_path / "set.csv"), cache_dir=tmp_path / "cache")
    assert not same_images(changed, IMAGES, np.array([1, 2, 0])[LABELS])
