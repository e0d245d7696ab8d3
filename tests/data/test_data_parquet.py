import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.data.data_samples import even_labels, no_look, png, random_images

from ceteris.data import ReadOptions, load, reading_lines
from ceteris.data.formats.picture_parts import fill_pictures
from ceteris.errors import ConfigError, DataError
from ceteris.records import ByteArray, IntArray

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

IMAGES, LABELS = random_images(30, (3, 5, 5)), even_labels(30, 3)


def write(path: Path, images: ByteArray, labels: Any, *, names: list[str] | None = None, struct: bool = True) -> None:
    pictures: list[Any] = [png(image) for image in images]
    if struct:
        pictures = [{"bytes": picture, "path": None} for picture in pictures]
    content = pyarrow.table({"image": pictures, "label": labels})
    if names:
        features = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        content = content.replace_schema_metadata({"huggingface": json.dumps(features)})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(content, path, row_group_size=7)


def test_a_folder_as_the_hub_writes_it(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    names = ["cat", "dog", "ant"]
    write(folder / "data" / "train-00000-of-00002.parquet", IMAGES[:10], LABELS[:10], names=names)
    write(folder / "data" / "train-00001-of-00002.parquet", IMAGES[10:20], LABELS[10:20], names=names)
    write(folder / "data" / "test-00000-of-00001.parquet", IMAGES[20:], LABELS[20:], names=names)
    loaded = load(str(folder), cache_dir=tmp_path / "cache")
    assert loaded.train.classes == ("cat", "dog", "ant")
    assert np.array_equal(loaded.train.images, IMAGES[:20])
    assert np.array_equal(loaded.train.labels, LABELS[:20])
    assert np.array_equal(loaded.test.open(record_look=no_look).images, IMAGES[20:])


@pytest.mark.parametrize("struct", [True, False])
def test_a_single_file_with_texts_as_labels(tmp_path: Path, struct: bool) -> None:
    write(tmp_path / "set.parquet", IMAGES, [["cat", "dog", "ant"][label] for label in LABELS], struct=struct)
    loaded = load(str(tmp_path / "set.parquet"), cache_dir=tmp_path / "cache")
    assert loaded.train.classes == ("ant", "cat", "dog")
    assert loaded.test.class_counts.tolist() == [2, 2, 2]
    small = load(
        str(tmp_path / "set.parquet"), cache_dir=tmp_path / "cache", options=ReadOptions(size=(2, 2), channels=1)
    )
    assert small.train.shape == (1, 2, 2)


def test_a_group_column_keeps_every_patient_on_one_side(tmp_path: Path) -> None:
    patients = [f"patient {place // 2}" for place in range(30)]
    columns = {"image": [png(image) for image in IMAGES], "label": LABELS, "patient": patients}
    parquet.write_table(pyarrow.table(columns), tmp_path / "set.parquet")
    options = ReadOptions(group_column="patient")
    loaded = load(str(tmp_path / "set.parquet"), cache_dir=tmp_path / "cache", options=options)
    place_of = {image.tobytes(): place for place, image in enumerate(IMAGES)}
    train = {patients[place_of[image.tobytes()]] for image in loaded.train.images}
    test = {patients[place_of[image.tobytes()]] for image in loaded.test.open(record_look=no_look).images}
    assert len(test) >= 2
    assert not train & test
    assert loaded.train.groups is not None
    assert len(np.unique(loaded.train.groups)) == len(train)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": [b"no picture"], "label": [1]}, "the image cannot be read"),
        ({"image": [None], "label": [1]}, "holds no encoded picture"),
        ({"image": [png(IMAGES[0])], "label": [None]}, "has gaps"),
        ({"image": [png(IMAGES[0])], "label": [1.5]}, "neither whole numbers nor texts"),
        ({"pixels": [1], "label": [1]}, "no image column"),
        ({"image": [png(IMAGES[0])], "kind": [1]}, "no label column"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, columns: dict[str, list[Any]], message: str) -> None:
    parquet.write_table(pyarrow.table(columns), tmp_path / "set.parquet")
    with pytest.raises(DataError, match=message):
        load(str(tmp_path / "set.parquet"), cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_files_that_are_no_parquet_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "set.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"set\.parquet"):
        load(str(tmp_path / "set.parquet"), cache_dir=tmp_path / "cache")


def test_without_pyarrow_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "set.parquet", IMAGES, LABELS)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match="pip install pyarrow"):
        load(str(tmp_path / "set.parquet"), cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_pictures_than_of_labels_is_refused(count: int) -> None:
    encoded = [("row", png(image)) for image in IMAGES[:count]]
    with pytest.raises(DataError, match="do not belong together"):
        fill_pictures(lambda: iter(encoded), (3, 5, 5), ReadOptions(), np.empty((2, 3, 5, 5), dtype=np.uint8))


class HubSplit:
    """The part of a split of the package ``datasets`` that the reader uses."""

    def __init__(self, images: ByteArray, labels: IntArray) -> None:
        self.columns: dict[str, list[Any]] = {
            "img": [{"bytes": png(image), "path": None} for image in images],
            "label": labels.tolist(),
        }
        self.features = {"img": object(), "label": type("ClassLabel", (), {"names": ["cat", "dog", "ant"]})()}
        self.decoded = True

    def cast_column(self, column: str, feature: Any) -> "HubSplit":
        assert (column, feature) == ("img", "undecoded")
        self.decoded = False
        return self

    def __getitem__(self, column: str) -> list[Any]:
        assert column != "img" or not self.decoded
        return self.columns[column]

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("rows are read column by column")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("datasets")
    splits = {"train": HubSplit(IMAGES[:20], LABELS[:20]), "test": HubSplit(IMAGES[20:], LABELS[20:])}

    def load_dataset(path: str, configuration: str | None) -> dict[str, HubSplit]:
        if (path, configuration) != ("owner/pets", "small"):
            raise FileNotFoundError("no such set")
        return splits

    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    module.Image = lambda decode: "undecoded" if decode is False else "decoded"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return module


@pytest.mark.usefixtures("hub")
def test_a_set_of_the_hub_by_its_name(tmp_path: Path) -> None:
    loaded = load("hf:owner/pets:small", cache_dir=tmp_path)
    assert loaded.train.classes == ("cat", "dog", "ant")
    assert np.array_equal(loaded.train.images, IMAGES[:20])
    assert np.array_equal(loaded.test.open(record_look=no_look).labels, LABELS[20:])
    with pytest.raises(DataError, match=r"hf:owner/other: cannot be fetched .*no such set"):
        load("hf:owner/other", cache_dir=tmp_path)
    with pytest.raises(DataError, match=r"train: no group column\. Looked for patient; the columns are img, label"):
        load("hf:owner/pets:small", cache_dir=tmp_path, options=ReadOptions(group_column="patient"))


def test_a_group_column_of_the_hub(tmp_path: Path, hub: ModuleType) -> None:
    for split in hub.load_dataset("owner/pets", "small").values():
        split.features["patient"] = object()
        split.columns["patient"] = [place // 2 for place in range(len(split.columns["label"]))]
    train = load("hf:owner/pets:small", cache_dir=tmp_path, options=ReadOptions(group_column="Patient")).train
    assert train.groups is not None
    assert train.groups.tolist() == [place // 2 for place in range(20)]


def test_without_the_package_the_hub_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match="pip install datasets"):
        load("hf:owner/pets", cache_dir=tmp_path)


DAMAGED = {3: b"", 7: png(IMAGES[7])[:60], 11: b"<html>sorry</html>", 12: None}


@pytest.mark.parametrize("origin", ["parquet", "hub"])
def test_damaged_rows_are_all_listed_or_left_out(tmp_path: Path, origin: str, hub: ModuleType) -> None:
    cells = [DAMAGED.get(row, png(image)) for row, image in enumerate(IMAGES)]
    if origin == "parquet":
        patients = [f"p{row // 2}" for row in range(30)]
        table = pyarrow.table({"image": cells, "label": LABELS, "patient": patients})
        parquet.write_table(table, tmp_path / "set.parquet")
        name, group = str(tmp_path / "set.parquet"), "patient"
    else:
        name, group = "hf:owner/pets:small", None
        encoded = [{"bytes": cell, "path": None} for cell in cells]
        splits = hub.load_dataset("owner/pets", "small")
        splits["train"].columns["img"], splits["test"].columns["img"] = encoded[:20], encoded[20:]
    with pytest.raises(DataError) as raised:
        load(name, cache_dir=tmp_path / "cache")
    message = str(raised.value)
    assert "4 of 30 pictures cannot be read" in message
    for reason in (
        "row 3): the file is empty",
        "row 7): the image cannot be read",
        "row 11): a web page",
        "row 12 holds no",
    ):
        assert reason in message
    options = ReadOptions(skip_unreadable=True, group_column=group)
    loaded = load(name, cache_dir=tmp_path / "cache", options=options)
    test = loaded.test.open(record_look=no_look)
    label_of = {image.tobytes(): int(LABELS[row]) for row, image in enumerate(IMAGES)}
    read = [*zip(loaded.train.images, loaded.train.labels, strict=True), *zip(test.images, test.labels, strict=True)]
    assert len(read) == 26
    assert all(label_of[image.tobytes()] == label for image, label in read)
    assert "4 files left out: unreadable (4)" in reading_lines(loaded)[0]
    assert any("4 of 30 pictures cannot be read and were left out" in text for text in loaded.warnings)
