"""Factorial designs: coding of factors as columns, and a few cells of a grid that tell all effects apart.

Effect coding: a factor of m levels has m - 1 columns; level i > 0 is 1 in column i - 1, level 0 is -1 in all, so that the
columns add up to 0 over a full grid and the constant is the grand mean. Interactions are products of columns.
"""

from itertools import combinations

import numpy as np
from scipy import linalg

from ceteris.errors import ConfigError
from ceteris.records import FloatArray, IntArray

_STARTS = 3  # of the exchange: it ends at the best design near its start
_GAIN = 1e-6  # an exchange must raise the determinant by this share


def effect_coding(cells: IntArray, sizes: tuple[int, ...], *, interactions: bool) -> FloatArray:
    """Return the model matrix (cells, effects) of cells (cells, factors) given by the numbers of their levels.

    Columns: the constant, the main effects factor by factor, then all two-way interactions where they are asked for.
    """
    constant = np.ones((len(cells), 1))
    codes = [np.concatenate([-np.ones((1, size - 1)), np.eye(size - 1)]) for size in sizes]  # (levels, columns) each
    mains = [code[cells[:, place]] for place, code in enumerate(codes)]
    pairs = [
        (first[:, :, None] * second[:, None, :]).reshape(len(cells), -1)
        for first, second in combinations(mains, 2)
        if interactions
    ]
    return np.concatenate([constant, *mains, *pairs], axis=1)


def estimable_effects(matrix: FloatArray) -> int:
    """Return how many effects the cells of a model matrix (cells, effects) can tell apart: its rank."""
    return int(np.linalg.matrix_rank(matrix))


def d_optimal(matrix: FloatArray, cells: int, *, generator: np.random.Generator) -> IntArray:
    """Return the rows of a model matrix that estimate its effects best, sorted; row 0 is always among them.

    Cells are exchanged one by one for the one outside that raises the determinant of X'X most, until none does (Fedorov,
    Theory of optimal experiments, 1972; one exchange per cell and pass as in Cook & Nachtsheim, A comparison of
    algorithms for constructing exact D-optimal designs, Technometrics 22, 1980), from several starts. Effects that not
    even all rows can tell apart are left out of the determinant. No cell is chosen twice.

    Args:
        matrix: one row per cell, see :func:`effect_coding`.
        cells: how many to choose, at least the number of estimable effects.
        generator: of the random starts.

    Raises:
        ConfigError: fewer cells than estimable effects, or more than there are.
    """
    rank = estimable_effects(matrix)
    if not rank <= cells <= len(matrix):
        raise ConfigError(
            f"cells must lie between {rank}, the number of effects to be told apart, and {len(matrix)}, all cells; "
            f"received {cells}"
        )
    basis = np.linalg.svd(matrix, full_matrices=False)[0][:, :rank] * np.sqrt(len(matrix))
    orders = [np.arange(len(matrix)), *(generator.permutation(len(matrix)) for _ in range(_STARTS - 1))]
    designs = [_exchanged(basis, _start(basis, cells, order)) for order in orders]
    best = max(designs, key=lambda design: float(np.linalg.slogdet(basis[design].T @ basis[design])[1]))
    return np.sort(best)


def _start(basis: FloatArray, cells: int, order: IntArray) -> IntArray:
    """Return row 0, then as many independent rows as there are effects, then what comes next in the order."""
    later = order[order != 0]
    first = basis[0] / np.linalg.norm(basis[0])
    rest = basis[later] - np.outer(basis[later] @ first, first)
    _, _, pivots = linalg.qr(rest.T, mode="economic", pivoting=True)
    independent = later[pivots[: basis.shape[1] - 1]]
    others = later[~np.isin(later, independent)]
    return np.concatenate([[0], independent, others])[:cells].astype(np.int64)


def _exchanged(basis: FloatArray, design: IntArray) -> IntArray:
    """Exchange cells until no exchange raises the determinant; place 0 keeps row 0.

    Fedorov's delta is the share by which the determinant rises when a row is put in a place.
    """
    design, improved = design.copy(), True
    while improved:
        improved = False
        for place in range(1, len(design)):
            chosen = basis[design]
            spread = np.linalg.solve(chosen.T @ chosen, basis.T).T  # (rows, effects)
            variance = (spread * basis).sum(axis=1)
            own, common = variance[design[place]], spread @ chosen[place]
            delta = variance - (variance * own - common**2) - own
            delta[design] = -np.inf
            row = int(delta.argmax())
            if delta[row] > _GAIN:
                design[place], improved = row, True
    return design
