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
from ceteris.formats import shortened


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
            caption=f"{model.label}: every level of every factor {where}. Left, the accuracy of each {model.block} and their "
            "mean, with the incumbent's mean as a dashed line; right, the paired difference from the incumbent with its 95 % "
            "interval, corrected for the overlap of training sets (Nadeau & Bengio 2003). An arrow at an edge is a value far "
            f"outside.{fewer if raced else ''}",
            description=f"Dot plots of {len(list(model.levels()))} levels of {len(model.factors)} "
            "factors; all numbers are in the table of factors.",
        )  # fmt: skip
        if raced:
            saved = model.trainings_saved
            yield ReportFigure(
                name=f"race-{model.name}", section="exploration", model=model.name, draw=partial(draw_race, model),
                caption=f"{model.label}: on how many blocks every level was trained before its fate was clear."
                + (f" {saved} trainings of the full design were not needed." if saved else ""),
                description="A bar per level of every factor: the blocks it was trained on, of those of the full design.",
            )  # fmt: skip


def draw_effects(model: ModelResults, figure: Figure, *, margin: float) -> None:
    """Draw one row per level: left the accuracy of every block and the mean, right the paired difference and its interval.

    Differences of accuracy below ``margin`` count as equivalent.
    """
    rows = sum(HEADER + len(factor.levels) for factor in model.factors)
    body = max(rows, 2) * ROW
    title = f"{model.label}: the effect of every technique on the cross-validated accuracy"
    open_page(figure, height=body + 1.4, title=title)
    blocks = axes_at(figure, 1.75, 0.75, 2.2, body)
    effects = axes_at(figure, 4.15, 0.75, 1.75, body)
    levels = [level for _, level in model.levels()]
    blocks.set_xlim(*_accuracy_limits(levels))
    prepare_rows(blocks, rows, f"accuracy on each {model.block}, %")
    prepare_differences(
        effects, [level.comparison for level in levels], rows=rows, margin=margin,
        title="difference from the incumbent, points",
    )  # fmt: skip
    top = 0.0
    for factor in model.factors:
        _draw_factor(blocks, effects, factor, top)
        top += HEADER + len(factor.levels)
    verdict_legend(
        figure,
        f"dots: {model.block}s; upright bars: their mean; level bars: corrected 95 % intervals; "
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
    blocks.plot([-0.75, 2.47], [top + 0.22] * 2, transform=page, color=FAINT, linewidth=0.7, clip_on=False)
    title = shortened(factor.label, 60)
    blocks.text(-0.745, top + 0.85, title, transform=page, fontsize=8.5, fontweight="bold", va="center")
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
            [-0.75, 2.47],
            y - 0.47,
            y + 0.47,
            transform=page,
            color=kept,
            alpha=0.09,
            linewidth=0,
            clip_on=False,
            zorder=0,
        )
        blocks.text(-0.72, y, "✓", transform=page, fontsize=8, va="center", color=kept)
    label_row(blocks, -0.65, y, shortened(level.tuned_label, 25), bold=level.chosen)
    low, mean = blocks.get_xlim()[0], 100 * level.mean
    if mean >= low:
        draw_blocks(blocks, 100 * level.accuracies, y)
        draw_upright(blocks, mean, y, VERDICT_COLOURS[level.comparison.verdict] if level.comparison else INK)
    else:
        told = f"◂ {mean:.1f}" if np.isfinite(mean) else "  nothing finished"
        blocks.text(low, y, told, fontsize=7.5, color=bad, va="center")
    failed = f"{len(level.failures)} failed"
    if level.comparison:
        draw_comparison(effects, y, level.comparison, digits=1, rest=f" ({failed})" if level.failures else "")
    elif level.incumbent:
        draw_incumbent(effects, 0, y)
        write_right(effects, y, "incumbent")
    else:
        page = effects.get_yaxis_transform()
        effects.text(0.5, y, "not comparable", transform=page, fontsize=7, color=MUTED, ha="center", va="center")
        write_right(effects, y, failed)


def draw_race(model: ModelResults, figure: Figure) -> None:
    """Draw one bar per level: the blocks it was trained on, coloured by its verdict, within those of the full design."""
    rows = max(sum(HEADER + len(factor.levels) for factor in model.factors), 1)
    title = f"{shortened(model.label, 30)}: how many blocks every level needed"
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
    verdict_legend(figure, "bars: blocks trained; pale: blocks that were not needed; black: the incumbent")


def _draw_bar(axes: Axes, level: LevelFinding, y: float, blocks: int) -> None:
    verdict, trained = level.comparison and level.comparison.verdict, level.blocks_trained
    colour = VERDICT_COLOURS[verdict] if verdict else INK if level.incumbent else MUTED
    axes.barh(y, blocks, height=0.62, color=FAINT, linewidth=0)
    axes.barh(y, trained, height=0.62, color=colour, linewidth=0)
    if trained:
        axes.text(trained, y, f"{trained} ", fontsize=7, ha="right", va="center", color=PAPER, fontweight="bold")
    label_row(axes, -0.59, y, ("✓ " if level.chosen else "   ") + shortened(level.label, 28), bold=level.chosen)
    if level.failures:
        told = f"{len(level.failures)} failed"
    elif level.incumbent and verdict is None:
        told = "incumbent"
    else:
        told = (verdict or "not comparable") + ("" if trained == blocks else f", left after {trained}")
    write_right(axes, y, told, MUTED if verdict in (None, "undecided") else colour)
