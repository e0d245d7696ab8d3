import gc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from statsmodels.stats.multitest import multipletests

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats import holm

p_values = arrays(np.float64, st.integers(1, 12), elements=st.sampled_from([0.0, 1e-4, 0.01, 0.012, 0.03, 0.2, 1.0]))


@pytest.fixture(scope="module")
def _no_garbage() -> Iterator[None]:
    """statsmodels collects garbage at every call; what pytest holds need not be searched each time."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_no_garbage")
@given(p_values)
@settings(max_examples=60, deadline=None)
def test_adjusted_p_values_agree_with_statsmodels(p: FloatArray) -> None:
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_holm_gives_the_textbook_values() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_holm_finds_three_of_the_fifteen_of_benjamini_and_hochberg() -> None:
    # Benjamini & Hochberg 1995, section 4.1: fifteen ordered p-values of a trial.
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.324,
        0.4262,
        0.5719,
        0.6528,
        0.759,
        1,
    ]
    assert int((holm(p) <= 0.05).sum()) == 3


def test_no_comparisons_need_no_adjustment() -> None:
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("p", [[1.2], [-0.1], [np.nan], [[0.1, 0.2]]])
def test_numbers_that_are_no_p_values_are_refused(p: list[float]) -> None:
    with pytest.raises(ConfigError, match=r"numbers in 0\.\.1"):
        holm(p)
