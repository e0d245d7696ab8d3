"""A grid of all levels of all factors: what each level brings on average, and which effects depend on each other."""

from collections.abc import Sequence

import numpy as np

from ceteris.findings import Interaction
from ceteris.study.strategies.candidates import Selection, Tried, failure, findings_of, optimism, select
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
        Tried(number=number, recipe=cell.recipe, settings=cell.settings, note="", records=[])
        for number, cell in enumerate(cells)
    ]
    trials = {one.number: exploration_trials(setting, one.recipe) for one in tried}
    records = yield request_of(model.name, "grid", {one.label: trials[one.number] for one in tried})
    for one in tried:
        one.records = [records[trial.digest] for trial in trials[one.number]]
        if broken := failure(one.records):
            one.fate, one.told = "failed", broken
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
        summary=_summary(study, grid, tried, selection, interactions),
    )


def fit_of(grid: Grid, cells: Sequence[Cell], tried: Sequence[Tried], *, interactions: bool) -> GridFit:
    """Fit the cells that finished on all blocks."""
    finished = [place for place, one in enumerate(tried) if one.fate == "finished"]
    return GridFit(
        sizes=grid.sizes,
        possible=grid.levels,
        trained=np.array([cells[place].levels for place in finished], dtype=np.int64).reshape(len(finished), -1),
        results=np.array([tried[place].accuracies for place in finished]),
        interactions=interactions,
    )


def _summary(
    study: Study, grid: Grid, tried: Sequence[Tried], selection: Selection, interactions: Sequence[Interaction]
) -> str:
    told = [f"{_cells_text(grid, len(tried))} on every block.", selection.sentence]
    if failed := sum(one.fate == "failed" for one in tried):
        told.append(f"{failed} cells did not finish and are left out of all effects.")
    told += _left_out(grid)
    if interactions:
        strongest = max(interactions, key=lambda entry: abs(entry.comparison.difference))
        told.append(f"The largest of {len(interactions)} interactions: {strongest.comparison.sentence}")
    if tuned := _not_tuned(study, grid):
        told.append(tuned)
    if selection.number:
        told.append(optimism(study, len(tried)))
    return " ".join(told)


def _cells_text(grid: Grid, trained: int) -> str:
    if trained == grid.size:
        return f"All {trained} cells of the grid were trained"
    if trained == len(grid.cells):
        return f"All {trained} cells of the grid that can be made, of {grid.size}, were trained"
    return (
        f"{trained} of the {grid.size:,} cells of the grid, chosen so that all effects can be told apart, were trained"
    )


def _left_out(grid: Grid) -> list[str]:
    if not grid.left_out:
        return []
    count, reason = sum(grid.left_out.values()), max(grid.left_out, key=lambda known: grid.left_out[known])
    return [f"{count} cells were left out, as their levels do not go together ({reason})."]


def _not_tuned(study: Study, grid: Grid) -> str:
    """Say which numbers would be tuned inside an arm by other strategies: a grid compares cells as they are written."""
    varied = {field for choice in grid.choices for field in choice.factor.fields}
    fields = {nuisance.field for choice in grid.choices for nuisance in nuisances_of(choice.factor)}
    missing = sorted(fields - varied)
    return (
        f"A grid tunes nothing inside its cells; to judge levels at a {missing[0]} that suits them, make it a factor."
        if missing
        else ""
    )
