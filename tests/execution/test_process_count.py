import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch
from tests.tiny_trials import tiny_images

from ceteris.data import from_arrays
from ceteris.errors import ConfigError
from ceteris.execution import worker
from ceteris.execution.pools import process_count
from ceteris.execution.worker import WorkerConfig
from ceteris.study.trials import RunOptions
from ceteris.training.device import one_thread
from ceteris.user_code import NO_IMPORTS


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The GPUs that processes have chosen on a machine that seems to have three."""
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


@pytest.mark.usefixtures("three_gpus")
@pytest.mark.parametrize(
    ("workers", "device", "expected"),
    [(None, "cuda", 3), (None, "auto", 3), (None, "cuda:1", 1), (2, "cuda", 2), (7, "cuda:1", 7), (0, "cuda", 0)],
)
def test_there_is_one_process_per_gpu_unless_somebody_says_otherwise(
    tmp_path: Path, workers: int | None, device: str, expected: int
) -> None:
    assert process_count(workers, device) == expected
    assert RunOptions(out=tmp_path, store=tmp_path, workers=workers, device=device).processes == expected


def test_there_is_one_process_per_core_that_this_one_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(5)), raising=False)
    assert process_count(None, "cpu") == 5


@pytest.mark.parametrize("workers", [-1, 1025])
def test_an_impossible_number_of_processes_is_refused(workers: int) -> None:
    with pytest.raises(ConfigError, match=f"workers: allowed are 0 .* to 1024; received {workers}"):
        process_count(workers, "cpu")


@pytest.mark.parametrize(("device", "expected"), [("cuda", [0, 1, 2, 0]), ("cuda:1", []), ("cpu", [])])
def test_each_worker_has_a_gpu_of_its_own_as_far_as_there_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, three_gpus: list[int], device: str, expected: list[int]
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker, "put_off_compiler", lambda: None)
    images = tiny_images()
    data = from_arrays(images.images, images.labels, images.images[:6], images.labels[:6], name="t", cache_dir=tmp_path)
    config = WorkerConfig(train=data.prepared, store=tmp_path, imports=NO_IMPORTS, device=device)
    with one_thread():
        for number in range(4):
            ours, theirs = multiprocessing.Pipe()
            ours.close()
            worker.serve(theirs, config, number)
    assert three_gpus == expected
