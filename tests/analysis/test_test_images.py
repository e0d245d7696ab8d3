import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ceteris.analysis.test_images import most_confident_mistakes


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(0, 80), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_mistakes_shown_are_mistakes_from_as_many_classes_as_possible(
    seed: int, classes: int, extra: int, count: int
) -> None:
    generator = np.random.default_rng(seed)
    probabilities, labels = generator.dirichlet(np.ones(classes), 1 + extra), generator.integers(0, classes, 1 + extra)
    places = most_confident_mistakes(probabilities, labels, count)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    assert set(places) <= set(wrong)
    assert len(set(places)) == len(places) == min(count, len(wrong))
    assert len(set(labels[places])) == min(count, len(set(labels[wrong])))
    assert (np.diff(labels[places]) >= 0).all()


def test_the_most_confident_mistake_of_each_class_is_shown_first() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.8, 0.2], [0.95, 0.05]])
    labels = np.array([1, 1, 0, 0, 0, 1])
    assert most_confident_mistakes(probabilities, labels, 2).tolist() == [2, 5]
    assert most_confident_mistakes(probabilities, labels, 3).tolist() == [2, 5, 0]


def test_more_classes_than_places_shows_the_most_confident_classes() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.9, 0.05, 0.05], [0.1, 0.2, 0.7]])
    assert most_confident_mistakes(probabilities, np.array([1, 2, 0]), 2).tolist() == [2, 1]


def test_a_model_without_mistakes_shows_none() -> None:
    assert most_confident_mistakes(np.eye(3), np.arange(3)).tolist() == []
