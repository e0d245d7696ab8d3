import copy
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import make_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ceteris
from ceteris.data import ImageSet, SealedTest, load
from ceteris.errors import ConfigError, StoreError
from ceteris.execution.progress import Progress, Work
from ceteris.findings import StudyFindings
from ceteris.records import Record
from ceteris.report.search_words import failure_text
from ceteris.store import read_findings, write_findings
from tests.api.tiny import TINY

pytestmark = pytest.mark.usefixtures("undrawn")


class Counting(Progress):
    def __init__(self) -> None:
        self.trained: list[str] = []
        self.reused = 0
        self.stages: set[tuple[str, str, str]] = set()  # model, kind, name: planned
        self.unplanned: list[Work] = []

    def planned(self, stages: Sequence[Sequence[Work]]) -> None:
        self.stages = {(work.model, work.kind, work.stage) for works in stages for work in works}

    def asked(self, work: Sequence[Work]) -> None:
        self.unplanned += [one for one in work if (one.model, one.kind, one.stage) not in self.stages]

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        if reused:
            self.reused += 1
        else:
            self.trained.append(digest)


class TwoLayers(nn.Module):
    def __init__(self, *, input_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = input_shape
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * height * width, 12), nn.ReLU(), nn.Linear(12, classes)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.layers(images)
        return answers


class Breaks(TwoLayers):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("the third layer is missing")


def csv_files(folder: Path) -> dict[str, bytes]:
    files = sorted((folder / "tables").glob("*.csv"))
    return {file.name: file.read_bytes() for file in files if not file.name.startswith("costs")}


def test_a_run_leaves_report_tables_figures_findings_and_weights(finished: ceteris.Result) -> None:
    folder = finished.folder
    assert finished.report.stat().st_size > 10_000
    assert (folder / "findings.safetensors").exists()
    assert (folder / "study.toml").read_text().startswith("name = ")
    assert len(list((folder / "figures").glob("*.svg"))) == len(list((folder / "figures").glob("*.png"))) > 10
    models = {path.name for path in (folder / "models").iterdir()}
    assert models == {"mlp-baseline", "mlp-best", "resnet-baseline", "resnet-best", "resnet-plain"}
    for model in models:
        present = {path.name for path in (folder / "models" / model).iterdir()}
        assert present == {"model.safetensors", "README.md", "iterations.csv", "epochs.csv"}


def test_the_second_run_trains_nothing_and_gives_the_same_numbers(finished: ceteris.Result, tmp_path: Path) -> None:
    listener = Counting()
    again = ceteris.run(
        TINY,
        out=tmp_path / "again",
        store=finished.folder.parent / "store",
        workers=0,
        formats=("html",),
        progress=listener,
    )
    assert listener.trained == []
    assert listener.reused > 0
    assert (len(listener.stages), listener.unplanned) == (9, [])  # the display counts what it was told to expect
    assert csv_files(again.folder) == csv_files(finished.folder)


def test_the_test_set_is_looked_at_once_and_the_report_says_so(finished: ceteris.Result) -> None:
    assert len(finished.findings.looks) == 1
    assert finished.findings.looks[0].study == "tiny"
    assert len(finished.findings.looks[0].models) > 1


def test_nothing_opens_the_test_set_before_the_choices_are_made(tmp_path: Path) -> None:
    order: list[str] = []

    class Noting(Progress):
        def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
            order.append("trial")

    class Watched(SealedTest):
        __slots__ = ()

        def open(self, *, record_look: Callable[[str], None]) -> ImageSet:
            order.append("opened")
            return super().open(record_look=record_look)

    known = load("digits", cache_dir=tmp_path)
    watched = Watched(
        read=lambda: known.test.open(record_look=lambda fingerprint: None),
        class_counts=known.test.class_counts,
        image_shape=known.test.image_shape,
        classes=known.test.classes,
        fingerprint=known.test.fingerprint,
    )
    ceteris.run(
        _without_factors(),
        data=replace(known, test=watched),
        out=tmp_path / "r",
        workers=0,
        formats=(),
        progress=Noting(),
    )
    assert order.count("opened") == 1
    assert "trial" not in order[order.index("opened") :]


def test_the_best_model_is_read_again_and_answers_as_in_the_report(finished: ceteris.Result) -> None:
    model = ceteris.read_model(finished.folder / "models" / "mlp-best")
    findings = finished.findings
    final = next(final for final in findings.finals if final.digest == model.card.trial and final.version == "best")
    places = findings.test_images.indices
    np.testing.assert_allclose(
        model.probabilities(findings.test_images.images), final.probabilities[places], rtol=1e-4, atol=1e-6
    )


def test_a_model_file_without_a_recipe_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(StoreError, match=r"ceteris\.model in its header is missing"):
        ceteris.read_model(tmp_path)


def test_a_truncated_model_file_is_refused(finished: ceteris.Result, tmp_path: Path) -> None:
    whole = (finished.folder / "models" / "mlp-best" / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="damaged"):
        ceteris.read_model(tmp_path)


def test_an_own_module_takes_part_on_equal_terms(tmp_path: Path) -> None:
    result = ceteris.run(_without_factors(), models={"mine": TwoLayers}, out=tmp_path / "own", workers=0, formats=())
    mine = [final for final in result.findings.finals if final.model == "mine"]
    assert {final.version for final in mine} == {"best"}  # nothing of it is varied
    assert all(final.status == "finished" for final in mine)
    assert result.findings.models[-1].best_summary.parameters == 64 * 12 + 12 + 12 * 10 + 10


def test_the_log_says_where_in_own_code_a_training_failed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = ceteris.run(
        _without_factors(), models={"mine": Breaks}, out=tmp_path / "own", workers=1, formats=("html",)
    )
    log = (result.folder / "ceteris.log").read_text()
    assert "mine, final, best: failed: RuntimeError: the third layer is missing" in log
    assert "Traceback (most recent call last)" in log
    assert re.search(r'File ".*test_running.py", line \d+, in forward', log)
    assert not any("Traceback" in path.read_text() for path in (result.folder / "tables").iterdir())
    assert "Traceback" not in capfd.readouterr().err  # for people there is one line


def test_arrays_stand_in_for_the_study_s_data(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = (random.integers(0, 60, (120, 6, 6)) + 90 * (labels == 1)[:, None, None]).astype(np.uint8)
    study = _without_factors() | {"data": "stripes"}
    result = ceteris.run(study, data=(images, labels), out=tmp_path / "arrays", workers=0, formats=())
    assert result.findings.data.image_shape == (1, 6, 6)
    assert len(result.findings.data.classes) == 3


def test_own_code_in_a_study_needs_permission(tmp_path: Path) -> None:
    study = _without_factors()
    study["models"]["mlp"]["model"] = {"kind": "custom", "path": "tests.api.test_running:TwoLayers"}
    with pytest.raises(ConfigError, match="--allow-imports"):
        ceteris.run(study, out=tmp_path / "own", workers=0, formats=())


def test_a_diverging_model_is_a_row_and_the_study_goes_on(tmp_path: Path) -> None:
    study = copy.deepcopy(TINY)
    del study["models"]["resnet"]
    study["factors"] = [
        {"name": "optimizer", "field": "optimizer", "levels": [{"kind": "sgd", "lr": 0.1}, {"kind": "sgd", "lr": 1e30}]}
    ]
    result = ceteris.run(study, out=tmp_path / "diverging", workers=0, formats=("html",))
    level = result.findings.models[0].factors[0].levels[-1]
    assert len(level.failures) == 2
    assert "diverged" in failure_text(level.failures[0])
    assert not level.chosen
    assert len(result.table("failures").rows) >= 1
    log = (result.folder / "ceteris.log").read_text()
    assert "mlp, optimizer, sgd (lr 1e+30): diverged" in log
    assert "opening the test set" in log


def test_a_result_is_opened_again_from_its_folder(finished: ceteris.Result) -> None:
    again = ceteris.open_result(finished.folder)
    assert again.table("test_results") == finished.table("test_results")
    assert read_findings(finished.folder).name == "tiny"
    with pytest.raises(ConfigError, match='Did you mean "test_results"'):
        again.table("test_result")


def test_a_figure_is_drawn_by_name(finished: ceteris.Result) -> None:
    assert finished.figure("effects-mlp").axes


def _without_factors() -> dict[str, Any]:
    study = copy.deepcopy(TINY)
    del study["models"]["resnet"]
    return study | {"factors": [], "name": "own", "final": {"epochs": 1, "seeds": 1}}


def test_a_table_is_a_data_frame_too(finished: ceteris.Result) -> None:
    frame = finished.table("test_results").frame()
    assert list(frame["model"])[:2] == ["MLP", "MLP"]
    assert ((frame["accuracy"] >= 0) & (frame["accuracy"] <= 1)).all()


def test_a_model_that_does_not_fit_the_images_is_refused_before_training(tmp_path: Path) -> None:
    study = _without_factors()
    study["models"]["mlp"]["model"] = {"kind": "resnet", "blocks": [1] * 6, "filters": [4] * 6}
    with pytest.raises(ConfigError, match="model mlp"):
        ceteris.run(study, out=tmp_path / "own", workers=0, formats=())
    assert not (tmp_path / "store" / "records").exists()


def test_an_unknown_format_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'formats: allowed are .* received "htm"\. Did you mean "html"'):
        ceteris.run(_without_factors(), out=tmp_path / "out", workers=0, formats=("htm",))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "change", ["version", "fields", "damage", "answers"], ids=["version", "fields", "damage", "damaged answers"]
)
def test_findings_of_another_version_are_made_again(
    trained_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """What an earlier version found is no longer told, and never ends a run whose trainings are finished."""
    store = tmp_path / "store"
    shutil.copytree(trained_once, store)
    kept = next((store / "findings").iterdir())
    if change == "version":
        monkeypatch.setattr("ceteris.__version__", "99.0")
        assert read_findings(kept).title == "own"
        write_findings(replace(read_findings(kept), title="of an earlier version"), kept)
    elif change == "fields":
        wider = make_dataclass("StudyFindings", [("more", int)], bases=(StudyFindings,), frozen=True, kw_only=True)
        monkeypatch.setattr("ceteris.store.store.StudyFindings", wider)
    else:
        kept.write_bytes(b"damaged")
    if change == "answers":
        for path in (store / "tests").iterdir():
            path.write_bytes(b"damaged")
    listener = Counting()
    result = ceteris.run(
        _without_factors(), out=tmp_path / "out", store=store, workers=0, formats=(), progress=listener
    )
    assert listener.trained == []
    assert result.findings.title == "own"
    assert len(result.findings.looks) == 2  # every opening is a look, also at the same models for the same reason


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("once")
    ceteris.run(_without_factors(), out=folder / "out", workers=0, formats=())
    return folder / "store"
