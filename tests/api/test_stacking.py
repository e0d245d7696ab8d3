"""A whole run whose folds are trained stacked, because the device table says that it pays."""

from pathlib import Path

import pytest

from ceteris.api import run_study
from ceteris.execution.populations import DeviceTable, Place, Speed, Stacking
from ceteris.execution.progress import Work
from ceteris.records import Record
from ceteris.store import Store
from ceteris.study import study_from_tree
from ceteris.study.trials import RunOptions
from tests.api.test_running import Counting, csv_files
from tests.api.tiny import TINY

pytestmark = pytest.mark.usefixtures("undrawn")

TABLE = DeviceTable(
    place=Place(processor="any", torch="any", device="cpu"),
    speeds=(
        Speed(network="narrow mlp", members=1, images_per_second=100.0),
        Speed(network="narrow mlp", members=5, images_per_second=300.0),
    ),
)


class Noting(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.members: set[tuple[str, str, int]] = set()

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        super().finished(digest, work, record, reused=reused)
        split = record.trial.split.kind
        self.members.add((record.trial.recipe.model.kind, split, record.trial.execution.members))


def test_folds_are_stacked_where_it_pays_and_the_records_are_found_again(tmp_path: Path) -> None:
    study = study_from_tree(TINY)
    options = RunOptions(
        out=tmp_path / "out", store=tmp_path / "store", workers=0, formats=(), stacking=Stacking(table=TABLE)
    )
    first, second = Noting(), Noting()
    one = run_study(study, options, first)
    assert first.members == {
        ("mlp", "cross-validation", 2),
        ("resnet", "cross-validation", 1),
        ("mlp", "holdout", 1),
        ("resnet", "holdout", 1),
    }
    assert len(set(first.trained)) == len(first.trained)
    assert any((Store(options.store).root / "populations").iterdir())
    other = run_study(study, options, second)
    assert second.trained == []
    assert csv_files(one.folder) == csv_files(other.folder)
