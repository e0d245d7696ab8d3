"""How far every level went: the blocks that it was trained on, of those that the longest-trained one saw."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, model_named, shortened
from ceteris.analysis.search import trained_blocks
from ceteris.figures.forest import label_row, prepare_rows, verdict_legend
from ceteris.figures.style import FAINT, INK, MUTED, PAPER, VERDICT_COLOURS, axes_at, open_page, styled
from ceteris.findings import FactorFinding, StudyFindings, Verdict

ROW = 0.2  # inches
HEADER = 1.35  # rows that a factor's headline takes


@dataclass(frozen=True, kw_only=True)
class LevelRace:
    """One level: the number of blocks it was trained on, and the verdict with which it left (None: it was the incumbent)."""

    label: str
    trained: int
    failures: int
    verdict: Verdict | None
    incumbent: bool
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class FactorRace:
    """One factor's levels; ``blocks`` is the number of blocks of the full design."""

    title: str
    blocks: int
    levels: tuple[LevelRace, ...]


@dataclass(frozen=True, kw_only=True)
class RaceInfo:
    """All factors of one model and how many trainings of the full design were not needed."""

    model: str
    factors: tuple[FactorRace, ...]
    saved: int
    identity: str


def race_info(findings: StudyFindings, model: str) -> RaceInfo:
    """Collect how many blocks every level was trained on."""
    found = model_named(findings, model)
    return RaceInfo(
        model=found.title or found.name,
        factors=tuple(_factor(factor) for factor in found.factors),
        saved=found.trainings_saved,
        identity=identity(findings),
    )


def _factor(factor: FactorFinding) -> FactorRace:
    levels = tuple(
        LevelRace(
            label=level.label,
            trained=trained_blocks(level),
            failures=len(level.failures),
            verdict=level.comparison.verdict if level.comparison else None,
            incumbent=level.incumbent,
            chosen=level.chosen,
        )
        for level in factor.levels
    )
    blocks = max((len(level.accuracies) for level in factor.levels), default=0)
    return FactorRace(title=factor.title or factor.name, blocks=blocks, levels=levels)


@styled
def draw_race(info: RaceInfo, figure: Figure) -> None:
    """Draw one bar per level: the blocks it was trained on, coloured by its verdict, within those of the full design."""
    rows = max(sum(HEADER + len(factor.levels) for factor in info.factors), 1)
    height = rows * ROW + 1.25
    title = f"{shortened(info.model, 30)}: how many blocks every level needed"
    open_page(figure, height=height, title=title, identity=info.identity)
    axes = axes_at(figure, 2.1, 0.55, 3.3, rows * ROW)
    axes.set_xlim(0, max((factor.blocks for factor in info.factors), default=1))
    prepare_rows(axes, rows)
    axes.locator_params(axis="x", integer=True)
    top = 0.0
    for factor in info.factors:
        _draw_factor(axes, factor, top)
        top += HEADER + len(factor.levels)
    verdict_legend(
        figure, height - 0.62, "bars: blocks trained; pale: blocks that were not needed; black: the incumbent"
    )


def _draw_factor(axes: Axes, factor: FactorRace, top: float) -> None:
    label_row(axes, -0.61, top + 0.85, shortened(factor.title, 60), bold=True)
    for row, level in enumerate(factor.levels):
        y = top + HEADER + 0.5 + row
        colour = VERDICT_COLOURS[level.verdict] if level.verdict else INK if level.incumbent else MUTED
        axes.barh(y, factor.blocks, height=0.62, color=FAINT, linewidth=0)
        axes.barh(y, level.trained, height=0.62, color=colour, linewidth=0)
        if level.trained:
            size = f"{level.trained}"
            axes.text(level.trained, y, f"{size} ", fontsize=7, ha="right", va="center", color=PAPER, fontweight="bold")
        label_row(axes, -0.59, y, ("✓ " if level.chosen else "   ") + shortened(level.label, 28), bold=level.chosen)
        axes.text(
            1.03, y, _fate(level, factor.blocks), transform=axes.get_yaxis_transform(), fontsize=7.5, va="center",
            color=MUTED if level.verdict in (None, "undecided") else colour,
        )  # fmt: skip


def _fate(level: LevelRace, blocks: int) -> str:
    if level.failures:
        return f"{level.failures} failed"
    if level.incumbent and level.verdict is None:
        return "incumbent"
    told = level.verdict or "not comparable"
    return told if level.trained == blocks else f"{told}, left after {level.trained}"
