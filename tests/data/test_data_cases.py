"""The inputs of people who met trouble, as they are kept beside the repository: read as they meant them, or refused in words.

Every kind has a test with small files of its own elsewhere; this one is skipped where the collection is absent
(the variable CETERIS_CASES names another folder).
"""

import os
from pathlib import Path

import pytest

from ceteris.data import load, reading_lines
from ceteris.errors import DataError

PETS = ("bird", "cat", "dog")
READ: dict[str, str | tuple[tuple[str, ...], int, int, str]] = {
    "broken-pictures/data": "7 of 60 pictures cannot be read",
    "class-number-in-message/data": "The class 'fish' has a single image",
    "class-without-test-images/data": (PETS, 60, 16, "1 of 3 classes have no test image: bird"),
    "csv-empty-label/p07.csv": "rows 5, 22 have no label",
    "csv-index-column/t27.csv": (("1", "3", "7"), 48, 12, ""),
    "csv-label-last-no-header/t09.csv": (("1", "3", "7"), 24, 6, "label from column 785"),
    "csv-paths/competition": (PETS, 36, 9, "6 files left out: pictures that are not in train.csv"),
    "csv-paths/competition/train.csv": (PETS, 36, 9, ""),
    "csv-paths/p03_backslash.csv": (PETS, 36, 9, ""),
    "csv-paths/p04_noext.csv": (PETS, 36, 9, ""),
    "csv-paths/p05_id_code.csv": (("0", "1", "2"), 36, 9, 'label from "diagnosis"'),
    "csv-paths/p09_onehot.csv": (PETS, 36, 9, "classes from 3 columns of 0 and 1"),
    "csv-paths/p15_no_header.csv": (PETS, 36, 9, ""),
    "csv-paths/p16_latin1.csv": (("bird", "dog", "für"), 36, 9, "text read as cp1252"),
    "csv-paths/p18_index.csv": (PETS, 36, 9, ""),
    "csv-semicolon/semi.csv": (("1", "3", "7"), 16, 3, ""),
    "csv-semicolon/tab.csv": (("1", "3", "7"), 16, 3, ""),
    "csv-space-in-label/p08.csv": (PETS, 36, 9, "spaces around 12 labels left out"),
    "hidden-folders-inside-class/data": (PETS, 48, 12, ""),
    "hidden-folders-inside-class/data-nas": (PETS, 48, 12, ""),
    "images-train-val/data": (PETS, 60, 24, "60 training images in images/train/, 24 test images in images/val/"),
    "macosx-class/data": (PETS, 48, 12, ""),
    "masks-inside-class/data": (PETS, 24, 6, "30 pictures left out"),
    "one-class-labels-csv/data": (PETS, 36, 9, "labels.csv"),
    "one-class-labels-csv/data/labels.csv": (PETS, 36, 9, ""),
    "one-class-nested-root/data": (PETS, 48, 12, "animals/"),
    "one-class/data": "there is one class only, 'cat'",
    "sixteen-bits-of-small-values/n27_12bit.npz": (("0", "1", "2"), 48, 12, "white is 4,095"),
    "sixteen-bits-of-small-values/p12": (PETS, 30, 6, "values of more than 8 bits: 4,095 is white"),
    "sixteen-bits-of-small-values/p8": (PETS, 30, 6, "values of more than 8 bits: 255 is white"),
    "sixteen-bits-of-small-values/pf": (PETS, 30, 6, "values of more than 8 bits: 1 is white"),
    "suffixes-left-out/data": (("cat", "dog"), 16, 4, ""),
    "suffixes-left-out/jfif": (PETS, 30, 6, ""),
    "test-folder-flat/data": (PETS, 48, 12, "test/ has 12 pictures but no class folders"),
    "tiny-imagenet/data": (("n01443537", "n01629819"), 24, 10, "labels in val_annotations.txt"),
    "training_set-test_set/data": (PETS, 60, 24, ""),
    "training_set-test_set/data-doubled": (PETS, 60, 24, ""),
}


@pytest.mark.parametrize("case", READ)
def test_the_cases_of_other_people(tmp_path: Path, case: str) -> None:
    beside = Path(__file__).resolve().parents[3] / "shared" / "cases"
    path = Path(os.environ.get("CETERIS_CASES") or beside) / case
    if not path.exists():
        pytest.skip("the cases are not on this machine")
    expected = READ[case]
    if isinstance(expected, str):
        with pytest.raises(DataError, match=expected.replace("(", r"\(")):
            load(str(path), cache_dir=tmp_path)
        return
    classes, train, test, told = expected
    data_set = load(str(path), cache_dir=tmp_path)
    lines = "\n".join(reading_lines(data_set))
    if train:
        assert (data_set.train.classes, len(data_set.train), data_set.test.count) == (classes, train, test)
    assert told in lines
