"""How long trainings take: the model, what it learns from, and what is measured."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.example_records import finished_record
from tests.tiny_trials import CNN, MLP, RESNET, tiny_images, tiny_trial

from ceteris import recipe as r
from ceteris.data import DataSet, from_arrays
from ceteris.errors import ConfigError
from ceteris.execution.populations import DeviceTable, Place, Speed, as_population
from ceteris.planning import timing as timing_module
from ceteris.planning.timing import Timing, calibrate, images_of
from ceteris.records import Finished, HoldoutSplit, Trial
from ceteris.training.device import processor_name
from ceteris.training.trial import measure_step
from ceteris.user_code import ALL_IMPORTS, NO_IMPORTS

Recipes = Sequence[r.Recipe]


class Failing(torch.nn.Module):
    """A user's own model that raises."""

    def __init__(self, input_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("a mistake in the user's own code")


def timing() -> Timing:
    return Timing(tiny_images(), imports=NO_IMPORTS)


def data_set(folder: Path) -> DataSet:
    train = tiny_images()
    return from_arrays(train.images, train.labels, name="tiny", cache_dir=folder)


def test_more_work_takes_more_time() -> None:
    model, trial = timing(), tiny_trial()
    one = model.seconds([trial])
    assert model.seconds([tiny_trial(replace(MLP, epochs=20))]) > one > 0
    assert model.seconds([tiny_trial(replace(MLP, model=r.MLP(hidden=(512, 512))))]) > one
    assert model.seconds([tiny_trial(CNN)]) > one
    assert model.seconds([trial, trial]) == pytest.approx(2 * one)


def test_bfloat16_is_faster_where_there_are_convolutions() -> None:
    network = timing().network(RESNET)
    assert network.image_seconds("bfloat16") < network.image_seconds("float32")
    assert network.convolution_flops > 0 < network.product_flops


def test_a_model_that_cannot_be_built_is_told_but_never_stops_the_display() -> None:
    trial = tiny_trial(replace(MLP, model=r.CustomModel(path=f"{__name__}:Failing")))
    with pytest.raises(ConfigError, match="allow-imports"):
        timing().seconds([trial])
    assert timing().size(trial) == 1.0
    allowed = Timing(tiny_images(), imports=ALL_IMPORTS)  # it fails as it will in training, where a row says so
    assert allowed.seconds([trial]) > 0


def test_a_population_gains_what_the_device_table_says() -> None:
    speeds = tuple(Speed(network="narrow mlp", members=n, images_per_second=s) for n, s in ((1, 1.0), (3, 2.0)))
    table = DeviceTable(place=Place(processor="any", torch="2.13", device="cpu"), speeds=speeds)
    trials = as_population([tiny_trial(fold=fold) for fold in range(3)])
    stacked = Timing(tiny_images(), imports=NO_IMPORTS, table=table)
    assert timing().seconds(trials) > stacked.seconds(trials) > timing().seconds(trials) / 2
    assert stacked.size(trials[0]) == pytest.approx(stacked.seconds(trials) / 3)


def test_images_are_shared_as_the_split_says() -> None:
    holdout = tiny_trial(split=HoldoutSplit(fraction=0.25, seed=0))
    assert images_of(holdout, 120) == (90, 30)


# ---------------------------------------------------------------------------------------------------------------------
# What is learned


def test_a_step_that_took_longer_makes_all_of_its_kind_longer_and_others_by_their_likeness() -> None:
    model, trial = timing(), tiny_trial()
    faster = tiny_trial(replace(MLP, optimizer=replace(MLP.optimizer, lr=0.7)))
    momentum = tiny_trial(replace(MLP, optimizer=r.SGD(lr=0.1, momentum=0.9)))
    other = tiny_trial(CNN)
    before = [model.seconds([each]) for each in (trial, faster, momentum, other)]
    assert model.unknown([trial, faster, momentum]) == [trial, momentum]
    step = model.network(MLP).step_seconds(8, "float32")
    model.learn(trial, 8, 10 * step)
    assert model.unknown([trial, faster, momentum]) == [momentum]
    model.learn(momentum, 8, 30 * step)
    after = [model.seconds([each]) for each in (trial, faster, momentum, other)]
    # the same kind: 10 times; another kind of the same network, once known: 30 times; anything else: the median, 20 times
    assert after[1] - after[0] == pytest.approx(before[1] - before[0])
    assert after[2] > after[1]
    expected = 20 * timing().workload(other).evaluation_seconds
    assert model.workload(other).evaluation_seconds == pytest.approx(expected)


def test_finished_records_of_this_processor_are_learned_from() -> None:
    model, trial = timing(), tiny_trial()

    def recorded(trial: Trial, processor: str) -> Finished:
        record = finished_record(trial)
        cost = replace(record.cost, images_per_second=2.0)
        return replace(record, cost=cost, environment={"processor": processor})

    here = processor_name()
    model.learn_records([recorded(trial, "another"), recorded(tiny_trial(CNN), here)], like=[trial])
    assert model.unknown([trial]) == [trial]
    model.learn_records([recorded(trial, here)], like=[trial])
    assert model.unknown([trial]) == []
    assert model.seconds([trial]) > trial.recipe.epochs * images_of(trial, len(tiny_images()))[0] / 2


def test_the_kinds_that_take_most_of_the_time_are_measured_first() -> None:
    few, many = tiny_trial(replace(CNN, epochs=2)), [tiny_trial(seed=seed) for seed in range(1000)]
    assert timing().unknown([few, *many]) == [many[0], few]


# ---------------------------------------------------------------------------------------------------------------------
# What is measured


@pytest.mark.parametrize("recipe", [MLP, CNN, RESNET, replace(MLP, optimizer=r.SGD(lr=1e30))])
def test_steps_are_measured_also_of_a_training_that_diverges(recipe: r.Recipe) -> None:
    images, seconds = measure_step(tiny_trial(recipe), tiny_images(), seconds=0.01)
    assert 0 < images <= recipe.batch_size
    assert 0 < seconds < 1


def test_a_step_that_takes_long_is_measured_on_few_images() -> None:
    wide = replace(MLP, model=r.MLP(hidden=(2048, 2048, 2048)), batch_size=32)
    assert measure_step(tiny_trial(wide), tiny_images(), seconds=1e-6)[0] == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_every_kind_is_measured_and_told(tmp_path: Path, workers: int) -> None:
    trials, told = [tiny_trial(recipe) for recipe in (MLP, CNN, MLP)], list[str]()
    model = timing()
    place = data_set(tmp_path)
    calibrate(model, trials, place, workers=workers, imports=NO_IMPORTS, progress=told.append)
    assert model.unknown(trials) == []
    assert told == [
        "measuring how fast this machine trains",
        "measuring how fast this machine trains: 1 of 2 kinds of training",
        "measuring how fast this machine trains: 2 of 2 kinds of training",
    ]
    calibrate(model, trials, place, workers=workers, imports=NO_IMPORTS, progress=told.append)
    assert len(told) == 3


def test_what_fails_when_it_is_measured_is_left_out(tmp_path: Path) -> None:
    trial = tiny_trial(replace(MLP, model=r.CustomModel(path=f"{__name__}:Failing")))
    model = Timing(tiny_images(), imports=ALL_IMPORTS)
    calibrate(model, [trial], data_set(tmp_path), workers=0, imports=ALL_IMPORTS, progress=lambda text: None)
    assert model.unknown([trial]) == [trial]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_not_measured_in_time_is_left_to_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(timing_module, "_SECONDS_OF_MEASURING", -1.0)
    monkeypatch.setattr(timing_module, "_SECONDS_OF_STARTING", 0.0)
    model, trials = timing(), [tiny_trial(recipe) for recipe in (MLP, CNN, RESNET)]
    calibrate(model, trials, data_set(tmp_path), workers=workers, imports=NO_IMPORTS, progress=lambda text: None)
    assert len(model.unknown(trials)) == 3
    assert all(model.seconds([trial]) > 0 for trial in trials)
