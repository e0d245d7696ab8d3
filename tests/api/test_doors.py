"""What people bring to a trained model, and where a result goes: folders, arrays, own code, occupied places."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from PIL import Image

import ceteris
from ceteris.cli.app import run_command
from ceteris.errors import ConfigError, DataError, StoreError
from ceteris.findings import StudyFindings
from tests.api.tiny import TINY

pytestmark = pytest.mark.usefixtures("undrawn")

SMALL = TINY | {"factors": [], "models": {"mlp": TINY["models"]["mlp"]}, "final": {"seeds": 1, "epochs": 1}}
OWN = """
import torch
from own_parts import flat
class Net(torch.nn.Module):
    def __init__(self, input_shape, classes):
        super().__init__()
        self.layer = torch.nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], classes)
    def forward(self, images):
        return self.layer(flat(images))
class FailsWhenMade(Net):
    def __init__(self, input_shape, classes):
        super().__init__(input_shape, classes, 3)
class FailsForward(Net):
    def forward(self, images):
        raise ValueError("boom in forward")
class TooMany(Net):
    def __init__(self, input_shape, classes):
        super().__init__(input_shape, classes + 7)
class NotANumber(Net):
    def forward(self, images):
        return super().forward(images) * float("nan")
def broken(logits, targets):
    raise RuntimeError("the loss is broken")
"""


def write_pictures(folder: Path, findings: StudyFindings, names: dict[int, str]) -> Path:
    """Write shown test images of some classes into class folders."""
    shown = findings.test_images
    for place, pixels in zip(shown.indices, shown.images, strict=True):
        label = int(findings.test_labels[place])
        if label in names:
            (folder / names[label]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[0]).save(folder / names[label] / f"{place}.png")
    return folder


@pytest.fixture
def model(finished: ceteris.Result) -> ceteris.TrainedModel:
    return ceteris.read_model(str(finished.folder / "models" / "mlp-best"))


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with own code and a study beside it, as the working folder."""
    (tmp_path / "own_net.py").write_text(OWN)
    (tmp_path / "own_parts.py").write_text("def flat(images):\n    return images.flatten(1)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("own_net", "own_parts"):
        sys.modules.pop(name, None)


# ---------------------------------------------------------------------------------------------------------------------
# Evaluation


def test_all_images_of_a_folder_without_parts_are_evaluated_by_the_names_of_classes(
    model: ceteris.TrainedModel, finished: ceteris.Result, tmp_path: Path
) -> None:
    names = {label: name.upper() for label, name in enumerate(model.card.classes)}
    folder = write_pictures(tmp_path / "new", finished.findings, names)
    count = len(list(folder.rglob("*.png")))
    found = ceteris.evaluate_model(model, str(folder), tmp_path / "store")
    shown = finished.findings.test_images
    right = model.probabilities(shown.images).argmax(1) == finished.findings.test_labels[shown.indices]
    assert found.images == count
    assert found.accuracy.estimate == pytest.approx(right.mean())
    with pytest.raises(DataError, match="has no parts"):
        ceteris.evaluate_model(model, folder, tmp_path / "store", part="test")


def test_one_class_alone_is_evaluated_and_averages_say_over_which_classes(
    model: ceteris.TrainedModel, finished: ceteris.Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = int(finished.findings.test_labels[finished.findings.test_images.indices[0]])
    folder = write_pictures(tmp_path / "new", finished.findings, {label: str(label)})
    found = ceteris.evaluate_model(model, folder, tmp_path / "store")
    assert set(found.absent) == set(model.card.classes) - {str(label)}
    assert found.recall == pytest.approx(found.accuracy.estimate)
    source = str(finished.folder / "models" / "mlp-best")
    assert run_command(["evaluate", source, "--data", str(folder), "--store", str(tmp_path / "store")]) == 0
    assert "averages over the other 1 of 10 classes" in " ".join(capsys.readouterr().out.split())


def test_a_part_is_named_and_a_test_part_alone_will_do(
    model: ceteris.TrainedModel, finished: ceteris.Result, tmp_path: Path
) -> None:
    names = dict(enumerate(model.card.classes))
    for part in ("train", "test"):
        write_pictures(tmp_path / "both" / part, finished.findings, names)
    write_pictures(tmp_path / "alone" / "test", finished.findings, names)
    count = len(list((tmp_path / "alone").rglob("*.png")))
    store = tmp_path / "store"
    counts = [
        ceteris.evaluate_model(model, tmp_path / "both", store, part=part).images for part in ("train", "all", None)
    ]
    assert counts == [count, 2 * count, count]
    assert ceteris.evaluate_model(model, tmp_path / "alone", store).images == count
    np.savez(tmp_path / "alone.npz", x_test=np.zeros((3, 8, 8), np.uint8), y_test=np.array([0, 0, 1]))
    assert ceteris.evaluate_model(model, tmp_path / "alone.npz", store).images == 3


def test_unknown_classes_are_named_before_the_images_are_looked_at(
    model: ceteris.TrainedModel, finished: ceteris.Result, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "new", finished.findings, {1: "1", 2: "wolf", 3: "fox"})
    with pytest.raises(DataError, match=r"does not know the classes 'fox' \(\d+ images\), 'wolf'"):
        ceteris.evaluate_model(model, folder, tmp_path / "store")
    assert not (tmp_path / "store" / "looks").exists()


def test_a_model_is_not_evaluated_on_its_own_training_images(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 255, (6, 6), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / label / f"{number}.png")
    study = SMALL | {"data": str(tmp_path / "set"), "exploration": {"folds": 2}}
    result = ceteris.run(study, out=tmp_path / "out", workers=0, formats=())
    model = ceteris.read_model(result.folder / "models" / "mlp-best")
    found = ceteris.evaluate_model(model, tmp_path / "set", tmp_path / "store")
    assert found.images == result.findings.data.test_count == 8
    assert "held out" in found.note


def test_weights_of_batch_normalisation_are_read_again(tmp_path: Path) -> None:
    """They count their mini-batches in a single number without axes."""
    model = {"kind": "mlp", "hidden": [4], "batch_norm": True}
    study = SMALL | {"models": {"mlp": {"model": model, "epochs": 1, "batch_size": 32}}}
    result = ceteris.run(study, out=tmp_path / "out", workers=0, formats=())
    again = ceteris.read_model(result.folder / "models" / "mlp-best")
    found = ceteris.evaluate_model(again, "digits", tmp_path / "store")
    final = next(final for final in result.findings.finals if final.digest == again.card.trial)
    assert found.accuracy.estimate == (final.probabilities.argmax(1) == result.findings.test_labels).mean()


# ---------------------------------------------------------------------------------------------------------------------
# Arrays and pictures


def test_arrays_in_every_form_mean_what_they_meant_in_training(
    model: ceteris.TrainedModel, finished: ceteris.Result, tmp_path: Path
) -> None:
    images = finished.findings.test_images.images  # (n, 1, 8, 8)
    labels = finished.findings.test_labels[finished.findings.test_images.indices]
    expected = model.probabilities(images)
    for given in (images[:, 0], images.transpose(0, 2, 3, 1), images / 255.0, list(images[:, 0])):
        np.testing.assert_allclose(model.probabilities(given), expected, atol=1e-6)
    assert model.classify(images[:2]) == [model.card.classes[place] for place in expected[:2].argmax(1)]
    accuracy = (expected.argmax(1) == labels).mean()
    one_hot = np.eye(len(model.card.classes))[labels]
    for arrays in ((images, labels), (images[:, 0] / 255.0, one_hot), ((images[:1], labels[:1]), (images, labels))):
        assert ceteris.evaluate_model(model, arrays, tmp_path).accuracy.estimate == pytest.approx(accuracy)
    with pytest.raises(DataError):
        model.probabilities(np.zeros((2, 9, 9), np.uint8))


def test_predict_takes_folders_writes_a_table_and_warns_of_other_pictures(
    model: ceteris.TrainedModel, finished: ceteris.Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = dict(enumerate(model.card.classes))
    folder = write_pictures(tmp_path / "new", finished.findings, names)
    (folder / ".hidden").mkdir()
    Image.new("L", (8, 8)).save(folder / ".hidden" / "x.png")
    count = len(list(folder.glob("[!.]*/*.png")))
    source, table = str(finished.folder / "models" / "mlp-best"), tmp_path / "answers.csv"
    capsys.readouterr()
    assert run_command(["predict", source, str(folder), "--csv", str(table)]) == 0
    assert "warning" not in capsys.readouterr().err
    lines = table.read_text().splitlines()
    assert lines[0] == "file,class,0,1,2,3,4,5,6,7,8,9"
    assert len(lines) == 1 + count
    Image.new("L", (300, 200), 255).save(tmp_path / "paper.png")
    assert run_command(["predict", source, str(tmp_path / "paper.png")]) == 0
    told = " ".join(capsys.readouterr().err.split())
    for text in ("--invert", "200 x 300", "8 x 8", "paper.png"):
        assert text in told
    warned = list[str]()
    ceteris.predict_pictures(model, str(tmp_path / "paper.png"), warn=warned.append)
    assert len(warned) == 2
    assert "invert=True" in warned[1]


# ---------------------------------------------------------------------------------------------------------------------
# Own code


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ("FailsWhenMade", "TypeError"),
        ("FailsForward", "boom in forward"),
        ("TooMany", "one number per class is needed for every image"),
        ("NotANumber", "nan"),
        ("broken", "the loss is broken"),
    ],
)
def test_own_code_that_fails_is_a_row_of_the_report(
    own: str, told: str, own_code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe: dict[str, Any] = {"model": {"kind": "custom", "path": f"own_net:{own}"}, "epochs": 1}
    if own == "broken":
        recipe = {"model": "mlp", "loss": {"kind": "custom", "path": "own_net:broken"}, "epochs": 1}
    study = SMALL | {"models": SMALL["models"] | {"mine": recipe}, "confirmation": {"seeds": 1}}
    (own_code / "study.toml").write_text(tomli_w.dumps(study))
    arguments = ["study.toml", "--allow-imports", "--workers", "0"]
    assert run_command(["run", *arguments, "--formats", "html", "--out", "out"]) == 0
    assert told in " ".join(capsys.readouterr().out.split())
    result = ceteris.open_result("out")
    assert any(row[0] == "mine" and told in str(row[-1]) for row in result.table("failures").rows)
    assert [model.name for model in result.findings.models] == ["mlp", "mine"]
    log = (own_code / "out" / "ceteris.log").read_text()
    assert told in log
    assert "Traceback" in log or own == "NotANumber"
    assert run_command(["plan", *arguments]) == 0


def test_own_code_is_handed_over_with_the_weights_and_found_again(own_code: Path) -> None:
    study = SMALL | {"models": {"mine": {"model": {"kind": "custom", "path": "own_net:Net"}, "epochs": 1}}}
    (own_code / "study").mkdir()
    for name in ("own_net.py", "own_parts.py"):  # beside the study, not here
        (own_code / name).rename(own_code / "study" / name)
    (own_code / "study" / "study.toml").write_text(tomli_w.dumps(study))
    arguments = ["--allow-imports", "--workers", "0", "--formats", "html", "--out", "out"]
    assert run_command(["run", "study/study.toml", *arguments]) == 0
    folder = own_code / "out" / "models" / "mine-best"
    assert {path.name for path in (folder / "code").iterdir()} == {"own_net.py", "own_parts.py"}
    images = np.zeros((2, 8, 8), np.uint8)
    expected = ceteris.read_model(folder, allow_imports=True).probabilities(images)
    (own_code / "study" / "own_parts.py").write_text("raise SystemExit('another module of that name')\n")
    script = (
        f"import ceteris, numpy as np\nm = ceteris.read_model({str(folder)!r}, allow_imports=True)\n"
        "print(m.probabilities(np.zeros((2, 8, 8), np.uint8)).tolist())"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd="/")
    np.testing.assert_allclose(np.array(eval(told.stdout)), expected, atol=1e-6)
    with pytest.raises(ConfigError, match="allow_imports=True"):
        ceteris.read_model(folder)


def test_a_class_of_a_script_is_saved_with_what_it_uses(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, torch, ceteris, ceteris.report.sections\nfrom torch import nn\nWIDTH = 5\n"
        "ceteris.report.sections.figures = lambda results, failed: ()  # they are not what is tested\n"
        "def flat(x):\n    return x.flatten(1)\n"
        "class Base(nn.Module):\n    def forward(self, x):\n        return self.layers(flat(x))\n"
        "class Mine(Base):\n    def __init__(self, input_shape, classes):\n        super().__init__()\n"
        "        self.layers = nn.Sequential(nn.Linear(16, WIDTH), nn.Linear(WIDTH, classes))\n"
        "x, y = np.random.default_rng(0).integers(0, 255, (60, 4, 4), np.uint8), np.arange(60) % 2\n"
        "study = {'name': 'own', 'data': 'own', 'exploration': {'folds': 2}, 'final': {'epochs': 1, 'seeds': 1},\n"
        "         'models': {'mlp': {'model': {'kind': 'mlp', 'hidden': [4]}, 'epochs': 1, 'batch_size': 8}}}\n"
        "ceteris.run(study, data=(x, y), models={'mine': Mine}, out='out', formats=())\nprint('trained')\n"
    )
    told = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert told.stdout == "trained\n"
    model = ceteris.read_model(tmp_path / "out" / "models" / "mine-best", allow_imports=True)
    assert model.probabilities(np.zeros((3, 4, 4), np.uint8)).shape == (3, 2)


# ---------------------------------------------------------------------------------------------------------------------
# Where a result goes


def test_a_place_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(StoreError, match="out"):
        ceteris.run(SMALL, out=tmp_path / "out", store=tmp_path / "store", workers=0)
    with pytest.raises(ConfigError, match="formats"):
        ceteris.run(SMALL, out=tmp_path / "fine", store=tmp_path / "store", workers=0, formats=("doc",))
    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("drawn")
def test_a_result_of_another_study_is_replaced_only_when_asked_and_then_whole(
    finished: ceteris.Result, tmp_path: Path
) -> None:
    place = {"out": tmp_path / "out", "store": finished.folder.parent / "store", "workers": 0, "formats": ("html",)}
    shutil.copytree(finished.folder, tmp_path / "out")
    (tmp_path / "out" / "models" / "notes.txt").write_text("of the user")
    other = SMALL | {"name": "other"}
    with pytest.raises(ConfigError, match=r'another study \("tiny"\).*--overwrite'):
        ceteris.run(other, **place)  # type: ignore[arg-type]
    ceteris.run(other, **place, overwrite=True)  # type: ignore[arg-type]
    ceteris.run(other, **(place | {"out": tmp_path / "fresh"}))  # type: ignore[arg-type]
    kept, fresh = (
        {path.relative_to(tmp_path / name).as_posix() for path in (tmp_path / name).rglob("*")}
        for name in ("out", "fresh")
    )
    assert kept - fresh == {"models/notes.txt"}
    assert fresh <= kept
    assert "tiny" not in (tmp_path / "out" / "ceteris.log").read_text()


def test_a_result_prints_shortly_and_its_figures_show_themselves(finished: ceteris.Result) -> None:
    assert len(repr(finished)) < 300
    assert '"tiny"' in str(finished)
    shown: Any = finished.figure("confusion-mlp")
    assert shown._repr_png_().startswith(b"\x89PNG")


# ---------------------------------------------------------------------------------------------------------------------
# Paths and study files


def test_the_data_of_a_study_lie_beside_its_file_or_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project" / "pictures").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "project" / "study.toml"
    file.write_text(tomli_w.dumps(SMALL | {"data": "pictures"}))
    monkeypatch.chdir(tmp_path)
    assert ceteris.read_study("project/study.toml").data == "project/pictures"
    assert ceteris.read_study(str(file), ["data=elsewhere"]).data == "elsewhere"
    file.write_text(tomli_w.dumps(SMALL | {"data": "elsewhere"}))
    assert ceteris.read_study(str(file)).data == "elsewhere"
    file.write_text(tomli_w.dumps(SMALL | {"data": "digits"}))
    assert ceteris.read_study(str(file)).data == "digits"
    file.write_text(tomli_w.dumps(SMALL | {"data": "nowhere"}))
    with pytest.raises(DataError, match=r"there is no .*project/nowhere"):
        ceteris.run(str(file), out=tmp_path / "out", workers=0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('data = "C:\\Users\\me\\pictures"\n', "in single quotes"),
        ('\ufeffname = "x"\n', "models: at least one is needed"),
        ('name = "x"\nreading = { size = [28] }\n[models.mlp]\nmodel = "mlp"\n', "two whole numbers, height and width"),
    ],
)
def test_slips_in_a_study_file_get_a_hint(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        ceteris.read_study(str(tmp_path / "study.toml"))
    with pytest.raises(ConfigError, match="is a folder"):
        ceteris.read_study(str(tmp_path))


def test_leaks_and_imbalance_are_told_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.random.default_rng(0).integers(0, 255, (66, 4, 4), np.uint8)
    labels = np.repeat([0, 1], [60, 6])
    np.savez(tmp_path / "set.npz", x_train=images, y_train=labels, x_test=images[-8:], y_test=labels[-8:])
    (tmp_path / "study.toml").write_text(tomli_w.dumps(SMALL | {"data": "set.npz", "exploration": {"folds": 2}}))
    place = ["--workers", "0", "--formats", "html", "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    assert run_command(["run", str(tmp_path / "study.toml"), *place]) == 0
    first = capsys.readouterr().err.partition("opening the test set")[0]
    assert "8 of 8 test images are also in the training part: the test result says nothing" in " ".join(first.split())
    assert "10 times the images of the smallest" in " ".join(first.split())


def test_a_run_leaves_unreadable_pictures_out_when_it_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.full((8, 8), 20 * number + 7 * (name == "dog"), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{number}.png")
    (tmp_path / "pictures" / "cat" / "empty.png").write_bytes(b"")
    asked = [
        "plan",
        "digits",
        "--set",
        f"data={tmp_path / 'pictures'}",
        "--store",
        str(tmp_path / "store"),
        "--workers",
        "0",
    ]
    assert run_command(asked) == 1
    assert "empty.png" in capsys.readouterr().err
    assert run_command([*asked, "--skip-unreadable"]) == 0
