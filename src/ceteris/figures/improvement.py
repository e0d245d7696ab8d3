"""What a best recipe is worth: its improvement on fresh seeds, and what is lost when one choice is put back."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from ceteris.analysis.results import AblatedChoice, ModelResults, Results
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.rows import (
    ALL_RIGHT,
    draw_blocks,
    draw_comparison,
    draw_upright,
    label_row,
    prepare_differences,
    prepare_rows,
    readable_range,
    verdict_legend,
)
from ceteris.figures.style import MUTED, PAPER, axes_at, model_colour, open_page
from ceteris.findings import Verdict, mean_of_finished
from ceteris.formats import shortened, unit_of

CONFIRMED_ROW, ABLATED_ROW = 0.46, 0.34  # inches
ABLATION_WORDS: dict[Verdict, str] = {
    "better": "worth it", "worse": "harms", "equivalent": "not needed", "undecided": "not shown",
}  # fmt: skip


def improvement_figure(results: Results) -> Iterator[ReportFigure]:
    """Yield baseline against best recipe on fresh seeds; nothing where no model was confirmed."""
    confirmed = [model for model in results.models if model.confirmation is not None]
    if not confirmed:
        return
    promise = (
        " The diamond is the sum of what was expected of the options that were taken."
        if any(np.isfinite(model.promised_gain) for model in confirmed)
        else ""
    )
    yield ReportFigure(
        name="improvement", section="exploration",
        draw=partial(draw_improvement, confirmed, margin=results.equivalence_margin),
        caption="Baseline (open) and best recipe (filled), trained again and compared as a whole, and "
        f"their paired difference with its 95 % interval.{promise}",
        description="For each model the accuracies of baseline and best recipe on fresh blocks and their difference; "
        "the numbers are in the table of improvements.",
    )  # fmt: skip


def ablation_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield for every model what each choice of its best recipe is worth, where the study put them back."""
    for model in results.models:
        if model.choices:
            yield ReportFigure(
                name=f"worth-{model.name}", section="exploration", model=model.name,
                draw=partial(draw_ablation, model.choices, title=model.label, margin=results.equivalence_margin),
                caption=f"{model.label}: what is lost when one choice of the best setting is put back to the baseline and all "
                "others are kept, with corrected 95 % intervals. A choice whose loss is equivalent to 0 could be left out.",
                description=f"A forest plot of {len(model.choices)} choices; the numbers are in the table of what each is "
                "worth.",
            )  # fmt: skip


def draw_improvement(models: Sequence[ModelResults], figure: Figure, *, margin: float) -> None:
    """Draw a row per confirmed model: left every fresh block of baseline and best joined by a line, right the difference."""
    shown = [(model, model.confirmation) for model in models if model.confirmation is not None]
    promised = [model.promised_gain for model, _ in shown if np.isfinite(model.promised_gain)]
    rows = max(len(shown), 1)
    open_page(figure, height=rows * CONFIRMED_ROW + 1.5, title="The improvement, measured again")
    blocks = axes_at(figure, 1.6, 0.75, 2.45, rows * CONFIRMED_ROW)
    gains = axes_at(figure, 4.25, 0.75, 1.75, rows * CONFIRMED_ROW)
    prepare_differences(
        gains, [found.comparison for _, found in shown], rows=rows, margin=margin, title="best minus baseline",
        extra=promised,
    )  # fmt: skip
    values = np.concatenate([*(half for _, found in shown for half in (found.baseline, found.best)), [np.nan]])
    low, high = readable_range(values, values, values, needed=values)
    blocks.set_xlim(100 * low, 100 * min(high, ALL_RIGHT))
    criterion = shown[0][0].criterion if shown else "accuracy"
    prepare_rows(blocks, rows, f"result of each training, {'%' if criterion == 'accuracy' else unit_of(criterion)}")
    for row, (model, found) in enumerate(shown):
        label_row(blocks, -0.61, row + 0.5, shortened(model.label, 24), bold=True)
        above, below, colour = row + 0.3, row + 0.7, model_colour(model.position)
        for before, after in zip(100 * found.baseline, 100 * found.best, strict=True):
            blocks.plot([before, after], [above, below], color=colour, linewidth=0.6, alpha=0.45, zorder=2)
        for half, y, fill in ((found.baseline, above, PAPER), (found.best, below, colour)):
            x = 100 * half[np.isfinite(half)]
            blocks.scatter(x, np.full(len(x), y), s=12, facecolor=fill, edgecolor=colour, linewidth=0.8, zorder=3)
            draw_upright(blocks, 100 * mean_of_finished(half), y, colour, half=0.13)
        if np.isfinite(gain := 100 * model.promised_gain):
            gains.scatter(
                [gain], [row + 0.5], s=24, marker="D", facecolor="none", edgecolor=MUTED, linewidth=0.9, zorder=2
            )
        draw_comparison(gains, row + 0.5, found.comparison)
    told = f"open circle above, filled below: baseline and best; grey band: ±{100 * margin:g} points are equivalent"
    verdict_legend(figure, told + ("; ◇ expected of all that was taken" if promised else ""))


def draw_ablation(choices: tuple[AblatedChoice, ...], figure: Figure, *, title: str, margin: float) -> None:
    """Draw one row per choice: the loss on every block, and its mean with the 95 % interval."""
    rows = max(len(choices), 1)
    heading = f"{shortened(title, 30)}: what each choice of the best setting is worth"
    open_page(figure, height=rows * ABLATED_ROW + 1.5, title=heading)
    axes = axes_at(figure, 2.75, 0.75, 3.1, rows * ABLATED_ROW)
    prepare_differences(
        axes, [choice.comparison for choice in choices], rows=rows, margin=margin,
        title="lost when the choice is put back alone",
    )  # fmt: skip
    page = axes.get_yaxis_transform()
    for row, choice in enumerate(choices):
        y = row + 0.5
        label_row(axes, -0.86, y - 0.2, shortened(choice.factor, 38), bold=True)
        axes.text(-0.86, y + 0.22, shortened(choice.label, 42), transform=page, fontsize=8, color=MUTED, va="center")
        draw_blocks(axes, 100 * choice.losses, y)
        draw_comparison(axes, y, choice.comparison, words=ABLATION_WORDS)
    told = (
        "dots: blocks; bars: corrected 95 % intervals; right of 0 the choice helps; "
        f"grey band: ±{100 * margin:g} points are equivalent"
    )
    verdict_legend(figure, told, words=ABLATION_WORDS)
