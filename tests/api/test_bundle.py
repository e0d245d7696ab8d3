"""What is handed in: names, contents, the code behind the report, and what is still missing."""

import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import ceteris
from ceteris.api import Missing, bundle_result
from ceteris.cli.printing import missing_lines
from ceteris.errors import ConfigError
from ceteris.findings import OwnWords
from ceteris.report.appendix import page_count, with_appendix
from ceteris.store import write_findings

CODE = "def loss(answers, labels):\n    return answers  # [not markup] #pagebreak()\n"


@pytest.fixture(scope="module")
def folder(finished: ceteris.Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny result beside files of nobody's, with a few own words and code."""
    place = tmp_path_factory.mktemp("bundle") / "tiny"
    for source in finished.folder.rglob("*"):
        if source.is_file():
            target = place / source.relative_to(finished.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    mlp, *others = finished.findings.models
    words = OwnWords(reflection="More seeds.", conclusion="It works.", contributions="All by me.")
    models = (replace(mlp, words=OwnWords(why="It is simple.")), *others)
    write_findings(
        replace(finished.findings, words=words, models=models, group="Group 07", code={"own.py": CODE}),
        place / "findings.safetensors",
    )
    (place / "report.ipynb").write_text("{}")
    (place / "models" / "private.txt").write_text("nothing of the result's")
    return place


def test_a_bundle_has_the_names_and_all_that_is_handed_in(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "plot.py").write_text("print()\n")
    (tmp_path / "extra" / "data.bin").write_bytes(b"0" * 9)
    made = bundle_result(folder, "Group_07", code=[tmp_path / "extra"], brief="A", out=tmp_path / "out")
    assert [file.name for file in made.files] == ["Group_07.ipynb", "Group_07.zip"]
    archive = zipfile.ZipFile(io.BytesIO(made.files[-1].read_bytes()))
    names = {name.removeprefix("Group_07/") for name in archive.namelist()}
    assert names >= {
        "Group_07.ipynb", "README.md", "study.toml", "log.txt", "models/mlp-best/model.safetensors",
        "models/mlp-best/README.md", "models/mlp-best/epochs.csv", "tables/test_results.csv", "code/own.py",
        "code/extra/plot.py",
    }  # fmt: skip
    assert not names & {"models/private.txt", "code/extra/data.bin"}
    readme = archive.read("Group_07/README.md").decode()
    assert "Group 07" in readme
    assert "All by me." in readme
    again = bundle_result(folder, "Group_07", code=[tmp_path / "extra"], brief="A", out=tmp_path / "again")
    assert again.files[-1].read_bytes() == made.files[-1].read_bytes()
    assert [entry for entry in made.missing if entry.what != "words"] == [Missing(what="file", name="report.pdf")]
    assert Missing(what="words", name="why", of="ResNet") in made.missing
    assert Missing(what="words", name="why", of="MLP") not in made.missing
    first, second = missing_lines(made.missing, "A")
    assert first.startswith("For brief A you still have to write: why of ResNet, why of optimizer")
    assert "report.pdf" in second


def test_the_commands_of_a_model_s_readme_run(folder: Path, tmp_path: Path) -> None:
    readme = (folder / "models/mlp-best/README.md").read_text(encoding="utf-8")
    command = next(line.split() for line in readme.splitlines() if line.strip().startswith("ceteris evaluate"))
    done = subprocess.run(
        [sys.executable, "-m", *command, "--store", tmp_path, "--json"],
        capture_output=True, text=True, cwd=folder / "models", timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"accuracy"' in done.stdout


def test_code_stands_behind_the_report_and_is_never_markup(tmp_path: Path) -> None:
    typst = pytest.importorskip("typst")
    (tmp_path / "two.typ").write_text("first\n#pagebreak()\nsecond")
    pdf = with_appendix(typst.compile(str(tmp_path / "two.typ")), {"own.py": CODE}, "A study")
    (tmp_path / "whole.pdf").write_bytes(pdf)
    (tmp_path / "report.pdf").write_bytes(pdf)
    assert page_count(tmp_path) == 3
    text = subprocess.run(
        ["pdftotext", tmp_path / "whole.pdf", "-"], capture_output=True, text=True, check=False
    ).stdout
    if text:
        assert text.count("\f") == 3
        assert text.index("first") < text.index("second") < text.index("Appendix: own.py")
        assert "#pagebreak()" in text


@pytest.mark.parametrize(
    ("name", "code", "told"), [("../up", [], "name:"), ("a b", [], "name:"), ("ok", ["nowhere.py"], "code:")]
)
def test_a_bundle_that_cannot_be_made_is_told(folder: Path, name: str, code: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        bundle_result(folder, name, code=code)
