"""benchmarks/gpu_fleet.py: what can be said of it without a CUDA device."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fleet.networks import Load

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu_fleet.py"


@pytest.fixture(scope="module")
def gpu_fleet() -> Any:
    spec = importlib.util.spec_from_file_location("gpu_fleet", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_cuda_device_it_says_so_and_ends_with_status_1() -> None:
    ended = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "gpu_fleet: this measures CUDA graphs and needs a CUDA device, and torch sees none.\n"
    assert ended.stdout == ""


def test_its_table_has_a_line_for_every_size_and_says_what_was_not_replayed(gpu_fleet: Any) -> None:
    load = Load(batch_size=8, steps=2, epochs=2)
    lines = gpu_fleet.table(["small-cnn"], [1, 2], load, "cpu", workers=0, precision="float32").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:4]]
    assert [row[:2] for row in cells] == [["CNN 8-16-32", "1"], ["CNN 8-16-32", "2"]]
    assert all(float(cell.replace(",", "")) > 0 for row in cells for cell in row[2:])
    assert lines[-1] == "CNN 8-16-32, K = 2: graph not used: no CUDA device"


def test_the_functional_fleet_learns(gpu_fleet: Any) -> None:
    fleet = gpu_fleet.FunctionalFleet("mlp", 2, Load(batch_size=16, steps=4), "cpu")
    losses = [fleet.epoch() for _ in range(12)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] - 0.5


def test_a_memory_that_does_not_suffice_is_told_in_the_table(gpu_fleet: Any) -> None:
    def too_large() -> float:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    assert gpu_fleet.told(too_large) == "out of memory"
