"""Two factors of a grid together: the accuracy of every pair of levels, as numbers in cells and as lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ceteris.analysis.finals import identity, model_named, shortened
from ceteris.analysis.search import factor_titles, mean_of_finished, strongest
from ceteris.figures.style import INK, MUTED, WHITE, abbreviated, axes_at, grid, model_colour, open_page, styled
from ceteris.findings import Candidate, ModelFinding, StudyFindings
from ceteris.records import FloatArray

_SHADES = colormaps["Blues"]
_DARK = "#1c2129"  # ink that stays dark: text on light cells
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True, kw_only=True)
class CellsInfo:
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
    identity: str


def cells_info(findings: StudyFindings, model: str) -> CellsInfo | None:
    """Collect the cells of the two factors with the strongest interaction (of the first two where none was computed).

    None where the model has no grid, and where the cells cannot be compared because only a part of the grid was trained:
    an average over other settings would then mix up the factors.
    """
    found = model_named(findings, model)
    if found.strategy != "factorial" or not found.candidates:
        return None
    pair = _pair(found)
    if pair is None:
        return None
    grouped = _grouped(found.candidates, pair)
    if len({frozenset(rests) for rests in grouped.values()}) > 1:
        return None
    return _info(findings, found, pair, grouped)


def _pair(model: ModelFinding) -> tuple[str, str] | None:
    for entry in strongest(model.interactions):
        return entry.first[0], entry.second[0]
    names = list(dict.fromkeys(name for candidate in model.candidates for name, _ in candidate.settings))
    return (names[0], names[1]) if len(names) > 1 else None


Grouped = dict[tuple[str, str], dict[tuple[tuple[str, str], ...], float]]


def _grouped(candidates: Sequence[Candidate], pair: tuple[str, str]) -> Grouped:
    """Return (first level, second level) -> the other settings -> mean accuracy."""
    grouped: Grouped = {}
    for candidate in candidates:
        settings = dict(candidate.settings)
        if pair[0] in settings and pair[1] in settings:
            rest = tuple(entry for entry in candidate.settings if entry[0] not in pair)
            cell = grouped.setdefault((settings[pair[0]], settings[pair[1]]), {})
            cell[rest] = mean_of_finished(candidate.accuracies)
    return grouped


def _info(findings: StudyFindings, model: ModelFinding, pair: tuple[str, str], grouped: Grouped) -> CellsInfo:
    first, second = (tuple(dict.fromkeys(levels[side] for levels in grouped)) for side in (0, 1))
    means = np.full((len(first), len(second)), np.nan)
    for (row, column), rests in grouped.items():
        means[first.index(row), second.index(column)] = float(np.mean(list(rests.values())))
    titles = factor_titles(model)
    best = next((dict(candidate.settings) for candidate in model.candidates if candidate.chosen), None)
    rest = next(iter(grouped.values()))
    averaged = dict.fromkeys(titles.get(name, name) for settings in rest for name, _ in settings)
    return CellsInfo(
        model=model.title or model.name,
        first=titles.get(pair[0], pair[0]),
        second=titles.get(pair[1], pair[1]),
        first_levels=first,
        second_levels=second,
        means=means,
        averaged=tuple(averaged),
        chosen=(first.index(best[pair[0]]), second.index(best[pair[1]])) if best else None,
        margin=findings.equivalence_margin,
        identity=identity(findings),
    )


@styled
def draw_cells(info: CellsInfo, figure: Figure) -> None:
    """Draw the heat map with the accuracy written into every cell; a frame marks the best recipe's."""
    rows, columns = info.means.shape
    wide, tall = min(1.7, 4.9 / columns), 0.4
    height = rows * tall + 1.75
    title = f"{shortened(info.model, 30)}: accuracy of every pair of levels, %"
    open_page(figure, height=height, title=title, identity=info.identity)
    axes = axes_at(figure, 1.75, 1.1, columns * wide, rows * tall)
    low, high = _shown_range(info)
    shares = np.clip((info.means - low) / (high - low), 0, 1)
    for (row, column), value in np.ndenumerate(info.means):
        _draw_cell(axes, row, column, value, float(shares[row, column]), size=min(8.5, 13 * wide))
    if info.chosen is not None:
        row, column = info.chosen
        axes.add_patch(_frame(column, row))
    _name_levels(axes, info, wide)
    if info.averaged:
        told = f"mean over all levels of {shortened(', '.join(info.averaged), 100)}"
        figure.text(0.1 / 7.2, 0.24 / height, told, fontsize=7.5, color=MUTED)


def _shown_range(info: CellsInfo) -> tuple[float, float]:
    """Return the accuracies of the palest and the darkest cell.

    A far lower cell does not make the others all alike, and differences that count as equivalent look alike.
    """
    finite = np.sort(info.means[np.isfinite(info.means)])
    if not finite.size:
        return 0.0, 1.0
    high, low = float(finite[-1]), float(finite[0])
    floor = high - 6 * max(high - float(np.median(finite)), 0.005)
    return min(max(low, floor), high - max(2 * info.margin, 1e-9)), high


def _draw_cell(axes: Axes, row: int, column: int, value: float, share: float, size: float) -> None:
    if not np.isfinite(value):
        axes.text(column + 0.5, row + 0.5, "–", ha="center", va="center", fontsize=size, color=MUTED)
        return
    colour = _SHADES(0.08 + 0.8 * share)
    axes.fill_between([column + 0.02, column + 0.98], row + 0.03, row + 0.97, color=colour, linewidth=0)
    ink = WHITE if share > 0.62 else _DARK
    axes.text(column + 0.5, row + 0.5, f"{100 * value:.2f}", ha="center", va="center", fontsize=size, color=ink)


def _frame(column: int, row: int) -> Rectangle:
    return Rectangle((column + 0.03, row + 0.05), 0.94, 0.9, fill=False, edgecolor="#d1622b", linewidth=1.8, zorder=4)


def _name_levels(axes: Axes, info: CellsInfo, wide: float) -> None:
    rows, columns = info.means.shape
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=3)
    letters = max(6, int(wide / 0.068))
    longest = max(map(len, info.second_levels))
    turned = longest > letters
    names = [abbreviated(name, 14 if turned else letters) for name in info.second_levels]
    axes.set_xticks(np.arange(columns) + 0.5, names, rotation=30 if turned else 0, ha="left" if turned else "center")
    axes.set_yticks(np.arange(rows) + 0.5, [abbreviated(name, 25) for name in info.first_levels])
    axes.set_title(shortened(info.second, 60), fontsize=8.5, pad=5, loc="left")
    axes.text(-0.06, 1.06, shortened(info.first, 19), transform=axes.transAxes, fontsize=8.5, fontweight="bold",
              ha="right")  # fmt: skip


@styled
def draw_interaction(info: CellsInfo, figure: Figure) -> None:
    """Draw one line per level of the first factor over the levels of the second; parallel lines mean no interaction."""
    rows, columns = info.means.shape
    open_page(
        figure, height=3.3, title=f"{shortened(info.model, 30)}: does one effect depend on the other?",
        identity=info.identity,
    )  # fmt: skip
    axes = axes_at(figure, 0.65, 0.5, 4.2, 1.75)
    for row in range(rows):
        colour, marker = model_colour(row), _MARKERS[row % len(_MARKERS)]
        axes.plot(range(columns), 100 * info.means[row], color=colour, marker=marker, markersize=4.5, linewidth=1.4)
    low, high = _shown_range(info)
    pad = 0.08 * max(high - low, 0.005)
    axes.set_ylim(100 * (low - pad), 100 * (high + pad))
    axes.set_xlim(-0.25, columns - 0.75)
    names = [abbreviated(name, max(8, int(62 / columns))) for name in info.second_levels]
    crowded = sum(map(len, names)) > 56
    axes.set_xticks(range(columns), names, rotation=20 if crowded else 0, ha="right" if crowded else "center")
    axes.set_xlabel(shortened(info.second, 60))
    axes.set_ylabel("accuracy, %")
    grid(axes, "y")
    _name_lines(axes, info)


def _name_lines(axes: Axes, info: CellsInfo) -> None:
    axes.text(1.05, 1.02, shortened(info.first, 30), transform=axes.transAxes, fontsize=8, fontweight="bold", color=INK)
    step = min(0.14, 0.98 / max(len(info.first_levels), 1))
    for row, name in enumerate(info.first_levels):
        height, colour = 0.9 - row * step, model_colour(row)
        marker = _MARKERS[row % len(_MARKERS)]
        axes.plot(
            [1.05, 1.11],
            [height] * 2,
            transform=axes.transAxes,
            color=colour,
            marker=marker,
            markersize=4,
            clip_on=False,
        )
        axes.text(1.14, height, abbreviated(name, 26), transform=axes.transAxes, fontsize=7.5, va="center")
