"""Effect coding and D-optimal designs against full enumeration and textbook designs."""

from itertools import combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from ceteris.errors import ConfigError
from ceteris.stats import d_optimal, effect_coding, estimable_effects

FloatArray = NDArray[np.float64]


def full(*sizes: int) -> NDArray[np.int64]:
    return np.array(list(product(*map(range, sizes))), dtype=np.int64)


def determinant(matrix: FloatArray, rows: NDArray[np.int64] | tuple[int, ...]) -> float:
    chosen = matrix[list(rows)]
    return float(np.linalg.det(chosen.T @ chosen))


@pytest.mark.parametrize(("interactions", "columns"), [(False, 1 + 1 + 2 + 3), (True, 1 + 1 + 2 + 3 + 2 + 3 + 6)])
def test_effects_add_up_to_zero_over_a_full_grid(interactions: bool, columns: int) -> None:
    matrix = effect_coding(full(2, 3, 4), (2, 3, 4), interactions=interactions)
    assert matrix.shape == (24, columns)
    np.testing.assert_allclose(matrix[:, 1:].sum(axis=0), 0)
    assert estimable_effects(matrix) == columns


def test_half_of_a_two_level_grid_is_the_orthogonal_fraction() -> None:
    """Hadamard's bound: 4 cells, 4 effects of ±1, |X'X| = 4^4; any other half is worse."""
    matrix = effect_coding(full(2, 2, 2), (2, 2, 2), interactions=False)
    rows = d_optimal(matrix, 4, generator=np.random.default_rng(0))
    assert determinant(matrix, rows) == pytest.approx(4**4)


@pytest.mark.parametrize(
    ("sizes", "cells", "interactions"), [((2, 3), 5, False), ((3, 3), 6, False), ((2, 2, 3), 10, True)]
)
def test_no_other_choice_of_cells_has_a_larger_determinant(
    sizes: tuple[int, ...], cells: int, interactions: bool
) -> None:
    matrix = effect_coding(full(*sizes), sizes, interactions=interactions)
    rows = d_optimal(matrix, cells, generator=np.random.default_rng(1))
    best = max(determinant(matrix, (0, *others)) for others in combinations(range(1, len(matrix)), cells - 1))
    assert determinant(matrix, rows) == pytest.approx(best)


def test_the_first_cell_is_always_chosen_and_none_twice() -> None:
    matrix = effect_coding(full(3, 4, 3), (3, 4, 3), interactions=False)
    for seed in range(3):
        rows = d_optimal(matrix, 12, generator=np.random.default_rng(seed))
        assert rows[0] == 0
        assert len(set(rows.tolist())) == 12
        assert rows.tolist() == d_optimal(matrix, 12, generator=np.random.default_rng(seed)).tolist()


def test_effects_that_no_cell_can_tell_apart_do_not_count() -> None:
    matrix = effect_coding(full(2, 3)[:5], (2, 3), interactions=True)  # the last pair of levels cannot be made
    assert estimable_effects(matrix) == 5
    assert len(d_optimal(matrix, 5, generator=np.random.default_rng(0))) == 5


@pytest.mark.parametrize("cells", [3, 7])
def test_too_few_or_too_many_cells_are_refused(cells: int) -> None:
    matrix = effect_coding(full(2, 3), (2, 3), interactions=False)
    with pytest.raises(ConfigError, match=rf"between 4, .*, and 6, .*received {cells}"):
        d_optimal(matrix, cells, generator=np.random.default_rng(0))
