"""Result folders that somebody sent: findings forged, files planted, links that lead out of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ceteris.findings import StudyFindings
from ceteris.store import write_findings
from tests.attacks.conftest import Attack
from tests.attacks.forged import FILES, TEXTS, forge_tree, put
from tests.attacks.test_studies import ODD_FILES
from tests.example_findings import example_findings

KEY = "ceteris"
FILE = "findings.safetensors"


@pytest.fixture(scope="module")
def small() -> StudyFindings:
    return example_findings(factors=2, seeds=1)


@pytest.fixture
def result(small: StudyFindings, tmp_path: Path) -> Path:
    """A result folder as somebody sends it."""
    write_findings(small, tmp_path / "result" / FILE)
    return tmp_path / "result"


def report(victim: Attack, result: Path, *formats: str) -> Any:
    options = [part for name in formats or ("html",) for part in ("--formats", name)]
    return victim("report", "result", *options, folder=result.parent)


@pytest.mark.parametrize("make", ODD_FILES)
def test_odd_files_are_no_findings(victim: Attack, result: Path, make: Callable[[Path], None]) -> None:
    (result / FILE).unlink()
    make(result / FILE)
    report(victim, result).assert_refused(words=FILE)


@pytest.mark.parametrize("name", FILES)
def test_forged_files_are_no_findings(victim: Attack, result: Path, name: str) -> None:
    FILES[name](result / FILE)
    report(victim, result).assert_refused(words=FILE)


@pytest.mark.parametrize("name", TEXTS)
def test_forged_texts_are_no_findings(victim: Attack, result: Path, name: str) -> None:
    forge_tree(result / FILE, KEY, lambda tree: TEXTS[name])
    report(victim, result).assert_refused(words=FILE)


VALUES: dict[str, tuple[str, Any]] = {
    "a model's name that is a path": ("models.0.name", "x/../../elsewhere/evil"),
    "a model's name that is an absolute path": ("models.0.name", "/tmp/evil"),
    "a model's name with a zero": ("models.0.name", "a\0b"),
    "a model's name that is a device": ("models.0.name", "NUL"),
    "a model's name that is a device with a suffix": ("models.0.name", "aux.png"),
    "a model's name that is a share": ("models.0.name", "\\\\server\\share"),
    "a model's name of dots": ("models.0.name", ".."),
    "a model's name of many letters": ("models.0.name", "x" * 5000),
    "a model's name that ends a cell": ("models.0.name", '"]; open("executed", "w"); table["'),
    "a model's name that ends an attribute": ("models.0.name", '"><script>alert(1)</script>'),
    "a model's name that is a number": ("models.0.name", 7),
    "a model's name that is nothing": ("models.0.name", ""),
    "a final model's name that is a path": ("finals.0.model", "../../elsewhere/evil"),
    "a final model that nobody knows": ("finals.0.model", "unknown"),
    "an explained model's name that is a path": ("explanations.0.model", "../../elsewhere/evil"),
    "a study's name that is a path": ("name", "../../elsewhere/evil"),
    "a version that is a path": ("finals.0.version", "../x"),
    "a status that is none": ("finals.0.status", "owned"),
    "a factor's name that is a path": ("models.0.factors.0.name", "../../x"),
    "factors that are a number": ("models.0.factors", 7),
    "a verdict that is none": ("models.0.factors.0.levels.1.comparison.verdict", "<b>"),
    "a recipe that is none": ("models.0.best.epochs", -3),
    "a recipe of another kind": ("models.0.best.model.kind", "evil"),
    "a search that is none": ("models.0.search.kind", "evil"),
    "a schema that is a list": ("schema", [1]),
    "a schema of tomorrow": ("schema", 10**6),
    "a title that is an array": ("title", {"$array": "test_labels"}),
    "labels that are a text": ("test_labels", "ab"),
    "labels that are not there": ("test_labels", {"$array": "nowhere"}),
    "labels that are images": ("test_labels", {"$array": "test_images.images"}),
    "labels that are floats": ("test_labels", {"$array": "finals.0.epochs.train_loss"}),
    "packages that are a list": ("packages", ["x"]),
    "packages of numbers": ("packages", {"a": 1}),
    "a count that is a text": ("trials_total", "many"),
    "a count that is a number of many digits": ("trials_total", "DIGITS"),
    "classes that are numbers": ("data.classes", [1, 2, 3]),
    "fewer classes than labels": ("data.classes", ["a", "b"]),
    "no classes": ("data.classes", []),
    "images of another shape": ("test_images.images", {"$array": "test_labels"}),
    "probabilities of another shape": ("finals.0.probabilities", {"$array": "models.0.factors.0.levels.0.accuracies"}),
    "a learning curve of another length": ("finals.0.epochs.train_loss", {"$array": "finals.0.iterations.loss"}),
    "embedded points of another number": ("explanations.0.embedding_labels", {"$array": "explanations.0.labels"}),
    "no models": ("models", []),
}


@pytest.mark.parametrize("name", VALUES)
def test_forged_values_are_refused(victim: Attack, result: Path, name: str) -> None:
    place, value = VALUES[name]
    (result.parent / "elsewhere").mkdir()
    forge_tree(result / FILE, KEY, lambda tree: _text(put(tree, place, value)))
    outcome = report(victim, result, "html", "pdf")
    outcome.assert_refused(words=FILE)
    assert not list((result.parent / "elsewhere").iterdir())
    assert [path.name for path in result.iterdir()] == [FILE]


def _text(tree: Any) -> str:
    return json.dumps(tree).replace('"DIGITS"', "9" * 100_000)


@pytest.mark.parametrize("name", ["figures", "tables"])
def test_a_report_is_not_written_through_a_link(victim: Attack, result: Path, name: str) -> None:
    (result.parent / "elsewhere").mkdir()
    (result / name).symlink_to(result.parent / "elsewhere")
    report(victim, result).assert_refused(result, words=name)
    assert not list((result.parent / "elsewhere").iterdir())


def test_a_page_that_is_a_link_is_replaced_and_not_written_through(victim: Attack, result: Path) -> None:
    (result.parent / "precious").write_text("precious")
    (result / "report.html").symlink_to(result.parent / "precious")
    report(victim, result).assert_harmless(result)
    assert (result.parent / "precious").read_text() == "precious"
    assert not (result / "report.html").is_symlink()


# ---------------------------------------------------------------------------------------------------------------------
# The notebook: its kernel looks for modules


PLANTED = (
    "ceteris.py",
    "matplotlib.py",
    "ipykernel_launcher.py",
    "sitecustomize.py",
    "usercustomize.py",
    "IPython.py",
    "numpy.py",
    "json.py",
    "typing.py",
    "warnings.py",
    "pathlib.py",
    "ceteris/__init__.py",
    "profile_default/startup/00.py",
    "profile_default/ipython_config.py",
    "ipython_config.py",
    "ipykernel_config.py",
    "jupyter_config.py",
    "evil_backend.py",
)


def plant(folder: Path, executed: Path) -> None:
    for name in PLANTED:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'open({str(executed)!r}, "a").write({name!r} + "\\n")\n')
    (folder / "matplotlibrc").write_text("backend: module://evil_backend\n")
    (folder / "plant.pth").write_text(f"import os; open({str(executed)!r}, 'a')\n")
    (folder / "pyvenv.cfg").write_text(f"home = {folder}\n")
