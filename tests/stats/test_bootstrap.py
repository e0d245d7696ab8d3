import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray, IntArray
from ceteris.stats import bootstrap_accuracy, bootstrap_interval
from ceteris.stats.bootstrap import Method

METHODS: list[Method] = ["bca", "percentile"]


def answers() -> tuple[NDArray[np.bool_], IntArray]:
    generator = np.random.default_rng(11)
    labels = generator.integers(0, 3, 240)
    return generator.random(240) < np.array([0.95, 0.8, 0.6])[labels], labels


def macro_f1(confusions: IntArray) -> FloatArray:
    correct = np.diagonal(confusions, axis1=-2, axis2=-1)
    return np.asarray((2 * correct / (confusions.sum(-1) + confusions.sum(-2))).mean(-1))


@pytest.mark.parametrize("method", METHODS)
def test_accuracy_interval_agrees_with_scipy_bootstrap(method: Method) -> None:
    correct, _ = answers()
    ours = bootstrap_accuracy(correct, generator=np.random.default_rng(1), method=method, resamples=100_000)
    name = {"bca": "BCa", "percentile": "percentile"}[method]
    theirs = stats.bootstrap(
        (correct.astype(float),), np.mean, n_resamples=20_000, method=name, rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.estimate == pytest.approx(correct.mean())
    # A step of the accuracy is 1/240.
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1.01 / 240)


def test_bca_interval_of_a_skewed_metric_agrees_with_scipy() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 3, 120)
    predicted = np.where(generator.random(120) < 0.8, labels, generator.integers(0, 3, 120))
    confusion = np.bincount(3 * labels + predicted, minlength=9).reshape(3, 3)

    def metric_of_images(labels: IntArray, predicted: IntArray, axis: int) -> FloatArray:
        cells = (3 * labels + predicted)[..., None] == np.arange(9)
        return macro_f1(cells.sum(axis=-2).reshape(*cells.shape[:-2], 3, 3))

    ours = bootstrap_interval(
        confusion, macro_f1, generator=np.random.default_rng(1), stratified=False, resamples=50_000
    )
    theirs = stats.bootstrap(
        (labels, predicted),
        metric_of_images,
        paired=True,
        vectorized=True,
        n_resamples=8_000,
        method="BCa",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)


def test_strata_of_unequal_difficulty_narrow_the_interval_by_the_variance_between_them() -> None:
    correct, labels = answers()
    free, stratified = (
        bootstrap_accuracy(correct, generator=np.random.default_rng(1), strata=strata, method="percentile")
        for strata in (None, labels)
    )
    shares, sizes = (
        np.array([correct[labels == c].mean() for c in range(3)]),
        np.bincount(labels),
    )
    expected = np.sqrt((sizes * shares * (1 - shares)).sum()) / 240 * 2 * stats.norm.ppf(0.975)
    assert stratified.high - stratified.low == pytest.approx(expected, rel=0.06)
    assert stratified.high - stratified.low < free.high - free.low


@pytest.mark.parametrize("method", METHODS)
def test_nominal_intervals_cover_the_truth_about_as_often_as_they_say(method: Method) -> None:
    generator, hits = np.random.default_rng(7), 0
    for _ in range(400):
        correct = generator.random(200) < 0.9
        interval = bootstrap_accuracy(correct, generator=generator, method=method, resamples=1000)
        hits += interval.low <= 0.9 <= interval.high
    assert 0.91 <= hits / 400 <= 0.98


@pytest.mark.parametrize("method", METHODS)
def test_perfect_answers_have_no_spread_and_no_warning(method: Method) -> None:
    interval = bootstrap_accuracy(np.ones(20, dtype=bool), generator=np.random.default_rng(0), method=method)
    assert (interval.low, interval.estimate, interval.high) == (1, 1, 1)


def test_the_same_generator_gives_the_same_interval() -> None:
    correct, labels = answers()
    one, two = (bootstrap_accuracy(correct, generator=np.random.default_rng(9), strata=labels) for _ in range(2))
    assert one == two


def test_a_class_without_images_draws_nothing() -> None:
    table = np.array([[5, 3], [0, 0], [2, 6]])
    seen = []

    def metric(tables: IntArray) -> FloatArray:
        seen.append(tables)
        return np.asarray(tables[..., 1].sum(-1) / tables.sum((-1, -2)))

    bootstrap_interval(table, metric, generator=np.random.default_rng(0), method="percentile", resamples=200)
    assert (np.concatenate(seen).sum(axis=-1) == [8, 0, 8]).all()


def test_arguments_that_give_no_interval_are_refused() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="at least one image"):
        bootstrap_interval(np.zeros((2, 2), dtype=np.int64), macro_f1, generator=generator)
    with pytest.raises(ConfigError, match="resamples must be at least 100"):
        bootstrap_accuracy(np.ones(3, dtype=bool), generator=generator, resamples=10)
    with pytest.raises(ConfigError, match=r"strata must have one entry per answer, received \(2,\) for answers \(3,\)"):
        bootstrap_accuracy(np.ones(3, dtype=bool), generator=generator, strata=np.zeros(2, dtype=np.int64))
