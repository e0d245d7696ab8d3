"""Ctrl-C is answered within two seconds at every moment: real processes are interrupted while they do one thing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from tests.api.tiny import TINY

# Where others take the machine's cores, waiting for a turn comes on top.
SECONDS = 2.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def started(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command whose messages go to a file."""
    with (folder / "told").open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "ceteris", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "CETERIS_STORE": str(folder / "store")},
            # a shell that runs the tests in the background lets them ignore Ctrl-C, and they would pass that on
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def interrupted(folder: Path, process: subprocess.Popen[bytes], moment: Callable[[], bool]) -> str:
    """Interrupt a process at a moment, as a terminal does (its children too), check the answer and return what it told."""
    deadline = time.monotonic() + 120
    while process.poll() is None and not moment() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, (folder / "told").read_text()
    os.killpg(process.pid, signal.SIGINT)
    began = time.monotonic()
    status = process.wait(timeout=60)
    seconds = time.monotonic() - began
    told = (folder / "told").read_text()
    assert (status, "Traceback" in told) == (130, False), told
    assert "the same command goes on" in told
    assert seconds < SECONDS, f"{seconds:.1f} s"
    return told


def told(folder: Path, text: str) -> Callable[[], bool]:
    return lambda: text in (folder / "told").read_text()


def large_table(folder: Path) -> Path:
    """Write a table of pixels that takes some seconds to read."""
    row = b",".join([b"7"] * 784)
    table = folder / "large.csv"
    table.write_bytes(b"".join(b"%d,%s\n" % (number % 10, row) for number in range(30_000)))
    return table


def study_of(folder: Path, **changes: object) -> str:
    path = folder / "study.toml"
    path.write_text(tomli_w.dumps(TINY | changes))
    return str(path)


@pytest.mark.parametrize("command", ["run", "plan", "describe"])
def test_while_data_are_read(tmp_path: Path, command: str) -> None:
    table = str(large_table(tmp_path))
    if command == "describe":
        process = started(tmp_path, "data", "describe", table)
        interrupted(tmp_path, process, lambda: (tmp_path / "store").exists() or process.poll() is not None or later())
        return
    process = started(tmp_path, command, study_of(tmp_path, data=table), "--out", str(tmp_path / "out"))
    interrupted(tmp_path, process, told(tmp_path, "the data"))


def later(seconds: float = 2.0) -> bool:
    """Wait a little where nothing is told of the moment."""
    time.sleep(seconds)
    return True


def test_while_the_commands_are_imported(tmp_path: Path) -> None:
    process = started(tmp_path, "plan", "digits")
    interrupted(tmp_path, process, lambda: later(0.6))


def test_while_a_plan_measures(tmp_path: Path) -> None:
    process = started(tmp_path, "plan", study_of(tmp_path), "--workers", "1")
    interrupted(tmp_path, process, told(tmp_path, "measuring"))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_while_models_are_trained(tmp_path: Path, workers: str) -> None:
    study = study_of(tmp_path, exploration={"folds": 10})
    process = started(tmp_path, "run", study, "--workers", workers, "--out", str(tmp_path / "out"))
    records = tmp_path / "store" / "records"
    interrupted(tmp_path, process, lambda: any(records.glob("*/*.safetensors")))
    assert any(records.glob("*/*.safetensors"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose store the first run fills, so that the others come to their report at once."""
    return tmp_path_factory.mktemp("shared")


@pytest.mark.parametrize(
    "phase", ["explaining the best models", "writing the report", "drawing", "writing report.ipynb"]
)
def test_while_the_report_is_written(shared: Path, tmp_path: Path, phase: str) -> None:
    study = study_of(shared, factors=[], models={"mlp": TINY["models"]["mlp"]})
    process = started(shared, "run", study, "--workers", "0", "--out", str(tmp_path / "out"))
    interrupted(shared, process, told(shared, phase))
