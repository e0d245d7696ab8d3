"""Where the noise comes from: how far each source of luck alone moves the accuracy of a best recipe."""

from collections.abc import Iterator, Sequence
from functools import partial

from matplotlib.figure import Figure

from ceteris.analysis.results import ModelResults, Results
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.rows import label_row, prepare_rows, write_right
from ceteris.figures.style import axes_at, model_colour, open_page
from ceteris.findings import LuckSource
from ceteris.formats import plain_points, shortened

SOURCES: dict[LuckSource, str] = {
    "images": "which images are held out",
    "split": "the split into fitted and held-out images",
    "initialisation": "initial weights",
    "order": "order, augmentation, dropout",
    "tuning": "tuning of the rate",
    "all": "split, weights and order together",
}


def luck_figure(results: Results) -> Iterator[ReportFigure]:
    """Yield a row per source and model; nothing where the study did not ask for the sources of luck."""
    measured = [model for model in results.models if model.luck]
    if measured:
        yield ReportFigure(
            name="luck",
            section="luck",
            draw=partial(draw_luck, measured),
            caption="How far each source of luck alone moves the accuracy of the best recipe: one standard deviation with its "
            "95 % interval, all other luck held. The luck of the images is that of drawing so many.",
            description="For each model a row per source of luck; the numbers are in the table of the sources.",
        )


def draw_luck(models: Sequence[ModelResults], figure: Figure) -> None:
    """Draw for every source a group of rows, one per model, with bar, interval and number."""
    sources = [source for source in SOURCES if any(source == found.source for model in models for found in model.luck)]
    height = 0.17 * len(models) + 0.12  # inches of a source
    open_page(figure, height=height * len(sources) + 1.05, title="Where the noise comes from")
    axes = axes_at(figure, 3.55, 0.7, 2.75, height * len(sources))
    axes.set_xlim(0, 105 * max(found.high for model in models for found in model.luck) or 1)
    prepare_rows(axes, len(sources), "standard deviation of the accuracy, points")
    for row, source in enumerate(sources):
        label_row(axes, -1.25, row + 0.5, SOURCES[source])
        for place, model in enumerate(models):
            y = row + (0.06 + 0.17 * (place + 0.5)) / height
            for found in model.luck:
                if found.source == source:
                    colour = model_colour(model.position)
                    axes.barh(y, 100 * found.deviation, height=0.11 / height, color=colour, alpha=0.55, zorder=2)
                    axes.plot([100 * found.low, 100 * found.high], [y, y], color=colour, linewidth=1.2, zorder=3)
                    write_right(axes, y, f"{plain_points(found.deviation)}  {shortened(model.label, 14)}", colour)
