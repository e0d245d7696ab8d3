"""Numbers as people read them."""

import pytest

from ceteris.formats import clock, duration, p_value, percent, plain_points, points, rough_duration, several


@pytest.mark.parametrize(("seconds", "text"), [(0.25, "250 ms"), (5.03, "5.0 s"), (600, "10.0 min"), (9000, "2.5 h")])
def test_times_have_the_unit_that_people_would_use(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(12.4, "12 s"), (600, "10 min"), (9000, "2.5 h")])
def test_estimated_times_are_rough(seconds: float, text: str) -> None:
    assert rough_duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0:00"), (125, "2:05"), (3725, "1:02:05")])
def test_a_clock_shows_hours_only_where_there_are_some(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_points_have_a_sign_and_what_is_missing_is_a_dash() -> None:
    assert [points(value) for value in (0.0123, -0.0123, -1e-8, float("nan"))] == ["+1.23", "−1.23", "0.00", "–"]
    assert points(0.0, 1, zero="±") == "±0.0"
    assert plain_points(-0.0123) == "-1.23"
    assert (percent(0.98765), percent(float("nan"))) == ("98.77 %", "–")


def test_small_p_values_are_not_written_out() -> None:
    assert [p_value(0.0312), p_value(0.0312, ".3f"), p_value(0.0004)] == ["p = 0.0312", "p = 0.031", "p < 0.001"]


def test_counts_take_their_plural() -> None:
    assert [several(1, "seed"), several(2000, "seed"), several(0, "seed")] == ["1 seed", "2,000 seeds", "0 seeds"]
