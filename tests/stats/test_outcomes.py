"""Figures as means of one value per image, and the pairing of two recipes."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

from ceteris.errors import ConfigError
from ceteris.records import FloatArray, IntArray
from ceteris.stats import BlockOutcome, Criterion, Outcomes, image_values, paired_blocks, weighted_outcomes

CLASSES = 4


def answers(seed: int, images: int = 60) -> tuple[IntArray, IntArray, FloatArray]:
    generator = np.random.default_rng(seed)
    labels = generator.choice(CLASSES, images, p=[0.5, 0.3, 0.15, 0.05])
    probabilities = generator.dirichlet(np.ones(CLASSES), images)
    probabilities[np.arange(images), labels] += 0.5
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return labels, probabilities.argmax(axis=1), probabilities


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_mean_of_the_values_is_the_figure_of_scikit_learn(seed: int) -> None:
    labels, predicted, probabilities = answers(seed)
    likelihood = np.log(probabilities[np.arange(len(labels)), labels])
    known = list(range(CLASSES))
    present = np.unique(labels)
    expected = {
        "accuracy": accuracy_score(labels, predicted),
        "balanced-accuracy": np.mean([np.mean(predicted[labels == label] == label) for label in present]),
        "macro-f1": f1_score(labels, predicted, labels=known, average="macro", zero_division=0),
        "log-loss": -log_loss(labels, probabilities, labels=known),
    }
    if len(present) == CLASSES:
        assert expected["balanced-accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    criteria: tuple[Criterion, ...] = get_args(Criterion)
    for criterion in criteria:
        values = image_values(criterion, labels=labels, predicted=predicted, log_likelihood=likelihood, classes=CLASSES)
        assert values.shape == labels.shape
        assert values.mean() == pytest.approx(expected[criterion], abs=1e-12)


def test_values_of_macro_f1_are_its_change_when_an_image_weighs_more() -> None:
    labels, predicted, probabilities = answers(3)
    values = image_values(
        "macro-f1", labels=labels, predicted=predicted, log_likelihood=probabilities[:, 0], classes=CLASSES
    )
    figure, step = float(values.mean()), 1e-6
    for image in (0, 7, 30):
        weights = np.full(len(labels), (1 - step) / len(labels))
        weights[image] += step
        moved = f1_score(
            labels, predicted, labels=range(CLASSES), average="macro", sample_weight=weights, zero_division=0
        )
        assert values[image] == pytest.approx(figure + (moved - figure) / step, abs=1e-3)


def block(values: list[float], images: list[int] | None = None, repetition: int = 0) -> BlockOutcome:
    numbers = np.array(images or range(len(values)), dtype=np.int64)
    return BlockOutcome(images=numbers, values=np.array(values), repetition=repetition)


def test_only_blocks_that_both_finished_are_paired() -> None:
    one = Outcomes(blocks=(block([1, 0]), None, block([1, 1], repetition=1)))
    other = Outcomes(blocks=(block([1, 1]), block([0, 0]), block([1, 1], repetition=1)))
    first, last = paired_blocks(one, other)
    assert (first.mean, first.same, first.repetition) == (0.5, False, 0)
    assert (last.mean, last.same, last.repetition) == (0.0, True, 1)
    np.testing.assert_array_equal(one.figures, [0.5, np.nan, 1])


def test_recipes_of_other_splits_are_not_compared() -> None:
    one, other = Outcomes(blocks=(block([1, 0], [1, 2]),)), Outcomes(blocks=(block([1, 0], [1, 3]),))
    with pytest.raises(ConfigError, match="compare recipes on the same splits"):
        paired_blocks(one, other)
    with pytest.raises(ConfigError, match="received 0 and 1 blocks"):
        paired_blocks(one, Outcomes(blocks=()))


def test_a_weighted_sum_of_recipes_has_the_weighted_sum_of_their_figures() -> None:
    one, other = Outcomes(blocks=(block([1, 0]), block([1, 1]))), Outcomes(blocks=(block([0, 0]), None))
    mixed = weighted_outcomes([one, other], [0.5, 0.5])
    np.testing.assert_array_equal(mixed.figures, [0.25, np.nan])
    np.testing.assert_array_equal(weighted_outcomes([one], [2.0]).figures, [1.0, 2.0])
