"""The path of a search that goes factor by factor: from the baseline to the best recipe of every model."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, shortened
from ceteris.analysis.search import mean_of_finished
from ceteris.figures.factor_effects import readable_range
from ceteris.figures.style import INK, MUTED, PAPER, axes_at, model_colour, open_page, percent, points, styled
from ceteris.findings import FactorFinding, LevelFinding, ModelFinding, StudyFindings
from ceteris.records import FloatArray

ROW = 0.2  # inches


@dataclass(frozen=True, kw_only=True)
class PathStep:
    """The cross-validated accuracy after one decision; ``changed`` tells whether the incumbent was replaced.

    ``retuned`` tells whether tuning gave the level that was kept another value, as it may to an incumbent that stays.
    ``gain`` is the paired difference from the incumbent, on the blocks that both were trained on; nan where it stayed.
    """

    factor: str
    level: str
    accuracies: FloatArray
    mean: float
    changed: bool
    retuned: bool
    gain: float


@dataclass(frozen=True, kw_only=True)
class ModelPath:
    """All steps of one model, the first one being its baseline; ``position`` is the model's place in the study."""

    model: str
    position: int
    steps: tuple[PathStep, ...]


@dataclass(frozen=True, kw_only=True)
class SearchPathInfo:
    """The paths of all models."""

    paths: tuple[ModelPath, ...]
    identity: str


def search_path_info(findings: StudyFindings) -> SearchPathInfo:
    """Collect, for every model whose search went factor by factor, the accuracy of the setting kept after each factor."""
    paths = tuple(_path(model, position) for position, model in enumerate(findings.models) if has_path(model))
    return SearchPathInfo(paths=paths, identity=identity(findings))


def has_path(model: ModelFinding) -> bool:
    """Tell whether each factor was explored around the best setting of those before it."""
    if not model.factors or model.strategy not in ("greedy", "leave-one-out", "race"):
        return False
    return model.strategy != "race" or not _around_baseline(model)


def _around_baseline(model: ModelFinding) -> bool:
    """Tell whether a race went on from the baseline although a level had won: the incumbent's results are then the same."""
    changed = [any(level.chosen and not level.incumbent for level in factor.levels) for factor in model.factors]
    incumbents = [next((level for level in factor.levels if level.incumbent), None) for factor in model.factors]
    start = incumbents[0]
    after = [entry for place, entry in enumerate(incumbents) if any(changed[:place]) and entry is not None]
    return start is not None and bool(after) and _same_results(start.accuracies, after[0].accuracies)


def _same_results(first: FloatArray, second: FloatArray) -> bool:
    common = min(len(first), len(second))
    differences = first[:common] - second[:common]
    finite = differences[np.isfinite(differences)]
    return bool(finite.size and (finite == 0).all())


def _path(model: ModelFinding, position: int) -> ModelPath:
    steps = [_step(factor, next((level for level in factor.levels if level.chosen), None)) for factor in model.factors]
    start = next((level for factor in model.factors[:1] for level in factor.levels if level.incumbent), None)
    first = [] if start is None else [_made("baseline", "", start, changed=False)]
    kept = (*first, *(step for step in steps if step is not None))
    return ModelPath(model=model.title or model.name, position=position, steps=kept)


def _step(factor: FactorFinding, level: LevelFinding | None) -> PathStep | None:
    if level is None:
        return None
    return _made(factor.title or factor.name, level.tuned_label, level, changed=not level.incumbent)


def _made(factor: str, label: str, level: LevelFinding, *, changed: bool) -> PathStep:
    mean = mean_of_finished(level.accuracies)
    gain = level.comparison.difference if changed and level.comparison else float("nan")
    return PathStep(
        factor=factor,
        level=label,
        accuracies=level.accuracies,
        mean=mean,
        changed=changed,
        retuned=level.retuned,
        gain=gain,
    )


@styled
def draw_search_path(info: SearchPathInfo, figure: Figure) -> None:
    """Draw one panel per model: a row per decision, filled where the incumbent was replaced."""
    body = sum(len(path.steps) * ROW + 0.42 for path in info.paths)
    open_page(
        figure, height=body + 1.0, title="From the baseline to the best setting, one technique at a time",
        identity=info.identity,
    )  # fmt: skip
    means = np.array([step.mean for path in info.paths for step in path.steps])
    low, high = readable_range(means, means, means, needed=means)
    top = 0.45
    for number, path in enumerate(info.paths):
        axes = axes_at(figure, 3.0, top + 0.3, 2.9, max(len(path.steps), 1) * ROW)
        last = number == len(info.paths) - 1
        _draw_path(axes, path, (100 * low, 100 * min(high, 1.004)), last=last)
        top += len(path.steps) * ROW + 0.42


def _draw_path(axes: Axes, path: ModelPath, limits: tuple[float, float], *, last: bool) -> None:
    colour = model_colour(path.position)
    _prepare(axes, path, limits, colour, last=last)
    values = 100 * np.array([step.mean for step in path.steps])
    axes.plot(values, np.arange(len(values)), color=colour, linewidth=1.5, drawstyle="steps-post", zorder=2)
    for row, (step, value) in enumerate(zip(path.steps, values, strict=True)):
        fill = colour if step.changed or row == 0 else PAPER
        axes.scatter([value], [row], s=26, facecolor=fill, edgecolor=colour, linewidth=1.1, zorder=3)
        _describe(axes, path, row, step)


def _prepare(axes: Axes, path: ModelPath, limits: tuple[float, float], colour: str, *, last: bool) -> None:
    axes.set_xlim(*limits)
    axes.set_ylim(max(len(path.steps), 1) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="x", length=0, labelbottom=last)
    page = axes.get_yaxis_transform()
    axes.text(-1.0, -0.95, path.model, transform=page, fontsize=9, fontweight="bold", color=colour, va="center")
    if last:
        axes.set_xlabel("mean cross-validated accuracy, %")


def _describe(axes: Axes, path: ModelPath, row: int, step: PathStep) -> None:
    page = axes.get_yaxis_transform()
    weight, colour = ("bold", INK) if step.changed or row == 0 else ("normal", MUTED)
    text = shortened(step.factor, 30) + (f": {shortened(step.level, 22)}" if step.level else "")
    axes.text(
        -0.03,
        row,
        shortened(text, 44),
        transform=page,
        fontsize=8,
        ha="right",
        va="center",
        fontweight=weight,
        color=colour,
    )
    unchanged = "tuned" if step.retuned else "stays"
    gain = "" if row == 0 else points(step.gain) if step.changed else unchanged
    axes.text(1.04, row, percent(step.mean), transform=page, fontsize=8, va="center", color=colour, fontweight=weight)
    axes.text(1.25, row, gain, transform=page, fontsize=8, va="center", color=colour)
