"""Forecasts of the corrected t-test against simulation and against the plain t distribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.stats import (
    chance_of_equivalence,
    chance_of_gain,
    chance_of_lead,
    corrected_t_test,
    overlap_share,
    stopping_bounds,
)

DRAWS = 100_000
FloatArray = NDArray[np.float64]


def futures(seen: FloatArray, of: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Means and variances of all blocks, given the first: drawn block by block from the posterior of the reference prior."""
    generator = np.random.default_rng(seed)
    n, rest = len(seen), of - len(seen)
    spread = np.sqrt(((seen - seen.mean()) ** 2).sum() / generator.chisquare(n - 1, DRAWS))
    centre = seen.mean() + spread * generator.normal(size=DRAWS) / np.sqrt(n)
    later = centre[:, None] + spread[:, None] * generator.normal(size=(DRAWS, rest))
    blocks = np.concatenate([np.tile(seen, (DRAWS, 1)), later], axis=1)
    return blocks.mean(axis=1), blocks.var(axis=1, ddof=1)


def scaled(effect_size: float, blocks: int) -> FloatArray:
    """Blocks of standard deviation 1 and the given mean."""
    values = np.random.default_rng(blocks).normal(size=blocks)
    return np.asarray((values - values.mean()) / values.std(ddof=1) + effect_size)


@pytest.mark.parametrize(
    ("effect", "blocks", "of", "folds"),
    [(0.3, 3, 20, 5), (1.5, 5, 20, 5), (-1.2, 6, 25, 5), (1.3, 19, 20, 5), (0.8, 4, 5, 5), (2.0, 2, 30, 10)],
)
def test_a_forecast_is_what_simulated_futures_show(effect: float, blocks: int, of: int, folds: int) -> None:
    mean, variance = futures(scaled(effect, blocks), of)
    statistic = mean / np.sqrt(variance * (1 / of + overlap_share(folds=folds, blocks=of)))
    critical = stats.t.isf(0.025, of - 1)
    better, worse = (chance_of_gain(side * effect, blocks=blocks, of=of, folds=folds) for side in (1, -1))
    assert better == pytest.approx((statistic > critical).mean(), abs=0.006)
    assert worse == pytest.approx((statistic < -critical).mean(), abs=0.006)


@pytest.mark.parametrize(("effect", "margin"), [(0.0, 1.5), (0.5, 1.5), (-0.4, 1.2), (0.2, 0.3), (3.0, 1.0)])
def test_a_forecast_of_equivalence_is_what_simulated_futures_show(effect: float, margin: float) -> None:
    seen = scaled(effect, 6)
    mean, variance = futures(seen, 20)
    reach = stats.t.isf(0.05, 19) * np.sqrt(variance * (1 / 20 + overlap_share(folds=5, blocks=20)))
    expected = ((mean - reach > -margin) & (mean + reach < margin)).mean()
    assert chance_of_equivalence(seen, of=20, folds=5, margin=margin) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize("lead", [-0.5, 0.0, 0.4])
def test_a_forecast_of_a_lead_is_what_simulated_futures_show(lead: float) -> None:
    seen = scaled(0.3, 5)
    mean, _ = futures(seen, 20)
    assert chance_of_lead(seen, of=20, lead=lead) == pytest.approx((mean > lead).mean(), abs=0.006)


@given(st.integers(2, 24), st.sampled_from([0.05, 0.01]), st.sampled_from([0.01, 0.05]))
def test_bounds_keep_both_promises(blocks: int, significance: float, risk: float) -> None:
    bounds = stopping_bounds(blocks=blocks, of=25, folds=5, significance=significance, risk=risk)
    decided = chance_of_gain(bounds.decided + 1e-4, blocks=blocks, of=25, folds=5, significance=significance)
    assert decided >= 1 - risk - 1e-4
    assert p_value(bounds.decided + 1e-4, blocks) < significance
    assert bounds.futile < bounds.decided
    if bounds.futile >= 0:
        futile = sum(
            chance_of_gain(side * bounds.futile, blocks=blocks, of=25, folds=5, significance=significance)
            for side in (1, -1)
        )
        assert futile <= risk + 1e-4
        assert p_value(bounds.futile - 1e-4, blocks) > significance


def p_value(effect: float, blocks: int) -> float:
    return corrected_t_test(scaled(effect, blocks), test_share=overlap_share(folds=5, blocks=blocks)).p_value


def test_bounds_come_together_at_the_end() -> None:
    """With one block to come, what is neither decided nor futile lies close to the critical effect."""
    bounds = stopping_bounds(blocks=199, of=200, folds=5, significance=0.05, risk=0.05)
    critical = stats.t.isf(0.025, 199) * np.sqrt(1 / 200 + overlap_share(folds=5, blocks=200))
    assert bounds.futile == pytest.approx(critical, rel=0.02)
    assert bounds.decided == pytest.approx(critical, rel=0.02)


def test_differences_that_are_all_equal_go_on_like_that() -> None:
    assert chance_of_gain(np.inf, blocks=3, of=20, folds=5) == pytest.approx(1)
    assert chance_of_gain(-np.inf, blocks=3, of=20, folds=5) == 0
    assert chance_of_lead(np.full(3, 0.1), of=20, lead=0.05) == 1
    assert chance_of_equivalence(np.full(3, 0.1), of=20, folds=5, margin=0.05) == 0


@pytest.mark.parametrize(("blocks", "of"), [(1, 20), (20, 20), (21, 20)])
def test_a_forecast_needs_blocks_and_a_future(blocks: int, of: int) -> None:
    with pytest.raises(ConfigError, match="at least 2 and fewer"):
        chance_of_gain(1.0, blocks=blocks, of=of, folds=5)
