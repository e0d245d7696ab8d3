"""The central figure: every level of every factor with its blocks and its difference; and how far every level went."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.results import ModelResults, Results
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.rows import (
    ALL_RIGHT,
    CLAIMS,
    HEADER,
    ROW,
    draw_blocks,
    draw_comparison,
    draw_incumbent,
    draw_upright,
    label_row,
    prepare_differences,
    prepare_rows,
    readable_range,
    verdict_legend,
    write_right,
)
from ceteris.figures.style import FAINT, INK, MUTED, PAPER, VERDICT_COLOURS, axes_at, open_page
from ceteris.findings import FactorFinding, FactorPath, GridSearch, LevelFinding
from ceteris.formats import chance, points, shortened

LEFT, ACROSS = 1.75, 1.64  # inches: where the axes of the blocks begin, and their width
PAGE = ((0.1 - LEFT) / ACROSS, (7.1 - LEFT) / ACROSS)  # from edge to edge, in widths of these axes
BET_COLUMNS = (1.06, 1.4, 1.72)  # expected gain, chance and what was shown, in widths of the axes of the differences


def effects_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield the effects of every model's factors and, where levels left early, how far each one went."""
    for model in results.models:
        if not model.factors:
            continue
        raced = any(factor.unequal_blocks for factor in model.factors)
        match model.search:
            case GridSearch():
                where = (
                    "averaged over the trained grid, so that each level's number holds for a mean setting of the others"
                )
            case FactorPath(raced=int()):
                where = f"on the {model.block}s it was trained on"
            case _:
                where = f"on the same {results.folds} folds" if model.block == "fold" else "on the same blocks"
        fewer = " A level that left early has its mean over fewer blocks; its difference uses the common ones only."
        yield ReportFigure(
            name=f"effects-{model.name}", section="exploration", model=model.name,
            draw=partial(draw_effects, model, margin=results.equivalence_margin),
            caption=f"{model.label}: every option of every factor {where}. Left, the accuracy of each {model.block} and their "
            "mean, with that of the current setting as a dashed line; right, the paired difference from it with its 95 % "
            "interval, what is expected of it, how likely it helps, and what was shown. The option that is taken has "
            f"a tick; it needs no proof. An arrow at an edge is a value far outside.{fewer if raced else ''}",
            description=f"Dot plots of {len(list(model.levels()))} levels of {len(model.factors)} "
            "factors; all numbers are in the table of factors.",
        )  # fmt: skip
        if raced:
            saved = model.trainings_saved
            yield ReportFigure(
                name=f"race-{model.name}", section="exploration", model=model.name, draw=partial(draw_race, model),
                caption=f"{model.label}: on how many blocks every option was trained before its fate was clear."
                + (f" {saved} trainings of the full design were not needed." if saved else ""),
                description="A bar per level of every factor: the blocks it was trained on, of those of the full design.",
            )  # fmt: skip


def draw_effects(model: ModelResults, figure: Figure, *, margin: float) -> None:
    """Draw one row per level: left the accuracy of every block and the mean, right the paired difference and its interval.

    Differences of accuracy below ``margin`` count as equivalent.
    """
    rows = sum(HEADER + len(factor.levels) for factor in model.factors)
    body = max(rows, 2) * ROW
    measured = "cross-validated accuracy" if model.criterion == "accuracy" else "criterion of choice"
    title = f"{model.label}: the effect of every technique on the {measured}"
    open_page(figure, height=body + 1.4, title=title)
    blocks = axes_at(figure, LEFT, 0.75, ACROSS, body)
    effects = axes_at(figure, 3.7, 0.75, 1.55, body)
    levels = [level for _, level in model.levels()]
    blocks.set_gid(f"blocks-{model.name}")
    blocks.set_xlim(*_accuracy_limits(levels))
    prepare_rows(blocks, rows, f"accuracy on each {model.block}, %")
    prepare_differences(
        effects, [level.comparison for level in levels], rows=rows, margin=margin,
        title="difference",
    )  # fmt: skip
    heads = zip(BET_COLUMNS, ("expected", "chance", "shown?"), strict=True)
    for x, told in heads:
        effects.text(x, -0.3, told, transform=effects.get_yaxis_transform(), fontsize=7.5, color=MUTED, ha="left")
    top = 0.0
    for factor in model.factors:
        _draw_factor(blocks, effects, factor, top)
        top += HEADER + len(factor.levels)
    verdict_legend(
        figure,
        f"dots: {model.block}s; upright bars: their mean; level bars: 95 % intervals; "
        f"grey band: ±{100 * margin:g} points count as equivalent",
        levels=True,
    )


def _accuracy_limits(levels: list[LevelFinding]) -> tuple[float, float]:
    """Return limits in percent that show every incumbent and all that is better than the usual."""
    means = np.array([level.mean for level in levels])
    # fmin and fmax, unlike nanmin and nanmax, are silent where nothing finished
    worst = np.array([np.fmin.reduce(level.accuracies) for level in levels])
    best = np.array([np.fmax.reduce(level.accuracies) for level in levels])
    needed = np.concatenate((best, worst[[level.incumbent for level in levels]]))
    low, high = readable_range(means, worst, best, needed)
    return 100 * max(0.0, low), 100 * min(ALL_RIGHT, high)


def _draw_factor(blocks: Axes, effects: Axes, factor: FactorFinding, top: float) -> None:
    page = blocks.get_yaxis_transform()  # x in axes units, y in rows
    blocks.plot(PAGE, [top + 0.22] * 2, transform=page, color=FAINT, linewidth=0.7, clip_on=False)
    title = shortened(factor.label, 60)
    blocks.text(PAGE[0] + 0.005, top + 0.85, title, transform=page, fontsize=8.5, fontweight="bold", va="center")
    first = top + HEADER + 0.5
    for row, level in enumerate(factor.levels):
        _draw_level(blocks, effects, level, first + row)
    start = factor.incumbent.mean if factor.incumbent else np.nan
    if np.isfinite(start):
        span = [first - 0.45, first + len(factor.levels) - 0.55]
        blocks.plot([100 * start] * 2, span, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)


def _draw_level(blocks: Axes, effects: Axes, level: LevelFinding, y: float) -> None:
    page, kept, bad = blocks.get_yaxis_transform(), VERDICT_COLOURS["better"], VERDICT_COLOURS["worse"]
    if level.chosen:
        blocks.fill_between(
            PAGE,
            y - 0.47,
            y + 0.47,
            transform=page,
            color=kept,
            alpha=0.09,
            linewidth=0,
            clip_on=False,
            zorder=0,
        )
        blocks.text(PAGE[0] + 0.03, y, "✓", transform=page, fontsize=8, va="center", color=kept)
    label_row(blocks, PAGE[0] + 0.12, y, shortened(level.tuned_label, 25), bold=level.chosen)
    low, mean = blocks.get_xlim()[0], 100 * level.mean
    if mean >= low:
        draw_blocks(blocks, 100 * level.accuracies, y)
        draw_upright(blocks, mean, y, VERDICT_COLOURS[level.comparison.verdict] if level.comparison else INK)
    else:
        told = f"◂ {mean:.1f}" if np.isfinite(mean) else "  nothing finished"
        blocks.text(low, y, told, fontsize=7.5, color=bad, va="center")
    failed = f"{len(level.failures)} failed"
    if level.comparison:
        draw_comparison(effects, y, level.comparison, told="")
        _write_bet(effects, y, level, failed if level.failures else "")
    elif level.incumbent:
        draw_incumbent(effects, 0, y)
        write_right(effects, y, "current setting")
    else:
        page = effects.get_yaxis_transform()
        effects.text(0.5, y, "not comparable", transform=page, fontsize=7, color=MUTED, ha="center", va="center")
        write_right(effects, y, failed)


def _write_bet(axes: Axes, y: float, level: LevelFinding, failed: str) -> None:
    """Write what is expected of a level, how likely it helps and what was shown, in columns to the right of its row."""
    found = level.comparison
    assert found is not None
    shown = "same training" if found.identical else CLAIMS[found.verdict]
    cells = (points(found.expected_gain, 1, zero="±"), chance(found.chance), failed or shown)
    weight = "bold" if level.chosen else "normal"
    colour = MUTED if found.verdict == "undecided" and not level.chosen else VERDICT_COLOURS[found.verdict]
    for x, told in zip(BET_COLUMNS, cells, strict=True):
        axes.text(
            x, y, told, transform=axes.get_yaxis_transform(), fontsize=7.5, va="center", color=colour, fontweight=weight
        )


def draw_race(model: ModelResults, figure: Figure) -> None:
    """Draw one bar per level: the blocks it was trained on, coloured by its verdict, within those of the full design."""
    rows = max(sum(HEADER + len(factor.levels) for factor in model.factors), 1)
    title = f"{shortened(model.label, 30)}: how many blocks every option needed"
    open_page(figure, height=rows * ROW + 1.25, title=title)
    axes = axes_at(figure, 2.1, 0.55, 3.3, rows * ROW)
    axes.set_xlim(0, max((len(level.accuracies) for _, level in model.levels()), default=1))
    prepare_rows(axes, rows)
    axes.locator_params(axis="x", integer=True)
    top = 0.0
    for factor in model.factors:
        label_row(axes, -0.61, top + 0.85, shortened(factor.label, 60), bold=True)
        blocks = max((len(level.accuracies) for level in factor.levels), default=0)
        for row, level in enumerate(factor.levels):
            _draw_bar(axes, level, top + HEADER + 0.5 + row, blocks)
        top += HEADER + len(factor.levels)
    verdict_legend(figure, "bars: blocks trained; pale: blocks that were not needed; black: the current setting")


def _draw_bar(axes: Axes, level: LevelFinding, y: float, blocks: int) -> None:
    verdict, trained = level.comparison and level.comparison.verdict, level.blocks_trained
    colour = VERDICT_COLOURS[verdict] if verdict else INK if level.incumbent else MUTED
    axes.barh(y, blocks, height=0.62, color=FAINT, linewidth=0)
    axes.barh(y, trained, height=0.62, color=colour, linewidth=0)
    if trained:
        axes.text(trained, y, f"{trained} ", fontsize=7, ha="right", va="center", color=PAPER, fontweight="bold")
    label_row(axes, -0.59, y, ("✓ " if level.chosen else "   ") + shortened(level.tuned_label, 28), bold=level.chosen)
    if level.failures:
        told = f"{len(level.failures)} failed"
    elif level.incumbent and verdict is None:
        told = "current setting"
    else:
        told = (CLAIMS[verdict] if verdict else "not comparable") + (
            "" if trained == blocks else f", left after {trained}"
        )
    write_right(axes, y, told, MUTED if verdict in (None, "undecided") else colour)
