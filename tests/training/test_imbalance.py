"""Classes of different size: weights in the loss, balanced passes, criteria that count every class the same."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.utils.class_weight import compute_class_weight
from tests.tiny_training import record_of, train
from tests.tiny_trials import CNN, MLP, RESNET, tiny_images, tiny_trial
from torch.nn import functional

from ceteris import recipe as r
from ceteris.data import ImageSet, make_image_set, split_images
from ceteris.digests import digest_of
from ceteris.records import Criterion, HoldoutSplit, IntArray, balanced_accuracy, finished, score_of
from ceteris.techniques.losses import weights_of_classes
from ceteris.training import build
from ceteris.training.batches import balanced_order, shuffled_order
from ceteris.training.device import one_thread
from ceteris.training.population import run_population
from ceteris.training.single import SingleTrainee, fitted_sample, images_on_device, single_trainee
from ceteris.training.trial import standardisation_of
from ceteris.user_code import NO_IMPORTS

KINDS = ("inverse", "sqrt", "effective")
WEIGHTED: tuple[Any, ...] = (r.CrossEntropy, r.Focal, r.MeanSquaredError)


def uneven_images(counts: tuple[int, ...] = (30, 12, 6)) -> ImageSet:
    """The tiny images, but with so many of each class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    even = tiny_images(len(counts) * max(counts), classes=len(counts))
    chosen = [np.flatnonzero(even.labels == label)[:count] for label, count in enumerate(counts)]
    return make_image_set(even.images[np.concatenate(chosen)], labels, even.classes)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trainee_of(recipe: r.Recipe, images: ImageSet) -> SingleTrainee:
    trial = tiny_trial(recipe)
    return single_trainee(trial, images, split_images(trial.split, images.labels), NO_IMPORTS)


def fitted_labels(images: ImageSet) -> IntArray:
    return images.labels[split_images(tiny_trial().split, images.labels).fitted]


@given(st.lists(st.integers(0, 40), min_size=2, max_size=8).filter(any))
@settings(max_examples=50, deadline=None)
def test_inverse_weights_are_those_of_scikit_learn(sizes: list[int]) -> None:
    counts, labels = np.array(sizes), np.repeat(np.arange(len(sizes)), sizes)
    present = np.flatnonzero(counts)
    ours = weights_of_classes(counts, "inverse")
    np.testing.assert_allclose(ours[present], compute_class_weight("balanced", classes=present, y=labels))
    assert (ours[counts == 0] == 0).all()


def test_weights_of_classes_follow_their_formulas_and_have_the_mean_1_over_the_images() -> None:
    counts = np.array([1000, 100, 10])
    expected = {
        "inverse": 1 / counts,
        "sqrt": counts**-0.5,
        "effective": (1 - 0.999) / (1 - 0.999**counts),  # Cui et al. 2019, equation 4
    }
    for kind in KINDS:
        weights = weights_of_classes(counts, kind)  # type: ignore[arg-type]
        np.testing.assert_allclose(weights / weights[0], expected[kind] / expected[kind][0])
        assert (weights * counts).sum() == pytest.approx(counts.sum())


@pytest.mark.parametrize("loss", WEIGHTED, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_weighs_by_what_it_fits_on_alone(loss: Any, kind: Any) -> None:
    images = uneven_images()
    labels = fitted_labels(images)
    weights = weights_of_classes(np.bincount(labels), kind)
    logits, targets = torch.randn(40, 3, generator=seeded()), torch.arange(40) % 3
    plain = build.build_loss(loss())
    each = torch.stack([plain(logits[[place]], targets[[place]]) for place in range(40)])

    ours = trainee_of(replace(MLP, loss=loss(class_weights=kind)), images).losses(logits, targets)

    torch.testing.assert_close(ours, (each * torch.from_numpy(weights).float()[targets]).mean())
    assert len(labels) < len(images)


def test_class_shares_are_weighted_as_the_labels_that_they_mix() -> None:
    counts, logits = np.array([5, 3, 1]), torch.randn(6, 3, generator=seeded())
    for loss in WEIGHTED:
        weighted = build.build_loss(loss(class_weights="inverse"), counts)
        labels = torch.arange(6) % 3
        torch.testing.assert_close(weighted(logits, labels), weighted(logits, functional.one_hot(labels, 3).float()))


@pytest.mark.parametrize("recipe", [MLP, CNN, RESNET], ids=["mlp", "cnn", "resnet"])
def test_members_with_weights_and_balanced_passes_learn_what_they_learn_alone(recipe: r.Recipe) -> None:
    changes: list[dict[str, Any]] = [
        {"loss": r.CrossEntropy(class_weights="inverse", label_smoothing=0.1)},
        {"loss": r.CrossEntropy(class_weights="effective"), "sampling": "balanced"},
        {"sampling": "balanced", "augmentation": (r.Mixup(),)},
        {},
    ]
    trials = [tiny_trial(replace(recipe, **change)) for change in changes]
    trials += [tiny_trial(replace(recipe, **changes[1]), fold=fold) for fold in (1, 2)]
    images = uneven_images((30, 12, 6))
    with one_thread():
        together = run_population(trials, images)
    for ours, theirs in zip(together, (train(trial, images) for trial in trials), strict=True):
        mine, alone = finished(ours.record), finished(theirs.record)
        assert mine.iterations is not None
        assert alone.iterations is not None
        np.testing.assert_allclose(mine.iterations.loss, alone.iterations.loss, rtol=1e-3)
        assert mine.clean_train_loss == pytest.approx(alone.clean_train_loss, rel=1e-3)


def test_what_was_added_to_a_recipe_changes_no_digest_until_it_is_used() -> None:
    said = replace(MLP, sampling="shuffled", loss=r.CrossEntropy(class_weights="none"))
    assert digest_of(said) == digest_of(MLP)
    used = {digest_of(replace(MLP, loss=r.CrossEntropy(class_weights=kind))) for kind in KINDS}  # type: ignore[arg-type]
    assert len({*used, digest_of(replace(MLP, sampling="balanced")), digest_of(MLP)}) == 5
    trial = tiny_trial()
    assert trial.digest == replace(trial, criterion="accuracy").digest != replace(trial, criterion="macro-f1").digest


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6).filter(any), st.integers(0, 10))
@settings(max_examples=60, deadline=None)
def test_a_balanced_pass_has_as_many_of_every_class(sizes: list[int], seed: int) -> None:
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    order = balanced_order(labels, seeded(seed))
    present = [size for size in sizes if size]
    drawn = torch.bincount(labels[order], minlength=len(sizes)).tolist()
    assert len(order) == len(labels)
    assert {count for count, size in zip(drawn, sizes, strict=True) if size} <= {
        len(labels) // len(present),
        len(labels) // len(present) + 1,
    }
    for label, (size, count) in enumerate(zip(sizes, drawn, strict=True)):
        of_images = torch.bincount(order[labels[order] == label], minlength=len(labels))[labels == label]
        assert set(of_images.tolist()) <= ({count // size, -(-count // size)} if size else set())
    assert torch.equal(order, balanced_order(labels, seeded(seed)))


def test_a_training_with_balanced_sampling_meets_every_class_equally_often() -> None:
    images = uneven_images()
    shuffled, balanced = (
        torch.cat([batch.labels for batch in trainee_of(replace(MLP, sampling=sampling), images).batches(0)])
        for sampling in ("shuffled", "balanced")
    )
    assert torch.bincount(shuffled).tolist() == np.bincount(fitted_labels(images)).tolist()
    assert np.ptp(torch.bincount(balanced).tolist()) <= 1


def test_a_shuffled_pass_is_the_permutation_that_it_always_was() -> None:
    assert torch.equal(shuffled_order(torch.zeros(20), seeded()), torch.randperm(20, generator=seeded()))


# ---------------------------------------------------------------------------------------------------------------------
# Criteria


def test_balanced_accuracy_agrees_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 4, 200) % 3, random.integers(0, 4, 200)
    expected = metrics.recall_score(labels, predicted, labels=[0, 1, 2], average="macro")
    assert balanced_accuracy(labels, predicted) == pytest.approx(expected)


def test_a_record_carries_every_criterion_of_its_held_out_images() -> None:
    record = record_of(replace(MLP, epochs=3), uneven_images())
    answers = record.predictions
    assert answers is not None
    predicted = answers.probabilities.argmax(1)
    expected = {
        "accuracy": metrics.accuracy_score(answers.labels, predicted),
        "macro-f1": metrics.f1_score(answers.labels, predicted, average="macro"),
        "balanced-accuracy": metrics.balanced_accuracy_score(answers.labels, predicted),
        "log-loss": -metrics.log_loss(answers.labels, answers.probabilities),
    }
    for criterion, value in expected.items():
        assert score_of(record, criterion) == pytest.approx(value, rel=1e-5)  # type: ignore[arg-type]
        assert score_of(record.light(), criterion) == score_of(record, criterion)  # type: ignore[arg-type]


def test_a_record_without_its_balanced_accuracy_says_so() -> None:
    with pytest.raises(RuntimeError, match="balanced accuracy"):
        score_of(replace(record_of(), balanced_accuracy=None), "balanced-accuracy")


def noisy_images() -> ImageSet:
    random = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [60, 20, 10])
    return make_image_set(random.integers(0, 256, (90, 1, 8, 8), dtype=np.uint8), labels, ("a", "b", "c"))


@pytest.mark.parametrize("criterion", ["accuracy", "macro-f1", "log-loss"])
def test_early_stopping_restores_the_epoch_that_is_best_by_the_criterion(criterion: Criterion) -> None:
    recipe = replace(MLP, optimizer=r.Adam(lr=0.01), epochs=12)
    split = HoldoutSplit(fraction=0.3, seed=0)
    record = record_of(recipe, noisy_images(), split=split, patience=12, criterion=criterion)
    assert record.epochs is not None
    course = {
        "accuracy": record.epochs.validation_accuracy,
        "macro-f1": record.epochs.validation_f1,
        "log-loss": -record.epochs.validation_loss,
    }[criterion]
    assert record.epoch_count == 12
    assert course[record.best_epoch - 1] == course.max() == pytest.approx(score_of(record, criterion))
    best = [
        record_of(recipe, noisy_images(), split=split, patience=12, criterion=other).best_epoch
        for other in ("accuracy", "macro-f1", "log-loss")
    ]
    assert len(set(best)) > 1, "all criteria restore the same epoch: this test shows nothing"


# ---------------------------------------------------------------------------------------------------------------------
# Training accuracy and loss of the weights that are kept


@pytest.mark.parametrize("averaging", [r.Nothing(), r.ExponentialMovingAverage(decay=0.9)], ids=["plain", "averaged"])
def test_clean_training_scores_are_those_of_the_kept_weights_without_augmentation_and_dropout(averaging: Any) -> None:
    recipe = replace(
        MLP,
        model=r.MLP(hidden=(16,), dropout=0.5, batch_norm=True),
        augmentation=(r.Noise(deviation=1.0), r.Mixup()),
        loss=r.CrossEntropy(label_smoothing=0.2, class_weights="inverse"),
        averaging=averaging,
        epochs=10,
    )
    images = uneven_images()
    trial = tiny_trial(recipe, keep_weights=True)
    result = train(trial, images)
    record, split = finished(result.record), split_images(trial.split, images.labels)
    model = build.build_model(recipe.model, input_shape=images.shape, classes=3, generator=seeded())
    assert result.weights is not None
    model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in result.weights.items()})
    sample = fitted_sample(split, images.labels, recipe.epochs)
    pixels = images_on_device(trial, images, sample, *standardisation_of(trial, images))
    with torch.no_grad():
        logits = model.eval()(pixels.slice(0, len(sample)))

    assert set(sample) <= set(split.fitted)
    assert record.clean_train_accuracy == pytest.approx(float((logits.argmax(1) == pixels.labels).float().mean()))
    assert record.clean_train_loss == pytest.approx(float(functional.cross_entropy(logits, pixels.labels)), rel=1e-5)
    assert record.epochs is not None
    assert record.clean_train_loss < record.epochs.train_loss[-1]


@pytest.mark.parametrize("epochs", [1, 3, 30])
def test_the_training_sample_is_small_and_has_the_shares_of_all(epochs: int) -> None:
    labels = np.repeat([0, 1], [900, 100])
    split = split_images(HoldoutSplit(fraction=0.4, seed=0), labels)
    sample = fitted_sample(split, labels, epochs)
    assert len(sample) == len(set(sample.tolist())) == {1: 60, 3: 180, 30: 400}[epochs]
    assert (labels[sample] == 0).mean() == pytest.approx(0.9, abs=0.02)
    np.testing.assert_array_equal(sample, fitted_sample(split, labels, epochs))
