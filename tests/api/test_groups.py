"""Images of one writer are never on both sides of a training, from the file to the record."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ceteris
from ceteris.data import ReadOptions, load
from ceteris.errors import DataError
from ceteris.execution.progress import Progress, Work
from ceteris.records import HoldoutSplit, IntArray, Record, finished
from ceteris.store import Store
from tests.api.tiny import TINY

pytestmark = pytest.mark.usefixtures("undrawn")

WRITERS = 12


class Keeping(Progress):
    def __init__(self) -> None:
        self.records: list[Record] = []

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        self.records.append(record)


def written_by_twelve(path: Path) -> Path:
    """A table of 6 x 6 pixels; every writer has images of all three classes."""
    random = np.random.default_rng(0)
    labels = np.arange(180) % 3
    pixels = random.integers(0, 60, (180, 36)) + 90 * (labels == 1)[:, None]
    rows = np.column_stack([labels, np.arange(180) // 3 % WRITERS, pixels])
    header = ",".join(["label", "writer", *(f"p{place}" for place in range(36))])
    np.savetxt(path, rows, fmt="%d", delimiter=",", header=header, comments="")
    return path


def study_on(table: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "writers",
        "data": str(table),
        "reading": {"group_column": "writer"},
        "exploration": {"folds": 3, "all_models": True},
        "final": {"epochs": 1, "seeds": 1},
        "models": {"mlp": TINY["models"]["mlp"]},
        "factors": [],
    } | changes


def groups_of(table: Path, store: Path) -> IntArray:
    train = load(str(table), cache_dir=store / "data", options=ReadOptions(group_column="writer")).train
    assert train.groups is not None
    return train.groups


@pytest.mark.parametrize("workers", [0, 1])
def test_no_training_of_a_study_sees_a_writer_on_both_sides(tmp_path: Path, workers: int) -> None:
    table, kept = written_by_twelve(tmp_path / "set.csv"), Keeping()
    ceteris.run(study_on(table), out=tmp_path / "out", workers=workers, formats=(), progress=kept)
    groups = groups_of(table, tmp_path / "store")
    assert {isinstance(record.trial.split, HoldoutSplit) for record in kept.records} == {True, False}
    for record in kept.records:
        kept_record = finished(Store(tmp_path / "store").find(record.digest) or record)
        assert kept_record.predictions is not None
        held = kept_record.predictions.indices
        fitted = np.setdiff1d(np.arange(len(groups)), held)
        assert len(held)
        assert not np.intersect1d(groups[held], groups[fitted]).size


def test_more_folds_than_writers_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    study = study_on(written_by_twelve(tmp_path / "set.csv"), exploration={"folds": WRITERS + 1, "all_models": True})
    with pytest.raises(DataError, match="different groups cannot be spread over 13 folds"):
        ceteris.run(study, out=tmp_path / "out", workers=0, formats=())
    assert not (tmp_path / "store" / "records").exists()
