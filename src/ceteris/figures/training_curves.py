"""How the final trainings went: loss, accuracy and F1 by epoch, loss by iteration, the learning rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ceteris.analysis.finals import VERSION_TITLES, finished, identity, model_named, shortened, shown, versions_present
from ceteris.figures.style import ACCENT, INK, MUTED, WIDTH, axes_at, grid, logarithmic, model_colour, open_page, styled
from ceteris.findings import FinalFinding, StudyFindings, Version
from ceteris.recipe import Recipe
from ceteris.records import EpochHistory, Float32Array, FloatArray

VALIDATION = "#d1622b"
TEST = "#6f5aa8"
SMOOTHING = 25  # iterations


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
class LearningCurvesInfo:
    """Learning curves of the baseline and the best version of one model."""

    model: str
    versions: tuple[LearningCurves, ...]
    identity: str


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
class IterationsInfo:
    """Iteration by iteration: the first seed of the baseline and the best version of every model."""

    curves: tuple[IterationCurve, ...]
    identity: str


def learning_curves_info(findings: StudyFindings, model: str) -> LearningCurvesInfo:
    """Collect the histories of the baseline's and the best version's final trainings."""
    found = model_named(findings, model)
    versions: tuple[tuple[Version, Recipe], ...] = (("baseline", found.baseline), ("best", found.best))
    curves = tuple(
        _learning_curves(version, recipe, finished(findings, model, version), findings.machine)
        for version, recipe in versions
        if any(final.epochs is not None for final in finished(findings, model, version))
    )
    return LearningCurvesInfo(model=found.title or found.name, versions=curves, identity=identity(findings))


def _learning_curves(
    version: Version, recipe: Recipe, finals: Sequence[FinalFinding], machine: dict[str, str]
) -> LearningCurves:
    first = next(final for final in finals if final.epochs is not None)
    return LearningCurves(
        version=version,
        headline=_headline(recipe, first, machine),
        histories=tuple(final.epochs for final in finals if final.epochs is not None),
        best_epoch=first.best_epoch,
        test_loss=first.test_curve_loss,
        test_accuracy=first.test_curve_accuracy,
    )


def _headline(recipe: Recipe, final: FinalFinding, machine: dict[str, str]) -> str:
    epochs = len(final.epochs.train_loss) if final.epochs else 0
    parts = [
        f"mini-batch {recipe.batch_size}",
        f"learning rate {recipe.optimizer.lr:g} ({recipe.optimizer.kind})",
        f"{epochs} epochs" + (f" of at most {recipe.epochs}" if epochs < recipe.epochs else ""),
    ]
    if final.cost:
        parts.append(f"{final.cost.train_seconds:.1f} s")
    device = machine.get("device") or machine.get("processor")
    if device:
        parts.append(device)
    return ", ".join(parts)


def iterations_info(findings: StudyFindings) -> IterationsInfo:
    """Collect the loss and the learning rate of every mini-batch of the final trainings."""
    curves = [
        _iteration_curve(findings, model.name, version, position)
        for position, model in enumerate(findings.models)
        for version in versions_present(findings, model.name)
        if version != "plain"
    ]
    return IterationsInfo(curves=tuple(curve for curve in curves if curve), identity=identity(findings))


def _iteration_curve(findings: StudyFindings, model: str, version: Version, position: int) -> IterationCurve | None:
    final = shown(findings, model, version)
    if final is None or final.iterations is None or not len(final.iterations.loss):
        return None
    history = final.iterations
    return IterationCurve(
        model=model_named(findings, model).title or model,
        version=version,
        position=position,
        loss=history.loss,
        smooth_loss=running_mean(history.loss),
        learning_rate=history.learning_rate,
    )


def running_mean(values: Float32Array, width: int = SMOOTHING) -> FloatArray:
    """Return the mean of each value and up to ``width`` - 1 before it, (n,)."""
    sums = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


@styled
def draw_learning_curves(info: LearningCurvesInfo, figure: Figure) -> None:
    """Draw one row per version: loss, accuracy and F1 against the epoch, training and validation (and test)."""
    height = 0.7 + 2.3 * max(len(info.versions), 1)
    open_page(figure, height=height, title=f"{info.model}: learning curves", identity=info.identity)
    panels = [
        [axes_at(figure, 0.55 + 2.3 * column, 0.85 + 2.3 * row, 1.85, 1.35) for column in range(3)]
        for row in range(len(info.versions))
    ]
    for row, (axes, curves) in enumerate(zip(panels, info.versions, strict=True)):
        label = f"{VERSION_TITLES[curves.version].capitalize()}: {curves.headline}"
        figure.text(0.1 / WIDTH, 1 - (0.42 + 2.3 * row) / height, label, fontsize=8, va="top", color=INK)
        _draw_version(axes, curves)
    _share_limits(panels)
    if panels:
        handles, labels = panels[0][0].get_legend_handles_labels()
        panels[0][0].legend(handles, labels, loc="upper right", handlelength=1.4, borderaxespad=0.1)


def _draw_version(panels: Sequence[Axes], curves: LearningCurves) -> None:
    names = (("loss", "loss"), ("accuracy", "accuracy, %"), ("f1", "macro F1, %"))
    for axes, (name, title) in zip(panels, names, strict=True):
        for number, history in enumerate(curves.histories):
            _draw_pair(axes, history, name, first=number == 0)
        _draw_test(axes, curves, name)
        axes.axvline(curves.best_epoch, color=MUTED, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
        axes.set_title(title, fontsize=8.5, pad=3)
        axes.set_xlabel("epoch", labelpad=1)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        grid(axes)


def _draw_pair(axes: Axes, history: EpochHistory, name: str, *, first: bool) -> None:
    scale = 1 if name == "loss" else 100
    for part, colour in (("train", ACCENT), ("validation", VALIDATION)):
        values = scale * np.asarray(getattr(history, f"{part}_{name}"))
        label = {"train": "training", "validation": "validation"}[part] if first else None
        epochs = np.arange(1, len(values) + 1)
        marker = "o" if len(values) == 1 else None
        width, alpha = (1.5, 1.0) if first else (0.8, 0.45)
        axes.plot(epochs, values, color=colour, linewidth=width, alpha=alpha, label=label, marker=marker, markersize=3)


def _draw_test(axes: Axes, curves: LearningCurves, name: str) -> None:
    values = {"loss": curves.test_loss, "accuracy": 100 * curves.test_accuracy}.get(name)
    if values is not None and len(values):
        axes.plot(np.arange(1, len(values) + 1), values, color=TEST, linewidth=1.0, linestyle=(0, (1, 1)), label="test")


def _share_limits(panels: Sequence[Sequence[Axes]]) -> None:
    for column in zip(*panels, strict=True):
        lows, highs = zip(*(axes.get_ylim() for axes in column), strict=True)
        for axes in column:
            axes.set_ylim(min(lows), max(highs))


@styled
def draw_iteration_loss(info: IterationsInfo, figure: Figure) -> None:
    """Draw the loss of every mini-batch on a logarithmic axis, faint, with its running mean; a panel per model."""
    _draw_iteration_panels(info, figure, "Training loss, iteration by iteration", "loss")


@styled
def draw_learning_rate(info: IterationsInfo, figure: Figure) -> None:
    """Draw the learning rate that every iteration was done with; a panel per model."""
    _draw_iteration_panels(info, figure, "Learning rate, iteration by iteration", "learning_rate")


def _draw_iteration_panels(info: IterationsInfo, figure: Figure, title: str, what: str) -> None:
    positions = sorted({curve.position for curve in info.curves})
    rows = max(1, -(-len(positions) // 3))
    open_page(figure, height=0.65 + 2.05 * rows, title=title, identity=info.identity)
    for panel, position in enumerate(positions):
        axes = axes_at(figure, 0.55 + 2.3 * (panel % 3), 0.65 + 2.05 * (panel // 3), 1.8, 1.3)
        curves = [curve for curve in info.curves if curve.position == position]
        for curve in curves:
            _draw_iterations(axes, curve, what)
        axes.set_title(shortened(curves[0].model, 26), fontsize=8.5)
        axes.set_xlabel("iteration", labelpad=1)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.tick_params(labelsize=7)
        grid(axes)
        if what == "loss":
            logarithmic(axes, "y")
        else:
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
        if len(curves) > 1 and panel == 0:
            axes.legend(handlelength=1.4)


def _draw_iterations(axes: Axes, curve: IterationCurve, what: str) -> None:
    colour = model_colour(curve.position) if curve.version == "best" else MUTED
    keep = np.unique(np.linspace(0, len(curve.loss) - 1, 600).astype(int))
    label = VERSION_TITLES[curve.version]
    if what == "loss":
        every = np.unique(np.linspace(0, len(curve.loss) - 1, 1500).astype(int))
        axes.plot(every + 1, np.maximum(curve.loss[every], 1e-6), color=colour, linewidth=0.5, alpha=0.25)
        axes.plot(keep + 1, np.maximum(curve.smooth_loss[keep], 1e-6), color=colour, linewidth=1.4, label=label)
    else:
        axes.plot(keep + 1, curve.learning_rate[keep], color=colour, linewidth=1.4, label=label)
