"""The posterior of a gain against numerical integration, and what a choice may rely on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from ceteris.errors import ConfigError
from ceteris.stats import expected_gain

WEIGHTS, SCALES = (0.50, 0.35, 0.15), (0.06, 0.4, 1.2)


@pytest.mark.parametrize(("difference", "noise", "error"), [(0.012, 0.008, 0.05), (-0.03, 0.01, 0.2), (0.5, 0.1, 0.02)])
def test_mean_and_chances_are_those_of_bayes_rule(difference: float, noise: float, error: float) -> None:
    grid = np.linspace(-8 * error - 1, 8 * error + 1, 2_000_001)
    prior = sum(w * stats.norm.pdf(grid, 0, s * error) for w, s in zip(WEIGHTS, SCALES, strict=True))
    density = prior * stats.norm.pdf(difference, grid, noise)
    total = integrate.trapezoid(density, grid)
    found = expected_gain(difference, noise, error=error)
    assert found.gain == pytest.approx(integrate.trapezoid(grid * density, grid) / total, rel=1e-5)
    for value in (0.0, 0.004, -0.01):
        above = integrate.trapezoid(density * (grid > value), grid) / total
        assert found.chance_above(value) == pytest.approx(above, abs=1e-4)
    assert found.chance == found.chance_above(0.0)


@given(st.floats(-0.5, 0.5), st.floats(1e-6, 0.2), st.floats(0.001, 1))
@settings(max_examples=60, deadline=None)
def test_a_gain_is_drawn_towards_nothing_and_its_sign_follows_the_data(
    difference: float, noise: float, error: float
) -> None:
    found, turned = (expected_gain(sign * difference, noise, error=error) for sign in (1, -1))
    assert abs(found.gain) <= abs(difference)
    assert found.gain * difference >= 0
    assert turned.gain == pytest.approx(-found.gain, abs=1e-15)
    assert found.chance + turned.chance == pytest.approx(1)
    assert found.chance_above(0.01) <= found.chance <= found.chance_above(-0.01)


@given(st.floats(0.001, 0.3), st.floats(1e-4, 0.1), st.floats(0.01, 0.5))
@settings(max_examples=40, deadline=None)
def test_more_noise_never_promises_more(difference: float, noise: float, error: float) -> None:
    exact, noisy = (expected_gain(difference, factor * noise, error=error) for factor in (1, 3))
    assert noisy.gain <= exact.gain + 1e-12
    assert noisy.chance <= exact.chance + 1e-9


def test_certain_differences_and_perfect_incumbents_have_an_answer() -> None:
    assert (expected_gain(0.0, 0.0, error=0.1).gain, expected_gain(0.0, 0.0, error=0.1).chance) == (0, 0.5)
    sure = expected_gain(0.02, 0.0, error=0.1)
    assert sure.gain == pytest.approx(0.02)
    assert sure.chance == 1
    perfect = expected_gain(-0.01, 0.01, error=0.0)
    assert (perfect.gain, perfect.chance) == (0, 0.5)


@pytest.mark.parametrize(
    ("difference", "noise", "error", "told"),
    [
        (np.nan, 0.1, 0.1, "difference must be a finite number, received nan"),
        (0.1, -0.1, 0.1, "standard_error must be a finite number of at least 0, received -0.1"),
        (0.1, 0.1, np.inf, "error must be a finite number of at least 0, received inf"),
    ],
)
def test_what_cannot_be_meant_is_refused(difference: float, noise: float, error: float, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        expected_gain(difference, noise, error=error)
