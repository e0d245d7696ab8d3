"""What the report says about a grid: the levels of every factor averaged over the others, and the interactions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ceteris.fields import describe_changes
from ceteris.findings import (
    Broken,
    CellFailures,
    Comparison,
    FactorFinding,
    InBestRecipe,
    Interaction,
    LevelFinding,
)
from ceteris.records import FloatArray
from ceteris.stats import compare_levels
from ceteris.study.design import arm
from ceteris.study.strategies.candidates import Tried
from ceteris.study.strategies.evidence import effort_of, level_finding
from ceteris.study.strategies.factorial_effects import GridFit
from ceteris.study.strategies.grid import Cell, Grid
from ceteris.study.study import Level, Study


def factor_findings(
    study: Study, grid: Grid, cells: Sequence[Cell], tried: Sequence[Tried], fit: GridFit, best: Cell
) -> tuple[FactorFinding, ...]:
    """Return the main effects of every factor, as marginal means per block and their comparisons (Holm within a factor)."""
    return tuple(
        _factor(study, grid, place, _members(grid, place, cells, tried), fit, best)
        for place in range(len(grid.choices))
    )


def _members(grid: Grid, place: int, cells: Sequence[Cell], tried: Sequence[Tried]) -> list[list[Tried]]:
    """Return the cells of every level of a factor."""
    return [
        [one for cell, one in zip(cells, tried, strict=True) if cell.levels[place] == level]
        for level in range(grid.sizes[place])
    ]


def _factor(
    study: Study, grid: Grid, place: int, members: Sequence[Sequence[Tried]], fit: GridFit, best: Cell
) -> FactorFinding:
    choice, labels = grid.choices[place], grid.labels[place]
    means = marginal_means(fit, place, members)
    comparisons = compare_levels(
        means[0],
        dict(zip(labels[1:], means[1:], strict=True)),
        folds=study.exploration.folds,
        significance=study.significance,
        margin=study.equivalence_margin,
    )
    numbers = [labels.index(label) for label in choice.labels]  # in the order of the study file
    return FactorFinding(
        name=choice.name,
        title=choice.factor.title or choice.name,
        question=choice.factor.question,
        fields=choice.factor.fields,
        levels=tuple(
            _level(grid, place, number, members[number], means[number], comparisons, best) for number in numbers
        ),
        reason=InBestRecipe(cells=sum(one.status == "finished" for of_level in members for one in of_level)),
    )


def marginal_means(fit: GridFit, place: int, members: Sequence[Sequence[Tried]]) -> list[FloatArray]:
    """Return the mean of every level over the other factors, (blocks,) each; NaN where the cells cannot tell.

    Levels are the baseline's mean plus their main effect, so that levels that do not go with every setting of the others
    are compared where they can be made.
    """
    baseline = fit.marginal_mean(place, 0)
    blocks = len(members[0][0].records)
    if baseline is None:
        baseline = _observed(members[0], blocks)
    effects = [fit.main_effect(place, level) for level in range(1, fit.sizes[place])]
    unknown = np.full(blocks, np.nan)
    return [baseline, *(unknown if effect is None else baseline + effect for effect in effects)]


def _observed(members: Sequence[Tried], blocks: int) -> FloatArray:
    finished = [one.accuracies for one in members if one.status == "finished"]
    return np.mean(finished, axis=0) if finished else np.full(blocks, np.nan)


def _level(
    grid: Grid,
    place: int,
    number: int,
    members: Sequence[Tried],
    means: FloatArray,
    comparisons: Mapping[str, Comparison],
    best: Cell,
) -> LevelFinding:
    """Return one level; what is not accuracy is the mean over its finished cells, block by block."""
    choice, label = grid.choices[place], grid.labels[place][number]
    alone = arm(grid.cells[0].recipe, choice.factor, Level(label=label, changes=choice.changes(label)))
    found = level_finding(
        label,
        [None] * len(means),
        changes=describe_changes(grid.cells[0].recipe, alone),
        incumbent=number == 0,
        chosen=best.levels[place] == number,
        comparison=comparisons.get(label),
    )
    found = replace(
        found,
        accuracies=means,
        effort=effort_of([record for one in members for record in one.records if record]),
        failures=_failures(members),
    )
    return _averaged(found, [one for one in members if one.status == "finished"])


def _failures(members: Sequence[Tried]) -> tuple[CellFailures, ...]:
    failed = [(one.number, one.left.failure) for one in members if isinstance(one.left, Broken)]
    if not failed:
        return ()
    first, failure = failed[0]
    return (CellFailures(failed=len(failed), cells=len(members), first=first, failure=failure),)


def _averaged(found: LevelFinding, finished: Sequence[Tried]) -> LevelFinding:
    """Fill in the means over cells; sizes are those of the first cell, in which the other factors are the baseline's."""
    if not finished:
        return found
    cells = [
        level_finding(found.label, one.records, changes=(), incumbent=False, chosen=False, comparison=None)
        for one in finished
    ]
    return replace(
        found,
        f1=np.mean([cell.f1 for cell in cells], axis=0),
        losses=np.mean([cell.losses for cell in cells], axis=0),
        train_accuracies=np.mean([cell.train_accuracies for cell in cells], axis=0),
        train_seconds=np.mean([cell.train_seconds for cell in cells], axis=0),
        parameters=cells[0].parameters,
        forward_flops_per_image=cells[0].forward_flops_per_image,
        peak_memory_bytes=max(cell.peak_memory_bytes for cell in cells),
    )


def interaction_findings(study: Study, grid: Grid, fit: GridFit) -> tuple[Interaction, ...]:
    """Return all two-way interactions that the cells can tell, adjusted by Holm over all of them."""
    effects = {pair: effect for pair in fit.pairs if (effect := fit.interaction(*pair)) is not None}
    if not effects:
        return ()
    blocks = len(next(iter(effects.values())))
    comparisons = compare_levels(
        np.zeros(blocks),
        {str(number): effect for number, effect in enumerate(effects.values())},
        folds=study.exploration.folds,
        significance=study.significance,
        margin=study.equivalence_margin,
    )
    found = []
    for number, pair in enumerate(effects):
        if comparison := comparisons.get(str(number)):
            first, second = ((grid.choices[place].name, grid.labels[place][level]) for place, level in pair)
            found.append(Interaction(first=first, second=second, comparison=comparison))
    return tuple(found)
