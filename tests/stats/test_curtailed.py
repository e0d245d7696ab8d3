"""Forecasts of a mean against simulated futures."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ceteris.errors import ConfigError
from ceteris.stats import chance_of_lead

DRAWS = 100_000
FloatArray = NDArray[np.float64]


def futures(seen: FloatArray, of: int, seed: int = 0) -> FloatArray:
    """Means of all blocks, given the first: drawn block by block from the posterior of the reference prior."""
    generator = np.random.default_rng(seed)
    n, rest = len(seen), of - len(seen)
    spread = np.sqrt(((seen - seen.mean()) ** 2).sum() / generator.chisquare(n - 1, DRAWS))
    centre = seen.mean() + spread * generator.normal(size=DRAWS) / np.sqrt(n)
    later = centre[:, None] + spread[:, None] * generator.normal(size=(DRAWS, rest))
    blocks = np.concatenate([np.tile(seen, (DRAWS, 1)), later], axis=1)
    return np.asarray(blocks.mean(axis=1))


def scaled(effect_size: float, blocks: int) -> FloatArray:
    """Blocks of standard deviation 1 and the given mean."""
    values = np.random.default_rng(blocks).normal(size=blocks)
    return np.asarray((values - values.mean()) / values.std(ddof=1) + effect_size)


@pytest.mark.parametrize("lead", [-0.5, 0.0, 0.4])
def test_a_forecast_of_a_lead_is_what_simulated_futures_show(lead: float) -> None:
    seen = scaled(0.3, 5)
    assert chance_of_lead(seen, of=20, lead=lead) == pytest.approx((futures(seen, 20) > lead).mean(), abs=0.006)


def test_differences_that_are_all_equal_go_on_like_that() -> None:
    assert chance_of_lead(np.full(3, 0.1), of=20, lead=0.05) == 1
    assert chance_of_lead(np.full(3, 0.1), of=20, lead=0.15) == 0


@pytest.mark.parametrize("blocks", [20, 21])
def test_a_forecast_needs_a_future(blocks: int) -> None:
    with pytest.raises(ConfigError, match=f"fewer than all 20, received {blocks}"):
        chance_of_lead(scaled(0.3, blocks), of=20)
