"""A search that goes factor by factor: its path from the baseline to the best recipe, and the numbers tuned on the way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.results import ModelResults, Results
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.rows import ALL_RIGHT, ROW, readable_range
from ceteris.figures.style import (
    INK,
    MARKERS,
    MUTED,
    PAPER,
    abbreviated,
    axes_at,
    compact,
    grid,
    logarithmic,
    model_colour,
    note,
    open_page,
)
from ceteris.findings import FactorFinding, FactorPath, LevelFinding, ModelFinding, TuningFinding
from ceteris.formats import percent, points, shortened

SHORT = 13  # letters of a label that fit beside a panel of tuning when two stand side by side
LINE = 0.17  # inches between the names of two arms


@dataclass(frozen=True, kw_only=True)
class FieldTuning:
    """The arms, by label, of one factor in which the number in ``field`` was tuned."""

    factor: str
    field: str
    arms: tuple[tuple[str, TuningFinding], ...]


def search_path_figure(results: Results) -> Iterator[ReportFigure]:
    """Yield the path of all models whose search went factor by factor; nothing where there is none."""
    paths = [model for model in results.models if has_path(model)]
    if paths:
        yield ReportFigure(
            name="search-path", section="exploration", draw=partial(draw_search_path, paths),
            caption="The path of every model from its baseline to its best setting. A filled mark is a change that was "
            "kept, with the paired difference it won by where it was chosen; an open mark is a factor that left the setting "
            "as it was, its tuned numbers apart. What is left of the sum on fresh seeds, the figure of the improvement shows.",
            description="For each model a staircase of the mean cross-validated accuracy after each factor; the numbers "
            "are in the table of what helped.",
        )  # fmt: skip


def tuning_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield for every model what was tuned inside the arms of its factors; nothing where no number was."""
    for model in results.models:
        if fields := tuned_fields(model):
            yield ReportFigure(
                name=f"tuning-{model.name}", section="exploration", model=model.name,
                draw=partial(draw_tuning, fields, title=model.label),
                caption=f"{model.label}: numbers that were tuned inside each arm before it was compared, on one fold that no "
                "comparison uses. A ring marks the value that was taken, an arrow one that lies at the edge of what was tried.",
                description="Line charts of held-out accuracy against the tuned value, one line per arm; the numbers are in "
                "the table of tuning.",
            )  # fmt: skip


def has_path(model: ModelFinding) -> bool:
    """Tell whether each factor was explored around the best setting of those before it."""
    return bool(model.factors) and isinstance(model.search, FactorPath) and model.search.around == "best"


def path_steps(model: ModelFinding) -> list[tuple[FactorFinding | None, LevelFinding]]:
    """Return the baseline, where it is known, and the level that was kept of each factor."""
    first = model.factors[0].incumbent
    kept = [(factor, level) for factor in model.factors for level in factor.levels if level.chosen]
    return [*([(None, first)] if first else []), *kept]


def draw_search_path(models: Sequence[ModelResults], figure: Figure) -> None:
    """Draw one panel per model: a row per decision, filled where the incumbent was replaced."""
    paths = [(model, path_steps(model)) for model in models]
    body = sum(len(steps) * ROW + 0.42 for _, steps in paths)
    open_page(figure, height=body + 1.0, title="From the baseline to the best setting, one technique at a time")
    means = np.array([level.mean for _, steps in paths for _, level in steps])
    low, high = readable_range(means, means, means, needed=means)
    top = 0.45
    for model, steps in paths:
        axes = axes_at(figure, 3.0, top + 0.3, 2.9, max(len(steps), 1) * ROW)
        axes.set_xlim(100 * low, 100 * min(high, ALL_RIGHT))
        _draw_path(axes, model, steps)
        axes.tick_params(axis="x", length=0, labelbottom=model is models[-1])
        top += len(steps) * ROW + 0.42
    figure.axes[-1].set_xlabel("mean cross-validated accuracy, %")


def _draw_path(axes: Axes, model: ModelResults, steps: Sequence[tuple[FactorFinding | None, LevelFinding]]) -> None:
    colour, page = model_colour(model.position), axes.get_yaxis_transform()
    axes.set_ylim(max(len(steps), 1) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.grid(visible=True, axis="x")
    axes.text(-1.0, -0.95, model.label, transform=page, fontsize=9, fontweight="bold", color=colour, va="center")
    values = 100 * np.array([level.mean for _, level in steps])
    axes.plot(values, np.arange(len(values)), color=colour, linewidth=1.5, drawstyle="steps-post", zorder=2)
    for row, ((factor, level), value) in enumerate(zip(steps, values, strict=True)):
        changed = factor is not None and not level.incumbent
        marked = changed or row == 0
        fill = colour if marked else PAPER
        axes.scatter([value], [row], s=26, facecolor=fill, edgecolor=colour, linewidth=1.1, zorder=3)
        ink, weight = (INK, "bold") if marked else (MUTED, "normal")
        name = f"{shortened(factor.label, 30)}: {shortened(level.tuned_label, 22)}" if factor else "baseline"
        won = level.comparison.difference if level.comparison else np.nan
        gain = points(won, 1, zero="±") if changed else "tuned" if level.retuned else "stays"
        for x, told, side, bold in (
            (-0.03, shortened(name, 44), "right", weight), (1.04, percent(level.mean, 1), "left", weight),
            (1.25, gain if row else "", "left", "normal"),
        ):  # fmt: skip
            axes.text(x, row, told, transform=page, fontsize=8, ha=side, va="center", fontweight=bold, color=ink)


def tuned_fields(model: ModelFinding) -> tuple[FieldTuning, ...]:
    """Collect, field by field, what was tuned inside the arms of a model's factors."""
    return tuple(
        FieldTuning(
            factor=factor.label,
            field=field,
            arms=tuple(
                (level.label, tuned) for level in factor.levels for tuned in level.tuning if tuned.field == field
            ),
        )
        for factor in model.factors
        for field in dict.fromkeys(tuned.field for level in factor.levels for tuned in level.tuning)
    )


def draw_tuning(fields: tuple[FieldTuning, ...], figure: Figure, *, title: str) -> None:
    """Draw one panel per tuned field of a factor; a ring marks the chosen value, an arrow one at the edge of the tried."""
    short = all(len(label) <= SHORT for panel in fields for label, _ in panel.arms)
    columns = 2 if short and len(fields) > 1 else 1
    plot, names = (1.3, 1.65) if columns == 2 else (3.6, 2.9)  # inches
    rows = [fields[start : start + columns] for start in range(0, len(fields), columns)]
    tall = [max(1.3, LINE * max(len(panel.arms) for panel in row)) for row in rows]
    page = f"{shortened(title, 30)}: numbers tuned inside each arm before the comparison"
    open_page(figure, height=sum(tall) + 0.95 * len(rows) + 0.65, title=page)
    top = 0.75
    for row, body in zip(rows, tall, strict=True):
        for column, panel in enumerate(row):
            left = 0.55 + 3.6 * column
            _draw_panel(axes_at(figure, left, top, plot, body), panel)
            _name_arms(axes_at(figure, left + plot + 0.05, top, names - 0.1, body), panel, names - 0.1, body)
        top += body + 0.95
    told = "ring and number: chosen value; → at the edge of what was tried; ×: training failed; ▾: far below"
    note(figure, told, bottom=0.28)


def _draw_panel(axes: Axes, panel: FieldTuning) -> None:
    axes.set_title(shortened(panel.factor, 46))
    scores = np.concatenate([tuned.accuracies for _, tuned in panel.arms])
    low, high = readable_range(scores, scores, scores, needed=np.sort(scores[np.isfinite(scores)])[-1:])
    axes.set_ylim(100 * max(low, -0.01), 100 * min(high, 1.01))
    page = axes.get_xaxis_transform()
    for number, (_, tuned) in enumerate(panel.arms):
        order, colour = np.argsort(tuned.values, kind="stable"), model_colour(number)
        x, y = np.array(tuned.values)[order], 100 * tuned.accuracies[order]
        done, chosen, marker = np.isfinite(y), x == tuned.chosen, MARKERS[number % len(MARKERS)]
        axes.plot(x[done], y[done], color=colour, linewidth=1.1, marker=marker, markersize=3.2, zorder=2)
        for away, mark in ((x[~done], "x"), (x[y < axes.get_ylim()[0]], "v")):
            height = np.full(len(away), 0.04)
            axes.scatter(away, height, s=14, marker=mark, color=colour, linewidth=1.0, transform=page, zorder=3)
        axes.scatter(x[chosen], y[chosen], s=60, facecolor="none", edgecolor=colour, linewidth=1.3, zorder=4)
    axes.dataLim.update_from_data_x(np.concatenate([tuned.values for _, tuned in panel.arms]))  # failed ones count too
    axes.autoscale_view(scaley=False)
    logarithmic(axes, "x")
    axes.margins(x=0.06)
    axes.set_xlabel(shortened(panel.field, 34), labelpad=2)
    axes.set_ylabel("accuracy, %", labelpad=2)
    grid(axes, "both")


def _name_arms(axes: Axes, panel: FieldTuning, width: float, height: float) -> None:
    """List the arms with their marks and chosen values; the axes are counted in inches."""
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    letters = max(SHORT, int((width - 0.8) / 0.064))
    for number, (label, tuned) in enumerate(panel.arms):
        y, colour = (number + 0.5) * LINE, model_colour(number)
        axes.scatter([0.08], [y], s=14, marker=MARKERS[number % len(MARKERS)], color=colour)
        axes.text(0.18, y, abbreviated(label, letters), fontsize=7.5, va="center", color=INK)
        told = f"{compact(tuned.chosen)}{' →' if tuned.at_edge else ''}"
        axes.text(width, y, told, fontsize=7.5, va="center", ha="right", color=MUTED)
