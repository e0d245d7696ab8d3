"""The central figure: every level of every factor, its folds, and its difference from the incumbent with the interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, model_named, shortened
from ceteris.analysis.search import block_word, mean_of_finished
from ceteris.figures.style import (
    FAINT,
    INK,
    MUTED,
    PAPER,
    VERDICT_COLOURS,
    VERDICT_MARKERS,
    WIDTH,
    axes_at,
    open_page,
    points,
    styled,
)
from ceteris.findings import FactorFinding, LevelFinding, StudyFindings, Verdict
from ceteris.records import FloatArray

ROW = 0.2  # inches
HEADER = 1.35  # rows that a factor's headline takes


@dataclass(frozen=True, kw_only=True)
class LevelEffect:
    """One level: accuracy on every block (blocks,), nan where it failed; difference and interval against the incumbent.

    ``difference``, ``low`` and ``high`` are nan and ``verdict`` None for the incumbent and where nothing was comparable.
    """

    label: str
    accuracies: FloatArray
    mean: float
    difference: float
    low: float
    high: float
    verdict: Verdict | None
    incumbent: bool
    chosen: bool
    failures: int


@dataclass(frozen=True, kw_only=True)
class FactorEffect:
    """One factor with the effects of its levels."""

    title: str
    levels: tuple[LevelEffect, ...]


@dataclass(frozen=True, kw_only=True)
class FactorEffectsInfo:
    """All factors of one model; ``margin`` is the difference below which levels count as equivalent.

    ``block`` is what a block is called: "fold" where there is one repetition of the cross-validation.
    """

    model: str
    factors: tuple[FactorEffect, ...]
    margin: float
    block: str
    identity: str


def factor_effects_info(findings: StudyFindings, model: str) -> FactorEffectsInfo:
    """Collect the effects of every factor that was explored for ``model``."""
    found = model_named(findings, model)
    return FactorEffectsInfo(
        model=found.title or found.name,
        factors=tuple(_factor_effect(factor) for factor in found.factors),
        margin=findings.equivalence_margin,
        block=block_word(findings, found),
        identity=identity(findings),
    )


def _factor_effect(factor: FactorFinding) -> FactorEffect:
    return FactorEffect(
        title=factor.title or factor.name, levels=tuple(_level_effect(level) for level in factor.levels)
    )


def _level_effect(level: LevelFinding) -> LevelEffect:
    compared = level.comparison
    return LevelEffect(
        label=level.tuned_label,
        accuracies=level.accuracies,
        mean=mean_of_finished(level.accuracies),
        difference=compared.difference if compared else float("nan"),
        low=compared.low if compared else float("nan"),
        high=compared.high if compared else float("nan"),
        verdict=compared.verdict if compared else None,
        incumbent=level.incumbent,
        chosen=level.chosen,
        failures=len(level.failures),
    )


def readable_range(centres: FloatArray, low: FloatArray, high: FloatArray, needed: FloatArray) -> tuple[float, float]:
    """Return the range of an axis that shows the usual values well; far outliers are left to arrows at the edge.

    A value counts as far when it lies more than six times the usual distance (and 5 points) from the median; what lies
    between the smallest and the largest of ``needed`` is always within the range.
    """
    finite = centres[np.isfinite(centres)]
    if not finite.size:
        return 0.0, 1.0
    median = float(np.median(finite))
    reach = max(6 * float(np.median(np.abs(finite - median))), 0.05)
    near = np.isfinite(centres) & (np.abs(centres - median) <= reach)
    shown = np.concatenate(
        (np.clip(low[near], median - 1.5 * reach, None), np.clip(high[near], None, median + 1.5 * reach))
    )
    shown = np.concatenate((shown, needed[np.isfinite(needed)]))
    pad = max(0.06 * float(np.ptp(shown)), 0.005)
    return float(shown.min()) - pad, float(shown.max()) + pad


@styled
def draw_factor_effects(info: FactorEffectsInfo, figure: Figure) -> None:
    """Draw one row per level: left every fold's accuracy and the mean, right the paired difference with its interval."""
    rows = sum(HEADER + len(factor.levels) for factor in info.factors)
    height = max(rows, 2) * ROW + 1.4
    title = f"{info.model}: the effect of every technique on the cross-validated accuracy"
    open_page(figure, height=height, title=title, identity=info.identity)
    body = height - 1.4
    folds = axes_at(figure, 1.75, 0.75, 2.2, body)
    effects = axes_at(figure, 4.15, 0.75, 1.75, body)
    levels = [level for factor in info.factors for level in factor.levels]
    if not levels:
        folds.text(0.5, 0.5, "no factor was explored", transform=folds.transAxes, ha="center", color=MUTED)
        return
    _prepare(folds, effects, levels, rows, info)
    top = 0.0
    for factor in info.factors:
        _draw_factor(folds, effects, factor, top)
        top += HEADER + len(factor.levels)
    _draw_legend(figure, info, height)


def _prepare(folds: Axes, effects: Axes, levels: Sequence[LevelEffect], rows: float, info: FactorEffectsInfo) -> None:
    margin = info.margin
    worst = np.array([np.nanmin(level.accuracies) if np.isfinite(level.mean) else np.nan for level in levels])
    top = np.array([np.nanmax(level.accuracies) if np.isfinite(level.mean) else np.nan for level in levels])
    means = np.array([level.mean for level in levels])
    # Accuracies far above the others are good news and always shown, and so is every incumbent.
    needed = np.concatenate((top, worst[[level.incumbent for level in levels]]))
    folds.set_xlim(*_in_percent(readable_range(means, worst, top, needed)))
    compared = [level for level in levels if level.verdict]
    centre, left, right = (
        np.array([getattr(level, name) for level in compared]) for name in ("difference", "low", "high")
    )
    low, high = readable_range(centre, left, right, needed=np.zeros(1)) if compared else (-0.02, 0.02)
    effects.set_xlim(100 * min(low, -1.3 * margin), 100 * max(high, 1.3 * margin))
    for axes, label in (
        (folds, f"accuracy on each {info.block}, %"),
        (effects, "difference from the incumbent, points"),
    ):
        axes.set_ylim(rows, 0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", length=0, top=False, labeltop=True, labelbottom=False)
        axes.set_title(label, fontsize=8, fontweight="normal", color=MUTED, loc="center", pad=16)
        axes.grid(visible=True, axis="x")
    effects.axvspan(-100 * margin, 100 * margin, color=FAINT, alpha=0.55, linewidth=0, zorder=0)
    effects.axvline(0, color=MUTED, linewidth=0.9, zorder=1)


def _in_percent(limits: tuple[float, float]) -> tuple[float, float]:
    return 100 * max(0.0, limits[0]), 100 * min(1.004, limits[1])


def _draw_factor(folds: Axes, effects: Axes, factor: FactorEffect, top: float) -> None:
    page = folds.get_yaxis_transform()  # x in axes units, y in rows
    folds.plot([-0.75, 2.47], [top + 0.22] * 2, transform=page, color=FAINT, linewidth=0.7, clip_on=False)
    folds.text(
        -0.745, top + 0.85, shortened(factor.title, 60), transform=page, fontsize=8.5, fontweight="bold", va="center"
    )
    first = top + HEADER + 0.5
    for row, level in enumerate(factor.levels):
        y = first + row
        _draw_label(folds, level, y)
        _draw_folds(folds, level, y)
        _draw_difference(effects, level, y)
    start = next((level.mean for level in factor.levels if level.incumbent), float("nan"))
    if np.isfinite(start):
        span = [first - 0.45, first + len(factor.levels) - 0.55]
        folds.plot([100 * start] * 2, span, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)


def _draw_label(axes: Axes, level: LevelEffect, y: float) -> None:
    page = axes.get_yaxis_transform()
    if level.chosen:
        axes.fill_between(
            [-0.75, 2.47], y - 0.47, y + 0.47, transform=page, color=VERDICT_COLOURS["better"], alpha=0.09, linewidth=0,
            clip_on=False, zorder=0,
        )  # fmt: skip
        axes.text(-0.72, y, "✓", transform=page, fontsize=8, va="center", color=VERDICT_COLOURS["better"])
    weight = "bold" if level.chosen else "normal"
    axes.text(-0.65, y, shortened(level.label, 25), transform=page, fontsize=8, fontweight=weight, va="center")


def _draw_folds(axes: Axes, level: LevelEffect, y: float) -> None:
    low = axes.get_xlim()[0]
    if not np.isfinite(level.mean):
        axes.text(low, y, "  nothing finished", fontsize=7.5, color=VERDICT_COLOURS["worse"], va="center")
        return
    values = 100 * level.accuracies[np.isfinite(level.accuracies)]
    mean = 100 * level.mean
    if mean < low:
        axes.text(low, y, f"◂ {mean:.1f}", fontsize=7.5, color=VERDICT_COLOURS["worse"], va="center")
        return
    axes.scatter(values, np.full(len(values), y), s=11, color=MUTED, alpha=0.45, linewidths=0, zorder=2, clip_on=True)
    colour = VERDICT_COLOURS[level.verdict] if level.verdict else INK
    axes.plot([mean] * 2, [y - 0.34, y + 0.34], color=colour, linewidth=2.2, solid_capstyle="butt", zorder=3)


def _draw_difference(axes: Axes, level: LevelEffect, y: float) -> None:
    page = axes.get_yaxis_transform()
    _draw_number(axes, level, y)
    if level.incumbent and level.verdict is None:
        axes.scatter([0], [y], s=20, marker="D", facecolor=PAPER, edgecolor=INK, linewidth=0.9, zorder=4)
        return
    if level.verdict is None:
        axes.text(0.5, y, "not comparable", transform=page, fontsize=7, color=MUTED, ha="center", va="center")
        return
    low, high = axes.get_xlim()
    colour = VERDICT_COLOURS[level.verdict]
    centre, left, right = (100 * value for value in (level.difference, level.low, level.high))
    axes.plot([max(left, low), min(right, high)], [y, y], color=colour, linewidth=1.4, zorder=3)
    if low <= centre <= high:
        fill = PAPER if level.verdict == "undecided" else colour
        marker = VERDICT_MARKERS[level.verdict]
        axes.scatter([centre], [y], s=24, marker=marker, facecolor=fill, edgecolor=colour, linewidth=1.0, zorder=4)
    else:
        edge, arrow = (low, "◂") if centre < low else (high, "▸")
        axes.text(edge, y, arrow, color=colour, fontsize=8, va="center", ha="left" if centre < low else "right")


def _draw_number(axes: Axes, level: LevelEffect, y: float) -> None:
    page = axes.get_yaxis_transform()
    if level.verdict:
        text, colour = f"{points(level.difference)}  {level.verdict}", VERDICT_COLOURS[level.verdict]
        if level.verdict == "undecided":
            colour = MUTED
    else:
        text, colour = ("incumbent", MUTED) if level.incumbent else (f"{level.failures} failed", MUTED)
    if level.failures and level.verdict:
        text += f" ({level.failures} failed)"
    axes.text(1.06, y, text, transform=page, fontsize=7.5, va="center", color=colour)


def _draw_legend(figure: Figure, info: FactorEffectsInfo, height: float) -> None:
    axes = axes_at(figure, 0.1, height - 0.57, WIDTH - 0.2, 0.25)
    axes.set_xlim(0, WIDTH - 0.2)
    axes.set_ylim(0, 1)
    axes.axis("off")
    x = 0.05
    for verdict, marker in VERDICT_MARKERS.items():
        colour = VERDICT_COLOURS[verdict]
        fill = PAPER if verdict == "undecided" else colour
        axes.scatter([x], [0.5], s=22, marker=marker, facecolor=fill, edgecolor=colour, linewidth=1.0)
        axes.text(x + 0.1, 0.48, verdict, fontsize=7.5, va="center", color=MUTED)
        x += 0.35 + 0.065 * len(verdict)
    axes.scatter([x], [0.5], s=20, marker="D", facecolor=PAPER, edgecolor=INK, linewidth=0.9)
    axes.text(x + 0.1, 0.48, "incumbent", fontsize=7.5, va="center", color=MUTED)
    axes.text(x + 0.95, 0.48, "✓ kept", fontsize=7.5, va="center", color=MUTED)
    rest = (
        f"dots: {info.block}s; upright bars: their mean; level bars: corrected 95 % intervals; "
        f"grey band: ±{100 * info.margin:g} points count as equivalent"
    )
    axes.text(0, -0.28, rest, fontsize=7.5, va="center", color=MUTED)
