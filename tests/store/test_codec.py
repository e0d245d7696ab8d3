import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from tests.example_records import assert_same, example_record, finished_record
from tests.example_searches import KINDS, Kind, search_findings
from tests.tiny_trials import tiny_trial

from ceteris.digests import canonical_json, digest_of, plain
from ceteris.errors import StoreError
from ceteris.findings import StudyFindings
from ceteris.records import FloatArray, HoldoutSplit, IntArray, finished
from ceteris.store import from_tree, read_dataclass, read_findings, write_dataclass, write_findings
from ceteris.store.codec import read_record


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """One of each thing that a record may hold."""

    numbers: FloatArray
    counts: IntArray
    pair: tuple[int, str]
    words: tuple[str, ...]
    named: dict[str, float]
    maybe: tuple[float, ...] | None


def shelf() -> Shelf:
    return Shelf(
        numbers=np.array([[0.1, math.nan], [math.inf, -0.0]]),
        counts=np.zeros((0, 3), np.int64),
        pair=(3, "drei"),
        words=("", 'é "quoted"\n', "$array"),
        named={"a.b": 0.1, "c": -1e-300},
        maybe=None,
    )


def test_all_kinds_of_values_survive_a_file(tmp_path: Path) -> None:
    write_dataclass(shelf(), tmp_path / "shelf")
    assert_same(read_dataclass(Shelf, tmp_path / "shelf"), shelf())


@given(arrays.arrays(st.sampled_from([np.float64, np.int64]), arrays.array_shapes(max_side=4)))
def test_arrays_survive_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, array: NDArray[Any]) -> None:
    path, field = tmp_path_factory.getbasetemp() / "array", "numbers" if array.dtype == np.float64 else "counts"
    changed: dict[str, Any] = {field: array}
    write_dataclass(replace(shelf(), **changed), path)
    again = getattr(read_dataclass(Shelf, path), field)
    assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_an_array_of_other_numbers_is_refused_on_reading(tmp_path: Path) -> None:
    write_dataclass(replace(shelf(), numbers=np.zeros(3, np.float32)), tmp_path / "shelf")
    with pytest.raises(StoreError, match="numbers: an array of float64 is needed"):
        read_dataclass(Shelf, tmp_path / "shelf")


def test_a_view_is_stored_as_what_it_shows(tmp_path: Path) -> None:
    view = np.arange(12.0).reshape(3, 4).T[::2]
    write_dataclass(replace(shelf(), numbers=view), tmp_path / "view")
    np.testing.assert_array_equal(read_dataclass(Shelf, tmp_path / "view").numbers, view)


@pytest.mark.parametrize("status", ["finished", "diverged", "failed"])
def test_a_record_survives_a_file_with_every_field(tmp_path: Path, status: str) -> None:
    record = example_record(status=status)
    write_dataclass(record, tmp_path / "record")
    assert_same(read_record(tmp_path / "record"), record)
    assert_same(read_record(tmp_path / "record", light=True), record.light())


@pytest.mark.parametrize("kind", KINDS)
def test_what_every_strategy_found_survives_a_file(tmp_path: Path, kind: Kind) -> None:
    made = search_findings(kind, finals=False)
    write_findings(made, tmp_path / "findings.safetensors")
    assert_same(read_findings(tmp_path), made)


def test_findings_of_another_version_are_refused_with_what_to_do(tmp_path: Path, findings: StudyFindings) -> None:
    write_findings(replace(findings, schema=1), tmp_path / "findings.safetensors")
    with pytest.raises(StoreError, match=r"another version of ceteris \(schema 1, .* Run the study again"):
        read_findings(tmp_path)


def test_findings_survive_a_file_and_are_found_in_their_folder(tmp_path: Path, findings: StudyFindings) -> None:
    write_findings(findings, tmp_path / "findings.safetensors")
    assert_same(read_findings(tmp_path), findings)
    assert_same(read_findings(tmp_path / "findings.safetensors"), findings)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        read_findings(tmp_path)


def test_every_cut_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record"
    write_dataclass(example_record(), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="damaged"):
            read_record(path)


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    write_dataclass(shelf(), tmp_path / "shelf")
    with pytest.raises(StoreError, match="not written by this version"):
        read_record(tmp_path / "shelf")


def test_a_value_outside_its_range_is_refused_on_reading(tmp_path: Path) -> None:
    path = tmp_path / "record"
    write_dataclass(example_record(), path)
    path.write_bytes(path.read_bytes().replace(rb"\"batch_size\": 8", rb"\"batch_size\": 0"))
    with pytest.raises(StoreError, match="batch_size"):
        read_record(path)


def test_arrays_have_no_place_in_plain_json() -> None:
    with pytest.raises(TypeError, match="numbers"):
        plain(shelf())


def test_a_value_that_cannot_be_stored_is_named_with_its_place() -> None:
    with pytest.raises(TypeError, match=r"^b\.1: .* set"):
        plain({"b": [1, {2}]})


def test_a_union_is_read_by_its_kind() -> None:
    trial = tiny_trial(split=HoldoutSplit(fraction=0.2, seed=1))
    assert from_tree(type(trial), json.loads(canonical_json(trial))) == trial
    with pytest.raises(ValueError, match="Input should be 'holdout'"):
        from_tree(type(trial), {**plain(trial), "split": {"kind": "other"}})


def test_plain_values_have_one_text_and_one_digest() -> None:
    assert canonical_json({"b": (1, 2.50), "a": None}) == '{"a":null,"b":[1,2.5]}'
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_a_light_record_says_what_every_image_was_taken_for_whenever_it_was_written(tmp_path: Path) -> None:
    old, new = finished_record(), finished_record().per_image()
    for record in (old, new):
        write_dataclass(record, tmp_path / "record")
        light = finished(read_record(tmp_path / "record", light=True))
        assert light.predictions is None
        assert_same(light, new.light())
