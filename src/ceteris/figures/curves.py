"""How the final trainings went: loss, accuracy and F1 by epoch, loss and rate by iteration, with and without shortcuts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ceteris.analysis.finals import VERSION_TITLES, finished, model_titles, shortened, shown, versions_present
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
from ceteris.findings import FinalFinding, ModelFinding, StudyFindings, Version
from ceteris.recipe import Recipe
from ceteris.records import EpochHistory, Float32Array, FloatArray

TEST = "#6f5aa8"
SMOOTHING = 25  # iterations
DASHED = (0, (3, 2))


@dataclass(frozen=True, kw_only=True)
class LearningCurves:
    """The curves of one version of a model: every seed's history, and the test curves of the first where recorded."""

    version: Version
    headline: str
    histories: tuple[EpochHistory, ...]
    best_epoch: int
    test_loss: FloatArray
    test_accuracy: FloatArray


@dataclass(frozen=True, kw_only=True)
class IterationCurve:
    """Loss of every mini-batch, (iterations,), its running mean over ``SMOOTHING`` of them and the learning rate."""

    model: str
    version: Version
    position: int
    loss: Float32Array
    smooth_loss: FloatArray
    learning_rate: Float32Array


@dataclass(frozen=True, kw_only=True)
class ResidualCurves:
    """Histories of every seed with and without shortcuts and, per layer, the gradient's norm at the first step, (layers,)."""

    model: str
    with_shortcuts: tuple[EpochHistory, ...]
    without_shortcuts: tuple[EpochHistory, ...]
    gradient_norms_with: FloatArray
    gradient_norms_without: FloatArray


def curve_figures(findings: StudyFindings) -> Iterator[ReportFigure]:
    """Yield the learning curves of every model, and the loss and the learning rate iteration by iteration."""
    for model in findings.models:
        curves = learning_curves(findings, model)
        if curves:
            yield ReportFigure(
                name=f"curves-{model.name}", section="training", model=model.name,
                draw=partial(draw_learning_curves, curves, title=model.label),
                caption=f"{model.label}: training and validation loss, accuracy and F1 by epoch. Training values are means "
                "over the mini-batches of the epoch, with augmentation and dropout in force. The dashed line is the epoch "
                "whose weights were kept; faint lines are further seeds; test values were recorded afterwards, for show.",
                description="Line charts of loss, accuracy and F1 against the epoch for the baseline and the best version.",
            )  # fmt: skip
    iterations = iteration_curves(findings)
    if iterations:
        yield ReportFigure(
            name="iterations-loss", section="training", draw=partial(draw_iteration_loss, iterations),
            caption=f"Loss of every mini-batch (faint) and its running mean over {SMOOTHING} of them, logarithmic.",
            description="Line charts of the training loss against the iteration, one panel per model.",
        )  # fmt: skip
        yield ReportFigure(
            name="learning-rate", section="training", draw=partial(draw_learning_rate, iterations),
            caption="The learning rate of every iteration, baseline and best.",
            description="Line charts of the learning rate against the iteration, one panel per model.",
        )  # fmt: skip


def residual_figure(findings: StudyFindings) -> Iterator[ReportFigure]:
    """Yield the comparison with and without residual connections; nothing when no model has a version without them."""
    curves = residual_curves(findings)
    if curves is not None:
        yield ReportFigure(
            name="residual", section="residual", draw=partial(draw_residual, curves),
            caption="The same network with and without its residual connections, everything else equal: training loss, "
            "validation accuracy, and the norm of the gradient of every convolution at the first step.",
            description="Line charts of loss and accuracy by epoch and of gradient norms by layer, with and without shortcuts.",
        )  # fmt: skip


def learning_curves(findings: StudyFindings, model: ModelFinding) -> tuple[LearningCurves, ...]:
    """Collect the histories of the baseline's and the best version's final trainings."""
    versions: tuple[tuple[Version, Recipe], ...] = (("baseline", model.baseline), ("best", model.best))
    curves = []
    for version, recipe in versions:
        finals = finished(findings, model.name, version)
        first = next((final for final in finals if final.epochs is not None), None)
        if first is not None:
            curves.append(
                LearningCurves(
                    version=version,
                    headline=_headline(recipe, first, findings.machine),
                    histories=tuple(final.epochs for final in finals if final.epochs is not None),
                    best_epoch=first.best_epoch,
                    test_loss=first.test_curve_loss,
                    test_accuracy=first.test_curve_accuracy,
                )
            )
    return tuple(curves)


def _headline(recipe: Recipe, final: FinalFinding, machine: dict[str, str]) -> str:
    epochs = len(final.epochs.train_loss) if final.epochs else 0
    parts = [
        f"mini-batch {recipe.batch_size}",
        f"learning rate {recipe.optimizer.lr:g} ({recipe.optimizer.kind})",
        f"{epochs} epochs" + (f" of at most {recipe.epochs}" if epochs < recipe.epochs else ""),
        f"{final.cost.train_seconds:.1f} s" if final.cost else "",
        machine.get("device") or machine.get("processor") or "",
    ]
    return ", ".join(filter(None, parts))


def iteration_curves(findings: StudyFindings) -> tuple[IterationCurve, ...]:
    """Collect loss and learning rate of every mini-batch: the first seed of every model's baseline and best version."""
    return tuple(
        IterationCurve(
            model=title,
            version=version,
            position=position,
            loss=final.iterations.loss,
            smooth_loss=running_mean(final.iterations.loss),
            learning_rate=final.iterations.learning_rate,
        )
        for position, (name, title) in enumerate(model_titles(findings).items())
        for version in versions_present(findings, name)
        if version != "plain" and (final := shown(findings, name, version)) is not None
        if final.iterations is not None and len(final.iterations.loss)
    )


def running_mean(values: Float32Array, width: int = SMOOTHING) -> FloatArray:
    """Return the mean of each value and up to ``width`` - 1 before it, (n,)."""
    sums = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def residual_curves(findings: StudyFindings) -> ResidualCurves | None:
    """Collect the comparison of the model that has a version without shortcuts, None when no model has one."""
    plain = next((final for final in findings.finals if final.version == "plain" and final.status == "finished"), None)
    if plain is None:
        return None
    gradients = findings.residual
    return ResidualCurves(
        model=model_titles(findings).get(plain.model, plain.model),
        with_shortcuts=tuple(final.epochs for final in finished(findings, plain.model, "best") if final.epochs),
        without_shortcuts=tuple(final.epochs for final in finished(findings, plain.model, "plain") if final.epochs),
        gradient_norms_with=gradients.gradient_norms_with if gradients else np.zeros(0),
        gradient_norms_without=gradients.gradient_norms_without if gradients else np.zeros(0),
    )


def draw_learning_curves(versions: Sequence[LearningCurves], figure: Figure, *, title: str) -> None:
    """Draw one row per version: loss, accuracy and F1 against the epoch, training and validation (and test)."""
    height = 0.7 + 2.3 * len(versions)
    open_page(figure, height=height, title=f"{title}: learning curves")
    panels = [
        [axes_at(figure, 0.55 + 2.3 * column, 0.85 + 2.3 * row, 1.85, 1.35) for column in range(3)]
        for row in range(len(versions))
    ]
    for row, (axes, curves) in enumerate(zip(panels, versions, strict=True)):
        told = f"{VERSION_TITLES[curves.version].capitalize()}: {curves.headline}"
        figure.text(0.1 / WIDTH, 1 - (0.42 + 2.3 * row) / height, told, fontsize=8, va="top", color=INK)
        _draw_version(axes, curves)
    for column in zip(*panels, strict=True):
        lows, highs = zip(*(axes.get_ylim() for axes in column), strict=True)
        for axes in column:
            axes.set_ylim(min(lows), max(highs))
    handles, labels = panels[0][0].get_legend_handles_labels()
    panels[0][0].legend(handles, labels, loc="upper right", handlelength=1.4, borderaxespad=0.1)


def _draw_version(panels: Sequence[Axes], curves: LearningCurves) -> None:
    nothing: FloatArray = np.zeros(0)
    for axes, (name, title, scale, test) in zip(
        panels,
        (
            ("loss", "loss", 1, curves.test_loss),
            ("accuracy", "accuracy, %", 100, curves.test_accuracy),
            ("f1", "macro F1, %", 100, nothing),
        ),
        strict=True,
    ):
        for number, history in enumerate(curves.histories):
            for part, colour, label in (("train", ACCENT, "training"), ("validation", CONTRAST, "validation")):
                values = scale * np.asarray(getattr(history, f"{part}_{name}"))
                _draw_seed(axes, values, colour, number, label)
        if len(test):
            epochs = np.arange(1, len(test) + 1)
            axes.plot(epochs, scale * test, color=TEST, linewidth=1.0, linestyle=(0, (1, 1)), label="test")
        axes.axvline(curves.best_epoch, color=MUTED, linewidth=0.7, linestyle=DASHED, zorder=1)
        axes.set_title(title, fontsize=8.5, pad=3)
        _by_whole_numbers(axes, "epoch")


def _draw_seed(axes: Axes, values: FloatArray, colour: str, number: int, label: str) -> None:
    """Draw values by epoch, (epochs,): the first seed strong and with its label, further ones thin and faint."""
    width, alpha, known = (1.5, 1.0, label) if number == 0 else (0.8, 0.45, None)
    marker = "o" if len(values) == 1 else None
    epochs = np.arange(1, len(values) + 1)
    axes.plot(epochs, values, color=colour, linewidth=width, alpha=alpha, label=known, marker=marker, markersize=3)


def _by_whole_numbers(axes: Axes, label: str, most: int = 5) -> None:
    axes.set_xlabel(label, labelpad=1)
    axes.xaxis.set_major_locator(MaxNLocator(most, integer=True))
    grid(axes)


def draw_iteration_loss(curves: Sequence[IterationCurve], figure: Figure) -> None:
    """Draw the loss of every mini-batch on a logarithmic axis, faint, with its running mean; a panel per model."""
    for axes, own in _iteration_panels(curves, figure, "Training loss, iteration by iteration"):
        for curve in own:
            every = np.unique(np.linspace(0, len(curve.loss) - 1, 1500).astype(int))
            loss = np.maximum(curve.loss[every], 1e-6)
            axes.plot(every + 1, loss, color=_colour(curve), linewidth=0.5, alpha=0.25)
            _draw_iterations(axes, curve, np.maximum(curve.smooth_loss, 1e-6))
        logarithmic(axes, "y")


def draw_learning_rate(curves: Sequence[IterationCurve], figure: Figure) -> None:
    """Draw the learning rate that every iteration was done with; a panel per model."""
    for axes, own in _iteration_panels(curves, figure, "Learning rate, iteration by iteration"):
        for curve in own:
            _draw_iterations(axes, curve, curve.learning_rate)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))


def _iteration_panels(
    curves: Sequence[IterationCurve], figure: Figure, title: str
) -> Iterator[tuple[Axes, list[IterationCurve]]]:
    """Yield a panel per model with its curves; when all are drawn the first one names the versions."""
    positions = sorted({curve.position for curve in curves})
    open_page(figure, height=0.65 + 2.05 * -(-len(positions) // 3), title=title)
    for panel, position in enumerate(positions):
        axes = axes_at(figure, 0.55 + 2.3 * (panel % 3), 0.65 + 2.05 * (panel // 3), 1.8, 1.3)
        own = [curve for curve in curves if curve.position == position]
        axes.set_title(shortened(own[0].model, 26), fontsize=8.5)
        axes.tick_params(labelsize=7)
        _by_whole_numbers(axes, "iteration", most=4)
        yield axes, own
    if len(figure.axes[0].get_legend_handles_labels()[1]) > 1:
        figure.axes[0].legend(handlelength=1.4)


def _colour(curve: IterationCurve) -> str:
    return model_colour(curve.position) if curve.version == "best" else MUTED


def _draw_iterations(axes: Axes, curve: IterationCurve, values: FloatArray | Float32Array) -> None:
    keep = np.unique(np.linspace(0, len(values) - 1, 600).astype(int))
    label = VERSION_TITLES[curve.version]
    axes.plot(keep + 1, values[keep], color=_colour(curve), linewidth=1.4, label=label)


def draw_residual(info: ResidualCurves, figure: Figure) -> None:
    """Draw training loss and validation accuracy by epoch, and the gradient norms from the first layer to the last."""
    open_page(figure, height=2.75, title=f"{shortened(info.model, 40)}: with and without residual connections")
    loss, accuracy, gradient = (axes_at(figure, 0.6 + 2.3 * column, 0.65, 1.85, 1.45) for column in range(3))
    for axes, name, title, scale in (
        (loss, "train_loss", "training loss", 1),
        (accuracy, "validation_accuracy", "validation accuracy, %", 100),
    ):
        for histories, colour, label in (
            (info.with_shortcuts, ACCENT, "with"), (info.without_shortcuts, CONTRAST, "without"),
        ):  # fmt: skip
            for number, history in enumerate(histories):
                values = scale * np.asarray(getattr(history, name))
                _draw_seed(axes, values, colour, number, label)
        axes.set_title(title, fontsize=8.5)
        _by_whole_numbers(axes, "epoch")
    loss.legend(handlelength=1.4)
    norms = (info.gradient_norms_with, info.gradient_norms_without)
    for values, line, colour in zip(norms, ("o-", "s-"), (ACCENT, CONTRAST), strict=True):
        gradient.plot(np.arange(1, len(values) + 1), values, line, color=colour, markersize=3, linewidth=1.2)
    gradient.set_title("gradient norm, first step", fontsize=8.5)
    if len(norms[0]) and min(norms[0].min(), norms[1].min()) > 0:
        logarithmic(gradient, "y")
    _by_whole_numbers(gradient, "convolution, from the input")
