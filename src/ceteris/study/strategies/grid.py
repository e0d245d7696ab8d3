"""The grid of a factorial study: which cells can be made, which are trained, and the effects that they tell.

An effect is estimated by least squares inside every block: a contrast of the fitted cells, averaged over the settings of the
other factors in which all its corners can be made. On a full balanced grid it is a difference of plain cell means.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

import numpy as np

from ceteris.digests import digest_of
from ceteris.errors import ConfigError
from ceteris.findings import PassedOver
from ceteris.recipe import Recipe
from ceteris.records import FloatArray, IntArray
from ceteris.seeds import generator
from ceteris.stats import d_optimal, effect_coding, estimable_effects
from ceteris.study.strategies.space import Choice, Space, space_of
from ceteris.study.study import Factorial, ModelSpec, Study

MOST_CELLS = 2000
_SAME = 1e-8  # how near a contrast must lie to what the cells span


@dataclass(frozen=True, kw_only=True)
class GridCell:
    """One combination of levels: their numbers (0 is the baseline's), its recipe and what it sets, as ``Sampled``."""

    levels: tuple[int, ...]
    recipe: Recipe
    settings: tuple[tuple[str, str], ...]
    idle: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The cells of one model's grid that can be made, the baseline's first.

    ``choices`` are the factors; ``labels`` per factor, the baseline's level first; ``left_out`` are those
    that cannot be made; ``size`` counts these too.
    """

    choices: tuple[Choice, ...]
    labels: tuple[tuple[str, ...], ...]
    cells: tuple[GridCell, ...]
    left_out: tuple[PassedOver, ...]
    size: int

    @property
    def levels(self) -> IntArray:
        """The numbers of the levels of every cell, (cells, factors)."""
        return np.array([cell.levels for cell in self.cells], dtype=np.int64).reshape(len(self.cells), -1)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many levels every factor has."""
        return tuple(map(len, self.labels))

    def matrix(self, *, interactions: bool) -> FloatArray:
        """Return the effect-coded model matrix of all cells, (cells, effects)."""
        return effect_coding(self.levels, self.sizes, interactions=interactions)


def grid_of(study: Study, model: ModelSpec) -> Grid:
    """Return the grid of a model's factors; of one with more than 2,000 cells so many at random, where not all are trained.

    Raises:
        ConfigError: a grid of more than 2,000 cells, all of which should be trained.
    """
    assert isinstance(study.strategy, Factorial), f"a grid was asked for by {study.strategy.kind}"
    space = space_of(study, model)
    choices = tuple(choice for choice in space.dimensions if isinstance(choice, Choice))
    labels = tuple((choice.start, *(label for label in choice.labels if label != choice.start)) for choice in choices)
    sizes = tuple(map(len, labels))
    size = math.prod(sizes)
    if size > MOST_CELLS and not study.strategy.cells:
        factors = " × ".join(f"{len(choice.labels)} ({choice.name})" for choice in choices)
        raise ConfigError(
            f"strategy: the grid of model {model.name} has {size:,} cells, {factors}; at most {MOST_CELLS:,} are trained. "
            "Leave out levels or factors, or train a part of the cells that still tells all effects apart: "
            'strategy = { kind = "factorial", cells = 100 }.'
        )
    listed = product(*map(range, sizes)) if size <= MOST_CELLS else _some(sizes, generator(study.seed, 0, "search"))
    cells, left_out = _cells(space, labels, listed)
    return Grid(choices=choices, labels=labels, cells=cells, left_out=left_out, size=size)


def _some(sizes: tuple[int, ...], random: np.random.Generator) -> Iterator[tuple[int, ...]]:
    """Yield the baseline's cell and others at random, each once."""
    drawn = {(0,) * len(sizes): None}
    while len(drawn) < MOST_CELLS:
        drawn[tuple(int(level) for level in random.integers(sizes))] = None
    yield from drawn


def _cells(
    space: Space, labels: tuple[tuple[str, ...], ...], listed: Iterable[tuple[int, ...]]
) -> tuple[tuple[GridCell, ...], tuple[PassedOver, ...]]:
    """Make every cell; of those that give one recipe, as a level has no effect there, only the first is kept."""
    cells: dict[str, GridCell] = {}
    left_out: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    for levels in listed:
        point = tuple(of_factor[level] for of_factor, level in zip(labels, levels, strict=True))
        sampled = space.sampled(point)
        if sampled.recipe is None or digest_of(sampled.recipe) in cells:
            why = (sampled.reason, sampled.idle)
            left_out[why] = left_out.get(why, 0) + 1
            continue
        cells[digest_of(sampled.recipe)] = GridCell(
            levels=levels, recipe=sampled.recipe, settings=sampled.settings, idle=sampled.idle
        )
    passed_over = (PassedOver(count=count, reason=reason, idle=idle) for (reason, idle), count in left_out.items())
    return tuple(cells.values()), tuple(passed_over)


def chosen_cells(study: Study, grid: Grid) -> tuple[GridCell, ...]:
    """Return the cells that are trained, the baseline's first: all, or as many as asked for, chosen D-optimally.

    Raises:
        ConfigError: fewer cells than effects that are to be told apart.
    """
    strategy = study.strategy
    assert isinstance(strategy, Factorial)
    if not strategy.cells or strategy.cells >= len(grid.cells):
        return grid.cells
    _check_count(strategy, grid)
    matrix = grid.matrix(interactions=strategy.interactions)
    rows = d_optimal(matrix, strategy.cells, generator=generator(study.seed, 0, "search"))
    return tuple(grid.cells[row] for row in rows)


def _check_count(strategy: Factorial, grid: Grid) -> None:
    needed = estimable_effects(grid.matrix(interactions=strategy.interactions))
    if strategy.cells < min(needed, len(grid.cells)):
        what = "main effects and two-way interactions" if strategy.interactions else "main effects"
        advice = ", or set interactions = false" if strategy.interactions else ""
        raise ConfigError(
            f"strategy.cells: {needed} cells are needed to tell the {what} apart (with the mean), at most {len(grid.cells)} "
            f"can be made; received {strategy.cells}. Raise cells{advice}."
        )


def check_grid(study: Study) -> None:
    """Check that the grid of every model can be trained as asked for.

    Raises:
        ConfigError: too many cells in the grid, or too few for its effects.
    """
    assert isinstance(study.strategy, Factorial)
    for model in study.models:
        grid = grid_of(study, model)
        if study.strategy.cells and grid.choices:
            _check_count(study.strategy, grid)


# ---------------------------------------------------------------------------------------------------------------------
# Effects


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
        subsets = [back for count in range(len(factors) + 1) for back in combinations(factors, count)]
        rows = []
        for back in subsets:
            corner = with_both.copy()  # (cells, factors)
            corner[:, list(back)] = 0
            rows.append([self._row.get(tuple(cell), -1) for cell in corner.tolist()])
        complete = np.array(rows)[:, (np.array(rows) >= 0).all(axis=0)]
        if not complete.shape[1]:
            return None
        signs = [(-1) ** len(back) for back in subsets]
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
