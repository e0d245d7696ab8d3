"""What residual connections and batch normalisation do: errors by depth, gradients by layer, the loss around the weights."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from ceteris.analysis.results import Results
from ceteris.figures.panels import Line, Panel, draw_panels
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.style import MUTED, axes_at, open_page
from ceteris.formats import shortened
from ceteris.insights import ArmCourse, DepthCourse, GradientNorms, NetworkDynamics
from ceteris.records import FloatArray


def dynamics_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield the figures of depth and of networks under observation, each where it was asked for."""
    depths, networks = results.insights.depths, results.insights.dynamics
    if depths is not None:
        yield ReportFigure(
            name="residual-depth",
            section="residual",
            draw=partial(
                draw_panels, depth_panels(depths), title="Error and effort against depth", columns=3, height=1.5
            ),
            caption="Every kind of network at every depth, each at its own tuned learning rate with equally many "
            "steps; the bands "
            f"reach from the best to the worst training. Reached means {100 * depths.target:g} % of the training "
            "images right "
            "(after He et al. 2016, figures 1 and 6).",
            description="Six charts against depth with one line for each kind of network.",
        )
    if not networks:
        return
    yield ReportFigure(
        name="gradient-norms",
        section="residual",
        draw=partial(
            draw_panels,
            gradient_panels(networks),
            title="Gradients and activations, layer by layer",
            columns=4,
            height=1.2,
        ),
        caption="Norm of the gradient of every convolution's weights (top) and variance of its output (bottom), "
        "first layer to last, "
        f"at the start, after 1 %, 10 % and all of the steps; means over {len(networks[0].stages[0].norms)} draws "
        "of the initial "
        "weights, the bands from the smallest to the largest (after Glorot & Bengio 2010; He et al. 2015).",
        description="Eight charts by layer with one line per network.",
    )
    yield ReportFigure(
        name="smoothness",
        section="residual",
        draw=partial(draw_panels, smoothness_panels(networks), title="How smooth the way is", columns=2, height=1.4),
        caption="Range of the loss along the gradient, how far the gradient moves there (predictiveness), the "
        "largest of that per distance "
        "(effective smoothness), at steps of half to four times the learning rate (Santurkar et al. 2018, figure "
        "4); and how alike the "
        "gradients at the input are along the line between two images, before training (after Balduzzi et al. 2017).",
        description="Four charts with one line per network.",
    )
    yield ReportFigure(
        name="lesions",
        section="residual",
        draw=partial(draw_panels, lesion_panels(networks), title="What is lost without a block", columns=2, height=1.4),
        caption="Accuracy after training with one block left out, and with one and the next swapped, where no "
        "shape changes "
        "(Veit et al. 2016, figures 3 and 5); the images are training images.",
        description="Two charts with one line per network.",
    )
    yield ReportFigure(
        name="loss-surface",
        section="residual",
        draw=partial(draw_surfaces, networks),
        caption="Loss of each network around the weights that it reached, in two random directions whose filters "
        "have the norms of its "
        "own (Li et al. 2018); lines at equal logarithms of the loss, the same colours for all.",
        description="One map of the loss per network, with contour lines.",
    )


def depth_panels(found: DepthCourse) -> list[Panel]:
    """Return error, share stuck, effort and time per step against depth."""
    levels = list(dict.fromkeys(arm.level for arm in found.arms))

    def lines(values: Callable[[ArmCourse], FloatArray]) -> list[Line]:
        drawn = []
        for place, level in enumerate(levels):
            own = sorted(
                (arm for arm in found.arms if arm.level == level and len(arm.accuracies)), key=lambda arm: arm.depth
            )
            known = [(arm.depth, finite) for arm in own if (finite := _finite(values(arm))).size]
            if known:
                drawn.append(
                    Line(
                        label=level,
                        place=place,
                        x=np.array([depth for depth, _ in known]),
                        y=np.array([part.mean() for _, part in known]),
                        low=np.array([part.min() for _, part in known]),
                        high=np.array([part.max() for _, part in known]),
                    )
                )
        return drawn

    depths = sorted({arm.depth for arm in found.arms})
    ticks = [(float(depth), str(depth)) for depth in depths]
    chance = (100 * (1 - found.chance), "chance")
    return [
        Panel(
            title="validation error",
            x="layers",
            y="error, %",
            ticks=ticks,
            lines=lines(lambda arm: 100 * (1 - arm.accuracies)),
            range=(0, 100),
            level=chance,
        ),
        Panel(
            title="training error",
            x="layers",
            y="error, %",
            ticks=ticks,
            lines=lines(lambda arm: 100 * (1 - arm.train_accuracies)),
            range=(0, 100),
            level=chance,
        ),
        Panel(
            title="trainings stuck at chance",
            x="layers",
            y="%",
            ticks=ticks,
            lines=[_bare(line) for line in lines(lambda arm: np.asarray(100.0 * arm.stuck))],
            range=(-4, 104),
        ),
        Panel(
            title="steps until reached",
            x="layers",
            y="steps",
            ticks=ticks,
            lines=lines(lambda arm: arm.steps_to_target),
        ),
        Panel(
            title="time until reached",
            x="layers",
            y="seconds",
            ticks=ticks,
            lines=lines(lambda arm: arm.seconds_to_target),
        ),
        Panel(
            title="time of a step",
            x="layers",
            y="milliseconds",
            ticks=ticks,
            lines=lines(lambda arm: 1000 * arm.seconds),
        ),
    ]


def _finite(values: FloatArray) -> FloatArray:
    return np.asarray(values[np.isfinite(values)])


def _bare(line: Line) -> Line:
    return Line(label=line.label, place=line.place, x=line.x, y=line.y)


def gradient_panels(networks: Sequence[NetworkDynamics]) -> list[Panel]:
    """Return gradient norms (first) and output variances by layer at four moments."""

    def panel(moment: int, title: str, part: str, y: str) -> Panel:
        lines = []
        for place, network in enumerate(networks):
            stage: GradientNorms = network.stages[min(moment, len(network.stages) - 1)]
            values = np.maximum(getattr(stage, part), 1e-12)
            lines.append(
                Line(
                    label=network.label,
                    place=place,
                    x=np.arange(1, values.shape[1] + 1),
                    y=np.exp(np.log(values).mean(0)),
                    low=values.min(0),
                    high=values.max(0),
                    marks=False,
                )
            )
        return Panel(title=title, x="convolution", y=y if not moment else "", lines=lines, log="y")

    moments = ("at the start", "after 1 %", "after 10 %", "at the end")
    return [
        *(panel(number, text, "norms", "gradient norm") for number, text in enumerate(moments)),
        *(panel(number, text, "variances", "output variance") for number, text in enumerate(moments)),
    ]


def smoothness_panels(networks: Sequence[NetworkDynamics]) -> list[Panel]:
    """Return the three measures of Santurkar et al. and the autocorrelation of input gradients."""

    def lines(part: str) -> list[Line]:
        return [
            Line(label=one.label, place=place, x=one.smoothness_steps, y=getattr(one, part), marks=False)
            for place, one in enumerate(networks)
        ]

    ranges = [
        Line(
            label=one.label,
            place=place,
            x=one.smoothness_steps,
            y=(one.loss_low + one.loss_high) / 2,
            low=one.loss_low,
            high=one.loss_high,
            marks=False,
        )
        for place, one in enumerate(networks)
    ]
    away = [
        Line(
            label=one.label,
            place=place,
            x=np.linspace(0, 1, len(one.autocorrelation)),
            y=one.autocorrelation,
            marks=False,
        )
        for place, one in enumerate(networks)
    ]
    return [
        Panel(title="loss along the gradient", x="step", y="loss", lines=ranges, log="y"),
        Panel(
            title="gradient predictiveness",
            x="step",
            y="change of the gradient",
            lines=lines("gradient_change"),
            log="y",
        ),
        Panel(title="effective smoothness", x="step", y="change per distance", lines=lines("smoothness"), log="y"),
        Panel(title="gradients at the input", x="distance between two images", y="likeness (cosine)", lines=away),
    ]


def lesion_panels(networks: Sequence[NetworkDynamics]) -> list[Panel]:
    """Return the accuracy without each block and with neighbours swapped; without any change at 0."""

    def lines(part: str) -> list[Line]:
        drawn = []
        for place, one in enumerate(networks):
            values = np.concatenate(([one.accuracy], getattr(one, part)))
            known = np.isfinite(values)
            drawn.append(Line(label=one.label, place=place, x=np.arange(len(values))[known], y=100 * values[known]))
        return drawn

    return [
        Panel(title="one block left out", x="block (0: none)", y="accuracy, %", lines=lines("lesions"), range=(0, 103)),
        Panel(
            title="a block and the next swapped",
            x="block (0: none)",
            y="accuracy, %",
            lines=lines("swaps"),
            range=(0, 103),
        ),
    ]


def draw_surfaces(networks: Sequence[NetworkDynamics], figure: Figure) -> None:
    """Draw the logarithm of each loss as a map with contour lines, the same colours for all."""
    side, columns = 1.55, min(4, len(networks))
    rows = -(-len(networks) // columns)
    open_page(
        figure,
        height=0.75 + rows * (side + 0.4),
        title="The loss around the weights that were reached",
        width=1.1 + columns * (side + 0.12),
    )
    logs = [np.log10(np.clip(np.nan_to_num(one.surface, nan=1e6, posinf=1e6), 1e-4, 1e6)) for one in networks]
    low, high = (
        min(part.min() for part in logs),
        float(np.quantile(np.concatenate([part.ravel() for part in logs]), 0.98)),
    )
    picture = None
    for number, (one, values) in enumerate(zip(networks, logs, strict=True)):
        axes = axes_at(
            figure, 0.12 + (side + 0.12) * (number % columns), 0.6 + (side + 0.4) * (number // columns), side, side
        )
        reach = float(one.span[-1])
        picture = axes.imshow(
            values, extent=(-reach, reach, reach, -reach), cmap="cividis", vmin=low, vmax=high, interpolation="bilinear"
        )
        if np.ptp(values) > 1e-3:
            axes.contour(
                one.span, one.span, np.minimum(values, high), levels=10, colors="#ffffff", linewidths=0.5, alpha=0.8
            )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(shortened(one.label, 26), fontsize=7.5, pad=3)
    if picture is not None:
        bar = figure.colorbar(picture, cax=axes_at(figure, 0.2 + columns * (side + 0.12), 0.6, 0.1, side))
        bar.ax.tick_params(labelsize=6.5)
        bar.set_label("log10 of the loss", fontsize=6.5, color=MUTED)
