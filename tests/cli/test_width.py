"""What commands print fits a terminal of 80 columns, also with long names."""

from pathlib import Path

import numpy as np
import pytest
import tomli_w

import ceteris
from ceteris.cli.app import run_command
from tests.api.tiny import TINY

LONG = "a-name-of-a-model-that-is-much-longer-than-usual-ones"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "80")
    names = np.array([f"class {number} of a long and winding name that nobody abbreviates" for number in range(3)])
    images = np.random.default_rng(0).integers(0, 255, (60, 6, 6), np.uint8)
    name = "a-data-set-with-a-name-that-is-longer-than-what-fits.npz"
    np.savez(tmp_path / name, images=images, labels=names[np.arange(60) % 3])
    factor = {"name": "a-factor-whose-name-is-long-since-it-says-it-all", "field": "batch_size", "levels": [8, 16]}
    recipe = TINY["models"]["mlp"] | {"title": "A model whose title is a whole sentence of its own accord"}
    data = str(next(tmp_path.glob("*.npz")))
    path = tmp_path / "study.toml"
    parts = {"data": data, "models": {LONG: recipe}, "factors": [factor], "exploration": {"folds": 2}}
    path.write_text(tomli_w.dumps(TINY | parts))
    return path


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "command",
    ["plan STUDY", "plan STUDY --budget 2h", "data describe DATA", "data list", "doctor", "studies", "run STUDY"],
)
def test_a_command_fits_80_columns(command: str, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(next(study.parent.glob("*.npz")))
    arguments = [{"STUDY": str(study), "DATA": data}.get(word, word) for word in command.split()]
    if "STUDY" in command:
        arguments += ["--workers", "0", "--store", str(study.parent / "store"), "--out", str(study.parent / "out")]
    if command.startswith("run"):
        arguments += ["--formats", "html"]
    assert run_command(arguments) == 0
    shown = capsys.readouterr().out
    paths = [line for line in shown.splitlines() if str(study.parent.parent) in line]  # whole, to be copied
    too_wide = [line for line in shown.splitlines() if len(line.rstrip()) > 80 and line not in paths]
    assert too_wide == []
    if command.startswith("plan"):
        assert LONG in "".join(shown.split())


@pytest.mark.usefixtures("undrawn")
def test_an_evaluation_fits_80_columns(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = study.parent / "out"
    ceteris.run(study, out=out, workers=0, formats=())
    data = str(next(study.parent.glob("*.npz")))
    model = str(out / "models" / f"{LONG}-best")
    assert run_command(["evaluate", model, "--data", data, "--store", str(study.parent)]) == 0
    assert max(len(line.rstrip()) for line in capsys.readouterr().out.splitlines()) <= 80
