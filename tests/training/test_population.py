"""A population: what its members would have learnt alone, and what happens when one of them leaves."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.example_records import assert_same
from tests.tiny_training import train
from tests.tiny_trials import CNN, MLP, RESNET, tiny_images, tiny_trial
from tests.training import own_code  # noqa: F401 - the recipes below name it

from ceteris import recipe as r
from ceteris.data import ImageSet, make_image_set, split_indices
from ceteris.errors import DataError
from ceteris.records import Failed, HoldoutSplit, Record, Trial, finished
from ceteris.training import history, population
from ceteris.training.device import one_thread
from ceteris.training.population import run_population, shape_key
from ceteris.training.trial import TrialResult
from ceteris.user_code import ALL_IMPORTS

MEASURED = frozenset({"seconds", "cost"})
MODELS = {"mlp": MLP, "cnn": CNN, "resnet": RESNET}
FULL: dict[str, Any] = {
    "schedule": r.Cosine(warmup=0.2),
    "penalty": r.L2(strength=0.01),
    "augmentation": (r.Shift(), r.Noise(), r.Mixup()),
    "clipping": r.ClipNorm(maximum=0.5),
    "averaging": r.ExponentialMovingAverage(decay=0.5),
}


def together(trials: list[Trial], images: ImageSet | None = None, **other: Any) -> list[TrialResult]:
    with one_thread():
        return run_population(trials, images or tiny_images(), **other)


@pytest.fixture(autouse=True)
def apart(caplog: pytest.LogCaptureFixture) -> Iterator[list[int]]:
    """How many populations a test may train in parts: members that are trained alone agree with themselves anyway."""
    caplog.set_level(logging.INFO, "ceteris")
    allowed = [0]
    yield allowed
    messages = [record.getMessage() for record in caplog.get_records("call")]
    assert len([message for message in messages if "is trained in parts" in message]) == allowed[0]


def alone(trials: list[Trial], images: ImageSet | None = None) -> list[TrialResult]:
    return [train(trial, images) for trial in trials]


def folds_of(recipe: r.Recipe, count: int = 3, **trial: Any) -> list[Trial]:
    return [tiny_trial(recipe, fold=fold, **trial) for fold in range(count)]


def changed(recipe: r.Recipe, **model: Any) -> r.Recipe:
    return replace(recipe, model=replace(recipe.model, **model))


def first_loss_and_curves(record: Record) -> tuple[Any, ...]:
    done = finished(record)
    assert done.iterations is not None
    assert done.epochs is not None
    return done.iterations.loss, done.epochs


def assert_agree(ours: Record, theirs: Record, *, drift: float = 1e-3) -> None:
    """The first two losses (before and after one step) agree to rounding, the curves and predictions within drift."""
    (our_losses, our_epochs), (their_losses, their_epochs) = (first_loss_and_curves(one) for one in (ours, theirs))
    np.testing.assert_allclose(our_losses[:2], their_losses[:2], rtol=1e-5)
    np.testing.assert_allclose(our_losses, their_losses, rtol=drift)
    np.testing.assert_allclose(our_epochs.validation_loss, their_epochs.validation_loss, rtol=drift)
    np.testing.assert_allclose(our_epochs.gradient_norm, their_epochs.gradient_norm, rtol=drift)
    np.testing.assert_array_equal(our_epochs.learning_rate, their_epochs.learning_rate)
    our_answers, their_answers = finished(ours).predictions, finished(theirs).predictions
    assert our_answers is not None
    assert their_answers is not None
    np.testing.assert_array_equal(our_answers.indices, their_answers.indices)
    np.testing.assert_array_equal(our_answers.labels, their_answers.labels)
    np.testing.assert_allclose(our_answers.probabilities, their_answers.probabilities, atol=drift)


def assert_each_as_alone(trials: list[Trial], images: ImageSet | None = None) -> None:
    for ours, theirs in zip(together(trials, images), alone(trials, images), strict=True):
        assert_agree(ours.record, theirs.record)


@pytest.mark.parametrize("optimizer", r.CHOICES["optimizer"], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("model", MODELS)
def test_every_optimizer_steps_the_members_as_it_steps_one(model: str, optimizer: Any) -> None:
    assert_each_as_alone(folds_of(replace(MODELS[model], optimizer=optimizer()), 2))


_model = st.sampled_from(sorted(MODELS))
_change: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "optimizer": st.sampled_from([r.SGD(lr=0.05, momentum=0.9), r.Adam(lr=1e-3), r.Muon(lr=1e-3)]),
        "schedule": st.sampled_from([r.Cosine(warmup=0.2), r.ReduceOnPlateau(patience=0, threshold=0.5), r.Step()]),
        "penalty": st.sampled_from([r.L1(strength=1e-3), r.L2(strength=0.01), r.DecoupledWeightDecay(strength=0.1)]),
        "clipping": st.sampled_from([r.ClipNorm(maximum=0.3), r.ClipValue(maximum=0.01)]),
        "averaging": st.just(r.ExponentialMovingAverage(decay=0.5)),
        "loss": st.sampled_from(
            [
                r.CrossEntropy(label_smoothing=0.1),
                r.CrossEntropy(class_weights="inverse"),
                r.Focal(),
                r.MeanSquaredError(class_weights="sqrt"),
            ]
        ),
        "sampling": st.sampled_from(["shuffled", "balanced"]),
        "augmentation": st.sampled_from(
            [(r.Shift(),), (r.Elastic(), r.Noise()), (r.CutMix(),), (r.AdversarialNoise(),)]
        ),
    },
)


@given(model=_model, change=_change, batch_norm=st.booleans(), dropout=st.sampled_from([0.0, 0.3]))
@settings(max_examples=18, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_folds_learn_what_they_learn_alone(
    model: str, change: dict[str, Any], *, batch_norm: bool, dropout: float
) -> None:
    recipe = replace(changed(MODELS[model], batch_norm=batch_norm, dropout=dropout), **change)
    assert_each_as_alone(folds_of(recipe, 2), tiny_images(channels=1 if dropout else 3))


@pytest.mark.parametrize("model", MODELS)
def test_settings_on_the_same_fold_learn_what_they_learn_alone(model: str) -> None:
    first = replace(changed(MODELS[model], dropout=0.3), **FULL)
    others = [
        replace(first, penalty=r.L1(strength=1e-3), clipping=r.ClipValue(maximum=0.01)),
        replace(first, optimizer=r.SGD(lr=0.1, momentum=0.5), schedule=r.ReduceOnPlateau(patience=0, threshold=0.5)),
        changed(first, dropout=0.0, initialisation=r.Initialisation(kind="orthogonal")),
        replace(first, loss=r.CrossEntropy(label_smoothing=0.2), penalty=r.DecoupledWeightDecay(strength=0.5)),
    ]
    assert_each_as_alone([tiny_trial(recipe) for recipe in [first, *others]])


def test_settings_with_different_augmentation_learn_what_they_learn_alone() -> None:
    chains: list[Any] = [(), (r.Shift(),), (r.Mixup(),), (r.AdversarialNoise(),)]
    assert_each_as_alone([tiny_trial(replace(CNN, augmentation=chain)) for chain in chains])


@pytest.mark.parametrize("model", MODELS)
def test_bfloat16_agrees_within_its_digits(model: str) -> None:
    trials = folds_of(MODELS[model], 2)
    trials = [replace(trial, execution=replace(trial.execution, precision="bfloat16")) for trial in trials]
    for ours, theirs in zip(together(trials), alone(trials), strict=True):
        (our_losses, _), (their_losses, _) = (first_loss_and_curves(one.record) for one in (ours, theirs))
        np.testing.assert_allclose(our_losses, their_losses, rtol=0.05)


@pytest.mark.parametrize("model", MODELS)
def test_the_same_population_gives_the_same_records_bit_for_bit(model: str) -> None:
    trials = folds_of(replace(changed(MODELS[model], dropout=0.3), **FULL))
    for first, second in zip(together(trials), together(trials), strict=True):
        assert_same(first.record, second.record, but=MEASURED)


def test_a_population_of_one_has_the_digits_of_a_single_training() -> None:
    for recipe in MODELS.values():
        assert_same(together([tiny_trial(recipe)])[0].record, train(tiny_trial(recipe)).record, but=MEASURED)


def puzzle() -> ImageSet:
    """Images whose labels mean nothing, so that the held-out accuracy goes up and down."""
    random = np.random.default_rng(3)
    images = random.integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    return make_image_set(images, np.arange(40) % 2, ("a", "b"))


@pytest.mark.parametrize(
    ("optimizer", "averaging"),
    [
        (r.Adam(lr=3e-3), r.Nothing()),
        (r.Muon(lr=3e-3), r.ExponentialMovingAverage(decay=0.5)),
        (r.SGD(lr=0.05, momentum=0.9), r.ExponentialMovingAverage(decay=0.5)),
    ],
    ids=["adam", "muon, averaged", "sgd, averaged"],
)
def test_members_that_stop_early_leave_with_their_best_weights(optimizer: Any, averaging: Any) -> None:
    recipe = replace(changed(CNN, batch_norm=True), optimizer=optimizer, averaging=averaging, epochs=8)
    trials = [
        tiny_trial(
            recipe,
            seed=seed,
            split=HoldoutSplit(fraction=0.3, seed=seed),
            patience=patience,
            criterion=criterion,
            keep_weights=True,
            keep_snapshots=True,
        )
        for seed, (patience, criterion) in enumerate(
            [(1, "accuracy"), (2, "macro-f1"), (0, "accuracy"), (4, "balanced-accuracy"), (3, "log-loss")]
        )
    ]
    images = puzzle()
    ended = set()
    for ours, theirs in zip(together(trials, images), alone(trials, images), strict=True):
        assert_agree(ours.record, theirs.record, drift=0.02)
        assert finished(ours.record).best_epoch == finished(theirs.record).best_epoch
        ended.add(finished(ours.record).epoch_count)
        assert (ours.weights or {}).keys() == (theirs.weights or {}).keys()
        assert (ours.snapshots or {}).keys() == (theirs.snapshots or {}).keys()
        for name, weights in (theirs.weights or {}).items():
            np.testing.assert_allclose((ours.weights or {})[name], weights, atol=5e-3)
    assert len(ended) > 1


@pytest.mark.parametrize("model", MODELS)
def test_a_member_that_diverges_disturbs_no_other(model: str) -> None:
    rates = (0.05, 1e30, 0.1)
    trials = [tiny_trial(replace(MODELS[model], optimizer=r.SGD(lr=rate))) for rate in rates]
    ours, theirs = together(trials), alone(trials)
    assert_same(ours[1].record, theirs[1].record)
    assert ours[1].record.status == "diverged"
    assert_agree(ours[0].record, theirs[0].record)
    assert_agree(ours[2].record, theirs[2].record)


def test_members_with_a_few_images_more_or_less_are_trained_together() -> None:
    trials = folds_of(MLP)
    images = tiny_images(50)  # folds of 16 and 17
    assert len({len(split_indices(trial.split, images.labels)[0]) for trial in trials}) == 2
    assert_each_as_alone(trials, images)


def test_members_with_other_numbers_of_batches_are_trained_in_their_own_populations() -> None:
    trials = [tiny_trial(split=HoldoutSplit(fraction=share, seed=0)) for share in (0.25, 0.5, 0.25)]
    assert_each_as_alone(trials)


def test_what_a_member_cost_is_its_share() -> None:
    recipe = replace(MLP, epochs=3)
    for result in together(folds_of(recipe)):
        cost, single = finished(result.record).cost, finished(train(result.record.trial).record).cost
        assert (cost.parameters, cost.training_flops) == (single.parameters, single.training_flops)
        assert cost.images_per_second == pytest.approx(3 * 32 / cost.train_seconds)
        assert cost.peak_memory_bytes > 10**7
    assert len({one.record.cost.train_seconds for one in together(folds_of(recipe))}) == 1  # type: ignore[union-attr]


def test_every_epoch_of_the_population_is_told_once() -> None:
    heard: list[int] = []
    together(folds_of(replace(MLP, epochs=3)), on_epoch=heard.append)
    assert heard == [1, 2, 3]


def test_a_population_ends_when_nobody_takes_its_progress() -> None:
    heard: list[int] = []

    def gone(epoch: int) -> None:
        heard.append(epoch)
        raise BrokenPipeError

    with pytest.raises(OSError, match="nobody takes the progress"):
        together(folds_of(replace(MLP, epochs=3)), on_epoch=gone)
    assert heard == [1]  # and no member is trained alone


def test_values_may_differ_within_a_shape_and_shapes_may_not() -> None:
    same = [
        changed(CNN, dropout=0.5),
        changed(CNN, initialisation=r.Initialisation(kind="dirac")),
        replace(CNN, optimizer=r.SGD(lr=1.0), penalty=r.L2(), augmentation=(r.Flip(),), schedule=r.Linear()),
    ]
    other = [
        changed(CNN, filters=(4, 9)),
        changed(CNN, batch_norm=True),
        replace(CNN, batch_size=9),
        replace(CNN, epochs=5),
        replace(CNN, loss=r.Focal()),
        replace(CNN, averaging=r.ExponentialMovingAverage()),
    ]
    key = shape_key(tiny_trial(CNN))
    assert {shape_key(tiny_trial(recipe, fold=1, seed=3)) for recipe in same} == {key}
    keys = [shape_key(tiny_trial(recipe)) for recipe in other]
    assert len({key, *keys}) == len(other) + 1


def test_own_code_is_never_stacked() -> None:
    own = replace(MLP, model=r.CustomModel(path="tests.training.own_code:Recording"))
    loss = replace(MLP, loss=r.CustomLoss(path="tests.training.own_code:written_out_cross_entropy"))
    assert shape_key(tiny_trial(own)) is None
    assert shape_key(tiny_trial(loss)) is None
    results = together([tiny_trial(loss), tiny_trial(loss, fold=1)], imports=ALL_IMPORTS)
    assert [result.record.status for result in results] == ["finished", "finished"]


def test_one_member_that_cannot_be_built_is_a_row_and_the_others_finish(apart: list[int]) -> None:
    apart[0] = 1
    wrong = replace(MLP, optimizer=r.SGD(lr=0.1, nesterov=True))
    results = together([tiny_trial(MLP), tiny_trial(wrong), tiny_trial(MLP, fold=1)])
    assert [result.record.status for result in results] == ["finished", "failed", "finished"]
    assert isinstance(results[1].record, Failed)
    assert "nesterov" in results[1].record.error


def test_images_that_cannot_be_split_are_wrong_for_all() -> None:
    with pytest.raises(DataError):
        together(folds_of(MLP), tiny_images(3))


# ---------------------------------------------------------------------------------------------------------------------
# Out of memory


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A memory into which two members fit and four images of an evaluation; returns the populations tried."""
    tried: list[int] = []
    real_make, real_logits = population.stacked_trainee, history._logits

    def make(trials: Any, *other: Any) -> Any:
        tried.append(len(trials))
        if len(trials) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real_make(trials, *other)

    def logits(model: Any, images: Any, autocast: bool, size: int) -> Any:
        if size > 4:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return real_logits(model, images, autocast, size)

    monkeypatch.setattr(population, "stacked_trainee", make)
    monkeypatch.setattr(history, "_logits", logits)
    return tried


def test_too_little_memory_halves_the_population_and_the_evaluation_and_the_record_says_so(
    small_memory: list[int], apart: list[int]
) -> None:
    apart[0] = 1
    trials = [tiny_trial(MLP, fold=fold, seed=seed) for seed in (0, 1) for fold in (0, 1)]
    results = together(trials)
    assert small_memory == [4, 2, 2]
    notes = {result.record.environment["memory"] for result in results}
    assert notes == {"population halved to 2; evaluation batch halved to 4"}


def test_a_single_training_goes_on_with_smaller_evaluations(small_memory: list[int]) -> None:
    record = train(tiny_trial(MLP)).record
    assert record.status == "finished", record.error
    assert record.environment["memory"] == "evaluation batch halved to 4"
    assert small_memory == []


def test_enough_memory_leaves_no_note() -> None:
    assert all("memory" not in result.record.environment for result in together(folds_of(MLP)))


def test_an_evaluation_that_never_fits_is_a_failed_row(monkeypatch: pytest.MonkeyPatch, apart: list[int]) -> None:
    apart[0] = 1

    def never(*arguments: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(history, "_logits", never)
    results = together(folds_of(MLP, 2))
    assert [result.record.status for result in results] == ["failed", "failed"]
    assert isinstance(results[0].record, Failed)
    assert "out of memory" in results[0].record.error
