"""The study.toml of a result is the study that ran, however it was put together: running it again trains nothing."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

import ceteris
from ceteris.cli.app import run_command
from ceteris.data import from_arrays
from ceteris.errors import ConfigError
from ceteris.records import IntArray
from ceteris.study import read_study, study_from_tree
from tests.api.test_running import Counting, TwoLayers, csv_files
from tests.api.tiny import TINY

pytestmark = pytest.mark.usefixtures("undrawn")


def one_model(**changes: Any) -> dict[str, Any]:
    study = copy.deepcopy(TINY)
    del study["models"]["resnet"]
    width = {"name": "width", "field": "model.hidden", "levels": [[16], [8]]}
    return study | {"name": "saved", "factors": [width], "final": {"epochs": 1, "seeds": 1}} | changes


def stripes() -> tuple[np.ndarray[Any, np.dtype[np.uint8]], IntArray]:
    random = np.random.default_rng(0)
    labels = np.arange(240) % 3
    images = random.integers(0, 60, (240, 6, 6)) + 90 * (labels == 1)[:, None, None]
    return images.astype(np.uint8), labels


def run_again(first: Path, folder: Path, **options: Any) -> None:
    """Run the saved study of a result on the same store and hold both against each other."""
    listener = Counting()
    again = ceteris.run(
        first / "study.toml",
        out=folder / "again",
        store=first.parent / "store",
        workers=0,
        formats=(),
        progress=listener,
        **options,
    )
    assert listener.trained == []
    assert listener.reused > 0
    assert csv_files(again.folder) == csv_files(first)
    assert len(again.findings.looks) == 1
    assert (again.folder / "study.toml").read_bytes() == (first / "study.toml").read_bytes()


def test_overrides_from_the_command_line_are_in_the_saved_study(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("# Why I ask this.\n" + tomli_w.dumps(one_model()))
    options = (
        "--out",
        tmp_path / "out",
        "--workers",
        0,
        "--formats",
        "html",
        "--set",
        "mlp.optimizer.lr=0.05",
        "--set",
        "seed=3",
    )
    assert run_command([str(part) for part in ("run", file, *options)]) == 0
    saved = read_study(str(tmp_path / "out" / "study.toml"))
    assert saved == read_study(str(file), ["mlp.optimizer.lr=0.05", "seed=3"])
    assert (tmp_path / "out" / "study-original.toml").read_text() == file.read_text()
    run_again(tmp_path / "out", tmp_path)


def test_settings_models_and_arrays_are_in_the_saved_study(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study-original.toml").write_text("# of an earlier study in this folder")
    ceteris.run(
        one_model(),
        settings=["mlp.batch_size=16"],
        models={"mine": TwoLayers},
        data=stripes(),
        out=tmp_path / "out",
        workers=0,
        formats=(),
    )
    saved = read_study(str(tmp_path / "out" / "study.toml"))
    assert [model.name for model in saved.models] == ["mlp", "mine"]
    assert {model.recipe.batch_size for model in saved.models} == {16}
    assert saved.factors[0].models == ("mlp",)
    assert not (tmp_path / "out" / "study-original.toml").exists()
    run_again(tmp_path / "out", tmp_path, allow_imports=True)


def test_a_study_object_and_a_data_set_are_in_the_saved_study(tmp_path: Path) -> None:
    data_set = from_arrays(*stripes(), name="stripes", cache_dir=tmp_path / "elsewhere")
    study = replace(study_from_tree(one_model()), data="stripes")
    ceteris.run(study, data=data_set, out=tmp_path / "out", workers=0, formats=())
    saved = read_study(str(tmp_path / "out" / "study.toml"))
    assert replace(saved, data=study.data) == study
    run_again(tmp_path / "out", tmp_path)


def test_settings_count_for_a_dictionary_and_for_a_study_object_too(tmp_path: Path) -> None:
    refused = "there is no such key"
    for study in (one_model(), study_from_tree(one_model())):
        with pytest.raises(ConfigError, match=refused):
            ceteris.run(study, settings=["mlp.optimizer.lrr=0.1"], out=tmp_path / "out")


def test_a_class_of_this_program_and_training_processes_do_not_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TwoLayers, "__module__", "__main__")
    monkeypatch.setattr("__main__.TwoLayers", TwoLayers, raising=False)
    with pytest.raises(ConfigError, match=r"workers: .* only 0 .* received 2"):
        ceteris.run(one_model(), models={"mine": TwoLayers}, workers=2, out=tmp_path / "out")
