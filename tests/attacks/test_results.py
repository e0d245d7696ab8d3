"""Result folders that somebody sent: findings forged, files planted, links that lead out of them."""

import csv
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ceteris.files import CACHE_VARIABLE
from ceteris.findings import StudyFindings
from ceteris.store import is_own, mark_own, write_findings
from tests.attacks.conftest import ROOT, Attack
from tests.attacks.forged import FILES, TEXTS, forge_tree, put
from tests.attacks.test_studies import ODD_FILES
from tests.example_findings import example_findings

QUICK_STUDY = """\
name = "quick"
data = "digits"
exploration = { folds = 2, images = 100 }
confirmation = { seeds = 0 }
final = { epochs = 1 }

[models.mlp]
model = { kind = "mlp", hidden = [4] }
epochs = 1
"""
KEY = "ceteris"
PLANTED_RAN = "planted-ran"  # the file that a planted module writes when it runs
DRAWING_SECONDS = 20.0  # of the processor: a whole report is drawn, as for anybody
FILE = "findings.safetensors"


@pytest.fixture(scope="module")
def small() -> StudyFindings:
    return example_findings(factors=1, seeds=1)


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


@pytest.fixture(scope="module")
def from_elsewhere(victim: Attack, small: StudyFindings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A result folder from elsewhere in which the page is a link, after its report was written; and what was told."""
    result = tmp_path_factory.mktemp("elsewhere") / "result"
    write_findings(small, result / FILE)
    (result.parent / "precious").write_text("precious")
    (result / "report.html").symlink_to(result.parent / "precious")
    outcome = report(victim, result, "html", "ipynb")
    outcome.assert_harmless(result, seconds=DRAWING_SECONDS)
    return result, outcome.output


def test_a_page_that_is_a_link_is_replaced_and_not_written_through(from_elsewhere: tuple[Path, str]) -> None:
    result, _ = from_elsewhere
    assert (result.parent / "precious").read_text() == "precious"
    assert not (result / "report.html").is_symlink()


def test_the_notebook_of_a_folder_from_elsewhere_is_not_executed_unasked(from_elsewhere: tuple[Path, str]) -> None:
    result, told = from_elsewhere
    assert "was not executed" in told
    cells = json.loads((result / "report.ipynb").read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells)


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


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does who stands in a folder."""
    return subprocess.run(
        [sys.executable, "-P", "-c", "from ceteris.cli import main; main()", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_planted_modules_do_not_run_although_the_notebook_is_executed(worded: Path) -> None:
    assert not (worded.parent / PLANTED_RAN).exists()
    cells = json.loads((worded / "report.ipynb").read_text())["cells"]
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    assert outputs
    assert all(output["output_type"] != "error" for output in outputs)


def test_planted_modules_do_not_run_where_processes_train(tmp_path: Path) -> None:
    plant(tmp_path / "sent", tmp_path / "executed")
    for name in ("selectors.py", "multiprocessing.py", "signal.py", "torch.py", "threading.py"):
        (tmp_path / "sent" / name).write_text(f"open({str(tmp_path / 'executed')!r}, 'a')\n")
    (tmp_path / "sent" / "study.toml").write_text(QUICK_STUDY)
    arguments = ["run", "study.toml", "--store", "../store", "--out", "../out", "--workers", "1", "--formats", "html"]
    done = run(*arguments, folder=tmp_path / "sent")
    assert not (tmp_path / "executed").exists()
    assert done.returncode == 0, done.stderr


def test_a_machine_knows_its_own_findings_until_somebody_changes_them(
    result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    assert not is_own(result / FILE)
    mark_own(result / FILE)
    assert is_own(result / FILE)
    assert (tmp_path / "cache" / "secret").stat().st_mode & 0o777 == 0o600
    forge_tree(result / FILE, KEY, lambda tree: put(tree, "title", "another"))
    assert not is_own(result / FILE)
    mark_own(result / FILE)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "another machine"))
    assert not is_own(result / FILE)


@pytest.mark.parametrize("make", ODD_FILES)
def test_a_forged_mark_is_none(result: Path, make: Callable[[Path], None]) -> None:
    make(result / ".written-here")
    assert not is_own(result / FILE)


# ---------------------------------------------------------------------------------------------------------------------
# Words that a page, a table, a notebook or a typesetter could take for something else

WORDS = (
    "=cmd|' /C calc'!A0", "@SUM(1+1)", "+1+1", "-2+3", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>',
    "#include \"/etc/passwd\"", "#read(\"/etc/passwd\")", "$x$", "$\\input{/etc/passwd}$", "`whoami`",
    "![x](http://127.0.0.1/x)",
    "[x](javascript:alert(1))", '"]; open("executed", "w"); table["', "'''\nopen('executed', 'w')\n'''", "{{ 7*7 }}",
    "%matplotlib",
    "!touch executed", "\x1b]0;owned\x07", "\u202egnp.exe", "a\nb", "\\write18{touch executed}", "[red]x[/red]", ":smile:",
)  # fmt: skip


@pytest.fixture(scope="module")
def worded(small: StudyFindings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder whose texts are all hostile and in which modules are planted, with its report in every format."""
    folder = tmp_path_factory.mktemp("worded")
    words = itertools.cycle(WORDS)
    data = replace(
        small.data, title=next(words), source=next(words), note=next(words), label_meaning=next(words),
        classes=tuple(f"{next(words)} {number}" for number in range(len(small.data.classes))),
        warnings=WORDS, preprocessing=WORDS,
    )  # fmt: skip
    models = tuple(
        replace(
            model, title=next(words), factors=tuple(
                replace(
                    factor, title=next(words), question=next(words),
                    levels=tuple(replace(level, label=f"{next(words)} {n}") for n, level in enumerate(factor.levels)),
                )
                for factor in model.factors
            ),
        )
        for model in small.models
    )  # fmt: skip
    looks = tuple(replace(look, study=next(words), reason=next(words)) for look in small.looks)
    hostile = replace(
        small, data=data, models=models, looks=looks, title=WORDS[4], question=" ".join(WORDS), author=WORDS[6],
        group=WORDS[9], machine=dict(zip(WORDS, WORDS, strict=True)), study_text="\n".join(WORDS),
    )  # fmt: skip
    write_findings(hostile, folder / "result" / FILE)
    plant(folder / "result", folder / PLANTED_RAN)
    done = run("report", ".", "--execute", folder=folder / "result", TMPDIR=str(folder))
    assert done.returncode == 0, done.stderr
    return folder / "result"


def test_no_hostile_text_is_executed(worded: Path) -> None:
    assert not list(worded.parent.rglob("executed"))


def test_no_cell_of_a_table_is_a_formula(worded: Path) -> None:
    cells = [
        cell
        for file in (worded / "tables").glob("*.csv")
        for row in csv.reader(file.read_text(encoding="utf-8").splitlines())
        for cell in row
    ]
    assert len(cells) > 500
    formulas = [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(cell)]
    assert not formulas
    assert any(cell.startswith("'=cmd") for cell in cells)
    assert any(cell.startswith("-0.") for cell in cells), "negative numbers stay numbers"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_the_page_forbids_what_it_does_not_use(worded: Path) -> None:
    page = (worded / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert re.findall(r"<script[^>]*>", page) == ['<script type="application/json" id="study">', "<script>"]  # its own
    [data] = re.findall(r'id="study">(.*?)</script>', page)
    assert "<" not in data  # what the script reads cannot end its element
    assert "onerror=alert" not in re.sub(r"&[a-z0-9#]+;[^<>]*", "", page.replace(data, ""))


def test_the_page_is_shown_by_a_browser_without_an_error(worded: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser on this machine")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={tmp_path}"]
    shown = subprocess.run(
        [browser, *options, "--dump-dom", (worded / "report.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in shown.stderr
    assert shown.stdout.count("<svg") > 5
    assert "<h1>" in shown.stdout


def test_cells_of_the_notebook_hold_no_words_of_others_as_code(worded: Path) -> None:
    notebook = json.loads((worded / "report.ipynb").read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) > 10
    assert not any(word in text for word in WORDS for text in code)
    assert not any("![x](" in text or "<script" in text or "<img" in text for text in sources)


def test_the_paper_is_typeset_although_names_look_like_its_language(worded: Path) -> None:
    assert (worded / "report.pdf").read_bytes().startswith(b"%PDF")
