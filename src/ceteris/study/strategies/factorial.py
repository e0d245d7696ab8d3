"""A grid of all levels of all factors: what each level brings on average, and which effects depend on each other."""

from collections.abc import Sequence

import numpy as np

from ceteris.findings import GridSearch
from ceteris.study.strategies.candidates import Tried, broken, findings_of, select
from ceteris.study.strategies.evidence import request_of
from ceteris.study.strategies.factorial_effects import GridFit
from ceteris.study.strategies.factorial_findings import factor_findings, interaction_findings
from ceteris.study.strategies.grid import Cell, Grid, chosen_cells, grid_of
from ceteris.study.strategies.protocol import Search, SearchResult
from ceteris.study.study import Factorial, ModelSpec, Study, nuisances_of
from ceteris.study.trials import ExperimentContext, exploration_trials


def factorial(setting: ExperimentContext, model: ModelSpec) -> Search:
    """Train the cells of one model's grid on the blocks of the design and estimate all effects.

    Raises:
        ConfigError: too many cells, or too few for the effects that are asked for.
    """
    grid = grid_of(setting.study, model)
    cells = chosen_cells(setting.study, grid)
    tried = [
        Tried(number=number, recipe=cell.recipe, settings=cell.settings, idle=cell.idle, records=[])
        for number, cell in enumerate(cells)
    ]
    trials = {one.number: exploration_trials(setting, one.recipe) for one in tried}
    records = yield request_of(model.name, "grid", {one.label: trials[one.number] for one in tried})
    for one in tried:
        one.records = [records[trial.digest] for trial in trials[one.number]]
        if failed := broken(one.records):
            one.status, one.left = "failed", failed
    return _route(setting.study, model, grid, cells, tried)


def _route(study: Study, model: ModelSpec, grid: Grid, cells: Sequence[Cell], tried: Sequence[Tried]) -> SearchResult:
    assert isinstance(study.strategy, Factorial)
    selection = select(study, tried)
    fit = fit_of(grid, cells, tried, interactions=study.strategy.interactions)
    best = cells[selection.number]
    interactions = interaction_findings(study, grid, fit) if study.strategy.interactions else ()
    return SearchResult(
        model=model,
        best=best.recipe,
        factors=factor_findings(study, grid, cells, tried, fit, best),
        interactions=interactions,
        candidates=findings_of(tried, selection),
        search=GridSearch(
            size=grid.size,
            possible=len(grid.cells),
            left_out=grid.left_out,
            untuned=_not_tuned(grid),
            confirmed=study.confirmation.seeds > 0,
        ),
    )


def fit_of(grid: Grid, cells: Sequence[Cell], tried: Sequence[Tried], *, interactions: bool) -> GridFit:
    """Fit the cells that finished on all blocks."""
    finished = [place for place, one in enumerate(tried) if one.status == "finished"]
    return GridFit(
        sizes=grid.sizes,
        possible=grid.levels,
        trained=np.array([cells[place].levels for place in finished], dtype=np.int64).reshape(
            -1, max(1, len(grid.sizes))
        ),
        results=np.array([tried[place].accuracies for place in finished]),
        interactions=interactions,
    )


def _not_tuned(grid: Grid) -> str:
    """Return a number that other strategies would tune inside an arm, '' where there is none."""
    varied = {field for choice in grid.choices for field in choice.factor.fields}
    fields = {nuisance.field for choice in grid.choices for nuisance in nuisances_of(choice.factor)}
    return min(fields - varied, default="")
