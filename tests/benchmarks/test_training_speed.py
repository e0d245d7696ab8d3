"""benchmarks/training_speed.py: what is compared does the same work, every round is told, mistakes are refused."""

import ast
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import fleet
import training_speed
import typical_loop
from ceteris.data import split_indices
from ceteris.models.summary import summarise
from ceteris.training.build import build_model
from ceteris.training.device import one_thread
from fleet import measuring, networks
from fleet.products import Products

TINY = fleet.Effort(seconds=5.0, rounds=3, window=0.01)


class InThisProcess(Executor):
    """Runs what it is given at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def processes_here() -> Iterator[fleet.Processes]:
    yield fleet.Processes(cores=[InThisProcess(), InThisProcess()], whole_machine=InThisProcess())
    measuring.forget()


@pytest.fixture(scope="module")
def tiny_result() -> fleet.BenchmarkResult:
    with processes_here() as processes, pytest.MonkeyPatch.context() as patch:
        patch.setattr("fleet.preparation._LOADER_WORKERS", (0,))  # no processes in a test
        patch.setattr("fleet.preparation._LONGEST_STEP", math.inf)  # however slow the machine is
        return fleet.run_benchmark(TINY, processes, command="training_speed", networks=["mlp", "small-cnn"])


def ours(network: str) -> nn.Module:
    return build_model(
        networks.recipe_of(network, networks.Load(batch_size=1, steps=1)).model,
        input_shape=(1, 28, 28),
        classes=typical_loop.CLASSES,
        generator=torch.Generator().manual_seed(0),
    )


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_the_typical_loop_trains_the_same_network_as_ours(network: str) -> None:
    theirs, mine = (summarise(model, (1, 28, 28)) for model in (typical_loop.NETWORKS[network][0](), ours(network)))
    assert (theirs.parameters, theirs.flops) == (mine.parameters, mine.flops)
    assert networks.training_flops(network) == 3 * mine.flops


def test_the_typical_loop_learns() -> None:
    labels = np.arange(256) % 4
    images = np.zeros((256, 28, 28), np.uint8)
    images[np.arange(256), 7 * labels] = 255  # a bright row tells the class
    loop = typical_loop.TypicalLoop("mlp", images, labels, batch_size=32, workers=0)
    first = loop.epoch()
    for _ in range(4):
        last = loop.epoch()
    assert last < 0.5 * first


def test_the_typical_loop_standardises_like_the_transforms_that_it_stands_for() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    image, label = typical_loop.Characters(images, np.array([5, 6, 7]))[1]
    np.testing.assert_allclose(image.numpy(), (images[1][None] / 255 - 0.1745) / 0.3327, rtol=1e-5)
    assert label == 6


def test_the_typical_loop_can_be_read_and_run_without_ceteris() -> None:
    tree = ast.parse(Path(typical_loop.__file__).read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [part.name for part in node.names])
    }
    assert imported - set(sys.stdlib_module_names) == {"numpy", "torch"}


@given(
    seconds=st.floats(0.001, 100),
    seconds_per_image=st.floats(1e-6, 1),
    batch_size=st.sampled_from([16, 32, 64, 128]),
)
def test_a_load_takes_about_the_time_asked_for_and_fits_into_the_images(
    seconds: float, seconds_per_image: float, batch_size: int
) -> None:
    load = networks.load_of(seconds, seconds_per_image=seconds_per_image, batch_size=batch_size)
    step = seconds_per_image * batch_size
    assert abs(load.images * seconds_per_image - seconds) <= max(step, 0.5 * seconds)
    split = networks.trial_of("mlp", load, member=6).split
    fitted, held_out = split_indices(split, networks.characters().labels)
    assert len(fitted) >= load.batch_size * load.steps
    assert len(fitted) // batch_size <= math.ceil(1.05 * load.steps) + 235 // batch_size
    assert len(held_out) < len(fitted)


@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_the_limit_counts_every_product_of_the_network_once(network: str) -> None:
    model = ours(network).eval()
    with one_thread():
        products = Products(model, torch.zeros(4, 1, 28, 28), [torch.float32])
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
            products.seconds_per_image(1)
    linear = sum(isinstance(layer, nn.Linear) for layer in model.modules())
    convolutions = sum(isinstance(layer, nn.Conv2d) for layer in model.modules())
    counts = {event.key: event.count for event in profiled.key_averages()}
    # forward, gradient of the weights, gradient of the input, which the first layer of the network does not need
    assert counts["aten::mm"] == 3 * linear - (convolutions == 0)
    assert counts.get("aten::convolution", 0) == counts.get("aten::convolution_backward", 0) == convolutions


def test_every_round_of_every_measurement_is_told(tiny_result: fleet.BenchmarkResult) -> None:
    assert [network.network for network in tiny_result.networks] == ["mlp", "small-cnn"]
    for network in tiny_result.networks:
        rates = [network.typical, network.single, network.fleet, *network.stacked.values()]
        assert {len(measured) for measured in [*rates, network.overhead, network.product_seconds]} == {3}
        assert all(rate > 0 for measured in rates for rate in measured)
        assert min(network.overhead) > -1
        assert 5 in network.stacked


def test_medians_are_those_of_the_rounds() -> None:
    result = fleet.NetworkResult(
        network="mlp",
        title="MLP",
        batch_size=128,
        training_flops=3_000_000,
        loader_workers=1,
        typical=(10.0, 20.0, 40.0),
        single=(30.0, 30.0, 90.0),
        stacked={5: (60.0, 50.0, 40.0)},
        fleet=(100.0, 100.0, 100.0),
        fleet_members=5,
        overhead=(0.01, 0.03, 0.02),
        product_seconds=(0.01, 0.01, 0.01),
    )
    assert result.fleet_ratio == 5.0  # the median of 10, 5 and 2.5
    assert result.share_of_limit == pytest.approx(0.5)  # K = 5 has the best median
    told = result.medians()
    assert (told["typical"], told["stacked_5"], told["overhead"]) == (20.0, 50.0, 0.02)
    assert told["training_mflop_per_image"] == 3.0


def test_the_markdown_table_has_a_column_per_network(tiny_result: fleet.BenchmarkResult) -> None:
    lines = [line for line in fleet.markdown(tiny_result).splitlines() if line.startswith("|")]
    assert lines[0] == "|  | MLP 128-128-128 | CNN 8-16-32 |"
    assert {line.count("|") for line in lines} == {4}
    assert any(line.startswith("| fleet / typical |") for line in lines)


@pytest.mark.parametrize(("load", "warned"), [(0.1, False), (1.9, True)])
def test_a_busy_machine_is_told_beside_the_numbers(
    tiny_result: fleet.BenchmarkResult, load: float, warned: bool
) -> None:
    result = replace(tiny_result, cores=2, load_before=load)
    assert bool(fleet.warning(result)) is warned
    assert ("flatter" in fleet.markdown(result)) is warned


def test_the_command_prints_the_table_and_writes_both_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fleet, "start_processes", processes_here)
    monkeypatch.setattr(fleet, "QUICK", TINY)
    monkeypatch.setattr("fleet.preparation._LOADER_WORKERS", (0,))
    files = ("--markdown", str(tmp_path / "bench.md"), "--json", str(tmp_path / "bench.json"))
    assert training_speed.main(["--quick", "--network", "mlp", *files]) == 0
    assert "fleet / typical" in capsys.readouterr().out
    assert "`python benchmarks/training_speed.py --quick --network mlp`" in (tmp_path / "bench.md").read_text()
    tree = json.loads((tmp_path / "bench.json").read_text())
    assert tree["machine"]["torch"] == torch.__version__
    assert tree["networks"][0]["medians"]["typical"] == sorted(tree["networks"][0]["typical"])[1]


def test_an_unknown_network_is_refused_with_what_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert training_speed.main(["--network", "resnt"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert 'received "resnt"' in told
    assert 'Did you mean "resnet"' in told


def test_the_number_of_processes_is_kept_where_the_system_does_not_tell_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    with fleet.start_processes(cores=1) as processes:
        assert len(processes.cores) == 1


def test_every_core_has_a_process_with_one_thread() -> None:
    with fleet.start_processes(cores=2) as processes:
        numbers = processes.on_every_core(os.getpid)
        threads = processes.on_every_core(torch.get_num_threads)
    assert len(set(numbers)) == 2
    assert os.getpid() not in numbers
    assert threads == [1, 1]
