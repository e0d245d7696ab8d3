import errno
import json
import os
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.data_samples import even_labels, no_look, random_images, write_class_folders, write_mnist

from ceteris.data import SealedTest, load, open_prepared, open_train
from ceteris.data.prepared import prepare
from ceteris.data.source import Source, array_part
from ceteris.errors import DataError

TRAIN, TEST = random_images(20, seed=1), random_images(10, seed=2)


def source(name: str = "sample") -> Source:
    return Source(
        name=name,
        title="Sample",
        source="nobody",
        licence="none",
        classes=("a", "b"),
        train=array_part(TRAIN, even_labels(20, 2)),
        test=array_part(TEST, even_labels(10, 2)),
        note="a note",
        label_meaning="meaning",
        preprocessing=("nothing",),
        warnings=("careful",),
    )


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    made = prepare(source(), tmp_path / "set")
    for data_set in (made, open_prepared(tmp_path / "set")):
        texts = (
            data_set.name,
            data_set.title,
            data_set.source,
            data_set.licence,
            data_set.note,
            data_set.label_meaning,
        )
        assert texts == ("sample", "Sample", "nobody", "none", "a note", "meaning")
        assert (data_set.warnings, data_set.preprocessing) == (("careful",), ("nothing",))
        assert np.array_equal(data_set.train.images, TRAIN)
        opened = data_set.test.open(record_look=no_look)
        assert np.array_equal(opened.images, TEST)
        assert opened.digest == data_set.test.fingerprint
        assert data_set.train.digest == made.train.digest


def with_groups(train: tuple[str, ...], test: tuple[str, ...]) -> Source:
    return replace(
        source(),
        train=array_part(TRAIN, even_labels(20, 2), train),
        test=array_part(TEST, even_labels(10, 2), test),
    )


def test_groups_of_the_training_part_come_back(tmp_path: Path) -> None:
    plain = prepare(source(), tmp_path / "plain")
    grouped = prepare(with_groups(("w9", "w2", "w2", "w9") * 5, ("w1",) * 10), tmp_path / "grouped")
    for train in (grouped.train, open_train(tmp_path / "grouped")):
        assert train.groups is not None
        assert train.groups.tolist() == [0, 1, 1, 0] * 5
    assert plain.train.groups is None
    assert grouped.train.digest != plain.train.digest
    assert grouped.test.fingerprint == plain.test.fingerprint
    assert grouped.warnings == ("careful",)


def test_groups_on_both_sides_of_the_sources_own_split_become_a_warning(tmp_path: Path) -> None:
    made = prepare(with_groups(("w9", "w2") * 10, ("w2", "w1") * 5), tmp_path / "set")
    assert made.warnings[1].startswith("1 group has images in both the training and the test part (w2)")


def test_a_copy_that_lost_its_groups_says_so(tmp_path: Path) -> None:
    prepare(with_groups(("a", "b") * 10, ("c",) * 10), tmp_path / "set")
    np.save(tmp_path / "set" / "train_groups.npy", np.arange(3))
    with pytest.raises(DataError, match="does not fit its description"):
        open_train(tmp_path / "set")
    (tmp_path / "set" / "train_groups.npy").unlink()
    with pytest.raises(DataError, match="the prepared copy is damaged"):
        open_train(tmp_path / "set")


def test_images_are_a_read_only_map(tmp_path: Path) -> None:
    images = prepare(source(), tmp_path / "set").train.images
    assert isinstance(images.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0, 0, 0, 0] = 1


def test_workers_open_the_training_part_while_the_test_files_are_gone(tmp_path: Path) -> None:
    prepare(source(), tmp_path / "set")
    for path in (tmp_path / "set").glob("test_*"):
        path.unlink()
    assert np.array_equal(open_train(tmp_path / "set").images, TRAIN)
    sealed = open_prepared(tmp_path / "set").test
    assert sealed.count == 10
    with pytest.raises(DataError, match="prepared copy is damaged"):
        sealed.open(record_look=no_look)


def test_a_sealed_test_can_travel_to_another_process(tmp_path: Path) -> None:
    sealed = prepare(source(), tmp_path / "set").test
    travelled: SealedTest = pickle.loads(pickle.dumps(sealed))
    assert np.array_equal(travelled.open(record_look=no_look).images, TEST)


@pytest.mark.parametrize("victim", ["meta.json", "train_images.npy", "train_labels.npy"])
def test_a_damaged_copy_says_so(tmp_path: Path, victim: str) -> None:
    prepare(source(), tmp_path / "set")
    path = tmp_path / "set" / victim
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match=str(tmp_path / "set")):
        open_train(tmp_path / "set")


def test_duplicates_across_the_parts_become_a_warning(tmp_path: Path) -> None:
    leaking = replace(source(), test=array_part(np.concatenate([TEST[:8], TRAIN[:2]]), even_labels(10, 2)))
    made = prepare(leaking, tmp_path / "set")
    assert made.warnings[0] == "careful"
    assert made.warnings[1].startswith("2 of 10 test images are also in the training part")


def full_disk(*arguments: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("where", "name"), [("ceteris.data.prepared.os", "posix_fallocate"), ("ceteris.data.prepared.np", "save")]
)
def test_a_full_disk_is_told_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, name: str
) -> None:
    monkeypatch.setattr(f"{where}.{name}", full_disk)
    with pytest.raises(DataError, match=r"set: the prepared copy cannot be written .*disk is full: free some space"):
        prepare(source(), tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_preparation_leaves_no_set_and_the_next_one_succeeds(tmp_path: Path) -> None:
    def interrupted(target: np.ndarray) -> None:
        raise KeyboardInterrupt

    broken = replace(source(), train=replace(source().train, fill=interrupted))
    with pytest.raises(KeyboardInterrupt):
        prepare(broken, tmp_path / "set")
    assert list(tmp_path.iterdir()) == []
    assert len(prepare(source(), tmp_path / "set").train) == 20


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path: Path) -> None:
    for name, age in ((".unfinished-old", 25), (".unfinished-young", 1)):
        (tmp_path / name).mkdir()
        then = time.time() - age * 3600
        os.utime(tmp_path / name, (then, then))
    prepare(source(), tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".unfinished-young", "set"]


def test_several_preparations_at_once_end_in_one_copy(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: prepare(source(), tmp_path / "set"), range(8)))
    assert len({data_set.train.digest for data_set in made}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_copy_of_another_format_is_replaced(tmp_path: Path) -> None:
    prepare(source(), tmp_path / "set")
    meta = tmp_path / "set" / "meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"format": 0, "name": "old"}))
    assert prepare(source(), tmp_path / "set").name == "sample"


def mnist_like(folder: Path, seed: int) -> None:
    write_mnist(folder, random_images(9, seed=seed)[:, 0], even_labels(9, 3), TEST[:, 0], even_labels(10, 3))


def class_folders(folder: Path, seed: int) -> None:
    write_class_folders(folder, random_images(20, seed=seed), even_labels(20, 2), ("a", "b"))


@pytest.mark.parametrize("write", [mnist_like, class_folders])
def test_a_changed_source_is_read_again_and_an_equal_one_is_not(
    tmp_path: Path, write: Callable[[Path, int], None]
) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "set"
    write(folder, 1)
    first, second = (load(str(folder), cache_dir=cache) for _ in range(2))
    assert first.prepared == second.prepared
    write(folder, 2)
    assert load(str(folder), cache_dir=cache).train.digest != first.train.digest


def test_files_of_equal_content_share_one_copy_wherever_they_lie(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in ("here", "there"):
        mnist_like(tmp_path / name, 1)
    here, there = (load(str(tmp_path / name), cache_dir=cache) for name in ("here", "there"))
    assert here.prepared == there.prepared


def test_the_split_of_a_set_without_test_part_outlives_its_prepared_copy(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    class_folders(tmp_path / "set", 1)
    first = load(str(tmp_path / "set"), cache_dir=cache)
    (split,) = (cache / "splits").iterdir()
    content = json.loads(split.read_text())
    assert len(content["test"]) == first.test.count == 4
    content["test"] = [0, 1, 2]
    split.write_text(json.dumps(content))
    for path in sorted((cache / "prepared").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert load(str(tmp_path / "set"), cache_dir=cache).test.count == 3


def test_a_prepared_copy_is_a_data_set_by_its_path(tmp_path: Path) -> None:
    class_folders(tmp_path / "set", 1)
    first = load(str(tmp_path / "set"), cache_dir=tmp_path / "cache")
    again = load(str(first.prepared), cache_dir=tmp_path / "other")
    assert (again.train.digest, again.test.fingerprint) == (first.train.digest, first.test.fingerprint)
    assert not (tmp_path / "other").exists()
