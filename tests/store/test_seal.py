from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from tests.tiny_trials import tiny_images

from ceteris.data import ImageSet, SealedTest, seal
from ceteris.errors import StoreError
from ceteris.findings import Look
from ceteris.store import looks_at, record_look

LOOK = Look(date="2024-01-01T00:00:00+00:00", study="digits", reason="final", models=("aa", "bb"))
FINGERPRINT = "f" * 64


def ledger(root: Path) -> Path:
    (path,) = (root / "looks").iterdir()
    return path


def test_no_look_no_ledger(tmp_path: Path) -> None:
    assert looks_at(tmp_path, FINGERPRINT) == ()
    assert list(tmp_path.iterdir()) == []


def test_looks_are_kept_in_the_order_in_which_they_were_taken(tmp_path: Path) -> None:
    looks = tuple(replace(LOOK, study=f"study {place}", reason="é\n\u2028") for place in (3, 1, 2))
    for look in looks:
        record_look(tmp_path, FINGERPRINT, look)
    assert looks_at(tmp_path, FINGERPRINT) == looks


def test_every_opening_is_a_look_also_of_the_same_model_for_the_same_reason(tmp_path: Path) -> None:
    later = replace(LOOK, date="2025-01-01T00:00:00+00:00")
    for look in (LOOK, LOOK, later):
        record_look(tmp_path, FINGERPRINT, look)
    assert looks_at(tmp_path, FINGERPRINT) == (LOOK, LOOK, later)


@pytest.mark.parametrize("change", [{"study": "other"}, {"reason": "again"}, {"models": ("aa", "cc")}])
def test_another_study_reason_or_model_is_another_look(tmp_path: Path, change: dict[str, object]) -> None:
    other = replace(LOOK, **change)  # type: ignore[arg-type]
    record_look(tmp_path, FINGERPRINT, LOOK)
    record_look(tmp_path, FINGERPRINT, other)
    assert looks_at(tmp_path, FINGERPRINT) == (LOOK, other)


def test_every_test_set_has_a_ledger_of_its_own(tmp_path: Path) -> None:
    record_look(tmp_path, FINGERPRINT, LOOK)
    assert looks_at(tmp_path, "e" * 64) == ()


@pytest.mark.parametrize("torn", ['{"date": "2024', "\x00" * 20, "[]", "{}", '"text"', "1", "null"])
def test_a_torn_last_line_is_no_look_and_spoils_no_later_one(tmp_path: Path, torn: str) -> None:
    record_look(tmp_path, FINGERPRINT, LOOK)
    with ledger(tmp_path).open("a") as file:
        file.write(torn)
    assert looks_at(tmp_path, FINGERPRINT) == (LOOK,)
    later = replace(LOOK, study="later")
    record_look(tmp_path, FINGERPRINT, later)
    assert looks_at(tmp_path, FINGERPRINT) == (LOOK, later)


def test_a_line_torn_in_the_middle_of_a_letter_is_survived(tmp_path: Path) -> None:
    record_look(tmp_path, FINGERPRINT, LOOK)
    with ledger(tmp_path).open("ab") as file:
        file.write('{"study": "é'.encode()[:-1])
    assert looks_at(tmp_path, FINGERPRINT) == (LOOK,)


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "looks").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        record_look(tmp_path, FINGERPRINT, LOOK)


def sealed(read: Callable[[], ImageSet]) -> SealedTest:
    closed = seal(tiny_images(6))
    return SealedTest(
        read=read,
        class_counts=closed.class_counts,
        image_shape=closed.image_shape,
        classes=closed.classes,
        fingerprint=closed.fingerprint,
    )


def test_the_look_is_written_before_the_first_image_is_read() -> None:
    order: list[str] = []

    def read() -> ImageSet:
        order.append("read")
        return tiny_images(6)

    test = sealed(read)
    images = test.open(record_look=lambda fingerprint: order.append(fingerprint))
    assert order == [test.fingerprint, "read"]
    assert len(images) == test.count == len(test) == 6


def test_nothing_comes_out_when_the_look_cannot_be_written() -> None:
    def read() -> NoReturn:
        raise AssertionError("the test set was read")

    def refuse(fingerprint: str) -> NoReturn:
        raise StoreError("no space")

    with pytest.raises(StoreError, match="no space"):
        sealed(read).open(record_look=refuse)


def test_the_images_cannot_be_reached_past_the_door() -> None:
    test = seal(tiny_images(6))
    for name in ("images", "labels", "read", "_read", "__read"):
        assert not hasattr(test, name)
    assert "6 images" in repr(test)
