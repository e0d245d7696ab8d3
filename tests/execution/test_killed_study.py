"""A study whose own process is killed, alone, leaves no process behind that would compete with the run that goes on."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.tiny_trials import CNN, MLP, tiny_images, tiny_trial

from ceteris.execution.populations import as_population
from ceteris.execution.worker import Task, _reporter, train_and_keep
from ceteris.records import Trial
from ceteris.store import Store
from ceteris.user_code import NO_IMPORTS

# An epoch takes the better part of a minute, so that no worker has anything to report before it should be gone.
STUDY = """
import sys
import ceteris
from tests.api.tiny import TINY

resnet = TINY["models"]["resnet"] | {"model": {"kind": "resnet", "blocks": [1], "filters": [512]}}
study = {"name": "slow", "data": "digits", "exploration": {"folds": 2}, "models": {"resnet": resnet}}
ceteris.run(study, out=sys.argv[1], workers=2, formats=())
"""


def test_workers_end_within_seconds_when_the_study_alone_is_killed(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    study = subprocess.Popen([sys.executable, "-c", STUDY, str(tmp_path / "out")], cwd=root)
    started: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 120
        while sum(map(seconds_of, started)) < 4 and study.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
            started = psutil.Process(study.pid).children(recursive=True)
        assert len([process for process in started if seconds_of(process) > 1]) >= 2
        os.kill(study.pid, signal.SIGKILL)
        study.wait()
        _, alive = psutil.wait_procs(started, timeout=5)
        assert [process.cmdline() for process in alive] == []
    finally:
        for process in [*started, study]:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                process.kill()


def seconds_of(process: psutil.Process) -> float:
    """The computing seconds of a process, 0 where it has ended."""
    try:
        return float(process.cpu_times().user)
    except psutil.NoSuchProcess:
        return 0.0


@pytest.mark.parametrize("trials", [[tiny_trial(MLP)], as_population([tiny_trial(CNN, fold=fold) for fold in (0, 1)])])
def test_a_broken_pipe_is_no_error_of_a_training_but_ends_the_process(tmp_path: Path, trials: list[Trial]) -> None:
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    task = Task(trials=tuple(trials))
    with pytest.raises(OSError, match="nobody takes the progress"):
        train_and_keep(task, tiny_images(), Store(tmp_path), on_epoch=_reporter(theirs, task), imports=NO_IMPORTS)
    assert not (tmp_path / "records").exists()
