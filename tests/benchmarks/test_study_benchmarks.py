"""Small runs of the benchmarks that simulate whole studies, and of the one that trains real networks."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module(request.param)


@pytest.mark.parametrize("benchmark_module", ["policies"], indirect=True)
def test_where_nothing_helps_a_study_gains_nothing_and_claims_nothing(benchmark_module: ModuleType) -> None:
    nothing = benchmark_module.SCENARIOS["nothing helps"]
    found = benchmark_module.simulate(benchmark_module.best_bet, 1, nothing, 20, np.random.default_rng(0))
    np.testing.assert_allclose(found.gain, 0, atol=1e-12)
    assert found.choices.mean() > 0.5  # the best of many equals looks better
    assert found.claimed_fresh.mean() < 0.15


@pytest.mark.parametrize("benchmark_module", ["policies"], indirect=True)
def test_the_best_bet_brings_more_than_the_first_rule(benchmark_module: ModuleType) -> None:
    poor = benchmark_module.SCENARIOS["poor baseline"]
    first, bet = (
        benchmark_module.simulate(rule, 1, poor, 20, np.random.default_rng(1)).gain.mean()
        for rule in (benchmark_module.first_version, benchmark_module.best_bet)
    )
    assert bet > 1.3 * first > 0


@pytest.mark.parametrize("benchmark_module", ["null_studies"], indirect=True)
@pytest.mark.parametrize("images", [600, 2000])
def test_the_shipped_experiment_runs_on_made_up_trainings(benchmark_module: ModuleType, images: int) -> None:
    context = benchmark_module.study_of(images)
    labels = np.arange(images) % benchmark_module.CLASSES
    results = [
        benchmark_module.World(number=number, labels=labels, context=context).run(
            benchmark_module.model_experiment(context, benchmark_module.MODEL)
        )
        for number in range(3)
    ]
    assert all(count > 20 for _, count in results)
    assert [result.confirmation.fresh for result, _ in results if result.confirmation] == [images >= 2000] * sum(
        result.confirmation is not None for result, _ in results
    )


@pytest.mark.parametrize("benchmark_module", ["real_networks"], indirect=True)
@pytest.mark.parametrize("network", ["mlp", "cnn", "resnet"])
def test_stacked_networks_learn_and_equal_arms_give_equal_answers(
    benchmark_module: ModuleType, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = benchmark_module
    monkeypatch.setitem(real.ARMS, "copy", real.Arm())
    names = ("base", "null", "copy")
    row = real.Row(network=network, data=0, images=250, repetitions=1, rate=0.05, epochs=4, arms=names)
    generator = np.random.default_rng(0)
    labels = torch.from_numpy(generator.integers(0, 2, 300))
    images = torch.from_numpy(generator.normal(size=(300, 14, 14)).astype(np.float32))
    images[:, :7] += labels[:, None, None].float()  # the upper half tells the classes apart
    study = real.Study(images=images[:250], labels=labels[:250], pool_images=images[250:], pool_labels=labels[250:])
    correct, fold, pool = real.run_study(row, study, 2, generator)
    assert correct.shape == (3, 1, 250)
    np.testing.assert_array_equal(np.bincount(fold[0]), np.full(5, 50))
    np.testing.assert_array_equal(correct[0], correct[2])
    assert pool[0] == pool[2]
    assert (correct[0] != correct[1]).any()
    assert min(correct.mean(), pool.mean()) > 0.8
