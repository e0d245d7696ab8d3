import errno
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from tests.example_records import assert_same, example_record
from tests.tiny_trials import CNN, tiny_trial

from ceteris import recipe as r
from ceteris.errors import StoreError
from ceteris.execution.populations import as_population
from ceteris.files import remove_unfinished
from ceteris.store import Store, TestResult, codec, write_bytes


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def refusing(number: int) -> object:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


def test_what_is_put_is_found_again(tmp_path: Path) -> None:
    store, record = Store(tmp_path), example_record()
    assert store.find(record.digest) is None
    assert not store.holds(record.trial)
    store.put(record)
    assert store.holds(record.trial)
    assert_same(store.find(record.digest), record)


def test_a_record_is_found_by_another_process_s_store(tmp_path: Path) -> None:
    record = example_record()
    Store(tmp_path).put(record)
    assert_same(Store(tmp_path).find(tiny_trial().digest), record)


def test_weights_and_snapshots_lie_beside_their_record(tmp_path: Path) -> None:
    store, record = Store(tmp_path), example_record()
    weights = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array(7)}
    store.put(record, weights, {"1/layer.weight": weights["layer.weight"] * 2})
    assert_same(store.weights(record.digest), weights)
    assert_same(store.weights(record.digest, every_epoch=True), {"1/layer.weight": weights["layer.weight"] * 2})


def test_a_record_never_appears_before_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, record, order = Store(tmp_path), example_record(), list[str]()
    put_in_place = os.replace

    def noted(source: str, target: Path) -> None:
        order.append(target.parent.name)
        put_in_place(source, target)

    monkeypatch.setattr(os, "replace", noted)
    store.put(record, {"w": np.zeros(1)}, {"1/w": np.zeros(1)})
    assert order == ["weights", "weights", record.digest[:2]]


def test_a_record_of_a_population_counts_when_the_population_is_whole(tmp_path: Path) -> None:
    store, members = Store(tmp_path), as_population([tiny_trial(fold=0), tiny_trial(fold=1)])
    records = [example_record(trial) for trial in members]
    for record in records:
        store.put(record)
        assert store.find(record.digest) is None
        assert not store.holds(record.trial)
    store.mark_population(members[0].execution.population, [record.digest for record in records])
    for record in records:
        assert_same(store.find(record.digest), record)
        assert store.holds(record.trial)


def test_missing_weights_are_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Delete its record and run the study again"):
        Store(tmp_path).weights("0" * 64)


@pytest.mark.parametrize("damage", [b"", b"\x00" * 50, b"no safetensors at all"])
def test_a_damaged_record_is_put_aside_and_may_be_written_again(tmp_path: Path, damage: bytes) -> None:
    store, record = Store(tmp_path), example_record()
    store.put(record)
    store.record_path(record.digest).write_bytes(damage)
    assert store.find(record.digest) is None
    assert [path.suffix for path in files_in(tmp_path)] == [".damaged"]
    store.put(record)
    assert_same(store.find(record.digest), record)


def test_a_good_record_that_cannot_be_read_just_now_is_not_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, record = Store(tmp_path), example_record()
    store.put(record)
    with monkeypatch.context() as patched:
        patched.setattr(codec, "safe_open", refusing(errno.EMFILE))
        with pytest.raises(StoreError, match=r"could not be read \(Too many open files\).*try again"):
            store.find(record.digest)
    assert files_in(tmp_path) == [store.record_path(record.digest)]
    assert_same(store.find(record.digest), record)


def test_what_a_killed_writer_left_is_removed_and_what_another_writes_stays(tmp_path: Path) -> None:
    store, record = Store(tmp_path), example_record()
    store.put(record)
    left, written = (store.record_path(record.digest).with_name(f".{name}.safetensors.part") for name in ("a", "b"))
    for path in (left, written):
        path.write_bytes(b"unfinished")
    two_hours_ago = time.time() - 7200
    for path in (left, store.record_path(record.digest)):
        os.utime(path, (two_hours_ago, two_hours_ago))
    store.remove_unfinished()
    assert set(files_in(tmp_path)) == {written, store.record_path(record.digest)}


def test_what_a_write_leaves_when_it_is_killed_bears_the_name_that_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    put_in_place = os.replace

    def noted(source: Path, target: Path) -> None:
        names.append(source.name)
        put_in_place(source, target)

    monkeypatch.setattr(os, "replace", noted)
    write_bytes(tmp_path / "file", b"content")
    (tmp_path / names[0]).write_bytes(b"cont")
    remove_unfinished(tmp_path, older_than=-1.0)
    assert files_in(tmp_path) == [tmp_path / "file"]


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    store, record = Store(tmp_path), example_record()
    monkeypatch.setattr(os, step, refusing(errno.EIO))
    with pytest.raises(StoreError, match="cannot be written"):
        store.put(record)
    assert files_in(tmp_path) == []
    assert store.find(record.digest) is None


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    monkeypatch.setattr(os, "replace", refusing(errno.EIO))
    with pytest.raises(StoreError):
        write_bytes(path, b"new")
    assert files_in(tmp_path) == [path]
    assert path.read_bytes() == b"old"


def test_an_interrupt_while_writing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "file", b"content")
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_called_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "fsync", refusing(number))
    with pytest.raises(StoreError, match=r"disk is full.*Nothing that was finished is lost.*--out"):
        Store(tmp_path).put(example_record())
    assert files_in(tmp_path) == []


def test_a_folder_that_is_a_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path).put(example_record())


def test_test_results_belong_to_one_model_and_one_test_set(tmp_path: Path) -> None:
    store = Store(tmp_path)
    result = TestResult(
        probabilities=np.full((2, 3), 1 / 3, np.float32), curve_loss=np.zeros(0), curve_accuracy=np.array([0.5])
    )
    store.put_test_result("a" * 64, "f" * 64, result)
    assert_same(store.test_result("a" * 64, "f" * 64), result)
    assert store.test_result("b" * 64, "f" * 64) is None
    assert store.test_result("a" * 64, "e" * 64) is None


def test_everything_that_can_change_a_result_changes_the_address() -> None:
    trial = tiny_trial()
    others = [
        replace(trial, recipe=CNN),
        replace(trial, recipe=replace(trial.recipe, optimizer=r.SGD(lr=0.06))),
        replace(trial, data="other"),
        tiny_trial(fold=1),
        replace(trial, seed=1),
        replace(trial, execution=replace(trial.execution, device="cuda")),
        replace(trial, execution=replace(trial.execution, precision="bfloat16")),
        replace(trial, patience=3),
        replace(trial, code="another text"),
        replace(trial, schema=3),
        replace(trial, execution=replace(trial.execution, members=2, population="p")),
        replace(trial, execution=replace(trial.execution, members=2, population="q")),
    ]
    assert len({one.digest for one in [trial, *others]}) == 1 + len(others)
    assert tiny_trial().digest == trial.digest
