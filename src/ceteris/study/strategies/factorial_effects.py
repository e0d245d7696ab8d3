"""Main effects and two-way interactions of a grid: least squares inside every block, the corrected t-test over blocks.

An effect is a contrast of the fitted cells, averaged over the settings of the other factors in which all its corners can
be made. On a full balanced grid these are differences of plain cell means.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from ceteris.records import FloatArray, IntArray
from ceteris.stats import effect_coding

_SAME = 1e-8  # how near a contrast must lie to what the cells span


@dataclass(frozen=True, kw_only=True)
class GridFit:
    """The least-squares fit of a grid's finished cells, block by block.

    ``sizes`` are the levels per factor, level 0 the baseline's; ``possible`` the numbers of the levels of all cells that
    can be made, (cells, factors); ``trained`` those of the cells that finished on all blocks and ``results`` their
    accuracies, (trained cells, blocks). ``interactions`` says whether two-way interactions are fitted.
    """

    sizes: tuple[int, ...]
    possible: IntArray
    trained: IntArray
    results: FloatArray
    interactions: bool

    def main_effect(self, factor: int, level: int) -> FloatArray | None:
        """Return what a level brings against the baseline's level, (blocks,); None where the cells cannot tell."""
        return self._effect({factor: level})

    def interaction(self, first: tuple[int, int], second: tuple[int, int]) -> FloatArray | None:
        """Return the difference of differences of two (factor, level), (blocks,); None where the cells cannot tell."""
        return self._effect(dict((first, second)))

    def marginal_mean(self, factor: int, level: int) -> FloatArray | None:
        """Return the fitted mean of a level over the other factors, (blocks,); None where the cells cannot tell."""
        of_level = self._coded[self.possible[:, factor] == level]
        return self._estimate(of_level.mean(axis=0)) if len(of_level) else None

    @property
    def pairs(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """All pairs of levels of two factors, none of them the baseline's."""
        return [
            ((first, one), (second, other))
            for first, second in combinations(range(len(self.sizes)), 2)
            for one in range(1, self.sizes[first])
            for other in range(1, self.sizes[second])
        ]

    def _effect(self, changed: dict[int, int]) -> FloatArray | None:
        """Return the mixed difference of the changed factors against their baseline, averaged over the rest."""
        factors = list(changed)
        with_both = self.possible[(self.possible[:, factors] == list(changed.values())).all(axis=1)]
        corners = [_put_back(with_both, back) for back in _subsets(factors)]  # each (cells, factors)
        rows = np.array([[self._row.get(tuple(cell), -1) for cell in corner.tolist()] for corner in corners])
        complete = rows[:, (rows >= 0).all(axis=0)]
        if not complete.shape[1]:
            return None
        signs = [(-1) ** len(back) for back in _subsets(factors)]
        means = [self._coded[of_corner].mean(axis=0) for of_corner in complete]
        return self._estimate(np.asarray(signs) @ np.array(means))

    def _estimate(self, contrast: FloatArray) -> FloatArray | None:
        if not len(self.trained):
            return None
        weights = contrast @ self._inverse  # (trained cells,)
        if not np.allclose(weights @ self._matrix, contrast, atol=_SAME):
            return None
        return np.asarray(weights @ self.results)

    @cached_property
    def _row(self) -> dict[tuple[int, ...], int]:
        return {tuple(cell): row for row, cell in enumerate(self.possible.tolist())}

    @cached_property
    def _coded(self) -> FloatArray:
        return effect_coding(self.possible, self.sizes, interactions=self.interactions)

    @cached_property
    def _matrix(self) -> FloatArray:
        return effect_coding(self.trained, self.sizes, interactions=self.interactions)

    @cached_property
    def _inverse(self) -> FloatArray:
        return np.asarray(np.linalg.pinv(self._matrix))


def _subsets(factors: list[int]) -> list[tuple[int, ...]]:
    return [back for count in range(len(factors) + 1) for back in combinations(factors, count)]


def _put_back(cells: IntArray, back: tuple[int, ...]) -> IntArray:
    """Return cells with some factors at the baseline's level."""
    changed = cells.copy()
    changed[:, list(back)] = 0
    return changed
