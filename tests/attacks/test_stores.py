"""Stores that somebody sent: records, weights, answers, ledgers and marks, forged; links that lead out of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ceteris.store import Store
from tests.attacks.conftest import ANSWER, Attack
from tests.attacks.forged import FILES, TEXTS, forge_tree, put
from tests.attacks.test_studies import ODD_FILES, STUDY
from tests.example_records import finished_record

KEY = "ceteris"
DIGEST = finished_record().digest
FIND = f"from ceteris.store import Store; from pathlib import Path; print(Store(Path('store')).find({DIGEST!r}, light=LIGHT))"
BOTH = [FIND.replace("LIGHT", "True"), FIND.replace("LIGHT", "False")]
FINISHED = (
    "from ceteris.store import Store; from pathlib import Path; print(list(Store(Path('store')).finished('tiny')))"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one record, its weights and a ledger."""
    made = Store(tmp_path / "store")
    made.put(finished_record(), {"weight": np.zeros((4, 4), np.float32)})
    (made.root / "looks").mkdir()
    (made.root / "looks" / f"{'a' * 32}.jsonl").write_text(
        '{"date": "today", "study": "x", "reason": "y", "models": []}\n'
    )
    return made


def test_the_record_itself_is_found(victim: Attack, store: Store) -> None:
    for code in BOTH:
        outcome = victim(code=code, folder=store.root.parent)
        outcome.assert_harmless()
        assert DIGEST not in outcome.output
        assert "finished" in outcome.output


def assert_not_found(victim: Attack, store: Store, *, aside: bool = True) -> None:
    """No way of reading records returns it, ends in a traceback or hangs."""
    folder = store.root.parent
    listed = victim(code=FINISHED, folder=folder)
    listed.assert_harmless()
    assert listed.output.splitlines()[-1] == "[]"
    for code in BOTH:
        outcome = victim(
            code=ANSWER.replace("CALL", code.partition("print(")[2][:-1]),
            folder=folder,
        )
        outcome.assert_harmless(store.root)
        assert outcome.status == 1 or outcome.output.splitlines()[-1] == "None"


@pytest.mark.parametrize("make", ODD_FILES)
def test_odd_files_are_no_records(victim: Attack, store: Store, make: Callable[[Path], None]) -> None:
    store.record_path(DIGEST).unlink()
    make(store.record_path(DIGEST))
    assert_not_found(victim, store)


@pytest.mark.parametrize("name", FILES)
def test_forged_files_are_no_records(victim: Attack, store: Store, name: str) -> None:
    FILES[name](store.record_path(DIGEST))
    assert_not_found(victim, store)


@pytest.mark.parametrize("name", TEXTS)
def test_forged_texts_are_no_records(victim: Attack, store: Store, name: str) -> None:
    forge_tree(store.record_path(DIGEST), KEY, lambda tree: TEXTS[name])
    assert_not_found(victim, store)


VALUES: dict[str, tuple[str, Any]] = {
    "a status that is none": ("status", "owned"),
    "a status that is a list": ("status", ["finished"]),
    "an accuracy that is a text": ("accuracy", "high"),
    "an accuracy that is a list": ("accuracy", [1.0]),
    "epochs that are a text": ("best_epoch", "x"),
    "an environment of lists": ("environment", [["a"]]),
    "a trial that is another one": ("trial.seed", 12345),
    "a trial without a recipe": ("trial.recipe", {}),
    "a trial with another recipe": ("trial.recipe.model.hidden", [-5]),
    "a population that is a path": ("trial.execution.population", "../../elsewhere/evil"),
    "a population with a zero": ("trial.execution.population", "a\0b"),
    "a split that is none": ("trial.split.kind", "evil"),
    "arrays that are numbers": ("epochs.seconds", 7),
    "an array that is not there": ("epochs.seconds", {"$array": "nowhere"}),
    "an array by a list": ("epochs.seconds", {"$array": ["epochs.seconds"]}),
    "an array of another kind": ("epochs.seconds", {"$array": "predictions.labels"}),
    "an array where a text belongs": ("trial.data", {"$array": "epochs.seconds"}),
}


@pytest.mark.parametrize("name", VALUES)
def test_forged_values_are_no_records(victim: Attack, store: Store, name: str) -> None:
    place, value = VALUES[name]
    forge_tree(store.record_path(DIGEST), KEY, lambda tree: put(tree, place, value))
    folder = store.root.parent
    code = ANSWER.replace("CALL", f"Store(Path('store')).find({DIGEST!r})")
    outcome = victim(code=code, folder=folder)
    outcome.assert_harmless(store.root)
    assert outcome.status == 1 or outcome.output.splitlines()[-1] == "None", outcome.output[-300:]


WEIGHTS = ANSWER.replace("CALL", f"Store(Path('store')).weights({DIGEST!r})")


@pytest.mark.parametrize("make", ODD_FILES)
def test_odd_files_are_no_weights(victim: Attack, store: Store, make: Callable[[Path], None]) -> None:
    store.weights_path(DIGEST).unlink()
    make(store.weights_path(DIGEST))
    victim(code=WEIGHTS, folder=store.root.parent).assert_refused(words=DIGEST)


@pytest.mark.parametrize("name", [name for name in FILES if "values" not in name and "overlap" not in name])
def test_forged_files_are_no_weights(victim: Attack, store: Store, name: str) -> None:
    FILES[name](store.weights_path(DIGEST))
    victim(code=WEIGHTS, folder=store.root.parent).assert_refused(words=DIGEST)


LOOKS = ANSWER.replace("CALL", f"looks_at(Path('store'), {'a' * 32!r})")
LOOK = ANSWER.replace(
    "CALL",
    f"record_look(Path('store'), {'a' * 32!r}, Look(date='today', study='x', reason='\\n* * * * * evil', models=()))",
)


@pytest.mark.parametrize("code", [LOOKS, LOOK])
@pytest.mark.parametrize("make", ODD_FILES)
def test_odd_files_are_no_ledgers(victim: Attack, store: Store, make: Callable[[Path], None], code: str) -> None:
    ledger = store.root / "looks" / f"{'a' * 32}.jsonl"
    ledger.unlink()
    make(ledger)
    victim(code=code, folder=store.root.parent).assert_refused(store.root, words="a" * 32)


def test_a_look_is_not_written_through_a_link(victim: Attack, store: Store, tmp_path: Path) -> None:
    ledger = store.root / "looks" / f"{'a' * 32}.jsonl"
    ledger.unlink()
    (tmp_path / "precious").write_text("precious\n")
    ledger.symlink_to(tmp_path / "precious")
    victim(code=LOOK, folder=store.root.parent).assert_refused(store.root, words="a" * 32)
    assert (tmp_path / "precious").read_text() == "precious\n"


LINES = {
    "lists in lists": "[" * 100_000,
    "a number of many digits": '{"date": ' + "9" * 100_000 + "}",
    "a date of lists": '{"date": [["x"]], "study": "x", "reason": "y", "models": []}',
    "models that are a text": '{"date": "x", "study": "x", "reason": "y", "models": 7}',
    "no text": "\udcff\udcfe",
}


@pytest.mark.parametrize("name", LINES)
def test_forged_lines_are_no_looks(victim: Attack, store: Store, name: str) -> None:
    ledger = store.root / "looks" / f"{'a' * 32}.jsonl"
    ledger.write_text(LINES[name] + "\n", errors="surrogateescape")
    outcome = victim(code=LOOKS, folder=store.root.parent)
    outcome.assert_harmless()
    assert outcome.output.splitlines()[-1] == "()"


@pytest.mark.parametrize("part", ["records", "weights", "looks", "data", "populations"])
def test_nothing_is_written_through_a_store_whose_folders_lead_elsewhere(
    victim: Attack, tmp_path: Path, part: str
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store" / part).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "study.toml").write_text(STUDY)
    arguments = ["run", "study.toml", "--store", "store", "--out", "out", "--workers", "0"]
    outcome = victim(*arguments, folder=tmp_path)
    assert not list((tmp_path / "elsewhere").iterdir())
    outcome.assert_refused(tmp_path / "store", tmp_path / "out", words="elsewhere")


@pytest.mark.parametrize("name", ["ceteris.log"])
def test_a_result_is_not_written_through_a_link(victim: Attack, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "precious").write_text("precious\n")
    (tmp_path / "out" / name).symlink_to(tmp_path / "precious")
    (tmp_path / "study.toml").write_text(STUDY)
    outcome = victim("run", "study.toml", "--store", "store", "--out", "out", "--workers", "0", folder=tmp_path)
    assert (tmp_path / "precious").read_text() == "precious\n"
    outcome.assert_refused(tmp_path / "store", tmp_path / "out", words=name)


def test_a_log_that_is_a_pipe_does_not_hang(victim: Attack, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / "ceteris.log")
    (tmp_path / "study.toml").write_text(STUDY)
    outcome = victim("run", "study.toml", "--store", "store", "--out", "out", "--workers", "0", folder=tmp_path)
    outcome.assert_refused(tmp_path / "store", tmp_path / "out", words="ceteris.log")
