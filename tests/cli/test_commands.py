import gzip
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from PIL import Image

import ceteris
from ceteris.cli.app import run_command
from ceteris.execution.populations import Load
from ceteris.files import CACHE_VARIABLE
from ceteris.study import shipped_studies
from tests.api.tiny import TINY


def command(*arguments: object) -> int:
    return run_command([str(argument) for argument in arguments])


def study_file(folder: Path, **changes: object) -> Path:
    path = folder / "study.toml"
    path.write_text(tomli_w.dumps(TINY | changes))
    return path


def write_idx(path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def mnist_like(folder: Path) -> Path:
    random = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 20)):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", random.integers(0, 255, (count, 28, 28), np.uint8))
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", (np.arange(count) % 10).astype(np.uint8))
    return folder


def test_a_study_file_runs_and_the_report_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = study_file(tmp_path, factors=[], models={"mlp": TINY["models"]["mlp"]})
    assert command("run", path, "--out", tmp_path / "out", "--workers", 0, "--set", "final.epochs=1") == 0
    shown = capsys.readouterr().out
    assert "report.html" in shown.replace("\n", "")
    assert (tmp_path / "out" / "report.pdf").read_bytes().startswith(b"%PDF")
    assert json.loads((tmp_path / "out" / "report.ipynb").read_text())["nbformat"] == 4


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("mlp.optimizer.lrr=0.1", 'Did you mean "lr"'),
        ("mlp.optimizer=adm", 'Did you mean "adam"'),
        ("mlp.model.hidden=[0]", "greater than or equal to 1"),
        ("mlp.epochs=-1", "greater than or equal to 1"),
        ("mlp.epochs=ten", "received 'ten'"),
        ("mlp.optimizer.lr=nan", "mlp"),
        ("exploration.fold=3", 'Did you mean "folds"'),
        ("sede=3", 'Did you mean "seed"'),
        ("no-equals-sign", "path=value"),
    ],
)
def test_a_typo_gets_one_message_and_a_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, told: str
) -> None:
    assert command("run", study_file(tmp_path), "--out", tmp_path / "out", "--set", setting) == 1
    shown = capsys.readouterr().err
    assert told in shown
    assert "Traceback" not in shown
    assert len(shown.splitlines()) < 12
    assert not (tmp_path / "out").exists()


def test_a_missing_study_names_the_shipped_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("plan", "digit") == 1
    shown = capsys.readouterr().err
    assert 'Did you mean "digits"' in shown
    assert "ceteris init" in shown


def test_missing_data_says_where_it_was_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = study_file(tmp_path, data=str(tmp_path / "nowhere"))
    assert command("run", study, "--out", tmp_path / "out") == 1
    assert "nowhere" in capsys.readouterr().err


def test_a_truncated_gz_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = mnist_like(tmp_path)
    images = folder / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:-2000])
    assert command("data", "describe", "mnist", "--data-dir", folder, "--store", tmp_path / "store") == 1
    shown = capsys.readouterr().err
    assert "train-images-idx3-ubyte.gz" in shown.replace("\n", "")
    assert "Traceback" not in shown


def test_a_label_outside_the_classes_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = mnist_like(tmp_path)
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.full(60, 11, np.uint8))
    assert command("data", "describe", "mnist", "--data-dir", folder, "--store", tmp_path / "store") == 1
    assert "11" in capsys.readouterr().err


def test_an_image_of_another_size_in_a_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, size in (("a", 8), ("b", 8), ("b", 9)):
        (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            Image.new("L", (size, size), number).save(tmp_path / "set" / name / f"{size}-{number}.png")
    assert command("data", "describe", tmp_path / "set", "--store", tmp_path / "store") == 1
    shown = capsys.readouterr().err.replace("\n", " ")
    assert "9" in shown
    assert ".png" in shown


def test_init_writes_a_study_that_can_be_run_and_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mine.toml"
    assert command("init", "digits", target) == 0
    assert target.read_text() == shipped_studies()["digits"]
    assert command("init", "digits", target) == 1
    assert "not overwritten" in capsys.readouterr().err


def test_plan_counts_what_is_in_the_store(
    finished: ceteris.Result, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    capsys.readouterr()
    store = finished.folder.parent / "store"
    assert command("plan", study_file(tmp_path), "--store", store, "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    # mlp: 5 values of the rate for each of 2 optimizers, 2 levels and one more, all on 2 folds; 3 recipes confirmed on 10
    # blocks, finals of 2 seeds
    assert [stage["trainings"] for stage in plan["stages"]] == [20, 4, 2, 30, 4, 20, 4, 30, 6]
    assert plan["in_store"] >= 20
    assert plan["seconds"] == pytest.approx(
        sum(plan[part] for part in ("preparing_seconds", "training_seconds", "report_seconds"))
    )
    assert plan["disk_bytes"]["total"] > 0
    compared = [stage for stage in plan["stages"] if stage["blocks"]]
    assert all(
        0 < stage["detectable_with_more"] < stage["detectable"] for stage in compared if stage["kind"] == "comparison"
    )
    assert all(stage["detectable"] > 0 for stage in compared)
    assert all((stage["expected_gain"] is not None) == (stage["kind"] == "comparison") for stage in compared)
    assert set(plan["designs"]) == {stage["model"] for stage in compared}


def test_a_plan_says_in_a_sentence_what_its_images_find(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("plan", study_file(tmp_path), "--store", tmp_path / "store", "--workers", 0) == 0
    told = " ".join(capsys.readouterr().out.split())  # lines are broken at the width of the terminal
    assert re.search(
        r"mlp: with these \d+ images this design finds a true difference of about [\d. to]+ points; ", told
    )
    assert re.search(r"; with 2 more repetitions [\d. to]+, its confirmation [\d.]+ \(assumed: 10 % errors, two", told)
    assert re.search(r"open then and matter get 2 more repetitions: up to [\d:]+ more, [\d:]+ in all", told)


def test_plan_fits_the_design_to_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = study_file(tmp_path, factors=TINY["factors"][1:], models={"mlp": TINY["models"]["mlp"]})
    place = ("--store", tmp_path / "store", "--workers", 0, "--set", "exploration.seeds=3")
    assert command("plan", study, *place, "--budget", "1s", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["fits"], plan["settings"]) == (False, ["exploration.seeds=1", "exploration.repetitions=1"])
    assert plan["fitted"]["trainings"] < plan["asked"]["trainings"]
    assert command("plan", study, *place, "--budget", "2h") == 0
    assert "the study as it is fits" in capsys.readouterr().out


@pytest.mark.parametrize("budget", ["30 parsecs", "0s", "h", "-1m", "30"])
def test_a_budget_that_is_no_time_is_told(capsys: pytest.CaptureFixture[str], budget: str) -> None:
    assert command("plan", "digits", f"--budget={budget}") == 1
    assert "as 90s, 30m, 2h or 1h30m" in capsys.readouterr().err.replace("\n", " ")


def test_a_budget_for_a_run_that_keeps_to_its_design_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", "digits", "--budget", "30m") == 1
    shown = capsys.readouterr().err.replace("\n", " ")
    assert "--until-decided" in shown
    assert "--budget 30m" in shown


def test_evaluate_reports_metrics_and_counts_every_look(
    finished: ceteris.Result, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    model = finished.folder / "models" / "mlp-best"
    store = finished.folder.parent / "store"
    answers = []
    for _ in range(2):
        assert command("evaluate", model, "--data", "digits", "--store", store, "--json") == 0
        answers.append(json.loads(capsys.readouterr().out))
    answer, findings = answers[0], finished.findings
    card = ceteris.read_model(model).card
    final = next(final for final in findings.finals if final.digest == card.trial)
    assert answer["accuracy"] == pytest.approx(float((final.probabilities.argmax(1) == findings.test_labels).mean()))
    first, second = (answer["looks"] for answer in answers)
    assert first > len(findings.looks)  # other tests may have looked before, with the same store
    assert second == first + 1
    assert np.array(answer["confusion"]).sum() == len(findings.test_labels)


def test_evaluate_refuses_data_of_another_shape(
    finished: ceteris.Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = finished.folder / "models" / "mlp-best"
    folder = mnist_like(tmp_path)
    assert command("evaluate", model, "--data", "mnist", "--data-dir", folder, "--store", tmp_path / "store") == 1
    assert "(1, 28, 28)" in capsys.readouterr().err


def test_predict_names_the_class_of_pictures(
    finished: ceteris.Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = finished.findings
    files = []
    for place, pixels in enumerate(findings.test_images.images[:3]):
        files.append(tmp_path / f"{place}.png")
        Image.fromarray(pixels[0]).save(files[-1])
    capsys.readouterr()
    model = finished.folder / "models" / "mlp-best" / "model.safetensors"
    assert command("predict", model, *files, "--top", 2, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    expected = ceteris.read_model(model).probabilities(findings.test_images.images[:3])
    for row, shares in zip(rows, expected, strict=True):
        assert len(row["answers"]) == 2
        assert row["answers"][0]["class"] == findings.data.classes[int(shares.argmax())]
        assert row["answers"][0]["probability"] == pytest.approx(float(shares.max()), abs=1e-5)


def test_predict_refuses_what_is_no_picture(
    finished: ceteris.Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no.png").write_text("no picture")
    model = finished.folder / "models" / "mlp-best"
    assert command("predict", model, tmp_path / "no.png") == 1
    assert command("predict", model, tmp_path / "missing.png") == 1
    shown = capsys.readouterr().err
    assert "no picture" in shown
    assert "missing.png" in shown.replace("\n", "")


def test_summary_lists_layers_and_parameters(finished: ceteris.Result, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert command("summary", finished.folder / "models" / "mlp-baseline") == 0
    shown = capsys.readouterr().out
    assert f"{64 * 16 + 16 + 16 * 10 + 10:,}" in shown


def test_report_is_written_again_from_the_findings(finished: ceteris.Result, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "findings.safetensors").write_bytes((finished.folder / "findings.safetensors").read_bytes())
    assert command("report", copy, "--formats", "html") == 0
    assert (copy / "report.html").stat().st_size > 10_000


def test_doctor_measures_when_asked_and_tells_the_training_speeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = Load(model={"kind": "mlp", "hidden": (4,)}, sizes=(1, 2), steps=1, batch_size=16, side=4)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr("ceteris.execution.populations.NETWORKS", {"narrow mlp": small})
    assert command("doctor") == 0
    assert "ceteris doctor --measure" in capsys.readouterr().out
    assert command("doctor", "--measure", "--json") == 0
    measured = json.loads(capsys.readouterr().out)["speeds"]
    assert [(row["network"], row["members"]) for row in measured] == [("narrow mlp", 1), ("narrow mlp", 2)]
    assert measured[0]["gain"] == 1.0
    assert command("doctor", "--json") == 0
    assert json.loads(capsys.readouterr().out)["speeds"] == measured
    assert command("doctor") == 0
    assert f"{measured[1]['images_per_second']:,}" in capsys.readouterr().out


def test_doctor_tells_versions_and_devices(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("doctor", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["facts"]["ceteris"] == ceteris.__version__
    assert "cpu" in told["facts"]["devices"]


# 89 s, passed on 2026-11-21; benchmarks/kill_and_resume.py does the same with every strategy (docs/strategies.md)
@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_tables(tmp_path: Path) -> None:
    study = study_file(tmp_path, exploration={"folds": 3})
    whole, killed = tmp_path / "a" / "out", tmp_path / "b" / "out"
    _run(study, whole).wait()
    process = _run(study, killed)
    deadline = time.monotonic() + 120
    while process.poll() is None and _records(killed) <= 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait()
    assert not (killed / "report.html").exists()
    assert _run(study, killed).wait() == 0
    tables = [
        {path.name: path.read_bytes() for path in (folder / "tables").glob("*.csv")} for folder in (whole, killed)
    ]
    names = [name for name in tables[0] if not name.startswith("costs")]
    assert len(names) > 5
    assert {name: tables[0][name] for name in names} == {name: tables[1][name] for name in names}


def _run(study: Path, out: Path) -> subprocess.Popen[bytes]:
    code = "from ceteris.cli import main; main()"
    arguments = ["run", str(study), "--out", str(out), "--workers", "1"]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # a shell that runs the tests in the background lets them ignore Ctrl-C, and they would pass that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _records(out: Path) -> int:
    return len(list((out.parent / "store" / "records").glob("*/*.safetensors")))
