"""Temperature, conformal sets and confident learning against data whose truth is known."""

import numpy as np
import pytest

from ceteris.analysis.confidence import (
    at_temperature,
    conformal_quantile,
    conformal_sets,
    coverage_risk,
    fitted_temperature,
    likely_label_errors,
    merged,
)
from ceteris.records import FloatArray, IntArray


def drawn(count: int, classes: int, seed: int, sharpness: float = 2.0) -> tuple[FloatArray, IntArray]:
    """Labels drawn from the very probabilities that a model gives."""
    random = np.random.default_rng(seed)
    logits = sharpness * random.normal(size=(count, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (probabilities.cumsum(1) > random.random((count, 1))).argmax(1)
    return probabilities, labels.astype(np.int64)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoilt_the_logits_is_found(true: float) -> None:
    probabilities, labels = drawn(6000, 5, seed=1)
    spoilt = at_temperature(probabilities, 1 / true)
    assert fitted_temperature(spoilt, labels) == pytest.approx(true, rel=0.06)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_conformal_sets_hold_the_true_class_as_often_as_promised(level: float) -> None:
    held = []
    for seed in range(150):
        probabilities, labels = drawn(200, 4, seed=seed)
        quantile = conformal_quantile(probabilities[:100], labels[:100], level)
        sets = conformal_sets(probabilities[100:], quantile)
        held.append(sets[np.arange(100), labels[100:]].mean())
    assert level - 0.006 < np.mean(held) < level + 0.02


def test_too_few_images_promise_every_class() -> None:
    probabilities, labels = drawn(10, 3, seed=0)
    assert conformal_sets(probabilities, conformal_quantile(probabilities, labels, 0.99)).all()


def test_the_risk_of_all_is_the_error_rate() -> None:
    probabilities, labels = drawn(500, 4, seed=3)
    answered, risk = coverage_risk(probabilities, labels)
    assert answered[-1] == 1
    assert risk[-1] == pytest.approx((probabilities.argmax(1) != labels).mean())
    assert risk[:50].mean() < risk[-1]


def test_labels_that_were_exchanged_are_found() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 4, 800)
    probabilities = np.full((800, 4), 0.04)
    probabilities[np.arange(800), truth] = 0.88
    labels, changed = truth.copy(), random.choice(800, 30, replace=False)
    labels[changed] = (labels[changed] + 1) % 4
    assert set(likely_label_errors(probabilities, labels)) == set(changed)
    assert not len(likely_label_errors(probabilities, truth))


def test_merged_classes_count_as_one() -> None:
    np.testing.assert_array_equal(merged(np.array([0, 1, 2, 3, 4]), [(1, 3), (4, 0)]), [4, 1, 2, 1, 4])
