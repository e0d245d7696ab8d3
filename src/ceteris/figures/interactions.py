"""The two-way interactions of a factorial grid: how much the effect of one factor depends on another."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, model_named, shortened
from ceteris.analysis.search import factor_titles, strongest
from ceteris.figures.forest import (
    Estimate,
    draw_estimate,
    estimate,
    head,
    label_row,
    prepare_differences,
    verdict_legend,
)
from ceteris.figures.style import abbreviated, axes_at, open_page, styled
from ceteris.findings import StudyFindings, Verdict

ROW = 0.34  # inches
MOST = 20
INTERACTION_WORDS: dict[Verdict, str] = {
    "better": "together more", "worse": "together less", "equivalent": "additive", "undecided": "undecided",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class InteractionEffect:
    """One pair of levels and how far their joint effect lies from the sum of the two."""

    first: str
    second: str
    effect: Estimate


@dataclass(frozen=True, kw_only=True)
class InteractionsInfo:
    """The strongest interactions of one model, the strongest first, and how many there are in all."""

    model: str
    effects: tuple[InteractionEffect, ...]
    total: int
    margin: float
    identity: str


def interactions_info(findings: StudyFindings, model: str) -> InteractionsInfo:
    """Collect the strongest interactions of a factorial grid."""
    found = model_named(findings, model)
    titles = factor_titles(found)
    effects = tuple(
        InteractionEffect(
            first=_named(titles, *entry.first),
            second=_named(titles, *entry.second),
            effect=estimate(entry.comparison),
        )
        for entry in strongest(found.interactions)[:MOST]
    )
    return InteractionsInfo(
        model=found.title or found.name,
        effects=effects,
        total=len(found.interactions),
        margin=findings.equivalence_margin,
        identity=identity(findings),
    )


def _named(titles: dict[str, str], factor: str, level: str) -> str:
    return f"{shortened(titles.get(factor, factor), 22)}: {abbreviated(level, 19)}"


@styled
def draw_interactions(info: InteractionsInfo, figure: Figure) -> None:
    """Draw one row per pair of levels with its interval."""
    rows = max(len(info.effects), 1)
    height = rows * ROW + 1.5
    title = f"{shortened(info.model, 30)}: which techniques depend on each other"
    open_page(figure, height=height, title=title, identity=info.identity)
    axes = axes_at(figure, 2.9, 0.75, 2.75, rows * ROW)
    prepare_differences(axes, [entry.effect for entry in info.effects], rows, info.margin)
    head(axes, "joint effect minus the sum of the two, points")
    for row, entry in enumerate(info.effects):
        y = row + 0.5
        label_row(axes, -1.02, y - 0.21, shortened(entry.first, 44))
        label_row(axes, -1.02, y + 0.21, f"× {shortened(entry.second, 42)}")
        draw_estimate(axes, y, entry.effect, INTERACTION_WORDS)
    left_out = f"; the {len(info.effects)} strongest of {info.total}" if info.total > len(info.effects) else ""
    rest = f"bars: corrected 95 % intervals; grey band: ±{100 * info.margin:g} points count as additive{left_out}"
    verdict_legend(figure, height - 0.62, rest, INTERACTION_WORDS)
