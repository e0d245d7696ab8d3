"""A grid of all levels of all factors: what each level brings on average, and which effects depend on each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ceteris.fields import describe_changes
from ceteris.findings import (
    Broken,
    CellFailures,
    Comparison,
    FactorFinding,
    GridSearch,
    InBestRecipe,
    Interaction,
    LevelFinding,
)
from ceteris.records import FloatArray
from ceteris.stats import compare_levels
from ceteris.study.arms import arm
from ceteris.study.strategies import SAME_BLOCKS, Search, SearchResult, Strategy
from ceteris.study.strategies.candidates import CandidateRun, select, train_candidates
from ceteris.study.strategies.grid import Grid, GridCell, GridFit, check_grid, chosen_cells, grid_of
from ceteris.study.strategies.summaries import effort_of, level_finding
from ceteris.study.study import Factorial, Level, ModelSpec, Study, nuisances_of
from ceteris.study.trials import ExperimentContext, exploration_trials


def factorial(context: ExperimentContext, model: ModelSpec) -> Search:
    """Train the cells of one model's grid on the blocks of the design and estimate all effects.

    Raises:
        ConfigError: too many cells, or too few for the effects that are asked for.
    """
    study, grid = context.study, grid_of(context.study, model)
    cells = chosen_cells(study, grid)
    runs = [
        CandidateRun(number=number, recipe=cell.recipe, settings=cell.settings, idle=cell.idle)
        for number, cell in enumerate(cells)
    ]
    trials = {run.number: exploration_trials(context, run.recipe) for run in runs}
    yield from train_candidates(model.name, "grid", trials, runs)
    best, candidates = select(study, runs)
    results = GridResults(study=study, grid=grid, cells=cells, runs=runs, best=cells[best.number])
    varied = {field for choice in grid.choices for field in choice.factor.fields}
    tunable = {nuisance.field for choice in grid.choices for nuisance in nuisances_of(choice.factor)}
    return SearchResult(
        model=model,
        best=best.recipe,
        factors=results.factors(),
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


@dataclass(frozen=True, kw_only=True)
class GridResults:
    """The trained cells of a grid with their results, in the same order, and the cell that is kept."""

    study: Study
    grid: Grid
    cells: Sequence[GridCell]
    runs: Sequence[CandidateRun]
    best: GridCell

    @cached_property
    def fit(self) -> GridFit:
        """The fit of the cells that finished on all blocks."""
        assert isinstance(self.study.strategy, Factorial)
        finished = [(cell, run) for cell, run in zip(self.cells, self.runs, strict=True) if run.status == "finished"]
        levels = np.array([cell.levels for cell, _ in finished], dtype=np.int64)
        return GridFit(
            sizes=self.grid.sizes,
            possible=self.grid.levels,
            trained=levels.reshape(len(finished), len(self.grid.sizes)),
            results=np.array([run.accuracies for _, run in finished]),
            interactions=self.study.strategy.interactions,
        )

    def factors(self) -> tuple[FactorFinding, ...]:
        """Return the main effects of every factor, as marginal means per block, compared within a factor (Holm)."""
        return tuple(map(self._factor, range(len(self.grid.choices))))

    def _factor(self, place: int) -> FactorFinding:
        choice, labels = self.grid.choices[place], self.grid.labels[place]
        means = self.marginal_means(place)
        comparisons = self._compare(means[0], dict(zip(labels[1:], means[1:], strict=True)))
        levels = {
            label: replace(
                self._level(place, number, means[number]),
                incumbent=number == 0,
                chosen=self.best.levels[place] == number,
                comparison=comparisons.get(label),
            )
            for number, label in enumerate(labels)
        }
        return FactorFinding(
            name=choice.name,
            title=choice.factor.title or choice.name,
            question=choice.factor.question,
            fields=choice.factor.fields,
            levels=tuple(levels[label] for label in choice.labels),  # in the order of the study file
            reason=InBestRecipe(cells=sum(run.status == "finished" for run in self.runs)),
        )

    def marginal_means(self, place: int) -> list[FloatArray]:
        """Return the mean of every level over the other factors, (blocks,) each; NaN where the cells cannot tell.

        Levels are the baseline's mean plus their main effect, so that levels that do not go with every setting of the
        others are compared where they can be made.
        """
        unknown = np.full(len(self.runs[0].records), np.nan)
        baseline = self.fit.marginal_mean(place, 0)
        if baseline is None:
            observed = [run.accuracies for run in self._members(place, 0) if run.status == "finished"]
            baseline = np.mean(observed, axis=0) if observed else unknown
        effects = [self.fit.main_effect(place, level) for level in range(1, self.grid.sizes[place])]
        return [baseline, *(unknown if effect is None else baseline + effect for effect in effects)]

    def _members(self, place: int, level: int) -> list[CandidateRun]:
        """Return the cells of a level of a factor."""
        return [run for cell, run in zip(self.cells, self.runs, strict=True) if cell.levels[place] == level]

    def _level(self, place: int, number: int, means: FloatArray) -> LevelFinding:
        """Return one level; what is not accuracy is the mean over its finished cells, block by block.

        Sizes are those of the first cell, in which the other factors are the baseline's.
        """
        choice, label, members = self.grid.choices[place], self.grid.labels[place][number], self._members(place, number)
        baseline = self.grid.cells[0].recipe
        alone = arm(baseline, choice.factor, Level(label=label, changes=choice.changes(label)))
        level = replace(
            level_finding(label, [None] * len(means)),
            changes=describe_changes(baseline, alone),
            accuracies=means,
            effort=effort_of([record for run in members for record in run.records if record]),
            failures=_failures(members),
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
        effects = {pair: effect for pair in self.fit.pairs if (effect := self.fit.interaction(*pair)) is not None}
        numbered = {str(number): effect for number, effect in enumerate(effects.values())}
        additive = np.zeros(len(self.runs[0].records))
        comparisons = self._compare(additive, numbered) if numbered else {}
        found = []
        for number, pair in enumerate(effects):
            if comparison := comparisons.get(str(number)):
                first, second = (
                    (self.grid.choices[place].name, self.grid.labels[place][level]) for place, level in pair
                )
                found.append(Interaction(first=first, second=second, comparison=comparison))
        return tuple(found)

    def _compare(self, incumbent: FloatArray, levels: Mapping[str, FloatArray]) -> dict[str, Comparison]:
        return compare_levels(
            incumbent,
            levels,
            folds=self.study.exploration.folds,
            significance=self.study.significance,
            margin=self.study.equivalence_margin,
        )


def _failures(members: Sequence[CandidateRun]) -> tuple[CellFailures, ...]:
    failed = [(run.number, run.left.failure) for run in members if isinstance(run.left, Broken)]
    if not failed:
        return ()
    first, failure = failed[0]
    return (CellFailures(failed=len(failed), cells=len(members), first=first, failure=failure),)


FACTORIAL = Strategy(
    search=factorial,
    name="factorial grid",
    how=f"The levels of all factors were combined in a grid, every cell {SAME_BLOCKS}. The effect of a level is its mean over "
    "the grid, an interaction is how far the effect of one factor depends on another.",
    limits="Main effects are means over the levels of the other factors and mislead where the factors interact; then the "
    "cells count. Interactions of three and more factors are part of the noise.",
    check=check_grid,
)
