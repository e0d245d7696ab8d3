import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from ceteris.analysis.metrics import calibration, class_scores, log_loss, scores
from ceteris.errors import ConfigError, DataError
from ceteris.records import FloatArray, IntArray


@st.composite
def predictions(draw: st.DrawFn) -> tuple[NDArray[np.floating], IntArray]:
    """Rows that add up to 1, many with equal entries, in both precisions."""
    n, classes = draw(st.integers(1, 40)), draw(st.integers(2, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = generator.integers(0, draw(st.sampled_from([2, 4, 1000])), (n, classes)) + 1e-3
    precision = draw(st.sampled_from([np.float32, np.float64]))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(precision), generator.integers(0, classes, n)


@st.composite
def answers(draw: st.DrawFn) -> tuple[IntArray, IntArray, int]:
    """Labels and predictions in which classes may be missing on either side."""
    classes = draw(st.integers(2, 6))
    n = draw(st.integers(1, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    reach = draw(st.integers(1, classes))
    return generator.integers(0, reach, n), generator.integers(0, classes, n), classes


@given(answers())
@settings(max_examples=60, deadline=None)
def test_class_scores_are_those_of_the_definition_with_classes_missing(case: tuple[IntArray, IntArray, int]) -> None:
    labels, predicted, classes = case
    found = class_scores(labels, predicted, classes)
    for k in range(classes):
        hits, taken, true = ((labels == k) & (predicted == k)).sum(), (predicted == k).sum(), (labels == k).sum()
        assert found.support[k] == true
        assert found.precision[k] == (hits / taken if taken else 0.0)
        assert found.recall[k] == (hits / true if true else 0.0)
        assert found.f1[k] == (2 * hits / (taken + true) if taken + true else 0.0)


@given(predictions())
@settings(max_examples=40, deadline=None)
def test_scores_of_any_answers_are_finite_and_agree_with_each_other(
    case: tuple[NDArray[np.floating], IntArray],
) -> None:
    probabilities, labels = case
    found = scores(probabilities, labels)
    assert found.accuracy == pytest.approx(np.trace(found.confusion) / len(labels))
    assert found.confusion.shape == (probabilities.shape[1],) * 2
    assert found.f1 == pytest.approx(found.per_class.f1[found.per_class.support > 0].mean())
    assert np.isfinite(found.auc) == (len(set(labels)) > 1)
    assert found.calibration.counts.sum() == len(labels)


@given(predictions())
@settings(max_examples=40, deadline=None)
def test_log_loss_agrees_with_scikit_learn(case: tuple[NDArray[np.floating], IntArray]) -> None:
    probabilities, labels = case
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    classes = np.arange(probabilities.shape[1])
    assert log_loss(probabilities, labels) == pytest.approx(
        metrics.log_loss(labels, exact, labels=classes), rel=1e-5, abs=1e-6
    )


def test_log_loss_of_an_impossible_truth_is_large_but_finite() -> None:
    probabilities = np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32)
    expected = (-np.log(np.finfo(np.float32).eps) - np.log(0.5)) / 2
    assert log_loss(probabilities, np.array([1, 0])) == pytest.approx(expected)


def naive_calibration_error(probabilities: FloatArray, labels: IntArray, bins: int) -> float:
    error = 0.0
    for place in range(bins):
        members = [
            row
            for row in range(len(labels))
            if place / bins < probabilities[row].max() <= (place + 1) / bins
            or (place == 0 and probabilities[row].max() == 0)
        ]
        if members:
            sure = sum(probabilities[row].max() for row in members) / len(members)
            right = sum(probabilities[row].argmax() == labels[row] for row in members) / len(members)
            error += abs(sure - right) * len(members) / len(labels)
    return error


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_is_that_of_the_definition(bins: int) -> None:
    generator = np.random.default_rng(4)
    probabilities, labels = generator.dirichlet(np.ones(5), 300), generator.integers(0, 5, 300)
    result = calibration(probabilities, labels, bins)
    assert result.error == pytest.approx(naive_calibration_error(probabilities, labels, bins))
    assert result.counts.sum() == 300
    assert result.maximum_error >= result.error


def test_a_certain_and_always_right_model_is_calibrated_and_its_other_bins_are_empty() -> None:
    labels = np.array([0, 1, 2])
    result = calibration(np.eye(3), labels, 10)
    assert result.error == result.maximum_error == 0
    assert result.counts.tolist() == [0] * 9 + [3]
    assert np.isnan(result.accuracy[:9]).all()


def test_a_certain_and_always_wrong_model_has_the_greatest_errors() -> None:
    labels = np.array([1, 2, 0])
    assert calibration(np.eye(3), labels).error == 1


def test_parameters_and_shapes_that_do_not_fit_are_refused() -> None:
    probabilities, labels = np.full((2, 3), 1 / 3), np.array([0, 2])
    with pytest.raises(ConfigError, match="bins must be at least 1, received 0"):
        calibration(probabilities, labels, 0)
    with pytest.raises(DataError, match=r"labels must lie in 0..2, received 0..3"):
        log_loss(probabilities, np.array([0, 3]))
    with pytest.raises(DataError, match=r"received \(2, 3\) and \(3,\)"):
        scores(probabilities, np.array([0, 1, 2]))
