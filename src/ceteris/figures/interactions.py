"""A factorial grid: the accuracy of every pair of levels, as numbers in cells and as lines, and all two-way interactions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ceteris.analysis.results import ModelResults, Results
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.rows import draw_comparison, label_row, prepare_differences, verdict_legend
from ceteris.figures.style import (
    CHOSEN,
    DARK,
    INK,
    MARKERS,
    MUTED,
    WHITE,
    abbreviated,
    axes_at,
    grid,
    model_colour,
    note,
    open_page,
)
from ceteris.findings import GridSearch, Interaction, Verdict
from ceteris.formats import shortened
from ceteris.records import FloatArray

INTERACTION_ROW = 0.34  # inches
MOST = 20
INTERACTION_WORDS: dict[Verdict, str] = {
    "better": "together more", "worse": "together less", "equivalent": "additive", "undecided": "not shown",
}  # fmt: skip

# (first level, second level) -> the other settings -> mean accuracy
Grouped = dict[tuple[str, str], dict[tuple[tuple[str, str], ...], float]]


@dataclass(frozen=True, kw_only=True)
class InteractionGrid:
    """The mean accuracy of every pair of levels, (first levels, second levels), nan where a pair was not trained.

    Other factors are averaged over. ``chosen`` is the place of the best recipe's pair.
    """

    model: str
    first: str
    second: str
    first_levels: tuple[str, ...]
    second_levels: tuple[str, ...]
    means: FloatArray
    averaged: tuple[str, ...]
    chosen: tuple[int, int] | None
    margin: float

    def shown_range(self) -> tuple[float, float]:
        """Return the accuracies of the palest and the darkest cell.

        A far lower cell does not make the others all alike, and differences that count as equivalent look alike.
        """
        finite = np.sort(self.means[np.isfinite(self.means)])
        if not finite.size:
            return 0.0, 1.0
        high, low = float(finite[-1]), float(finite[0])
        floor = high - 6 * max(high - float(np.median(finite)), 0.005)
        return min(max(low, floor), high - max(2 * self.margin, 1e-9)), high


def interaction_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield the cells of every model's grid as a heat map and as lines, and its interactions; nothing without a grid."""
    for model in results.models:
        if cells := interaction_grid(model, results.equivalence_margin):
            averaged = f", averaged over {', '.join(cells.averaged)}" if cells.averaged else ""
            pair = f"{cells.first} and {cells.second}"
            yield ReportFigure(
                name=f"cells-{model.name}", section="exploration", model=model.name, draw=partial(draw_cells, cells),
                caption=f"{model.label}: mean cross-validated accuracy of every pair of levels of {pair}{averaged}. The frame "
                "is the best recipe's pair.",
                description=f"A heat map of {cells.means.size} cells with their accuracies.",
            )  # fmt: skip
            yield ReportFigure(
                name=f"interaction-{model.name}", section="exploration", model=model.name, draw=partial(draw_lines, cells),
                caption=f"{model.label}: the same cells as lines. Parallel lines mean that the effects of {pair} add up; lines "
                "that cross mean that the better level of one depends on the other.",
                description=f"A line per level of {cells.first} over the levels of {cells.second}.",
            )  # fmt: skip
        if total := len(model.interactions):
            yield ReportFigure(
                name=f"interactions-{model.name}", section="exploration", model=model.name,
                draw=partial(draw_interactions, model, margin=results.equivalence_margin),
                caption=f"{model.label}: how far the joint effect of two levels lies from the sum of their single effects, "
                "with corrected 95 % intervals; p-values are adjusted for all interactions (Holm 1979).",
                description=f"A forest plot of {min(total, MOST)} of {total} interactions, the strongest first.",
            )  # fmt: skip


def strongest(interactions: Sequence[Interaction]) -> list[Interaction]:
    """Return the interactions ordered by their absolute size."""
    return sorted(interactions, key=lambda entry: -np.nan_to_num(abs(entry.comparison.difference)))


def interaction_grid(model: ModelResults, margin: float) -> InteractionGrid | None:
    """Collect the cells of the two factors with the strongest interaction (of the first two where none was computed).

    None where the model has no grid, and where the cells cannot be compared because only a part of the grid was trained:
    an average over other settings would then mix up the factors.
    """
    names = tuple(dict.fromkeys(name for candidate in model.candidates for name, _ in candidate.settings))
    if not isinstance(model.search, GridSearch) or len(names) < 2:
        return None
    pair = next(((entry.first[0], entry.second[0]) for entry in strongest(model.interactions)), (names[0], names[1]))
    grouped: Grouped = {}
    for candidate in model.candidates:
        settings = dict(candidate.settings)
        if pair[0] in settings and pair[1] in settings:
            rest = tuple(entry for entry in candidate.settings if entry[0] not in pair)
            cell = grouped.setdefault((settings[pair[0]], settings[pair[1]]), {})
            cell[rest] = candidate.mean
    if len({frozenset(rests) for rests in grouped.values()}) > 1:
        return None
    first, second = (tuple(dict.fromkeys(levels[side] for levels in grouped)) for side in (0, 1))
    means = np.full((len(first), len(second)), np.nan)
    for (row, column), rests in grouped.items():
        means[first.index(row), second.index(column)] = float(np.mean(list(rests.values())))
    titles = model.factor_titles
    best = next((dict(candidate.settings) for candidate in model.candidates if candidate.chosen), None)
    averaged = dict.fromkeys(titles.get(name, name) for rest in next(iter(grouped.values())) for name, _ in rest)
    return InteractionGrid(
        model=model.label,
        first=titles.get(pair[0], pair[0]),
        second=titles.get(pair[1], pair[1]),
        first_levels=first,
        second_levels=second,
        means=means,
        averaged=tuple(averaged),
        chosen=(first.index(best[pair[0]]), second.index(best[pair[1]])) if best else None,
        margin=margin,
    )


def draw_cells(info: InteractionGrid, figure: Figure) -> None:
    """Draw the heat map with the accuracy written into every cell; a frame marks the best recipe's."""
    rows, columns = info.means.shape
    wide, tall = min(1.7, 4.9 / columns), 0.4
    open_page(
        figure, height=rows * tall + 1.75, title=f"{shortened(info.model, 30)}: accuracy of every pair of levels, %"
    )
    axes = axes_at(figure, 1.75, 1.1, columns * wide, rows * tall)
    low, high = info.shown_range()
    size = min(8.5, 13 * wide)
    for (row, column), value in np.ndenumerate(info.means):
        share = float(np.clip((value - low) / (high - low), 0, 1))
        ink, told = (WHITE if share > 0.62 else DARK, f"{100 * value:.2f}") if np.isfinite(value) else (MUTED, "–")
        if np.isfinite(value):
            colour = colormaps["Blues"](0.08 + 0.8 * share)
            axes.fill_between([column + 0.02, column + 0.98], row + 0.03, row + 0.97, color=colour, linewidth=0)
        axes.text(column + 0.5, row + 0.5, told, ha="center", va="center", fontsize=size, color=ink)
    if info.chosen is not None:
        row, column = info.chosen
        place = (column + 0.03, row + 0.05)
        axes.add_patch(Rectangle(place, 0.94, 0.9, fill=False, edgecolor=CHOSEN, linewidth=1.8, zorder=4))
    _name_levels(axes, info, wide)
    if info.averaged:
        note(figure, f"mean over all levels of {shortened(', '.join(info.averaged), 100)}", bottom=0.24)


def _name_levels(axes: Axes, info: InteractionGrid, wide: float) -> None:
    rows, columns = info.means.shape
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=3)
    letters = max(6, int(wide / 0.068))
    turned = max(map(len, info.second_levels)) > letters
    names = [abbreviated(name, 14 if turned else letters) for name in info.second_levels]
    axes.set_xticks(np.arange(columns) + 0.5, names, rotation=30 if turned else 0, ha="left" if turned else "center")
    axes.set_yticks(np.arange(rows) + 0.5, [abbreviated(name, 25) for name in info.first_levels])
    axes.set_title(shortened(info.second, 60), fontsize=8.5, pad=5, loc="left")
    axes.text(-0.06, 1.06, shortened(info.first, 19), transform=axes.transAxes, fontsize=8.5, fontweight="bold",
              ha="right")  # fmt: skip


def draw_lines(info: InteractionGrid, figure: Figure) -> None:
    """Draw one line per level of the first factor over the levels of the second; parallel lines mean no interaction."""
    columns = info.means.shape[1]
    open_page(figure, height=3.3, title=f"{shortened(info.model, 30)}: does one effect depend on the other?")
    axes = axes_at(figure, 0.65, 0.5, 4.2, 1.75)
    page = axes.transAxes
    axes.text(1.05, 1.02, shortened(info.first, 30), transform=page, fontsize=8, fontweight="bold", color=INK)
    step = min(0.14, 0.98 / max(len(info.first_levels), 1))
    for row, name in enumerate(info.first_levels):
        colour, marker, height = model_colour(row), MARKERS[row % len(MARKERS)], 0.9 - row * step
        axes.plot(range(columns), 100 * info.means[row], color=colour, marker=marker, markersize=4.5, linewidth=1.4)
        axes.plot([1.05, 1.11], [height] * 2, transform=page, color=colour, marker=marker, markersize=4, clip_on=False)
        axes.text(1.14, height, abbreviated(name, 26), transform=page, fontsize=7.5, va="center")
    low, high = info.shown_range()
    pad = 0.08 * max(high - low, 0.005)
    axes.set_ylim(100 * (low - pad), 100 * (high + pad))
    axes.set_xlim(-0.25, columns - 0.75)
    names = [abbreviated(name, max(8, int(62 / columns))) for name in info.second_levels]
    crowded = sum(map(len, names)) > 56
    axes.set_xticks(range(columns), names, rotation=20 if crowded else 0, ha="right" if crowded else "center")
    axes.set_xlabel(shortened(info.second, 60))
    axes.set_ylabel("accuracy, %")
    grid(axes, "y")


def draw_interactions(model: ModelResults, figure: Figure, *, margin: float) -> None:
    """Draw one row with its interval per pair of levels, the strongest first."""
    shown, titles = strongest(model.interactions)[:MOST], model.factor_titles
    rows = max(len(shown), 1)
    title = f"{shortened(model.label, 30)}: which techniques depend on each other"
    open_page(figure, height=rows * INTERACTION_ROW + 1.5, title=title)
    axes = axes_at(figure, 2.9, 0.75, 2.75, rows * INTERACTION_ROW)
    prepare_differences(
        axes, [entry.comparison for entry in shown], rows=rows, margin=margin,
        title="joint effect minus the sum of the two",
    )  # fmt: skip
    for row, entry in enumerate(shown):
        y = row + 0.5
        first, second = (
            f"{shortened(titles.get(factor, factor), 22)}: {abbreviated(level, 19)}"
            for factor, level in (entry.first, entry.second)
        )
        label_row(axes, -1.02, y - 0.21, shortened(first, 44))
        label_row(axes, -1.02, y + 0.21, f"× {shortened(second, 42)}")
        draw_comparison(axes, y, entry.comparison, words=INTERACTION_WORDS)
    total = len(model.interactions)
    left_out = f"; the {len(shown)} strongest of {total}" if total > len(shown) else ""
    rest = f"bars: corrected 95 % intervals; grey band: ±{100 * margin:g} points count as additive{left_out}"
    verdict_legend(figure, rest, words=INTERACTION_WORDS)
