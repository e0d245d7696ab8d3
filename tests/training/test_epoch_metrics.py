import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from ceteris.records import IntArray
from ceteris.training.history import confusion_matrix, macro_f1


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
@settings(max_examples=40, deadline=None)
def test_macro_f1_agrees_with_scikit_learn(case: tuple[IntArray, IntArray, int]) -> None:
    labels, predicted, classes = case
    expected = metrics.f1_score(labels, predicted, labels=np.arange(classes), average="macro", zero_division=0.0)
    assert macro_f1(confusion_matrix(labels, predicted, classes)) == pytest.approx(expected)


def test_no_images_give_an_empty_confusion_matrix() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert confusion_matrix(nothing, nothing, 3).tolist() == [[0] * 3] * 3
