import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.data_samples import even_labels, random_images

from ceteris.data import make_image_set, seal
from ceteris.data.imageset import content_digest
from ceteris.errors import DataError

NAMES = ("a", "b", "c")


def test_keeps_images_labels_and_names() -> None:
    images, labels = random_images(7), even_labels(7, 3).astype(np.int32)
    made = make_image_set(images, labels, NAMES)
    assert made.images is images
    assert made.labels.dtype == np.int64
    assert (len(made), made.shape, made.classes) == (7, (1, 6, 6), NAMES)


@pytest.mark.parametrize(
    ("images", "labels", "classes", "message"),
    [
        (random_images(3).astype(np.float32), even_labels(3, 3), NAMES, "type uint8.*received float32"),
        (random_images(3)[:, 0], even_labels(3, 3), NAMES, r"shape \(images, channels, height, width\)"),
        (random_images(0), even_labels(0, 3), NAMES, "the set is empty"),
        (random_images(3), even_labels(4, 3), NAMES, r"one label per image, shape \(3,\), received shape \(4,\)"),
        (random_images(3), np.array([0.0, np.nan, 1.0]), NAMES, r"1 missing values \(NaN\)"),
        (random_images(3), np.array([0, 1, 3]), NAMES, "image 2 has the label 3, but there are 3 classes"),
        (random_images(3), np.array([0, -1, 1]), NAMES, "image 1 has the label -1"),
        (random_images(3), even_labels(3, 3), ("a", "b", "a"), "'a' occurs more than once"),
        (random_images(3), even_labels(3, 3), (), "there is none"),
    ],
)
def test_refuses_what_does_not_fit(
    images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        make_image_set(images, labels, classes)


@settings(max_examples=30, deadline=None)
@given(place=st.integers(0, 5 * 36 - 1), change=st.integers(1, 255))
def test_digest_tells_any_changed_pixel(place: int, change: int) -> None:
    images, labels = random_images(5), even_labels(5, 3)
    other = images.copy()
    other.reshape(-1)[place] ^= np.uint8(change)
    assert content_digest(images, labels, NAMES) != content_digest(other, labels, NAMES)


def test_digest_tells_labels_names_and_shape_but_not_the_memory_layout() -> None:
    images, labels = random_images(4, (2, 3, 6)), even_labels(4, 3)
    digest = content_digest(images, labels, NAMES)
    assert content_digest(np.asfortranarray(images), labels.astype(np.int32), NAMES) == digest
    assert content_digest(images, labels[::-1], NAMES) != digest
    assert content_digest(images, labels, ("a", "b", "d")) != digest
    assert content_digest(images.reshape(4, 2, 6, 3), labels, NAMES) != digest


def test_digest_tells_which_images_belong_together_but_not_how_the_groups_are_called() -> None:
    images, labels = random_images(4), even_labels(4, 3)
    plain, grouped, renamed, other = (
        make_image_set(images, labels, NAMES, groups)
        for groups in (None, np.array([5, 5, 2, 9]), np.array(["w", "w", "x", "a"]), np.array([5, 2, 2, 9]))
    )
    assert plain.groups is None
    assert plain.digest == content_digest(images, labels, NAMES)
    assert grouped.groups is not None
    assert grouped.groups.tolist() == [0, 0, 1, 2]
    assert grouped.groups.dtype == np.int64
    assert grouped.digest == renamed.digest
    assert len({plain.digest, grouped.digest, other.digest}) == 3
    with pytest.raises(DataError, match=r"one group per image, shape \(4,\), received shape \(3,\)"):
        make_image_set(images, labels, NAMES, np.arange(3))


def test_the_digest_of_a_set_without_groups_never_changes() -> None:
    images = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2)
    made = make_image_set(images, np.array([0, 1]), ("a", "b"))
    assert made.digest == "16933679b29e7462aab11f1cd4d80efe5e0314058bac599eff38342d89dd8913"


def test_sealed_test_tells_counts_and_gives_images_only_after_the_look_is_recorded() -> None:
    images = make_image_set(random_images(7), even_labels(7, 3), NAMES)
    sealed = seal(images)
    looks: list[str] = []
    assert (sealed.count, len(sealed), sealed.image_shape, sealed.classes) == (7, 7, (1, 6, 6), NAMES)
    assert sealed.class_counts.tolist() == [3, 2, 2]
    opened = sealed.open(record_look=looks.append)
    assert opened.images is images.images
    assert opened.labels is images.labels
    assert looks == [images.digest] == [sealed.fingerprint]


def test_a_look_that_cannot_be_recorded_shows_nothing() -> None:
    sealed = seal(make_image_set(random_images(3), even_labels(3, 3), NAMES))

    def refuse(fingerprint: str) -> None:
        raise OSError("ledger is read-only")

    with pytest.raises(OSError, match="read-only"):
        sealed.open(record_look=refuse)


def test_sealed_test_has_no_other_public_way_to_the_images() -> None:
    sealed = seal(make_image_set(random_images(3), even_labels(3, 3), NAMES))
    public = {name for name in dir(sealed) if not name.startswith("_")}
    assert public == {"class_counts", "classes", "count", "fingerprint", "image_shape", "open"}
    assert re.fullmatch(r"SealedTest\(3 images, 3 classes, [0-9a-f]{12}…\)", repr(sealed))
