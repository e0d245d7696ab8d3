"""How the final trainings went: loss, accuracy and F1 by epoch, loss and rate by iteration, with and without shortcuts."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ceteris.analysis.results import ModelResults, Results, VersionResults
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.style import (
    ACCENT,
    CONTRAST,
    INK,
    MUTED,
    WIDTH,
    axes_at,
    grid,
    logarithmic,
    model_colour,
    open_page,
)
from ceteris.findings import ResidualFinding
from ceteris.formats import shortened
from ceteris.records import Float32Array, FloatArray, IterationHistory

TEST = "#6f5aa8"
SMOOTHING = 25  # iterations
DASHED = (0, (3, 2))


def curve_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield the learning curves of every model, and the loss and the learning rate iteration by iteration."""
    device = results.machine.get("device") or results.machine.get("processor") or ""
    for model in results.models:
        if curves := [version for version in of_search(model) if version.histories]:
            yield ReportFigure(
                name=f"curves-{model.name}", section="training", model=model.name,
                draw=partial(draw_learning_curves, curves, title=model.label, device=device),
                caption=f"{model.label}: training and validation loss, accuracy and F1 by epoch. Training values are means "
                "over the mini-batches of the epoch, with augmentation and dropout in force. The dashed line is the epoch "
                "whose weights were kept; faint lines are further seeds; test values were recorded afterwards, for show.",
                description="Line charts of loss, accuracy and F1 against the epoch for the baseline and the best version.",
            )  # fmt: skip
    if iterations := [version for model in results.models for version in of_search(model) if first_log(version)]:
        yield ReportFigure(
            name="iterations-loss", section="training", draw=partial(draw_iteration_loss, iterations),
            caption=f"Loss of every mini-batch (faint) and its running mean over {SMOOTHING} of them, logarithmic.",
            description="Line charts of the training loss against the iteration, one panel per model.",
        )  # fmt: skip
    if any(np.ptp(log.learning_rate) > 0 for version in iterations if (log := first_log(version))):
        yield ReportFigure(
            name="learning-rate", section="training", draw=partial(draw_learning_rate, iterations),
            caption="The learning rate of every iteration, baseline and best.",
            description="Line charts of the learning rate against the iteration, one panel per model.",
        )  # fmt: skip


def residual_figure(results: Results) -> Iterator[ReportFigure]:
    """Yield the comparison with and without residual connections; nothing when no model has a version without them."""
    model = next((model for model in results.models if model.version("plain")), None)
    if model is not None:
        yield ReportFigure(
            name="residual", section="residual", draw=partial(draw_residual, model, results.residual),
            caption="The same network with and without its residual connections, everything else equal: training loss, "
            "validation accuracy, and the norm of the gradient of every convolution at the first step.",
            description="Line charts of loss and accuracy by epoch and of gradient norms by layer, with and without shortcuts.",
        )  # fmt: skip


def of_search(model: ModelResults) -> list[VersionResults]:
    """Return the baseline and the best version, those that have a finished final."""
    return [version for version in model.versions if version.version != "plain"]


def first_log(version: VersionResults) -> IterationHistory | None:
    """Return loss and learning rate of every mini-batch at the first seed, None where they were not kept."""
    found = version.finals[0].iterations
    return found if found is not None and len(found.loss) else None


def headline(version: VersionResults, device: str) -> str:
    """Return what a training was: mini-batch, learning rate, epochs, time and ``device``, at the first seed with a history."""
    recipe = version.recipe
    final = next(final for final in version.finals if final.epochs is not None)
    epochs = len(final.epochs.train_loss) if final.epochs else 0
    parts = [
        f"mini-batch {recipe.batch_size}",
        f"learning rate {recipe.optimizer.lr:g} ({recipe.optimizer.kind})",
        f"{epochs} epochs" + (f" of at most {recipe.epochs}" if epochs < recipe.epochs else ""),
        f"{final.cost.train_seconds:.1f} s" if final.cost else "",
        device,
    ]
    return ", ".join(filter(None, parts))


def running_mean(values: Float32Array, width: int = SMOOTHING) -> FloatArray:
    """Return the mean of each value and up to ``width`` - 1 before it, (n,)."""
    sums = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def draw_learning_curves(versions: Sequence[VersionResults], figure: Figure, *, title: str, device: str) -> None:
    """Draw one row per version: loss, accuracy and F1 against the epoch, training and validation (and test)."""
    height = 0.7 + 2.3 * len(versions)
    open_page(figure, height=height, title=f"{title}: learning curves")
    panels = [
        [axes_at(figure, 0.55 + 2.3 * column, 0.85 + 2.3 * row, 1.85, 1.35) for column in range(3)]
        for row in range(len(versions))
    ]
    for row, (axes, version) in enumerate(zip(panels, versions, strict=True)):
        told = f"{version.version_title.capitalize()}: {headline(version, device)}"
        figure.text(0.1 / WIDTH, 1 - (0.42 + 2.3 * row) / height, told, fontsize=8, va="top", color=INK)
        _draw_version(axes, version)
    for column in zip(*panels, strict=True):
        lows, highs = zip(*(axes.get_ylim() for axes in column), strict=True)
        for axes in column:
            axes.set_ylim(min(lows), max(highs))
    handles, labels = panels[0][0].get_legend_handles_labels()
    panels[0][0].legend(handles, labels, loc="upper right", handlelength=1.4, borderaxespad=0.1)


def _draw_version(panels: Sequence[Axes], version: VersionResults) -> None:
    """Draw the histories of every seed, and the test curves and the kept epoch of the first that has one."""
    first = next(final for final in version.finals if final.epochs is not None)
    nothing: FloatArray = np.zeros(0)
    for axes, (name, title, scale, test) in zip(
        panels,
        (
            ("loss", "loss", 1, first.test_curve_loss),
            ("accuracy", "accuracy, %", 100, first.test_curve_accuracy),
            ("f1", "macro F1, %", 100, nothing),
        ),
        strict=True,
    ):
        for number, history in enumerate(version.histories):
            for part, colour, label in (("train", ACCENT, "training"), ("validation", CONTRAST, "validation")):
                values = scale * np.asarray(getattr(history, f"{part}_{name}"))
                if np.isnan(values).all():  # nothing was held out
                    continue
                draw_seed(axes, values, colour, number, label)
        if len(test):
            epochs = np.arange(1, len(test) + 1)
            axes.plot(epochs, scale * test, color=TEST, linewidth=1.0, linestyle=(0, (1, 1)), label="test")
        axes.axvline(first.best_epoch, color=MUTED, linewidth=0.7, linestyle=DASHED, zorder=1)
        axes.set_title(title, fontsize=8.5, pad=3)
        _by_whole_numbers(axes, "epoch")


def draw_seed(axes: Axes, values: FloatArray, colour: str, number: int, label: str) -> None:
    """Draw values by epoch, (epochs,): the first seed strong and with its label, further ones thin and faint."""
    width, alpha, known = (1.5, 1.0, label) if number == 0 else (0.8, 0.45, None)
    marker = "o" if len(values) == 1 else None
    epochs = np.arange(1, len(values) + 1)
    axes.plot(epochs, values, color=colour, linewidth=width, alpha=alpha, label=known, marker=marker, markersize=3)


def _by_whole_numbers(axes: Axes, label: str, most: int = 5) -> None:
    axes.set_xlabel(label, labelpad=1)
    axes.xaxis.set_major_locator(MaxNLocator(most, integer=True))
    grid(axes)


def draw_iteration_loss(versions: Sequence[VersionResults], figure: Figure) -> None:
    """Draw the loss of every mini-batch on a logarithmic axis, faint, with its running mean; a panel per model."""
    for axes, version, log in _iteration_panels(versions, figure, "Training loss, iteration by iteration"):
        every = np.unique(np.linspace(0, len(log.loss) - 1, 1500).astype(int))
        loss = np.maximum(log.loss[every], 1e-6)
        axes.plot(every + 1, loss, color=_colour(version), linewidth=0.5, alpha=0.25)
        _draw_iterations(axes, version, np.maximum(running_mean(log.loss), 1e-6))
    for axes in figure.axes:
        logarithmic(axes, "y")


def draw_learning_rate(versions: Sequence[VersionResults], figure: Figure) -> None:
    """Draw the learning rate that every iteration was done with; a panel per model."""
    for axes, version, log in _iteration_panels(versions, figure, "Learning rate, iteration by iteration"):
        _draw_iterations(axes, version, log.learning_rate)
    for axes in figure.axes:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))


def _iteration_panels(
    versions: Sequence[VersionResults], figure: Figure, title: str
) -> Iterator[tuple[Axes, VersionResults, IterationHistory]]:
    """Yield every version with its log and the panel of its model; when all are drawn the first panel names the versions."""
    positions = sorted({version.position for version in versions})
    open_page(figure, height=0.65 + 2.05 * -(-len(positions) // 3), title=title)
    for panel, position in enumerate(positions):
        axes = axes_at(figure, 0.55 + 2.3 * (panel % 3), 0.65 + 2.05 * (panel // 3), 1.8, 1.3)
        own = [version for version in versions if version.position == position]
        axes.set_title(shortened(own[0].title, 26), fontsize=8.5)
        axes.tick_params(labelsize=7)
        _by_whole_numbers(axes, "iteration", most=4)
        for version in own:
            if log := first_log(version):
                yield axes, version, log
    if len(figure.axes[0].get_legend_handles_labels()[1]) > 1:
        figure.axes[0].legend(handlelength=1.4)


def _colour(version: VersionResults) -> str:
    return model_colour(version.position) if version.version == "best" else MUTED


def _draw_iterations(axes: Axes, version: VersionResults, values: FloatArray | Float32Array) -> None:
    keep = np.unique(np.linspace(0, len(values) - 1, 600).astype(int))
    axes.plot(keep + 1, values[keep], color=_colour(version), linewidth=1.4, label=version.version_title)


def draw_residual(model: ModelResults, gradients: ResidualFinding | None, figure: Figure) -> None:
    """Draw training loss and validation accuracy by epoch, and the gradient norms from the first layer to the last."""
    open_page(figure, height=2.75, title=f"{shortened(model.label, 40)}: with and without residual connections")
    loss, accuracy, gradient = (axes_at(figure, 0.6 + 2.3 * column, 0.65, 1.85, 1.45) for column in range(3))
    versions = [model.version("best"), model.version("plain")]
    held_out = any(np.isfinite(version.validation_accuracy) for version in versions if version)
    part, told = ("validation", "validation") if held_out else ("train", "training")
    for axes, name, title, scale in (
        (loss, "train_loss", "training loss", 1),
        (accuracy, f"{part}_accuracy", f"{told} accuracy, %", 100),
    ):
        for version, colour, label in zip(versions, (ACCENT, CONTRAST), ("with", "without"), strict=True):
            for number, history in enumerate(version.histories if version else ()):
                values = scale * np.asarray(getattr(history, name))
                draw_seed(axes, values, colour, number, label)
        axes.set_title(title, fontsize=8.5)
        _by_whole_numbers(axes, "epoch")
    loss.legend(handlelength=1.4)
    nothing: FloatArray = np.zeros(0)
    norms = (gradients.gradient_norms_with, gradients.gradient_norms_without) if gradients else (nothing, nothing)
    for values, line, colour in zip(norms, ("o-", "s-"), (ACCENT, CONTRAST), strict=True):
        gradient.plot(np.arange(1, len(values) + 1), values, line, color=colour, markersize=3, linewidth=1.2)
    gradient.set_title("gradient norm, first step", fontsize=8.5)
    if len(norms[0]) and min(norms[0].min(), norms[1].min()) > 0:
        logarithmic(gradient, "y")
    _by_whole_numbers(gradient, "convolution, from the input")
