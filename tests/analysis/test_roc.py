import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from ceteris.analysis.metrics import auc_values, roc_curve, roc_one_vs_rest
from ceteris.errors import DataError
from ceteris.records import FloatArray, IntArray


@st.composite
def scored_cases(draw: st.DrawFn) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Scores with many ties for at least one positive and one negative case."""
    n = draw(st.integers(2, 50))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    positives = generator.random(n) < 0.4
    positives[:2] = [True, False]
    return generator.integers(0, draw(st.sampled_from([1, 3, 10, 10**6])), n) / 10.0, positives


@given(scored_cases())
@settings(max_examples=80, deadline=None)
def test_area_and_curve_agree_with_scikit_learn(case: tuple[FloatArray, NDArray[np.bool_]]) -> None:
    scores, positives = case
    curve = roc_curve(scores, positives)
    assert curve.auc == pytest.approx(metrics.roc_auc_score(positives, scores))
    x, y, _ = metrics.roc_curve(positives, scores, drop_intermediate=False)
    ours = set(zip(curve.false_positive_rate.round(9), curve.true_positive_rate.round(9), strict=True))
    assert ours <= set(zip(x.round(9), y.round(9), strict=True))
    assert {(0, 0), (1, 1)} <= ours
    # Leaving out points on straight lines must not move the line.
    inner = ~np.isin(x, curve.false_positive_rate)
    np.testing.assert_allclose(np.interp(x[inner], curve.false_positive_rate, curve.true_positive_rate), y[inner])


def test_perfect_random_and_inverted_scores_have_the_known_areas() -> None:
    positives = np.array([True, True, False, False])
    assert roc_curve(np.array([4.0, 3, 2, 1]), positives).auc == 1
    assert roc_curve(np.ones(4), positives).auc == 0.5
    assert roc_curve(np.array([1.0, 2, 3, 4]), positives).auc == 0


@pytest.mark.parametrize("positives", [[True, True], [False, False]])
def test_a_class_without_positive_or_negative_cases_has_no_curve(positives: list[bool]) -> None:
    curve = roc_curve(np.array([0.1, 0.9]), np.array(positives))
    assert np.isnan(curve.auc)
    assert curve.false_positive_rate.size == curve.true_positive_rate.size == 0


def predictions(classes: int, present: int) -> tuple[FloatArray, IntArray]:
    generator = np.random.default_rng(classes + present)
    labels = np.append(np.arange(present), generator.integers(0, present, 150 - present))
    probabilities = generator.dirichlet(np.ones(classes), 150) + 0.3 * (labels[:, None] == np.arange(classes))
    return (probabilities / probabilities.sum(axis=1, keepdims=True)).round(2), labels


def test_one_vs_rest_averages_agree_with_scikit_learn() -> None:
    probabilities, labels = predictions(5, 5)
    curves = roc_one_vs_rest(probabilities, labels)
    truth = labels[:, None] == np.arange(5)
    each = metrics.roc_auc_score(truth, probabilities, average=None)
    np.testing.assert_allclose([curve.auc for curve in curves.per_class], each)
    assert curves.macro.auc == pytest.approx(metrics.roc_auc_score(truth, probabilities, average="macro"))
    assert curves.micro.auc == pytest.approx(metrics.roc_auc_score(truth, probabilities, average="micro"))


@pytest.mark.parametrize("present", [2, 4, 6])
def test_the_area_under_the_drawn_macro_curve_is_the_mean_of_the_areas(present: int) -> None:
    curves = roc_one_vs_rest(*predictions(6, present))
    x, y = curves.macro.false_positive_rate, curves.macro.true_positive_rate
    assert np.trapezoid(y, x) == pytest.approx(curves.macro.auc, abs=1e-12)
    assert curves.macro.auc == pytest.approx(np.nanmean([curve.auc for curve in curves.per_class]))
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= -1e-12).all()


def test_absent_classes_have_no_curve_and_do_not_enter_the_macro_average() -> None:
    curves = roc_one_vs_rest(*predictions(6, 4))
    assert [bool(np.isnan(curve.auc)) for curve in curves.per_class] == [False] * 4 + [True] * 2
    assert not np.isnan(curves.macro.auc)


def test_only_one_class_present_gives_no_macro_curve() -> None:
    curves = roc_one_vs_rest(np.full((3, 2), 0.5), np.zeros(3, dtype=np.int64))
    assert np.isnan(curves.macro.auc)
    assert curves.micro.auc == 0.5


def test_scores_that_do_not_fit_the_cases_are_refused() -> None:
    with pytest.raises(DataError, match=r"received \(3,\) and \(2,\)"):
        roc_curve(np.zeros(3), np.array([True, False]))


@given(st.integers(0, 10**6))
def test_values_of_images_have_the_macro_area_as_their_mean(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, size=60)
    scores = random.dirichlet(np.ones(4), size=60).round(1)  # many ties, and a class that is not there
    values = auc_values(scores, labels)
    assert values.mean() == pytest.approx(roc_one_vs_rest(scores, labels).macro.auc)
    assert np.isnan(auc_values(scores[:5], np.zeros(5, dtype=np.int64))).all()


def test_the_variance_of_these_values_is_that_of_resampled_areas() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, size=400)
    scores = random.dirichlet(np.ones(3), size=400) + 0.3 * np.eye(3)[labels]
    drawn = random.integers(400, size=(400, 400))
    areas = [roc_one_vs_rest(scores[row], labels[row]).macro.auc for row in drawn]
    assert auc_values(scores, labels).std() / 20 == pytest.approx(np.std(areas), rel=0.12)
