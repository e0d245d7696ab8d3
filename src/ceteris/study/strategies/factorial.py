"""A grid of all levels of all factors: what each level brings on average, and which effects depend on each other.

An effect is estimated by least squares inside every block: a contrast of the fitted cells, averaged over the settings of the
other factors in which all its corners can be made. On a full balanced grid it is a difference of plain cell means.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product

import numpy as np

from ceteris.digests import digest_of
from ceteris.errors import ConfigError
from ceteris.fields import describe_changes
from ceteris.findings import (
    Broken,
    CellFailures,
    FactorFinding,
    GridSearch,
    InBestRecipe,
    Interaction,
    LevelFinding,
    PassedOver,
)
from ceteris.recipe import Recipe
from ceteris.records import FloatArray, IntArray
from ceteris.seeds import generator
from ceteris.stats import Outcomes, d_optimal, effect_coding, estimable_effects, weighted_outcomes
from ceteris.study.arms import arm
from ceteris.study.decide import compare, error_of, outcomes
from ceteris.study.strategies import SAME_BLOCKS, Search, SearchResult, Strategy
from ceteris.study.strategies.candidates import CandidateRun, candidate_runs, select, train_candidates
from ceteris.study.strategies.comparison import effort_of, level_finding
from ceteris.study.strategies.space import Choice, Sampled, Space, space_of
from ceteris.study.study import Factorial, Level, ModelSpec, Study, nuisances_of
from ceteris.study.trials import ExperimentContext, exploration_trials

MOST_CELLS = 2000
_SAME = 1e-8  # how near a contrast must lie to what the cells span


def factorial(context: ExperimentContext, model: ModelSpec) -> Search:
    """Train the cells of one model's grid on the blocks of the design and estimate all effects.

    Raises:
        ConfigError: too many cells, or too few for the effects that are asked for.
    """
    study, grid = context.study, grid_of(context.study, model)
    cells = chosen_cells(study, grid)
    runs = candidate_runs(cells)
    trials = {run.number: exploration_trials(context, run.recipe) for run in runs}
    yield from train_candidates(model.name, "grid", trials, runs)
    best, candidates = select(context, runs)
    results = GridResults(context=context, grid=grid, cells=cells, runs=runs, best=cells[best.number])
    varied = {field for choice in grid.choices for field in choice.factor.fields}
    tunable = {nuisance.field for choice in grid.choices for nuisance in nuisances_of(choice.factor)}
    return SearchResult(
        model=model,
        best=best.recipe,
        factors=tuple(map(results.factor, range(len(grid.choices)))),
        interactions=results.interactions(),
        candidates=candidates,
        search=GridSearch(
            size=grid.size,
            possible=len(grid.cells),
            left_out=grid.left_out,
            untuned=min(tunable - varied, default=""),
            confirmed=study.confirmation.seeds > 0,
        ),
    )


# ---------------------------------------------------------------------------------------------------------------------
# The grid


@dataclass(frozen=True, kw_only=True)
class GridCell(Sampled):
    """One combination of levels that can be made, with their numbers (0 is the baseline's)."""

    levels: tuple[int, ...]
    recipe: Recipe


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
    listed: Iterable[tuple[int, ...]] = product(*map(range, sizes))
    if size > MOST_CELLS:  # the baseline's cell and others at random, each once
        random, drawn = generator(study.seed, 0, "search"), {(0,) * len(sizes): None}
        while len(drawn) < MOST_CELLS:
            drawn[tuple(int(level) for level in random.integers(sizes))] = None
        listed = drawn
    cells, left_out = _cells(space, labels, listed)
    return Grid(choices=choices, labels=labels, cells=cells, left_out=left_out, size=size)


def _cells(
    space: Space, labels: tuple[tuple[str, ...], ...], listed: Iterable[tuple[int, ...]]
) -> tuple[tuple[GridCell, ...], tuple[PassedOver, ...]]:
    """Make every cell; of those that give one recipe, as a level has no effect there, only the first is kept."""
    cells: dict[str, GridCell] = {}
    left_out = Counter[tuple[str, tuple[tuple[str, str], ...]]]()
    for levels in listed:
        point = tuple(of_factor[level] for of_factor, level in zip(labels, levels, strict=True))
        sampled = space.sampled(point)
        if sampled.recipe is not None and (digest := digest_of(sampled.recipe)) not in cells:
            cells[digest] = GridCell(levels=levels, recipe=sampled.recipe, settings=sampled.settings, idle=sampled.idle)
        else:
            left_out[sampled.reason, sampled.idle] += 1
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
    matrix = effect_coding(grid.levels, grid.sizes, interactions=strategy.interactions)
    rows = d_optimal(matrix, strategy.cells, generator=generator(study.seed, 0, "search"))
    return tuple(grid.cells[row] for row in rows)


def _check_count(strategy: Factorial, grid: Grid) -> None:
    needed = estimable_effects(effect_coding(grid.levels, grid.sizes, interactions=strategy.interactions))
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
    can be made, (cells, factors); ``trained`` those of the cells that finished on all blocks. ``interactions`` says whether
    two-way interactions are fitted. What it estimates are weights of the trained cells, (trained cells,).
    """

    sizes: tuple[int, ...]
    possible: IntArray
    trained: IntArray
    interactions: bool

    def effect(self, *changed: tuple[int, int]) -> FloatArray | None:
        """Return the weights that give what changed (factor, level)s bring against their baseline, over the other factors.

        One is a main effect; two are an interaction, the difference of differences. None where the cells cannot tell.
        """
        factors, levels = zip(*changed, strict=True)
        with_both = self.possible[(self.possible[:, factors] == levels).all(axis=1)]
        subsets = [back for count in range(len(factors) + 1) for back in combinations(factors, count)]
        row_of = {tuple(cell): row for row, cell in enumerate(self.possible.tolist())}
        rows = []
        for back in subsets:
            corner = with_both.copy()  # (cells, factors)
            corner[:, list(back)] = 0
            rows.append([row_of.get(tuple(cell), -1) for cell in corner.tolist()])
        complete = np.array(rows)[:, (np.array(rows) >= 0).all(axis=0)]
        if not complete.shape[1]:
            return None
        signs = [(-1) ** len(back) for back in subsets]
        means = [self._coded[of_corner].mean(axis=0) for of_corner in complete]
        return self._estimate(np.asarray(signs) @ np.array(means))

    def marginal_mean(self, factor: int, level: int) -> FloatArray | None:
        """Return the weights of the fitted mean of a level over the other factors; None where the cells cannot tell."""
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

    def _estimate(self, contrast: FloatArray) -> FloatArray | None:
        if not len(self.trained):
            return None
        weights = contrast @ self._inverse  # (trained cells,)
        if not np.allclose(weights @ self._matrix, contrast, atol=_SAME):
            return None
        return np.asarray(weights)

    @cached_property
    def _coded(self) -> FloatArray:
        return effect_coding(self.possible, self.sizes, interactions=self.interactions)

    @cached_property
    def _matrix(self) -> FloatArray:
        return effect_coding(self.trained, self.sizes, interactions=self.interactions)

    @cached_property
    def _inverse(self) -> FloatArray:
        return np.asarray(np.linalg.pinv(self._matrix))


@dataclass(frozen=True, kw_only=True)
class GridResults:
    """The trained cells of a grid with their results, in the same order, and the cell that is kept."""

    context: ExperimentContext
    grid: Grid
    cells: Sequence[GridCell]
    runs: Sequence[CandidateRun]
    best: GridCell

    @cached_property
    def fit(self) -> GridFit:
        """The fit of the cells that finished on all blocks."""
        strategy = self.context.study.strategy
        assert isinstance(strategy, Factorial)
        finished = [cell for cell, run in zip(self.cells, self.runs, strict=True) if run.status == "finished"]
        levels = np.array([cell.levels for cell in finished], dtype=np.int64)
        return GridFit(
            sizes=self.grid.sizes,
            possible=self.grid.levels,
            trained=levels.reshape(len(finished), len(self.grid.sizes)),
            interactions=strategy.interactions,
        )

    @cached_property
    def results(self) -> list[Outcomes]:
        """The results of the cells that finished on all blocks."""
        return [outcomes(self.context, run.records) for run in self.runs if run.status == "finished"]

    def _combined(self, weights: FloatArray | None) -> Outcomes:
        """Return the weighted sum of the cells' results; nothing on any block where there are no weights."""
        if weights is None or not self.results:
            return Outcomes(blocks=(None,) * len(self.runs[0].records))
        return weighted_outcomes(self.results, weights)

    @cached_property
    def _error(self) -> float:
        """The error of the baseline, in whose unit effects are expected."""
        return error_of(self.context.study, outcomes(self.context, self.runs[0].records))

    def factor(self, place: int) -> FactorFinding:
        """Return the main effects of a factor, as marginal means per block, compared with each other (Holm)."""
        choice, labels = self.grid.choices[place], self.grid.labels[place]
        means = self.marginal_means(place)
        others = dict(zip(labels[1:], means[1:], strict=True))
        comparisons = compare(self.context.study, means[0], others, error=self._error)
        levels = {
            label: replace(
                self._level(place, number, means[number].figures),
                incumbent=number == 0,
                chosen=self.best.levels[place] == number,
                comparison=comparisons.get(label),
            )
            for number, label in enumerate(labels)
        }
        return FactorFinding(
            name=choice.name,
            title=choice.factor.title or choice.name,
            question=choice.factor.words.question,
            fields=choice.factor.fields,
            levels=tuple(levels[label] for label in choice.labels),  # in the order of the study file
            reason=InBestRecipe(cells=sum(run.status == "finished" for run in self.runs)),
        )

    def marginal_means(self, place: int) -> list[Outcomes]:
        """Return the mean of every level over the other factors; no block where the cells cannot tell.

        Levels are the baseline's mean plus their main effect, so that levels that do not go with every setting of the
        others are compared where they can be made.
        """
        baseline = self.fit.marginal_mean(place, 0)
        if baseline is None:
            observed = self.fit.trained[:, place] == 0
            baseline = observed / observed.sum() if observed.any() else None
        effects = [self.fit.effect((place, level)) for level in range(1, self.grid.sizes[place])]
        weights = [None if baseline is None or effect is None else baseline + effect for effect in effects]
        return [self._combined(one) for one in (baseline, *weights)]

    def _level(self, place: int, number: int, means: FloatArray) -> LevelFinding:
        """Return one level; what is not accuracy is the mean over its finished cells, block by block.

        Sizes are those of the first cell, in which the other factors are the baseline's.
        """
        choice, label = self.grid.choices[place], self.grid.labels[place][number]
        members = [run for cell, run in zip(self.cells, self.runs, strict=True) if cell.levels[place] == number]
        baseline = self.grid.cells[0].recipe
        broken = [(run.number, run.left.failure) for run in members if isinstance(run.left, Broken)]
        alone = arm(baseline, choice.factor, Level(label=label, changes=choice.changes(label)))
        level = replace(
            level_finding(label, [None] * len(means)),
            changes=describe_changes(baseline, alone),
            accuracies=means,
            effort=effort_of([record for run in members for record in run.records if record]),
            failures=tuple(
                CellFailures(failed=len(broken), cells=len(members), first=first, failure=failure)
                for first, failure in broken[:1]
            ),
        )
        cells = [level_finding(label, run.records) for run in members if run.status == "finished"]
        if not cells:
            return level
        return replace(
            level,
            f1=np.mean([cell.f1 for cell in cells], axis=0),
            losses=np.mean([cell.losses for cell in cells], axis=0),
            train_accuracies=np.mean([cell.train_accuracies for cell in cells], axis=0),
            train_seconds=np.mean([cell.train_seconds for cell in cells], axis=0),
            parameters=cells[0].parameters,
            forward_flops_per_image=cells[0].forward_flops_per_image,
            peak_memory_bytes=max(cell.peak_memory_bytes for cell in cells),
        )

    def interactions(self) -> tuple[Interaction, ...]:
        """Return all two-way interactions that the cells can tell, adjusted by Holm over all of them; () if not asked for."""
        if not self.fit.interactions:
            return ()
        effects = {pair: effect for pair in self.fit.pairs if (effect := self.fit.effect(*pair)) is not None}
        numbered = {str(number): self._combined(effect) for number, effect in enumerate(effects.values())}
        additive = self._combined(np.zeros(len(self.results)))
        comparisons = compare(self.context.study, additive, numbered, error=self._error)
        found = []
        for number, pair in enumerate(effects):
            if comparison := comparisons.get(str(number)):
                first, second = (
                    (self.grid.choices[place].name, self.grid.labels[place][level]) for place, level in pair
                )
                found.append(Interaction(first=first, second=second, comparison=comparison))
        return tuple(found)


FACTORIAL = Strategy(
    search=factorial,
    name="factorial grid",
    how=f"The options of all factors were combined in a grid, every cell {SAME_BLOCKS}. The effect of an option is its "
    "mean over the grid, an interaction is how far the effect of one factor depends on another.",
    limits="Main effects are means over the options of the other factors and mislead where the factors interact; then the "
    "cells count. Interactions of three and more factors are part of the noise.",
    check=check_grid,
)
