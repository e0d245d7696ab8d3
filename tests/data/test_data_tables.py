import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.data.data_samples import even_labels, no_look, png, random_images

from ceteris.data import DataSet, ReadOptions, load, reading_lines, split_indices
from ceteris.data.formats.tables import table_source
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
        ("label,a\n1,x\n", "row 2 should hold numbers"),
        ("label,a\n1,1.5\n2,300.5\n", r"found 1\.5 to 300\.5"),
        ("label,a\n1,nan\n", "0..255, found nan to nan"),
        ("label,a\n1,2\r\r3\n", "no readable CSV|columns"),
        ("label,a\n1,256\n", "pixel values lie in 0..255, found 256"),
        ("label,a\n1,-1\n", "pixel values lie in 0..255, found -1"),
        ("1," * 250_000 + "1\n", "the first line is longer"),
        ("label,a\n" + "1" * 3_000_000, "a line is longer|whole numbers"),
        ("\r1\x01,2", "no label column|no readable CSV"),
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
    with pytest.raises(DataError, match="row 12002 should hold numbers"):
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
    ],
)
def test_groups_beside_pixels_that_cannot_be_meant_are_refused(
    tmp_path: Path, text: str, options: ReadOptions, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text, options=options)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("header", [True, False])
def test_other_separators_are_found(tmp_path: Path, separator: str, header: bool) -> None:
    text = table(IMAGES, LABELS, header=header).replace(",", separator)
    assert same_images(read(tmp_path, text, "set.tsv"), IMAGES, LABELS)
    assert same_images(read(tmp_path, f"sep={separator}\n{text}", "excel.csv"), IMAGES, LABELS)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_encodings_of_pixel_tables(tmp_path: Path, encoding: str) -> None:
    assert same_images(read(tmp_path, table(IMAGES, LABELS).encode(encoding)), IMAGES, LABELS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_picture_tables(tmp_path: Path, encoding: str) -> None:
    text = picture_table(tmp_path, "path,label", []).replace(",ant", ",für")
    loaded = read(tmp_path, text.encode(encoding))
    assert loaded.train.classes == ("cat", "dog", "für")
    assert ("text read as" in reading_lines(loaded)[0]) == (encoding in ("utf-16", "cp1252"))


def test_zero_bytes_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text, it holds zero bytes"):
        read(tmp_path, b"path,label\n\0\0\0a,b\n")


def test_an_index_column_is_no_pixel(tmp_path: Path) -> None:
    images = random_images(30, (3, 4, 4))  # with the index 49 columns: 7 x 7
    lines = table(images.transpose(0, 2, 3, 1), LABELS).splitlines()
    text = "\n".join(f"{number - 1 if number else ''},{line}" for number, line in enumerate(lines))
    assert same_images(read(tmp_path, text), images, LABELS)
    text = "\n".join(f"{number if number else 'Unnamed: 0'},{line}" for number, line in enumerate(lines))
    assert same_images(read(tmp_path, text.replace("pixel", "col"), "b.csv"), images, LABELS)


def test_a_label_in_the_last_column_without_a_header(tmp_path: Path) -> None:
    images = IMAGES.copy()
    images[:, 0, 0, 0] = 0
    lines = table(images, LABELS, header=False).splitlines()
    text = "\n".join(f"{rest},{label}" for label, _, rest in (line.partition(",") for line in lines))
    loaded = read(tmp_path, text)
    assert same_images(loaded, images, LABELS)
    assert "label from column 17" in reading_lines(loaded)[0]
    with pytest.raises(DataError, match="all 30 images have one label, '0'"):
        read(tmp_path, text, "b.csv", ReadOptions(label_column="first"))


def test_pixels_in_one_cell_as_fer2013_has_them(tmp_path: Path) -> None:
    usage = ["Training", "PublicTest", "PrivateTest"]
    rows = [
        f"{label},{' '.join(map(str, image.ravel()))},{usage[min(2, n // 10)]}"
        for n, (label, image) in enumerate(zip(LABELS, IMAGES, strict=True))
    ]
    loaded = read(tmp_path, "\n".join(["emotion,pixels,Usage", *rows]))
    assert same_images(loaded, IMAGES, LABELS)
    assert np.array_equal(loaded.test.open(record_look=no_look).images, IMAGES[20:])
    rows[4] = rows[4].replace(" ", " x", 1)
    with pytest.raises(DataError, match="row 6 should hold"):
        read(tmp_path, "\n".join(["emotion,pixels,Usage", *rows]), "b.csv")


@pytest.mark.parametrize(
    ("header", "label"),
    [
        ("id_code,diagnosis", None),
        ("image_id,species", None),
        ("Image Path,Label", None),
        ("id,class_name", None),
        ("file_name,anything", None),
        ("kind,picture", None),
        ("a,b", None),
        ("a,kind", "kind"),
    ],
)
def test_usual_names_of_path_and_label_columns(tmp_path: Path, header: str, label: str | None) -> None:
    text = picture_table(tmp_path, header, [])
    if header == "kind,picture":
        text = "\n".join(
            ",".join(reversed(line.split(","))) for line in text.replace(header, "picture,kind").splitlines()
        )
    loaded = read(tmp_path, text, options=ReadOptions(label_column=label))
    assert same_images(loaded, IMAGES, np.array([1, 2, 0])[LABELS])


def test_a_path_column_can_be_named(tmp_path: Path) -> None:
    text = picture_table(tmp_path, "mine,label,path", [",nowhere"] * 30)
    assert len(read(tmp_path, text, options=ReadOptions(path_column="Mine")).train) == 24
    with pytest.raises(DataError, match="path_column: no column 'yours'"):
        read(tmp_path, text, options=ReadOptions(path_column="yours"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pictures/", "pictures\\"),
        (".png", ""),
        ("pictures/", ""),
        ("pictures/", "/home/somebody/set/pictures/"),
        ("pictures/", "../input/Pictures/"),
        (".png", ".PNG"),
        ("pictures/", "./pictures/"),
    ],
)
def test_names_of_pictures_as_people_write_them(tmp_path: Path, old: str, new: str) -> None:
    text = picture_table(tmp_path, "path,label", []).replace(old, new)
    assert same_images(read(tmp_path, text), IMAGES, np.array([1, 2, 0])[LABELS])


def test_a_name_is_never_taken_for_that_of_another_folder(tmp_path: Path) -> None:
    for folder in ("cat", "dog"):
        (tmp_path / folder).mkdir()
    (tmp_path / "dog" / "1.png").write_bytes(png(IMAGES[0]))
    (tmp_path / "cat" / "2.png").write_bytes(png(IMAGES[1]))
    with pytest.raises(DataError, match=r"cat/1\.png: the file does not exist"):
        read(tmp_path, "path,label\ncat/1.png,cat\ndog/1.png,dog\n")
    (tmp_path / "cat" / "1.png").write_bytes(png(IMAGES[2]))
    with pytest.raises(DataError, match=r"'1.png' can mean cat/1\.png or dog/1\.png"):
        read(tmp_path, "path,label\n1.png,cat\n2.png,dog\n")


def test_tables_without_a_header(tmp_path: Path) -> None:
    text = picture_table(tmp_path, "", []).lstrip("\n")
    assert same_images(read(tmp_path, text), IMAGES, np.array([1, 2, 0])[LABELS])
    with pytest.raises(DataError, match="no header line and 3 columns"):
        read(tmp_path, picture_table(tmp_path, "", [",x"] * 30).lstrip("\n"), "b.csv")


def test_one_column_per_class(tmp_path: Path) -> None:
    marks = {"cat": "1,0,0", "dog": "0,1,0", "ant": "0,0,1"}
    text = picture_table(tmp_path, "image_id,cat,dog,ant", [])
    for name, mark in marks.items():
        text = text.replace(f".png,{name}", f".png,{mark}")
    assert same_images(read(tmp_path, text), IMAGES, np.array([1, 2, 0])[LABELS])
    with pytest.raises(DataError, match="row 3 has not exactly one 1 among the columns cat, dog, ant"):
        read(tmp_path, text.replace("1.png,0,1,0", "1.png,1,1,0", 1), "b.csv")


def test_labels_without_their_spaces_and_rows_without_a_label(tmp_path: Path) -> None:
    text = picture_table(tmp_path, "path,label", [])
    loaded = read(tmp_path, text.replace("0.png,cat", "0.png, cat "))
    assert loaded.train.classes == ("ant", "cat", "dog")
    assert "spaces around 1 labels left out" in reading_lines(loaded)[0]
    with pytest.raises(DataError, match="rows 2, 5 have no label"):
        read(tmp_path, text.replace("0.png,cat", "0.png,", 1).replace("3.png,cat", "3.png, ", 1), "b.csv")


def test_a_picture_with_two_labels_is_refused(tmp_path: Path) -> None:
    text = picture_table(tmp_path, "path,label", [])
    assert "1 rows name a picture again" in reading_lines(read(tmp_path, f"{text}pictures/0.png,cat\n"))[0]
    with pytest.raises(DataError, match="1 pictures are named again with another label"):
        read(tmp_path, f"{text}pictures/0.png,dog\n", "b.csv")


@pytest.mark.parametrize(
    ("words", "test"), [(("Training", "Validation", "Testing"), 10), (("train", "val", "valid"), 20)]
)
def test_the_words_of_a_split_column(tmp_path: Path, words: tuple[str, ...], test: int) -> None:
    text = picture_table(tmp_path, "path,label,set", [f",{words[n // 10]}" for n in range(30)])
    assert read(tmp_path, text).test.count == test
    with pytest.raises(DataError, match="the column 'set' holds 'extra'; train, val and test are understood"):
        read(tmp_path, text.replace(words[0], "extra"), "b.csv")


def test_columns_that_are_not_used_are_named(tmp_path: Path) -> None:
    loaded = read(tmp_path, picture_table(tmp_path, "path,label,age", [f",{n}" for n in range(30)]))
    assert "columns not used: age" in reading_lines(loaded)[0]


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


PIXELS = random_images(12, (1, 4, 4), 5).reshape(12, 16)
HEADER = ",".join(["label", *(f"pixel{place}" for place in range(16))])


def pixel_rows(labels: list[str], values: NDArray[Any], header: str = HEADER) -> str:
    rows = (",".join([label, *map(str, row.tolist())]) for label, row in zip(labels, values, strict=True))
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize("column", [0, 7, 16])
def test_labels_that_are_texts_stand_beside_pixel_columns(tmp_path: Path, column: int) -> None:
    labels = ["cat", "dog", "eel"] * 4
    rows = [line.split(",") for line in pixel_rows(labels, PIXELS).splitlines()]
    moved = [",".join([*row[1 : column + 1], row[0], *row[column + 1 :]]) for row in rows]
    (tmp_path / "set.csv").write_text("\n".join(moved) + "\n")
    source = table_source(tmp_path / "set.csv", ReadOptions())
    assert source.classes == ("cat", "dog", "eel")
    assert source.train.labels.tolist() == [0, 1, 2] * 4
    images = np.empty((12, 1, 4, 4), dtype=np.uint8)
    source.train.fill(images)
    assert np.array_equal(images.reshape(12, 16), PIXELS)


def test_a_column_of_parts_and_texts_as_groups_beside_pixel_columns(tmp_path: Path) -> None:
    usage = ["Usage", *["Training"] * 8, *["PrivateTest"] * 4]
    writers = ["writer", *(f"w{number % 3}" for number in range(12))]
    lines = pixel_rows(["0", "1"] * 6, PIXELS).splitlines()
    text = "\n".join(",".join(cells) for cells in zip(lines, usage, writers, strict=True))
    (tmp_path / "set.csv").write_text(text + "\n")
    source = table_source(tmp_path / "set.csv", ReadOptions(group_column="writer"))
    assert source.test is not None
    assert (len(source.train.labels), len(source.test.labels)) == (8, 4)
    assert source.train.groups == tuple(f"w{number % 3}" for number in range(8))


@pytest.mark.parametrize("values", [PIXELS / 255.0, PIXELS % 2])
def test_pixels_of_0_to_1_are_spread(tmp_path: Path, values: NDArray[Any]) -> None:
    (tmp_path / "set.csv").write_text(pixel_rows(["0", "1"] * 6, values))
    source = table_source(tmp_path / "set.csv", ReadOptions())
    images = np.empty((12, 1, 4, 4), dtype=np.uint8)
    source.train.fill(images)
    assert np.array_equal(images.reshape(12, 16), np.round(values * 255.0))
    assert any("spread over 0 to 255" in note for note in source.understood.notes)
