"""What a training leaves behind: its record, its weights, and a row when it goes wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.example_records import assert_same
from tests.tiny_training import losses, record_of, train
from tests.tiny_trials import CNN, MLP, RESNET, tiny_images, tiny_trial
from torch.utils._python_dispatch import TorchDispatchMode

from ceteris import recipe as r
from ceteris import training
from ceteris.analysis.metrics import log_loss
from ceteris.data import ImageSet, make_image_set, split_indices
from ceteris.errors import ConfigError
from ceteris.planning.timing import images_of
from ceteris.records import (
    CrossValidationSplit,
    EpochHistory,
    Failed,
    HoldoutSplit,
    IterationHistory,
    Record,
    ReserveSplit,
    Split,
    finished,
)
from ceteris.techniques import schedules
from ceteris.training import trial as trial_module
from ceteris.training.device import available_devices, execution_of, one_thread, peak_bytes, reset_peak, resolve_device
from ceteris.training.history import confusion_matrix, macro_f1
from ceteris.training.population import run_population
from ceteris.training.single import split_of
from ceteris.training.trial import failed_record, measure_step, run_trial, standardisation_of
from ceteris.user_code import ALL_IMPORTS

OWN = "tests.training.own_code:"
AVERAGED = replace(RESNET, averaging=r.ExponentialMovingAverage(decay=0.7), optimizer=r.SGD(lr=0.3))


def puzzle() -> ImageSet:
    """Images whose labels mean nothing: they can be learnt by heart, and the held-out accuracy goes up and down."""
    random = np.random.default_rng(3)
    images = random.integers(0, 256, (60, 1, 8, 8), dtype=np.uint8)
    return make_image_set(images, np.arange(60) % 3, ("a", "b", "c"))


def failed(record: Record) -> Failed:
    assert isinstance(record, Failed)
    return record


def epochs_of(record: Record) -> EpochHistory:
    epochs = finished(record).epochs
    assert epochs is not None
    return epochs


@pytest.mark.parametrize("recipe", [MLP, CNN, RESNET, AVERAGED], ids=["mlp", "cnn", "resnet", "averaged"])
def test_a_record_s_numbers_are_those_of_its_predictions(recipe: r.Recipe) -> None:
    record = record_of(recipe)
    answers = record.predictions
    assert answers is not None
    _, held_out = split_indices(record.trial.split, tiny_images().labels)
    np.testing.assert_array_equal(answers.indices, held_out)
    np.testing.assert_array_equal(answers.labels, tiny_images().labels[held_out])
    predicted = answers.probabilities.argmax(1)
    assert record.accuracy == (answers.labels == predicted).mean()
    assert record.f1 == pytest.approx(macro_f1(confusion_matrix(answers.labels, predicted, 3)))
    assert record.loss == pytest.approx(log_loss(answers.probabilities, answers.labels), rel=1e-4)
    assert record.train_accuracy == epochs_of(record).train_accuracy[-1]
    assert record.best_epoch == recipe.epochs


@pytest.mark.parametrize("split", [CrossValidationSplit(folds=3, index=1, seed=0), HoldoutSplit(fraction=0.25, seed=0)])
def test_no_group_is_both_fitted_on_and_held_out(split: Split) -> None:
    images = tiny_images()
    groups = np.arange(len(images)) // 3 % 12
    grouped = make_image_set(images.images, images.labels, images.classes, groups)
    trial = tiny_trial(split=split)
    answers = finished(train(trial, grouped).record).predictions
    assert answers is not None
    fitted = np.setdiff1d(np.arange(len(images)), answers.indices)
    assert len(answers.indices) >= 9
    assert not np.intersect1d(groups[answers.indices], groups[fitted]).size
    mean, _ = standardisation_of(trial, grouped)
    np.testing.assert_allclose(mean, images.images[fitted].mean((0, 2, 3)))


def test_histories_have_one_entry_per_epoch_and_per_batch() -> None:
    record = record_of(replace(MLP, epochs=3))
    assert record.iterations is not None
    assert {len(getattr(record.epochs, name)) for name in EpochHistory.__dataclass_fields__} == {3}
    assert {len(getattr(record.iterations, name)) for name in IterationHistory.__dataclass_fields__} == {3 * 4}
    epochs = epochs_of(record)
    np.testing.assert_allclose(epochs.train_loss, record.iterations.loss.reshape(3, 4).mean(1), rtol=1e-6)
    np.testing.assert_allclose(epochs.train_accuracy, record.iterations.accuracy.reshape(3, 4).mean(1), rtol=1e-6)
    assert (np.diff(epochs.seconds) > 0).all()
    assert (epochs.gradient_norm > 0).all()


def test_what_a_training_cost_is_counted() -> None:
    cost = record_of(replace(MLP, epochs=3)).cost
    assert cost is not None
    assert cost.parameters == 64 * 16 + 16 + 16 * 3 + 3
    assert cost.forward_flops_per_image >= 2 * (64 * 16 + 16 * 3)
    assert cost.training_flops == 3 * cost.forward_flops_per_image * 3 * 32
    assert cost.images_per_second == pytest.approx(3 * 32 / cost.train_seconds)
    assert cost.peak_memory_bytes > 10**7


@pytest.mark.parametrize("averaging", [r.Nothing(), r.ExponentialMovingAverage(decay=0.5)])
def test_early_stopping_goes_back_to_the_best_epoch(averaging: r.Averaging) -> None:
    recipe = replace(MLP, optimizer=r.Adam(lr=0.01), epochs=20, averaging=averaging)
    trial = tiny_trial(
        recipe, split=HoldoutSplit(fraction=0.3, seed=0), patience=3, keep_weights=True, keep_snapshots=True
    )
    result = train(trial, puzzle())
    record, epochs = finished(result.record), epochs_of(result.record)
    scores = list(zip(epochs.validation_accuracy, -epochs.validation_loss, strict=True))
    assert record.best_epoch == scores.index(max(scores)) + 1
    assert record.best_epoch < len(scores) == record.best_epoch + 3 < 20
    assert record.accuracy == epochs.validation_accuracy[record.best_epoch - 1]
    assert record.loss == epochs.validation_loss[record.best_epoch - 1]
    assert_same(dict(result.weights or {}), weights_of_epoch(dict(result.snapshots or {}), record.best_epoch))
    assert record.predictions is not None
    assert record.accuracy == (record.predictions.labels == record.predictions.probabilities.argmax(1)).mean()


def weights_of_epoch(snapshots: dict[str, object], epoch: int) -> dict[str, object]:
    prefix = f"{epoch}/"
    return {name.removeprefix(prefix): part for name, part in snapshots.items() if name.startswith(prefix)}


def test_without_patience_the_last_epoch_is_kept() -> None:
    recipe = replace(MLP, optimizer=r.Adam(lr=0.01), epochs=6)
    result = train(tiny_trial(recipe, keep_weights=True, keep_snapshots=True), puzzle())
    assert finished(result.record).best_epoch == 6
    assert_same(dict(result.weights or {}), weights_of_epoch(dict(result.snapshots or {}), 6))


def test_weights_are_given_only_where_the_trial_keeps_them() -> None:
    result = train(tiny_trial())
    assert (result.weights, result.snapshots) == (None, None)


def test_every_finished_epoch_is_told() -> None:
    told: list[int] = []
    run_trial(tiny_trial(replace(MLP, epochs=3)), tiny_images(), on_epoch=told.append)
    assert told == [1, 2, 3]


def test_a_training_ends_when_nobody_takes_its_progress() -> None:
    def gone(epoch: int) -> None:
        raise BrokenPipeError

    with pytest.raises(OSError, match="nobody takes the progress") as raised:
        run_trial(tiny_trial(), tiny_images(), on_epoch=gone)
    assert isinstance(raised.value.__cause__, BrokenPipeError)


def test_an_own_model_that_cannot_read_a_file_is_a_row_and_no_lost_progress() -> None:
    record = train(tiny_trial(replace(MLP, model=r.CustomModel(path=OWN + "Unreadable"))), imports=ALL_IMPORTS).record
    assert record.status == "failed"
    assert record.error.startswith("FileNotFoundError")


class NoFloat64(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses operations that make float64 tensors, which Apple's GPUs do not have."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        tensors = made if isinstance(made, tuple | list) else (made,)
        assert not any(isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float64 for tensor in tensors), func
        return made


@pytest.mark.parametrize("count", [1, 2])
def test_no_training_makes_numbers_that_some_devices_do_not_have(count: int) -> None:
    recipe = replace(
        CNN,
        augmentation=(r.Shift(), r.Noise(), r.AdversarialNoise()),
        penalty=r.L2(),
        clipping=r.ClipNorm(),
        averaging=r.ExponentialMovingAverage(),
        optimizer=r.Adam(),
    )
    with one_thread(), NoFloat64():  # type: ignore[no-untyped-call]
        results = run_population([tiny_trial(recipe, fold=fold) for fold in range(count)], tiny_images())
    assert [result.record.status for result in results] == ["finished"] * count


@pytest.mark.parametrize("module", ["loop", "single", "trial"])
def test_a_single_training_never_meets_the_code_of_populations(module: str) -> None:
    source = Path(training.__file__).with_name(f"{module}.py").read_text()
    assert "training.stacked" not in source
    assert "training.population" not in source


def test_steps_are_timed_without_training() -> None:
    images, seconds = measure_step(tiny_trial(), tiny_images(), seconds=0.05)
    assert images == 8
    assert 0 < seconds < 0.1


def test_a_step_is_over_when_the_device_has_done_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(trial_module, "wait_for", waited.append)
    measure_step(tiny_trial(), tiny_images(), seconds=0.01)
    assert set(waited) == {torch.device("cpu")}
    assert len(waited) >= 2


def test_fifty_images_are_learnt_by_heart() -> None:
    recipe = replace(MLP, model=r.MLP(hidden=(64,)), optimizer=r.Adam(lr=0.01), epochs=25)
    split = HoldoutSplit(fraction=1 / 6, seed=0)
    record = record_of(recipe, puzzle(), split=split)
    assert len(split_indices(split, puzzle().labels)[0]) >= 48
    assert record.train_accuracy == 1.0


@pytest.mark.parametrize("recipe", [CNN, RESNET], ids=["cnn", "resnet"])
def test_what_can_be_seen_is_learnt(recipe: r.Recipe) -> None:
    assert record_of(replace(recipe, optimizer=r.Adam(lr=0.01), epochs=12)).accuracy >= 0.9


@pytest.mark.parametrize("recipe", [MLP, CNN, RESNET], ids=["mlp", "cnn", "resnet"])
def test_a_training_that_diverges_is_a_row_that_says_so(recipe: r.Recipe) -> None:
    record = failed(train(tiny_trial(replace(recipe, optimizer=r.SGD(lr=1e30)))).record)
    assert record.status == "diverged"
    assert "epoch 1" in record.error
    assert "smaller learning rate" in record.error


def test_an_own_model_that_fails_is_a_row_with_one_line() -> None:
    recipe = replace(MLP, model=r.CustomModel(path=OWN + "Broken"))
    record = failed(train(tiny_trial(recipe), imports=ALL_IMPORTS).record)
    assert record.status == "failed"
    assert record.error.startswith("RuntimeError: cannot handle ")
    assert "\n" not in record.error


def test_a_failed_record_always_says_something() -> None:
    assert failed_record(tiny_trial(), " \n").error == "unknown error"
    assert failed_record(tiny_trial(), "x" * 1000 + "\ny").error == "x" * 300


def test_an_own_loss_trains_like_the_same_loss_of_the_house() -> None:
    own = replace(MLP, loss=r.CustomLoss(path=OWN + "written_out_cross_entropy"))
    mine, house = finished(train(tiny_trial(own), imports=ALL_IMPORTS).record), record_of(MLP)
    assert mine.iterations is not None
    assert house.iterations is not None
    np.testing.assert_allclose(mine.iterations.loss, house.iterations.loss, rtol=1e-4)


@pytest.mark.parametrize(
    "recipe",
    [
        replace(MLP, loss=r.CustomLoss(path=OWN + "written_out_cross_entropy")),
        replace(MLP, model=r.CustomModel(path=OWN + "Recording")),
    ],
    ids=["loss", "model"],
)
def test_own_code_is_not_run_unasked(recipe: r.Recipe) -> None:
    record = failed(train(tiny_trial(recipe)).record)
    assert record.status == "failed"
    assert "--allow-imports" in record.error


def test_bfloat16_trains_on_the_cpu_and_is_another_training() -> None:
    trial = tiny_trial(replace(CNN, optimizer=r.Adam(lr=0.01), epochs=12))
    half = replace(trial, execution=replace(trial.execution, precision="bfloat16"))
    record, full = finished(train(half).record), finished(train(trial).record)
    assert record.accuracy >= 0.9
    assert record.iterations is not None
    assert full.iterations is not None
    np.testing.assert_allclose(record.iterations.loss[0], full.iterations.loss[0], rtol=0.02)
    assert (record.iterations.loss != full.iterations.loss).any()
    assert record.predictions is not None
    np.testing.assert_allclose(record.predictions.probabilities.sum(1), 1, rtol=1e-5)


def test_images_are_standardised_by_those_that_are_fitted_on() -> None:
    trial, images = tiny_trial(), tiny_images()
    places, _ = split_indices(trial.split, images.labels)
    mean, deviation = standardisation_of(trial, images)
    np.testing.assert_allclose(mean, images.images[places].mean((0, 2, 3)))
    np.testing.assert_allclose(deviation, images.images[places].std((0, 2, 3)))


def test_a_device_that_is_not_there_is_refused_with_those_that_are() -> None:
    assert resolve_device("auto") in available_devices()
    assert resolve_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match=r"device: allowed on this machine are \"auto\", 'cpu'.*received \"cuda:99\""):
        resolve_device("cuda:99")


def test_precision_is_chosen_by_the_recipe_and_auto_keeps_an_mlp_exact() -> None:
    chosen = {wish: execution_of(replace(CNN, precision=wish), "cpu").precision for wish in ("float32", "bfloat16")}
    assert chosen == {"float32": "float32", "bfloat16": "bfloat16"}
    assert execution_of(replace(MLP, precision="auto"), "cpu").precision == "float32"
    assert execution_of(MLP, "cpu").threads == 1


def test_the_peak_of_memory_belongs_to_one_training() -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux tells the peak of a process that goes on")
    reset_peak("cpu")
    before = peak_bytes("cpu")
    block = bytearray(b"x" * 60_000_000)
    during = peak_bytes("cpu")
    assert during >= before + 50_000_000
    del block
    reset_peak("cpu")
    assert peak_bytes("cpu") < during - 30_000_000


def test_early_stopping_on_images_of_its_own_leaves_the_held_out_ones_to_judge() -> None:
    split = CrossValidationSplit(folds=3, index=0, seed=0, validation=0.25)
    record = finished(run_trial(tiny_trial(split=split, patience=1), tiny_images()).record)
    _, held_out = split_indices(split, tiny_images().labels)
    assert record.predictions is not None
    assert record.predicted is not None
    assert record.log_likelihood is not None
    np.testing.assert_array_equal(record.predictions.indices, held_out)
    labels = tiny_images().labels[held_out]
    assert record.accuracy == (record.predicted == labels).mean()
    assert record.loss == pytest.approx(-record.log_likelihood.astype(float).mean(), rel=1e-3)
    np.testing.assert_array_equal(record.predicted, record.predictions.probabilities.argmax(axis=1))


# ---------------------------------------------------------------------------------------------------------------------
# To the letter: all images, some of them, every one of them, and what a plateau looks at


@pytest.mark.parametrize("recipe", [MLP, CNN], ids=["mlp", "cnn"])
def test_with_nothing_held_out_all_images_are_fitted_on_for_all_epochs_and_the_last_weights_kept(
    recipe: r.Recipe,
) -> None:
    trial = tiny_trial(recipe, split=HoldoutSplit(fraction=0.0, seed=0), keep_weights=True, keep_snapshots=True)
    images = tiny_images()
    result = train(trial, images)
    record, epochs = finished(result.record), epochs_of(result.record)
    assert (record.step_count, record.best_epoch, record.epoch_count) == (2 * 48 // 8, 2, 2)
    assert np.isnan([record.accuracy, record.loss, *epochs.validation_loss, *epochs.validation_accuracy]).all()
    assert record.clean_train_accuracy is not None
    assert record.clean_train_accuracy > 0
    assert result.weights is not None
    assert result.snapshots is not None
    assert all(np.array_equal(array, result.snapshots[f"2/{name}"]) for name, array in result.weights.items())
    mean, _ = standardisation_of(trial, images)
    np.testing.assert_allclose(mean, images.images.mean(axis=(0, 2, 3)))


def test_a_sample_holds_the_shares_of_the_classes_and_is_part_of_a_larger_one() -> None:
    images, samples = tiny_images(480), []
    for count in (30, 90, 0):
        split = split_of(tiny_trial(replace(MLP, images=count)), images.labels)
        assert np.array_equal(split.held_out, split_of(tiny_trial(), images.labels).held_out)
        samples.append(split.fitted)
        assert len(set(np.bincount(images.labels[split.fitted]))) == 1 or not count
    assert [len(sample) for sample in samples] == [30, 90, 320]
    assert set(samples[0]) < set(samples[1]) < set(samples[2])


@pytest.mark.parametrize("split", [HoldoutSplit(fraction=0.25, seed=1, images=24), ReserveSplit(
    reserve=0.5, reserve_seed=0, seed=1, validation=0.25, images=16)], ids=["final", "confirmation"])  # fmt: skip
def test_final_trainings_can_be_made_small(split: Split) -> None:
    part = split_of(tiny_trial(split=split), tiny_images().labels)
    used = [*part.fitted, *(part.held_out if part.watched is None else part.watched)]
    assert len(used) == len(set(used)) == split.images


def test_the_images_at_the_end_of_an_epoch_are_left_out_or_kept() -> None:
    steps = {}
    for last in ("drop", "keep"):
        recipe = replace(MLP, batch_size=10, last_batch=last, model=r.MLP(hidden=(16,), batch_norm=True))
        record = record_of(recipe)
        assert record.iterations is not None
        steps[last] = len(record.iterations.loss) / 2
        assert np.isfinite(record.iterations.accuracy).all()
    assert steps == {"drop": 3, "keep": 4}  # 32 images in batches of 10


def test_a_population_keeps_the_last_images_as_each_of_its_members_does_alone() -> None:
    recipe = replace(MLP, batch_size=10, last_batch="keep")
    trials = [tiny_trial(recipe, fold=fold) for fold in range(3)]
    for trial, result in zip(trials, run_population(trials, tiny_images(49)), strict=True):  # folds of 32 and 33
        alone = finished(train(trial, tiny_images(49)).record)
        assert alone.iterations is not None
        together = finished(result.record).iterations
        assert together is not None
        np.testing.assert_allclose(together.loss, alone.iterations.loss, rtol=1e-4)


@pytest.mark.parametrize("watch", ["training", "validation"])
def test_a_plateau_looks_at_the_loss_that_it_is_told_to(watch: Any) -> None:
    """Labels that mean nothing are learnt by heart: the training loss falls on, the loss on other images rises at once."""
    plateau = r.ReduceOnPlateau(watch=watch, patience=0, factor=0.5, threshold=0.0, validation=0.3)
    recipe = replace(MLP, optimizer=r.Adam(lr=0.01), schedule=plateau, epochs=8)
    record = finished(train(tiny_trial(recipe), puzzle()).record)
    epochs = epochs_of(record)
    lowered = epochs.learning_rate[-1] < 0.01
    assert lowered == (watch == "validation")
    split = split_of(tiny_trial(recipe), puzzle().labels)
    assert (split.watched is None) == (watch == "training")
    assert set(split.fitted).isdisjoint(split.held_out)
    if split.watched is not None:
        assert set(split.watched).isdisjoint([*split.fitted, *split.held_out])
        assert len(split.watched) == 12  # 30 % of the 40 that are not held out
        rule: dict[str, Any] = {"factor": 0.5, "patience": 0, "threshold": 0.0, "minimum": 0.0}
        observed = epochs.validation_loss.tolist()
        rates = [0.01 * schedules.plateau_multiplier(observed[:epoch], **rule) for epoch in range(8)]
        np.testing.assert_allclose(epochs.learning_rate, rates)


def test_a_plateau_looks_at_the_images_of_early_stopping_where_there_are_some() -> None:
    recipe = replace(MLP, schedule=r.ReduceOnPlateau(watch="validation"))
    held_out = split_of(tiny_trial(recipe, split=HoldoutSplit(fraction=0.25, seed=0)), tiny_images().labels)
    assert (len(held_out.fitted), held_out.watched) == (36, None)
    everything = split_of(tiny_trial(recipe, split=HoldoutSplit(fraction=0.0, seed=0)), tiny_images().labels)
    assert everything.watched is not None


@pytest.mark.parametrize(("choice", "mean", "deviation"), [("0-1", 0, 255), ("none", 0, 1)])
def test_images_can_be_left_as_they_are(choice: Any, mean: float, deviation: float) -> None:
    recipe = replace(MLP, standardisation=choice)
    assert [values.tolist() for values in standardisation_of(tiny_trial(recipe), tiny_images())] == [
        [mean],
        [deviation],
    ]
    assert losses(recipe).tolist() != losses(MLP).tolist()


@pytest.mark.parametrize("split", [
    CrossValidationSplit(folds=3, index=0, seed=0), HoldoutSplit(fraction=0.25, seed=0),
    HoldoutSplit(fraction=0, seed=0, images=30),
    ReserveSplit(reserve=0.25, reserve_seed=0, seed=0, validation=0.25, images=20),
    ReserveSplit(reserve=0.25, reserve_seed=0, seed=0, validation=0.0),
])  # fmt: skip
@pytest.mark.parametrize("recipe", [
    MLP, replace(MLP, images=9), replace(MLP, schedule=r.ReduceOnPlateau(watch="validation", validation=0.25)),
])  # fmt: skip
def test_a_plan_counts_the_images_that_are_fitted_on_and_looked_at(split: Split, recipe: r.Recipe) -> None:
    trial = tiny_trial(recipe, split=split)
    part = split_of(trial, tiny_images().labels)
    looked_at = part.held_out if part.watched is None else part.watched
    assert images_of(trial, 48) == pytest.approx((len(part.fitted), len(looked_at)), abs=2)
