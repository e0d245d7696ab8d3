import numpy as np
import pytest
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.stats import sampling_deviation, variance_by_source


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


def test_a_source_with_one_run_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match='the source "order" needs at least 2'):
        variance_by_source({"order": [0.9]})
