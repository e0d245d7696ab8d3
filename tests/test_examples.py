"""Every example runs as a user would run it: as a program of its own, in an empty folder."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from ceteris.study import study_from_tree

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_example(name: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, folder / "out"], capture_output=True, text=True, cwd=folder, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_run_and_listed() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    assert programs == set(EXPECTED)
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [
        path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".toml"} and path.name not in listed
    ] == []


EXPECTED = {
    "own_model.py": "two-paths",
    "own_loss.py": "focal",
    "numpy_mlp.py": "by hand: 9",
    "own_images.py": "circle, cross, square",
    "reading_results.py": "predicted: 0 1 2",
}


@pytest.mark.parametrize("name", ["own_loss.py", "own_images.py"])
def test_an_example_runs_and_shows_what_it_is_about(name: str, tmp_path: Path) -> None:
    assert EXPECTED[name] in run_example(name, tmp_path)


def test_an_example_s_result_is_read_by_another(tmp_path: Path) -> None:
    for name in ("own_model.py", "reading_results.py"):  # which runs a study of its own only where there is no result
        assert EXPECTED[name] in run_example(name, tmp_path)


def test_the_study_of_the_example_that_reads_results_can_be_run() -> None:
    example = runpy.run_path(str(EXAMPLES / "reading_results.py"))
    assert [model.name for model in study_from_tree(example["STUDY"]).models] == ["mlp"]
