"""What each choice of the final stack is worth: the loss when it alone is put back to the baseline's value."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, model_named, shortened
from ceteris.figures.forest import (
    Estimate,
    draw_estimate,
    estimate,
    head,
    label_row,
    prepare_differences,
    verdict_legend,
)
from ceteris.figures.style import MUTED, axes_at, open_page, styled
from ceteris.findings import FactorFinding, StudyFindings, Verdict
from ceteris.records import FloatArray

ROW = 0.34  # inches
WORTH_WORDS: dict[Verdict, str] = {
    "better": "worth it", "worse": "harms", "equivalent": "not needed", "undecided": "undecided",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ChoiceWorth:
    """One choice: ``label`` names what it was put back to, ``losses`` (blocks,) is the stack minus the stack without it."""

    factor: str
    label: str
    losses: FloatArray
    worth: Estimate


@dataclass(frozen=True, kw_only=True)
class WorthInfo:
    """The choices of one model's best recipe, the most valuable first."""

    model: str
    choices: tuple[ChoiceWorth, ...]
    margin: float
    identity: str


def worth_info(findings: StudyFindings, model: str) -> WorthInfo:
    """Collect what each choice is worth; empty where the study did not leave one out."""
    found = model_named(findings, model)
    choices = [choice for factor in found.ablation for choice in _choices(factor)]
    ordered = sorted(choices, key=lambda choice: -np.nan_to_num(choice.worth.difference, nan=np.inf))
    return WorthInfo(
        model=found.title or found.name,
        choices=tuple(ordered),
        margin=findings.equivalence_margin,
        identity=identity(findings),
    )


def _choices(factor: FactorFinding) -> list[ChoiceWorth]:
    stack = next((level for level in factor.levels if level.incumbent), None)
    return [
        ChoiceWorth(
            factor=factor.title or factor.name,
            label=f"back to {level.label}",
            losses=stack.accuracies - level.accuracies,
            worth=estimate(level.comparison, reversed_sign=True),
        )
        for level in factor.levels
        if stack is not None and not level.incumbent
    ]


@styled
def draw_worth(info: WorthInfo, figure: Figure) -> None:
    """Draw one row per choice: the loss on every block, and its mean with the 95 % interval."""
    rows = max(len(info.choices), 1)
    height = rows * ROW + 1.5
    title = f"{shortened(info.model, 30)}: what each choice of the best setting is worth"
    open_page(figure, height=height, title=title, identity=info.identity)
    axes = axes_at(figure, 2.75, 0.75, 3.1, rows * ROW)
    prepare_differences(axes, [choice.worth for choice in info.choices], rows, info.margin)
    head(axes, "accuracy lost when the choice is put back alone, points")
    low, high = axes.get_xlim()
    for row, choice in enumerate(info.choices):
        y = row + 0.5
        label_row(axes, -0.86, y - 0.2, shortened(choice.factor, 38), bold=True)
        label_row(axes, -0.86, y + 0.22, shortened(choice.label, 42), muted=True)
        losses = 100 * choice.losses[np.isfinite(choice.losses)]
        losses = losses[(losses >= low) & (losses <= high)]
        axes.scatter(losses, np.full(len(losses), y), s=11, color=MUTED, alpha=0.45, linewidths=0, zorder=2)
        draw_estimate(axes, y, choice.worth, WORTH_WORDS)
    rest = (
        "dots: blocks; bars: corrected 95 % intervals; right of 0 the choice helps; "
        f"grey band: ±{100 * info.margin:g} points are equivalent"
    )
    verdict_legend(figure, height - 0.62, rest, WORTH_WORDS)
