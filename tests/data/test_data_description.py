import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from tests.data.data_samples import even_labels, random_images, write_mnist

from ceteris.data import (
    DataSet,
    as_json,
    audit,
    describe,
    from_arrays,
    list_sets,
    load,
    standardisation,
    text_tables,
    write_page,
)
from ceteris.data.audit import near_pairs, signatures
from ceteris.records import ByteArray


@settings(max_examples=25, deadline=None)
@given(channels=st.integers(1, 3), chosen=st.lists(st.integers(0, 11), min_size=1, max_size=12, unique=True))
def test_standardisation_is_that_of_scikit_learn(channels: int, chosen: list[int]) -> None:
    images = random_images(12, (channels, 5, 4))
    indices = np.array(chosen)
    mean, deviation = standardisation(images, indices)
    oracle = StandardScaler().fit(images[indices].transpose(0, 2, 3, 1).reshape(-1, channels).astype(np.float64))
    np.testing.assert_allclose(mean, oracle.mean_, rtol=1e-12)
    np.testing.assert_allclose(deviation, oracle.scale_, rtol=1e-12)


def test_standardisation_does_not_depend_on_the_order_and_never_gives_zero() -> None:
    images = random_images(500, (3, 8, 8))
    images[:, 1] = 77
    order = np.random.default_rng(0).permutation(500)
    first, second = standardisation(images, np.arange(500)), standardisation(images, order)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert (first[0][1], first[1][1]) == (77.0, 1.0)


def copies_and_leaks(cache: Path) -> DataSet:
    """40 training images in 2 classes; among them 2 copies, one with the other label; 2 leaks, 1 near leak, 1 blank."""
    train, test = random_images(40, (1, 12, 12), 1), random_images(20, (1, 12, 12), 2)
    train[38], train[39], train[5] = train[0], train[1], 9
    test[3], test[4] = train[10], train[11]
    test[7] = np.clip(train[12].astype(int) + np.random.default_rng(0).integers(-4, 5, (1, 12, 12)), 0, 255)
    test[8] = 200
    labels = even_labels(40, 2)
    labels[39] = 1 - labels[1]
    return from_arrays(train, labels, test, even_labels(20, 2), name="leaky", cache_dir=cache, classes=("even", "odd"))


def test_the_audit_finds_what_was_planted(tmp_path: Path) -> None:
    found = audit(copies_and_leaks(tmp_path), folds=25)
    assert found.train_copies.tolist() == [[38, 0], [39, 1]]
    assert found.conflicting.tolist() == [[39, 1]]
    assert found.shared.tolist() == [[10, 3], [11, 4]]
    assert found.near_shared.tolist() == [[12, 7]]
    assert found.near_train.tolist() == []
    assert found.test_copies.tolist() == []
    assert (found.train_distinct, found.test_distinct) == (38, 20)
    assert (found.constant_train.tolist(), found.constant_test) == ([5], 1)
    text = " ".join(found.warnings)
    for part in (
        "2 of 20 test images are also in the training part",
        "nearly the same: 1",
        "another label: 1",
        "copies of others: 2",
        "single colour: 2",
    ):
        assert part in text
    assert "fewer training images than the 25 folds: even (" in text


def test_the_audit_of_a_clean_set_finds_nothing(tmp_path: Path) -> None:
    found = audit(load("digits", cache_dir=tmp_path), folds=5)
    assert found.warnings == ()
    assert (found.train_distinct, found.test_distinct) == (1438, 359)
    assert found.imbalance < 1.1
    assert found.share_distance < 0.01


def test_a_test_part_of_another_kind_is_noticed(tmp_path: Path) -> None:
    train = random_images(200, seed=1)
    test = np.clip(random_images(100, seed=2).astype(int) + 60, 0, 255).astype(np.uint8)
    labels = np.where(np.arange(100) < 90, 0, 1)
    found = audit(from_arrays(train, even_labels(200, 2), test, labels, name="dark", cache_dir=tmp_path))
    assert found.share_distance == pytest.approx(0.4)
    assert found.brightness_drift[0] > 1
    assert any("brighter or darker" in text for text in found.warnings)
    assert any("differ by 40%" in text for text in found.warnings)


def test_mean_images_are_means(tmp_path: Path) -> None:
    data_set = copies_and_leaks(tmp_path)
    odd = data_set.train.images[data_set.train.labels == 1]
    assert np.array_equal(audit(data_set).class_means[1], np.round(odd.mean(axis=0)).astype(np.uint8))


def noisy(images: ByteArray) -> ByteArray:
    noise = np.random.default_rng(1).normal(0, 3, images.shape)
    return np.clip(np.round(0.9 * images + 10 + noise), 0, 255).astype(np.uint8)


def test_near_duplicates_are_found_in_spite_of_brightness_and_noise_among_thousands() -> None:
    images = random_images(5000, (3, 9, 10), 3)
    others = random_images(300, (3, 9, 10), 4)
    others[17], others[250] = noisy(images[4321]), noisy(images[7])
    pairs = near_pairs(images, signatures(images), others, signatures(others))
    assert sorted(map(tuple, pairs.tolist())) == [(7, 250), (4321, 17)]


def test_description_answers_every_question(tmp_path: Path) -> None:
    data_set = load("digits", cache_dir=tmp_path)
    told = describe(data_set, folds=5)
    assert (told.train_count, told.test_count, told.image_shape) == (1438, 359, (1, 8, 8))
    assert (told.minimum, told.maximum, told.missing) == (0, 255, 0)
    assert told.train_class_counts.sum() == 1438
    assert told.test_class_counts.sum() == 359
    assert "10 classes" in told.problem
    assert "80.0%" in told.shares
    assert told.channel_mean[0] == pytest.approx(data_set.train.images.mean())
    assert told.warnings == ()
    assert describe(data_set, shares="my own").shares == "my own"


@pytest.mark.parametrize(("classes", "samples"), [(2, 16), (10, 80), (30, 90), (150, 100)])
def test_samples_are_few_grouped_by_class_and_from_the_training_part(
    tmp_path: Path, classes: int, samples: int
) -> None:
    images = random_images(classes * 20)
    data_set = from_arrays(images, even_labels(len(images), classes), name="many", cache_dir=tmp_path)
    told = describe(data_set)
    assert len(told.sample_images) == samples
    assert np.array_equal(told.sample_labels, np.sort(told.sample_labels))
    labels_of = {
        image.tobytes(): label for image, label in zip(data_set.train.images, data_set.train.labels, strict=True)
    }
    assert [labels_of[image.tobytes()] for image in told.sample_images] == told.sample_labels.tolist()


def test_classes_smaller_than_the_folds_and_missing_classes_are_warned_of(tmp_path: Path) -> None:
    labels = np.array([0] * 30 + [1] * 3)
    data_set = from_arrays(random_images(33), labels, name="small", cache_dir=tmp_path, classes=("a", "b", "c"))
    told = describe(data_set, folds=5)
    assert any("no training image: c" in text for text in told.warnings)
    assert any("fewer training images than the 5 folds: b (2)" in text for text in told.warnings)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "img":
            self.pictures.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_complete_in_itself_and_escapes_names(tmp_path: Path) -> None:
    images = random_images(40, (3, 6, 6))
    names = ("<script>alert(1)</script>", 'a"b & c')
    data_set = from_arrays(images, even_labels(40, 2), name="hostile", cache_dir=tmp_path, classes=names)
    write_page(tmp_path / "out" / "page.html", describe(data_set), audit(data_set))
    content = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(content)
    assert "script" not in page.tags
    assert not re.search(r"""(src|href)=["'](?!data:)|url\(|@import|https?://""", content)
    assert len(page.pictures) == 4
    assert all(picture["alt"] and (picture["src"] or "").startswith("data:image/png") for picture in page.pictures)
    assert names[0] in page.text


def test_tables_and_json_hold_the_same_answers(tmp_path: Path) -> None:
    data_set = copies_and_leaks(tmp_path)
    told, found = describe(data_set), audit(data_set)
    tables = {table.title: table for table in text_tables(told, found)}
    assert list(tables) == ["Questions and answers", "Classes", "Audit", "Warnings"]
    assert ("in both parts (training, test)", "2 (10–3, 11–4)") in tables["Audit"].rows
    assert all(len(row) == len(table.columns) for table in tables.values() for row in table.rows)
    for answer in (("images", "60: 40 for training, 20 for the test"), ("image", "12 × 12 pixels, 1 channel")):
        assert answer in tables["Questions and answers"].rows
    content = json.loads(as_json(told, found))
    assert content["audit"]["shared"] == [[10, 3], [11, 4]]
    assert content["description"]["train_count"] == 40
    assert json.loads(as_json(told))["audit"] is None


def test_the_list_of_sets_tells_what_is_there(tmp_path: Path) -> None:
    images = random_images(20, (1, 28, 28))[:, 0]
    write_mnist(tmp_path / "data" / "mnist", images, even_labels(20, 10), images, even_labels(20, 10))
    rows = {row.name: row for row in list_sets(tmp_path / "data", cache_dir=tmp_path / "cache")}
    assert rows["digits"].present
    assert rows["digits"].where == "built in"
    assert rows["mnist"].where == str(tmp_path / "data" / "mnist")
    assert not rows["cifar-10"].present
    assert (rows["cifar-10"].download_bytes, rows["cifar-10"].checksum) == (170_052_171, "sha256")
    assert rows["mnist"].image_bytes == 70_000 * 784
    assert all(row.licence and row.source for row in rows.values())
