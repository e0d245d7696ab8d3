import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from ceteris.errors import DataError
from ceteris.evaluation import (
    accuracy,
    confusion_matrix,
    macro_f1,
    macro_f1_of_each,
    per_class_accuracy,
    precision_recall_f1,
)
from ceteris.records import IntArray


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
def test_confusion_matrix_agrees_with_scikit_learn(case: tuple[IntArray, IntArray, int]) -> None:
    labels, predicted, classes = case
    expected = metrics.confusion_matrix(labels, predicted, labels=np.arange(classes))
    np.testing.assert_array_equal(confusion_matrix(labels, predicted, classes), expected)


@given(answers())
@settings(max_examples=60, deadline=None)
def test_precision_recall_f1_and_averages_agree_with_scikit_learn(case: tuple[IntArray, IntArray, int]) -> None:
    labels, predicted, classes = case
    scores = precision_recall_f1(confusion_matrix(labels, predicted, classes))
    options = {"labels": np.arange(classes), "zero_division": 0.0}
    precision, recall, f1, support = metrics.precision_recall_fscore_support(labels, predicted, **options)
    np.testing.assert_allclose(scores.precision, precision)
    np.testing.assert_allclose(scores.recall, recall)
    np.testing.assert_allclose(scores.f1, f1)
    np.testing.assert_array_equal(scores.support, support)
    for name in ("macro", "micro", "weighted"):
        ours = getattr(scores, name)
        theirs = metrics.precision_recall_fscore_support(labels, predicted, average=name, **options)[:3]
        np.testing.assert_allclose((ours.precision, ours.recall, ours.f1), theirs, atol=1e-12)


@given(answers())
@settings(max_examples=40, deadline=None)
def test_accuracy_and_macro_f1_agree_with_scikit_learn(case: tuple[IntArray, IntArray, int]) -> None:
    labels, predicted, classes = case
    assert accuracy(labels, predicted) == pytest.approx(metrics.accuracy_score(labels, predicted))
    expected = metrics.f1_score(labels, predicted, labels=np.arange(classes), average="macro", zero_division=0.0)
    assert macro_f1(confusion_matrix(labels, predicted, classes)) == pytest.approx(expected)


def test_macro_f1_of_a_stack_is_that_of_each_matrix() -> None:
    confusions = np.random.default_rng(1).integers(0, 9, (7, 4, 4))
    np.testing.assert_allclose(macro_f1_of_each(confusions), [macro_f1(matrix) for matrix in confusions])


def test_accuracy_of_a_class_without_images_is_not_a_number() -> None:
    confusion = np.array([[3, 1, 0], [0, 0, 0], [0, 0, 5]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(per_class_accuracy(confusion), [0.75, np.nan, 1.0])


def test_no_images_give_an_empty_confusion_matrix_and_no_accuracy() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert confusion_matrix(nothing, nothing, 3).tolist() == [[0] * 3] * 3
    assert np.isnan(accuracy(nothing, nothing))


@pytest.mark.parametrize(
    ("labels", "predicted", "told"),
    [
        ([0, 3], [0, 1], r"labels must lie in 0..2 .* received 0..3"),
        ([0, 1], [-1, 1], r"predicted must lie in 0..2 .* received -1..1"),
        ([0, 1, 2], [0, 1], r"one entry per image, received \(3,\) and \(2,\)"),
        ([[0], [1]], [0, 1], r"shape \(n,\), received shape \(2, 1\)"),
    ],
)
def test_answers_that_do_not_fit_are_refused_with_what_was_received(
    labels: list[int], predicted: list[int], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        confusion_matrix(np.array(labels), np.array(predicted), 3)


def test_accuracy_refuses_arrays_that_would_be_broadcast() -> None:
    with pytest.raises(DataError, match="one entry per image"):
        accuracy(np.array([0, 1, 2]), np.array([1]))
