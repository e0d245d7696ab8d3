"""The cases of other people, whole commands as their READMEs name them: ``python -m pytest tests/test_cases.py``.

They lie beside the repository (or in CETERIS_CASES) and are skipped where they are not. Each is run in a copy of its folder.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ceteris
from ceteris.cli.app import run_command
from ceteris.errors import ConfigError, DataError

CASES = Path(os.environ.get("CETERIS_CASES") or Path(__file__).resolve().parents[2] / "shared" / "cases")
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not on this machine")

RUN = ["--workers", "1", "--formats", "html", "--out", "out"]
PETS = "3 classes: bird, cat, dog"
# per case: the command, its status, and what it tells
COMMANDS: list[tuple[str, str, int, tuple[str, ...]]] = [
    ("broken-pictures", "data describe data", 1, ("7 of 60 pictures", *(f"00{n}.jpg: the file is empty" for n in range(7)))),
    ("class-number-in-message", "data describe data", 1, ("The class 'fish' has a single image",)),
    ("class-number-in-message", "run ../tiny.toml --set data=data2", 1, ("fish",)),
    ("class-without-test-images", "data describe data", 0, (PETS, "1 of 3 classes have no test image: bird")),
    ("class-without-test-images", "run ../tiny.toml --set data=data", 0, ("No image of bird", "96.67 %")),
    ("command-line-texts", "rnu", 1, ('Unknown command "rnu". Did you mean "run"?', "residual, run, studies, summary.")),
    ("command-line-texts", "run --help", 0, ("ceteris-results/<name of the study> without it",)),
    ("command-line-texts", "init --help", 0, ("<name>.toml in this folder without it",)),
    ("command-line-texts", "run .", 1, ('"." is a folder; name a study file (.toml)',)),
    ("command-line-texts", "predict nowhere .", 1, ("models/<name>-best/model.safetensors",)),
    ("csv-empty-label", "data describe p07.csv", 1, ("rows 5, 22 have no label",)),
    ("csv-index-column", "data describe t27.csv", 0, ("each colour image of 4 x 4 pixels",)),
    ("csv-label-last-no-header", "data describe t09.csv", 0, ("3 classes: 1, 3, 7", "label from column 785")),
    ("csv-paths", "data describe p03_backslash.csv", 0, (PETS,)),
    ("csv-paths", "data describe p04_noext.csv", 0, (PETS,)),
    ("csv-paths", "data describe p05_id_code.csv --label-column diagnosis", 0, ("3 classes: 0, 1, 2",)),
    ("csv-paths", "data describe p09_onehot.csv", 0, (PETS,)),
    ("csv-paths", "data describe p15_no_header.csv", 0, (PETS,)),
    ("csv-paths", "data describe p16_latin1.csv", 0, ("3 classes: bird, dog, für", "text read as cp1252")),
    ("csv-paths", "data describe p18_index.csv", 0, (PETS,)),
    ("csv-paths", "data describe competition", 0, (PETS,)),
    ("csv-semicolon", "data describe semi.csv", 0, ("3 classes: 1, 3, 7",)),
    ("csv-semicolon", "data describe tab.csv", 0, ("3 classes: 1, 3, 7",)),
    ("csv-space-in-label", "data describe p08.csv", 0, (PETS, "spaces around 12 labels left out")),
    ("gradcam-1x1", "run ../tiny.toml --set data=h06.npz", 0, ("Report: out/report.html",)),
    ("hidden-folders-inside-class", "data describe data", 0, ("60: 48 for training, 12 for the test",)),
    ("hidden-folders-inside-class", "data describe data-nas", 0, ("60: 48 for training, 12 for the test",)),
    ("images-train-val", "data describe data", 0, (PETS, "60 training images in images/train/")),
    ("images-train-val", "run ../tiny.toml --set data=data", 0, (PETS, "Results on the 24 test images")),
    ("macosx-class", "data describe data", 0, (PETS,)),
    ("masks-inside-class", "data describe data", 0, (PETS, "30: 24 for training, 6 for the test", "masks", "30 pictures")),
    ("one-class-labels-csv", "data describe data", 0, (PETS, "labels.csv")),
    ("one-class-labels-csv", "run ../tiny.toml --set data=data", 0, (PETS, "labels.csv")),
    ("one-class-labels-csv", "data describe data/labels.csv", 0, (PETS,)),
    ("one-class-nested-root", "data describe data", 0, (PETS, "animals/")),
    ("one-class-nested-root", "run ../tiny.toml --set data=data", 0, (PETS, "animals/")),
    ("one-class", "data describe data", 1, ("one class only, 'cat'",)),
    ("one-class", "run ../tiny.toml --set data=data", 1, ("one class only, 'cat'",)),
    ("own-model-raises", "run Boom.toml --allow-imports", 0, ("mine final training", "boom in forward", "MLP best")),
    ("own-model-raises", "plan Boom.toml --allow-imports", 0, ("Plan of tiny", "mine")),
    (
        "own-model-raises",
        "run Wrong10.toml --allow-imports",
        0,
        ("mine final training", "one number per class is needed for every image, 54 x 3; it returned 54 x 10", "MLP best"),
    ),
    ("relative-data", "plan proj/study.toml", 0, (PETS, "Plan of tiny")),
    ("sixteen-bits-of-small-values", "data describe p8", 0, ("0 to 255",)),
    ("sixteen-bits-of-small-values", "data describe p12", 0, ("0 to 255",)),
    ("sixteen-bits-of-small-values", "data describe pf", 0, ("0 to 255",)),
    ("sixteen-bits-of-small-values", "data describe n27_12bit.npz", 0, ("0 to 255",)),
    ("size-of-one-number", "plan ../tiny.toml --set reading.size=[28]", 1, ("reading.size: two whole numbers, height",)),
    ("size-of-one-number", "plan ../tiny.toml --set reading.size=[]", 1, ("reading.size: two whole numbers, height",)),
    ("suffixes-left-out", "data describe data", 0, ("2 classes: cat, dog", "20: 16 for training")),
    ("suffixes-left-out", "data describe jfif", 0, (PETS, "36: 30 for training")),
    ("test-folder-flat", "data describe data", 0, ("test/ has 12 pictures but no class folders",)),
    ("tiny-imagenet", "data describe data", 0, ("2 classes", "val_annotations.txt")),
    ("tiny-imagenet", "run ../tiny.toml --set data=data", 0, ("val_annotations.txt", "Results on the 10 test images")),
    ("training_set-test_set", "data describe data", 0, (PETS, "60 training images", "24 test images")),
    ("training_set-test_set", "data describe data-doubled", 0, (PETS, "60 training images", "24 test images")),
    ("training_set-test_set", "run ../tiny.toml --set data=data", 0, (PETS, "Results on the 24 test images")),
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A copy of the case that the test's parameter (or mark) names, as the working folder."""
    name = request.node.callspec.params["case"]
    for part in (name, "plain", "tiny.toml", "pred.toml"):
        copy = shutil.copytree if (CASES / part).is_dir() else shutil.copy
        copy(CASES / part, tmp_path / part)
    monkeypatch.chdir(tmp_path / name)
    monkeypatch.setenv("CETERIS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path / name
    for module in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]


def told_by(capsys: pytest.CaptureFixture[str], status: int, *arguments: str) -> str:
    """Run a command, check its status and return all that it printed, with single spaces."""
    capsys.readouterr()
    found = run_command(list(arguments))
    shown = capsys.readouterr()
    text = " ".join(f"{shown.out} {shown.err}".split())
    assert found == status, text
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize(
    ("case", "command", "status", "texts"), COMMANDS, ids=[f"{row[0]}: {row[1]}" for row in COMMANDS]
)
def test_a_command_tells_what_is_expected(
    case: str, command: str, status: int, texts: tuple[str, ...], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RUN if command.startswith("run") and command not in ("run --help", "run .") else []
    told = told_by(capsys, status, *command.split(), *run)
    assert [text for text in texts if text not in told] == [], told


@pytest.mark.parametrize("case", ["command-line-texts"])
def test_python_m_ceteris_and_offline_0(here: Path, case: str) -> None:
    def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ceteris", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80"} | environment,
        )

    assert "Controlled experiments" in process().stdout
    assert process("--version").stdout.strip() == ceteris.__version__
    plain = process("rnu", NO_COLOR="1")
    assert plain.returncode == 1
    assert "residual, run, studies, summary." in plain.stderr
    assert "\x1b" not in plain.stderr
    assert "offline" in process("data", "describe", "mnist", CETERIS_OFFLINE="1").stderr
    assert "offline" not in process("data", "describe", "mnist", CETERIS_OFFLINE="0").stderr


@pytest.mark.parametrize("case", ["macosx-class"])
def test_a_folder_of_the_system_is_no_class_and_changes_no_mean(
    case: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_by(capsys, 0, "run", "../tiny.toml", "--set", "data=data", *RUN)
    findings = ceteris.open_result("out").findings
    assert findings.data.classes == ("bird", "cat", "dog")
    rows = {row[:2]: row for row in ceteris.open_result("out").table("test_results").rows}
    assert any(abs(float(cell) - 0.915) < 0.01 for cell in rows["MLP", "best"] if isinstance(cell, float))


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ("predict-crop", ["reading.size=[28,28]", 'reading.fit="crop"']),
        ("predict-exif", []),
        ("predict-pad", ["reading.size=[28,28]"]),
        ("predict-transparency", []),
    ],
)
def test_predict_names_the_classes_that_evaluate_counts(
    case: str, settings: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The READMEs' 21 to 23 of 24 are those of one recipe; which recipe is the best one may change, the agreement may not."""
    changed = [part for setting in ["data=data", *settings] for part in ("--set", setting)]
    told_by(capsys, 0, "run", "../pred.toml", *changed, *RUN)
    answer = json.loads(told_by(capsys, 0, "evaluate", "out/models/cnn-best", "--data", "data", "--json"))
    assert answer["images"] == 24
    assert 24 * answer["accuracy"] >= 20.5
    files = sorted(str(path) for path in Path("data/test").glob("*/*"))
    rows = json.loads(told_by(capsys, 0, "predict", "out/models/cnn-best", *files, "--top", "1", "--json"))
    agreeing = sum(row["answers"][0]["class"] == Path(row["file"]).parent.name for row in rows)
    assert agreeing == round(24 * answer["accuracy"])


@pytest.mark.parametrize("case", ["class-without-test-images"])
def test_a_model_is_evaluated_where_a_class_is_absent(
    case: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_by(capsys, 0, "run", "../tiny.toml", "--set", "data=data", *RUN)
    told = told_by(capsys, 0, "evaluate", "out/models/mlp-best", "--data", "data/test")
    assert "No image of bird" in told
    assert "on 16 images" in told


@pytest.mark.parametrize("case", ["evaluate-a-fifth"])
def test_all_labelled_images_of_a_folder_are_evaluated(
    case: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_by(capsys, 0, "run", "../tiny.toml", *RUN)
    answer = json.loads(told_by(capsys, 0, "evaluate", "out/models/cnn-best", "--data", "data", "--json"))
    assert answer["images"] == 60
    assert [row["images"] for row in answer["per_class"]] == [20, 20, 20]


@pytest.mark.parametrize("case", ["own-model-predict"])
def test_an_own_model_is_found_again(case: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(CASES / "predict-exif" / "data" / "test" / "cat" / "000.jpg", "picture.jpg")
    told_by(capsys, 0, "run", "MyNet.toml", "--allow-imports", *RUN)
    model = "out/models/mine-best"
    assert "allow_imports" in told_by(capsys, 1, "predict", model, "picture.jpg")
    told_by(capsys, 0, "evaluate", model, "--data", "../plain", "--allow-imports")
    told_by(capsys, 0, "summary", model, "--allow-imports")
    Path("my_models.py").unlink()  # it was handed over with the weights
    sys.modules.pop("my_models", None)
    assert "picture.jpg" in told_by(capsys, 0, "predict", model, "picture.jpg", "--allow-imports")


@pytest.mark.parametrize("case", ["out-found-unwritable-late"])
def test_an_output_that_cannot_be_written_is_refused_before_training(
    case: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out").touch()
    told = told_by(capsys, 1, "run", "../tiny.toml", *RUN)
    assert "out" in told
    assert "cannot be written" in told
    assert not list(here.parent.glob("store/records/*"))
    assert not list(here.parent.glob("store/looks/*"))


@pytest.mark.parametrize("case", ["stale-results"])
def test_nothing_of_an_earlier_result_is_left(case: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told_by(capsys, 0, "run", "../tiny.toml", "--set", "data=breeds", *RUN)
    assert (here / "out" / "models" / "cnn-best").is_dir()
    told_by(capsys, 0, "run", "mlponly.toml", *RUN)
    told_by(capsys, 0, "run", "mlponly.toml", *RUN[:-1], "fresh")
    kept, fresh = (
        {file.relative_to(here / folder).as_posix() for file in (here / folder).rglob("*")}
        for folder in ("out", "fresh")
    )
    assert kept == fresh


@pytest.mark.parametrize("case", ["confusion-layout"])
@pytest.mark.parametrize("data", ["breeds", "ten"])
def test_figures_of_long_class_names_are_drawn(
    case: str, data: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where their texts lie is tested with the figures."""
    told_by(capsys, 0, "run", "../tiny.toml", "--set", f"data={data}", *RUN)
    assert (here / "out" / "figures" / "confusion-mlp.png").stat().st_size > 5_000


@pytest.mark.parametrize("case", ["figure-not-shown"])
def test_a_notebook_shows_a_figure_and_print_is_short(
    case: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_by(capsys, 0, "run", "../tiny.toml", *RUN)
    script = Path("nb.py").read_text(encoding="utf-8").replace("RESULT", str(here / "out"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    shown = subprocess.run(
        [sys.executable, "-c", script.replace("effects-cnn", "confusion-mlp")],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    assert "image/png" in shown.stdout
    assert len(str(ceteris.open_result("out"))) < 300


@pytest.mark.parametrize("case", ["probabilities-float01"])
def test_arrays_mean_to_a_model_what_they_meant_to_its_study(case: str, here: Path) -> None:
    arrays = np.load("n01_keras.npz")
    x, y, xt, yt = (arrays[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    ceteris.run("../tiny.toml", data=(x / 255.0, y, xt / 255.0, yt), out="out", workers=0, formats=("html",))
    model = ceteris.read_model("out/models/cnn-best")
    expected = model.probabilities(xt[:, None])
    for given in (xt, xt / 255.0, xt[:, None] / 255.0, xt[..., None]):
        np.testing.assert_allclose(model.probabilities(given), expected, atol=1e-6)
    found = ceteris.evaluate_model(model, (xt / 255.0, yt), "store")
    assert found.accuracy.estimate == (expected.argmax(1) == yt).mean()


@pytest.mark.parametrize("case", ["python-strings"])
def test_texts_are_paths_and_keras_tuples_are_read(case: str, here: Path) -> None:
    arrays = np.load("n01_keras.npz")
    x, y, xt, yt = (arrays[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    result = ceteris.run("../tiny.toml", data=((x, y), (xt, yt)), out="out", workers=0, formats=())
    assert result.findings.data.test_count == len(yt)
    assert ceteris.read_model("out/models/cnn-best").card.classes == ("0", "1", "2")
    with pytest.raises(DataError, match="image"):
        ceteris.run("../tiny.toml", data=(x[:0], y[:0]), out="none", workers=0)
    with pytest.raises(DataError, match="some/folder"):
        ceteris.run("../tiny.toml", data="some/folder", out="none", workers=0)
    with pytest.raises(ConfigError, match="received 3 parts"):
        ceteris.run("../tiny.toml", data=(x, y, xt), out="none", workers=0)


def test_every_case_is_tried() -> None:
    tried = {row[0] for row in COMMANDS}
    source = Path(__file__).read_text(encoding="utf-8")
    folders = {place.name for place in CASES.iterdir() if place.is_dir()} - {"plain"}
    assert {name for name in folders - tried if f'"{name}"' not in source} == set()
