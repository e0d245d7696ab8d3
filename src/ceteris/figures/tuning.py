"""How the arms' nuisance parameters were tuned: accuracy against the value, one line per arm."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, model_named, shortened
from ceteris.figures.factor_effects import readable_range
from ceteris.figures.style import (
    INK,
    MUTED,
    WIDTH,
    abbreviated,
    axes_at,
    compact,
    grid,
    logarithmic,
    model_colour,
    open_page,
    styled,
)
from ceteris.findings import FactorFinding, StudyFindings, TuningFinding
from ceteris.records import FloatArray

SHORT = 13  # letters of a label that fit beside a panel when two stand side by side
LINE = 0.17  # inches between the names of two arms
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True, kw_only=True)
class ArmTuning:
    """One arm: the values tried in rising order and their accuracies, (tried,) each, nan where a training failed."""

    label: str
    values: FloatArray
    accuracies: FloatArray
    chosen: float
    at_edge: bool


@dataclass(frozen=True, kw_only=True)
class FieldTuning:
    """All arms of one factor in which the number in ``field`` was tuned."""

    factor: str
    field: str
    arms: tuple[ArmTuning, ...]


@dataclass(frozen=True, kw_only=True)
class TuningInfo:
    """All that was tuned for one model."""

    model: str
    fields: tuple[FieldTuning, ...]
    identity: str


def tuning_info(findings: StudyFindings, model: str) -> TuningInfo:
    """Collect what was tuned inside the arms of a model's factors; empty where nothing was."""
    found = model_named(findings, model)
    fields = tuple(
        FieldTuning(factor=factor.title or factor.name, field=field, arms=_arms(factor, field))
        for factor in found.factors
        for field in dict.fromkeys(tuned.field for level in factor.levels for tuned in level.tuning)
    )
    return TuningInfo(model=found.title or found.name, fields=fields, identity=identity(findings))


def _arms(factor: FactorFinding, field: str) -> tuple[ArmTuning, ...]:
    return tuple(_arm(level.label, tuned) for level in factor.levels for tuned in level.tuning if tuned.field == field)


def _arm(label: str, tuned: TuningFinding) -> ArmTuning:
    values = np.array(tuned.values)
    order = np.argsort(values, kind="stable")
    return ArmTuning(
        label=label,
        values=values[order],
        accuracies=tuned.accuracies[order],
        chosen=tuned.chosen,
        at_edge=tuned.at_edge,
    )


@styled
def draw_tuning(info: TuningInfo, figure: Figure) -> None:
    """Draw one panel per tuned field of a factor; a ring marks the chosen value, an arrow one at the edge of the tried."""
    short = all(len(arm.label) <= SHORT for panel in info.fields for arm in panel.arms)
    columns = 2 if short and len(info.fields) > 1 else 1
    plot, names = (1.3, 1.65) if columns == 2 else (3.6, 2.9)  # inches
    rows = [info.fields[start : start + columns] for start in range(0, len(info.fields), columns)]
    tall = [max(1.3, LINE * max(len(panel.arms) for panel in row)) for row in rows]
    height = sum(tall) + 0.95 * len(rows) + 0.65
    title = f"{shortened(info.model, 30)}: numbers tuned inside each arm before the comparison"
    open_page(figure, height=height, title=title, identity=info.identity)
    top = 0.75
    for row, body in zip(rows, tall, strict=True):
        for column, panel in enumerate(row):
            left = 0.55 + 3.6 * column
            _draw_panel(axes_at(figure, left, top, plot, body), panel)
            _name_arms(axes_at(figure, left + plot + 0.05, top, names - 0.1, body), panel, names - 0.1, body)
        top += body + 0.95
    told = "ring and number: chosen value; → at the edge of what was tried; ×: training failed; ▾: far below"
    figure.text(0.1 / WIDTH, 0.28 / height, told, fontsize=7.5, color=MUTED)


def _draw_panel(axes: Axes, panel: FieldTuning) -> None:
    axes.set_title(shortened(panel.factor, 46))
    scores = np.concatenate([arm.accuracies for arm in panel.arms])
    low, high = readable_range(scores, scores, scores, needed=np.sort(scores[np.isfinite(scores)])[-1:])
    axes.set_ylim(100 * max(low, -0.01), 100 * min(high, 1.01))
    for number, arm in enumerate(panel.arms):
        _draw_arm(axes, arm, model_colour(number), _MARKERS[number % len(_MARKERS)])
    axes.dataLim.update_from_data_x(np.concatenate([arm.values for arm in panel.arms]))  # failed ones count as well
    axes.autoscale_view(scaley=False)
    logarithmic(axes, "x")
    axes.margins(x=0.06)
    axes.set_xlabel(shortened(panel.field, 34), labelpad=2)
    axes.set_ylabel("accuracy, %", labelpad=2)
    grid(axes, "both")


def _draw_arm(axes: Axes, arm: ArmTuning, colour: str, marker: str) -> None:
    finite = np.isfinite(arm.accuracies)
    values, scores = arm.values[finite], 100 * arm.accuracies[finite]
    axes.plot(values, scores, color=colour, linewidth=1.1, marker=marker, markersize=3.2, zorder=2)
    page = axes.get_xaxis_transform()
    for places, mark in ((arm.values[~finite], "x"), (values[scores < axes.get_ylim()[0]], "v")):
        heights = np.full(len(places), 0.04)
        axes.scatter(places, heights, s=14, marker=mark, color=colour, linewidth=1.0, transform=page, zorder=3)
    chosen = _at(arm, arm.chosen)
    if np.isfinite(chosen):
        axes.scatter([arm.chosen], [100 * chosen], s=60, facecolor="none", edgecolor=colour, linewidth=1.3, zorder=4)


def _name_arms(axes: Axes, panel: FieldTuning, width: float, height: float) -> None:
    """List the arms with their marks and chosen values; the axes are counted in inches."""
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    for number, arm in enumerate(panel.arms):
        y, colour = (number + 0.5) * LINE, model_colour(number)
        axes.scatter([0.08], [y], s=14, marker=_MARKERS[number % len(_MARKERS)], color=colour)
        axes.text(
            0.18,
            y,
            abbreviated(arm.label, max(SHORT, int((width - 0.8) / 0.064))),
            fontsize=7.5,
            va="center",
            color=INK,
        )
        edge = " →" if arm.at_edge else ""
        axes.text(width, y, f"{compact(arm.chosen)}{edge}", fontsize=7.5, va="center", ha="right", color=MUTED)


def _at(arm: ArmTuning, value: float) -> float:
    places = np.flatnonzero(arm.values == value)
    return float(arm.accuracies[places[0]]) if len(places) else float("nan")
