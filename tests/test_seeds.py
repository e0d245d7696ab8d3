from typing import get_args

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ceteris.seeds import Role, generator, stream_seed

ROLES = list[Role](get_args(Role))


def test_streams_are_the_same_on_every_machine_and_in_every_version() -> None:
    """A change here changes every result that anybody has in a store."""
    assert stream_seed(0, 0, "split") == 1206671444940258625
    assert stream_seed(7, 3, "dropout") == 2125753498279820916


@given(st.integers(-(2**63), 2**63), st.integers(0, 50), st.sampled_from(ROLES))
def test_a_seed_fits_every_generator(seed: int, fold: int, role: Role) -> None:
    assert 0 <= stream_seed(seed, fold, role) < 2**63


def test_seed_fold_and_role_all_matter() -> None:
    seeds = {stream_seed(seed, fold, role) for seed in (0, 1, 11) for fold in (0, 1, 10) for role in ROLES}
    assert len(seeds) == 9 * len(ROLES)


def test_the_same_stream_gives_the_same_numbers_again() -> None:
    first, again, other = (generator(1, fold, "order").random(5) for fold in (2, 2, 3))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
