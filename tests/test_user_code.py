"""Code that a study names by import path: nothing of it runs unasked, and its digest follows every change of it."""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ceteris
from ceteris.cli.app import run_command
from ceteris.errors import ConfigError
from ceteris.user_code import ALL_IMPORTS, NO_IMPORTS, ImportPolicy, local_sources

STUDY = """
name = "received"
data = "digits"
exploration = { folds = 2, images = 40 }
final = { epochs = 1 }
[models.theirs]
model = { kind = "custom", path = "received_package.inner:Net" }
epochs = 1
"""
NET = """
import torch
class Net(torch.nn.Linear):
    def __init__(self, input_shape, classes):
        super().__init__(input_shape[1] * input_shape[2], classes)
    def forward(self, images):
        return super().forward(images.flatten(1))
"""


class Mine(torch.nn.Module):
    """A user's own class, beside what a study file names."""

    def __init__(self, input_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.answers = torch.nn.Linear(input_shape[1] * input_shape[2], classes)

    def forward(self, images: torch.Tensor) -> Any:
        return self.answers(images.flatten(1))


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write Python files by their paths without the ending."""
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path of imports, whose modules are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def received(folder: Path) -> Path:
    """A received study beside a package whose import leaves a trace; returns where the trace would be."""
    trace = folder / "it-ran"
    (folder / "received_package").mkdir()
    (folder / "received_package" / "__init__.py").write_text(f"open({str(trace)!r}, 'w').close()\n", encoding="utf-8")
    (folder / "received_package" / "inner.py").write_text(NET, encoding="utf-8")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return trace


# ---------------------------------------------------------------------------------------------------------------------
# What may be imported


@pytest.mark.parametrize("asked", ["run", "plan", "summary"])
def test_no_package_of_a_received_study_is_imported_unasked(
    asked: str, received: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [asked, str(folder / "study.toml"), "--store", str(folder / "store")]
    assert run_command([*arguments, *(["--workers", "0"] if asked != "summary" else [])]) == 1
    assert "--allow-imports" in capsys.readouterr().err
    assert not received.exists()


def test_the_digest_of_code_is_not_looked_for_before_its_path_is_allowed(received: Path) -> None:
    path = "received_package.inner:Net"
    for policy in (NO_IMPORTS, ImportPolicy(paths=frozenset({"my_own:Net"}))):
        with pytest.raises(ConfigError, match=r'^model: "received_package.inner:Net" .*--allow-imports'):
            policy.digest({"model": path})
    assert not received.exists()
    assert ImportPolicy(paths=frozenset({path})).digest({"model": path}) == ALL_IMPORTS.digest({"model": path}) != ""
    assert received.exists()  # allowed: the packages around a module are imported to find it


def test_allowing_a_class_of_one_s_own_does_not_allow_what_the_study_file_names(received: Path, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"received_package.*--allow-imports"):
        ceteris.run(folder / "study.toml", models={"mine": Mine}, out=folder / "out", workers=0, formats=())
    assert not received.exists()


def test_a_wish_for_workers_is_refused_rather_than_passed_over_where_they_cannot_import_a_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_here = type("Here", (Mine,), {"__module__": "__main__", "__qualname__": "Here"})
    monkeypatch.setattr(sys.modules["__main__"], "Here", class_here, raising=False)
    arrays = (np.zeros((40, 4, 4), np.uint8), np.arange(40) % 2)
    study = {"name": "own", "data": "own", "models": {"mlp": {"model": "mlp"}}}
    with pytest.raises(ConfigError, match=r'^workers: "here" is defined in the notebook or script.*received 2'):
        ceteris.run(study, data=arrays, models={"here": class_here}, out=tmp_path / "out", workers=2)


# ---------------------------------------------------------------------------------------------------------------------
# The digest of a source


def digest(path: str) -> str:
    return ALL_IMPORTS.digest({"model": path})


def test_the_digest_of_a_file_on_its_own_is_that_of_the_file(folder: Path) -> None:
    write(folder, {"alone_in_a_file": "import math, numpy.linalg\nfrom torch import nn\nclass Net: ...\n"})
    content = (folder / "alone_in_a_file.py").read_bytes()
    assert digest("alone_in_a_file:Net") == hashlib.sha256(content).hexdigest()
    both = ALL_IMPORTS.digest({"model": "alone_in_a_file:Net", "loss": "alone_in_a_file:f"})
    assert both == hashlib.sha256(content + content).hexdigest()
    assert ALL_IMPORTS.digest({}) == ""


@pytest.mark.parametrize(
    "statement",
    [
        "import helper_beside",
        "from helper_beside import part",
        "def later():\n    from helper_beside import part",
        "from own_package.nested import thing",
        "from own_package import nested",
        "import own_package.nested as n",
        "from uses_a_helper import x",
    ],
)
def test_a_changed_module_of_the_user_s_own_changes_the_digest_of_what_imports_it(folder: Path, statement: str) -> None:
    write(
        folder,
        {
            "main_code": f"{statement}\nclass Net: ...\n",
            "helper_beside": "part = 1\n",
            "own_package/__init__": "",
            "own_package/nested": "from .deeper import thing\n",
            "own_package/deeper": "thing = 1\n",
            "uses_a_helper": "import helper_beside\nx = 1\n",
        },
    )
    before = digest("main_code:Net")
    write(folder, {"unrelated": "x = 1\n"})
    assert digest("main_code:Net") == before
    write(folder, {"helper_beside": "part = 2\n", "own_package/deeper": "thing = 2\n"})
    assert digest("main_code:Net") != before


def test_modules_of_one_package_are_followed_by_their_relative_names(folder: Path) -> None:
    write(
        folder,
        {
            "a_package/__init__": "raise SystemExit('nobody asked to run this')\n",
            "a_package/models": "from . import layers\nfrom .losses import f\nfrom ....far import away\nclass Net: ...\n",
            "a_package/layers": "from a_package import models\nwidth = 1\n",
            "a_package/losses": "f = 1\n",
        },
    )
    file = folder / "a_package" / "models.py"
    found = local_sources("a_package.models", file)
    assert set(found) == {"a_package", "a_package.layers", "a_package.losses"}
    assert found["a_package.layers"] == b"from a_package import models\nwidth = 1\n"


def test_what_was_installed_does_not_count(folder: Path) -> None:
    site = folder / "site-packages"
    write(site, {"installed": "import beside\nclass Net: ...\n", "beside": "x = 1\n"})
    assert local_sources("installed", site / "installed.py") == {}


def test_a_file_that_cannot_be_read_as_python_has_the_digest_of_its_bytes(folder: Path) -> None:
    write(folder, {"broken_code": "import helper_beside\nclass Net(:\n", "helper_beside": "x = 1\n"})
    content = (folder / "broken_code.py").read_bytes()
    assert digest("broken_code:Net") == hashlib.sha256(content).hexdigest()
