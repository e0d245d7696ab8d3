"""The grid of a factorial study: which cells there are, which of them can be made, which are trained."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

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


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of levels: the numbers of its levels (0 is the baseline's), its recipe and what it sets, as ``Drawn``."""

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
    cells: tuple[Cell, ...]
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
        raise ConfigError(_too_many(size, choices, model))
    listed = product(*map(range, sizes)) if size <= MOST_CELLS else _some(sizes, generator(study.seed, 0, "search"))
    cells, left_out = _cells(space, labels, listed)
    return Grid(choices=choices, labels=labels, cells=cells, left_out=left_out, size=size)


def _too_many(size: int, choices: tuple[Choice, ...], model: ModelSpec) -> str:
    factors = " × ".join(f"{len(choice.labels)} ({choice.name})" for choice in choices)
    return (
        f"strategy: the grid of model {model.name} has {size:,} cells, {factors}; at most {MOST_CELLS:,} are trained. Leave "
        "out levels or factors, or train a part of the cells that still tells all effects apart: "
        'strategy = { kind = "factorial", cells = 100 }.'
    )


def _some(sizes: tuple[int, ...], random: np.random.Generator) -> Iterator[tuple[int, ...]]:
    """Yield the baseline's cell and others at random, each once."""
    drawn = {(0,) * len(sizes): None}
    while len(drawn) < MOST_CELLS:
        drawn[tuple(int(level) for level in random.integers(sizes))] = None
    yield from drawn


def _cells(
    space: Space, labels: tuple[tuple[str, ...], ...], listed: Iterable[tuple[int, ...]]
) -> tuple[tuple[Cell, ...], tuple[PassedOver, ...]]:
    """Make every cell; of those that give one recipe, as a level has no effect there, only the first is kept."""
    cells: dict[str, Cell] = {}
    left_out: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    for levels in listed:
        point = tuple(of_factor[level] for of_factor, level in zip(labels, levels, strict=True))
        drawn = space.drawn(point)
        if drawn.recipe is None or digest_of(drawn.recipe) in cells:
            why = (drawn.reason, drawn.idle)
            left_out[why] = left_out.get(why, 0) + 1
            continue
        cells[digest_of(drawn.recipe)] = Cell(
            levels=levels, recipe=drawn.recipe, settings=drawn.settings, idle=drawn.idle
        )
    passed_over = (PassedOver(count=count, reason=reason, idle=idle) for (reason, idle), count in left_out.items())
    return tuple(cells.values()), tuple(passed_over)


def chosen_cells(study: Study, grid: Grid) -> tuple[Cell, ...]:
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
        raise ConfigError(_too_few(strategy, needed, len(grid.cells)))


def _too_few(strategy: Factorial, needed: int, cells: int) -> str:
    what = "main effects and two-way interactions" if strategy.interactions else "main effects"
    advice = ", or set interactions = false" if strategy.interactions else ""
    return (
        f"strategy.cells: {needed} cells are needed to tell the {what} apart (with the mean), at most {cells} can be made; "
        f"received {strategy.cells}. Raise cells{advice}."
    )


def check_grid(study: Study) -> None:
    """Check that the grid of every model can be trained as asked for.

    Raises:
        ConfigError: too many cells in the grid, or too few for its effects.
    """
    if isinstance(study.strategy, Factorial):
        for model in study.models:
            grid = grid_of(study, model)
            if study.strategy.cells and grid.choices:
                _check_count(study.strategy, grid)
