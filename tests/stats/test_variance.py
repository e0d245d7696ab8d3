import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.stats import crossed_variance, run_variance, sampling_deviation, variance_by_source


def test_each_source_has_its_deviation_with_the_chi_square_interval_and_its_share() -> None:
    generator = np.random.default_rng(0)
    results = {"split": generator.normal(0.9, 0.02, 40), "initialisation": generator.normal(0.9, 0.01, 25)}
    found = variance_by_source(results)
    assert sum(source.share for source in found.values()) == pytest.approx(1)
    for name, runs in results.items():
        deviation = found[name].deviation
        assert deviation.estimate == pytest.approx(runs.std(ddof=1))
        degrees = len(runs) - 1
        inside = [
            stats.chi2.cdf(degrees * (deviation.estimate / bound) ** 2, degrees)
            for bound in (deviation.high, deviation.low)
        ]
        assert inside == pytest.approx([0.025, 0.975])


def test_a_source_that_changes_nothing_has_no_share() -> None:
    found = variance_by_source({"order": np.full(5, 0.9), "split": np.full(3, 0.8)})
    assert [(source.share, source.deviation.estimate) for source in found.values()] == [(0, 0), (0, 0)]


def test_sampling_deviation_is_the_binomials() -> None:
    assert sampling_deviation(0.9, 10_000) == pytest.approx(stats.binom.std(10_000, 0.9) / 10_000)


def test_runs_that_err_independently_on_each_image_do_not_differ_on_the_distribution() -> None:
    correct = np.random.default_rng(0).random((200, 2000)) < 0.9
    result = run_variance(correct)
    assert result.test_set == pytest.approx(0.9 * 0.1 / 2000, rel=0.3)
    assert abs(result.distribution) < 0.3 * result.test_set


def test_true_differences_between_runs_are_recovered_without_bias() -> None:
    generator, estimates = np.random.default_rng(1), []
    for _ in range(300):
        accuracy = generator.normal(0.8, 0.03, (20, 1))
        estimates.append(run_variance(generator.random((20, 150)) < accuracy).distribution)
    assert np.mean(estimates) == pytest.approx(0.03**2, rel=0.08)


def test_crossed_variance_agrees_with_the_mean_squares_of_statsmodels() -> None:
    generator, rows, columns = np.random.default_rng(2), 6, 5
    table = (
        generator.normal(0, 3, (rows, 1)) + generator.normal(0, 2, columns) + generator.normal(0, 1, (rows, columns))
    )
    row, column = np.indices(table.shape).reshape(2, -1)
    intercept = np.ones((table.size, 1))
    of_rows, of_columns = np.eye(rows)[row][:, 1:], np.eye(columns)[column][:, 1:]
    residual = {
        name: sm.OLS(table.ravel(), np.hstack(parts)).fit().ssr
        for name, parts in {
            "both": (intercept, of_rows, of_columns),
            "rows": (intercept, of_rows),
            "columns": (intercept, of_columns),
        }.items()
    }
    rest = residual["both"] / ((rows - 1) * (columns - 1))
    result = crossed_variance(table)
    assert result.rest == pytest.approx(rest)
    assert result.rows == pytest.approx(((residual["columns"] - residual["both"]) / (rows - 1) - rest) / columns)
    assert result.columns == pytest.approx(((residual["rows"] - residual["both"]) / (columns - 1) - rest) / rows)


def test_a_factor_without_effect_has_no_negative_variance() -> None:
    result = crossed_variance([[1.0, 2.0], [2.0, 1.0]])
    assert (result.rows, result.columns) == (0, 0)
    assert result.rest == pytest.approx(1)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (5,)])
def test_designs_without_two_of_each_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        crossed_variance(np.zeros(shape))
    with pytest.raises(ConfigError, match="at least 2 of each"):
        run_variance(np.zeros(shape, dtype=bool))


def test_a_source_with_one_run_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match='the source "order" needs at least 2'):
        variance_by_source({"order": [0.9]})
