from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats import sign_flip_test

DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])


def test_darwins_maize_gives_the_count_that_fisher_published() -> None:
    # Fisher, The Design of Experiments (1935), section 21: 863 of 32768 sums reach the observed one on either side.
    result = sign_flip_test(DARWIN)
    assert result.p_value == 2 * 863 / 2**15
    assert result.difference == pytest.approx(314 / 15)


@given(arrays(np.float64, st.integers(2, 9), elements=st.sampled_from([-2.0, -1, 0, 0.1, 0.2, 0.3, 1, 3])))
@settings(max_examples=60, deadline=None)
def test_counting_in_halves_equals_trying_every_assignment(differences: FloatArray) -> None:
    sums = [abs(np.dot(signs, differences)) for signs in product((-1, 1), repeat=len(differences))]
    expected = np.mean([total >= abs(differences.sum()) - 1e-9 for total in sums])
    assert sign_flip_test(differences).p_value == pytest.approx(expected)


def test_unanimous_blocks_reach_the_smallest_p_and_no_difference_gives_one() -> None:
    result = sign_flip_test(np.array([0.1, 0.2, 0.3, 0.1, 0.2]))
    assert result.p_value == result.smallest_p == 2 / 2**5
    assert sign_flip_test(np.zeros(4)).p_value == 1


def test_too_many_blocks_are_refused_with_an_alternative() -> None:
    with pytest.raises(ConfigError, match="up to 40 blocks, received 41; use the corrected t-test"):
        sign_flip_test(np.ones(41))
