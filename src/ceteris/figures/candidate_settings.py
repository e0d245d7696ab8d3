"""Where the good recipes lie: the score of every candidate against each of its settings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, model_named, shortened
from ceteris.analysis.search import factor_titles, mean_of_finished
from ceteris.figures.candidates import CHOSEN
from ceteris.figures.factor_effects import readable_range
from ceteris.figures.forest import head, label_row, prepare_rows
from ceteris.figures.style import ACCENT, FAINT, MUTED, axes_at, grid, logarithmic, open_page, percent, styled
from ceteris.findings import Candidate, StudyFindings
from ceteris.records import FloatArray

ROW = 0.2  # inches
HEADER = 1.35  # rows that a setting's headline takes
MOST_CATEGORIES = 8  # more distinct numbers than this are drawn along an axis
COLUMNS = 3


@dataclass(frozen=True, kw_only=True)
class SettingScores:
    """One setting of all candidates that have it: its values as text and their scores, (candidates,); nan where failed.

    ``numbers`` (candidates,) are the values as numbers where the setting is a range, else None.
    """

    title: str
    values: tuple[str, ...]
    scores: FloatArray
    chosen: tuple[bool, ...]
    numbers: FloatArray | None


@dataclass(frozen=True, kw_only=True)
class CandidateSettingsInfo:
    """All settings that differ between candidates of one model; ``score`` says in words what was measured."""

    model: str
    score: str
    settings: tuple[SettingScores, ...]
    identity: str


def candidate_settings_info(findings: StudyFindings, model: str) -> CandidateSettingsInfo:
    """Collect settings and scores of a joint search's or of successive halving's candidates; empty for other strategies."""
    found = model_named(findings, model)
    searched = found.candidates if found.strategy != "factorial" else ()
    titles = factor_titles(found)
    names = dict.fromkeys(name for candidate in searched for name, _ in candidate.settings)
    made = [_setting(titles.get(name, name), name, searched) for name in names]
    varying = tuple(entry for entry in made if len(set(entry.values)) > 1)
    rung = found.strategy == "halving" and all(candidate.rungs for candidate in searched)
    return CandidateSettingsInfo(
        model=found.title or found.name,
        score="held-out accuracy in the first rung" if rung else "mean held-out accuracy",
        settings=varying,
        identity=identity(findings),
    )


def _setting(title: str, name: str, candidates: Sequence[Candidate]) -> SettingScores:
    having = [
        (candidate, settings[name])
        for candidate in candidates
        if name in (settings := dict(candidate.settings)) and name not in dict(candidate.idle)
    ]
    values = tuple(value for _, value in having)
    return SettingScores(
        title=title,
        values=values,
        scores=np.array([_score(candidate) for candidate, _ in having]),
        chosen=tuple(candidate.chosen for candidate, _ in having),
        numbers=_numbers(values),
    )


def _score(candidate: Candidate) -> float:
    """Return the accuracy of the first rung where there are rungs: only there all candidates had the same epochs."""
    return candidate.rungs[0][1] if candidate.rungs else mean_of_finished(candidate.accuracies)


def _numbers(values: tuple[str, ...]) -> FloatArray | None:
    if len(set(values)) <= MOST_CATEGORIES:
        return None
    try:
        return np.array([float(value) for value in values])
    except ValueError:
        return None


@styled
def draw_candidate_settings(info: CandidateSettingsInfo, figure: Figure) -> None:
    """Draw a strip of scores per value of every choice, and a panel per number."""
    choices = [entry for entry in info.settings if entry.numbers is None]
    ranges = [entry for entry in info.settings if entry.numbers is not None]
    rows = sum(HEADER + len(set(entry.values)) for entry in choices)
    strips = rows * ROW + 0.45 if choices else 0.0
    height = 0.55 + strips + 1.85 * -(-len(ranges) // COLUMNS) + 0.3
    title = f"{shortened(info.model, 30)}: where the good recipes lie"
    open_page(figure, height=height, title=title, identity=info.identity)
    scores = np.concatenate([*(entry.scores for entry in info.settings), [np.nan]])
    best = np.sort(scores[np.isfinite(scores)])[-1:]
    low, high = readable_range(scores, scores, scores, needed=best)
    limits = (100 * max(low, 0.0), 100 * min(high, 1.004))
    if choices:
        _draw_choices(axes_at(figure, 2.2, 0.75, 3.55, rows * ROW), choices, rows, limits)
        head(figure.axes[-1], f"{info.score} of each recipe, %; the upright bar is their median")
    for number, entry in enumerate(ranges):
        left = 0.6 + 2.3 * (number % COLUMNS)
        axes = axes_at(figure, left, 0.55 + strips + 1.85 * (number // COLUMNS), 1.75, 1.25)
        _draw_range(axes, entry, limits, first=number % COLUMNS == 0)


def _draw_choices(axes: Axes, choices: Sequence[SettingScores], rows: float, limits: tuple[float, float]) -> None:
    axes.set_xlim(*limits)
    prepare_rows(axes, rows)
    top = 0.0
    for entry in choices:
        label_row(axes, -0.59, top + 0.85, shortened(entry.title, 60), bold=True)
        axes.plot([-0.59, 1.38], [top + 0.22] * 2, transform=axes.get_yaxis_transform(), color=FAINT, linewidth=0.7,
                  clip_on=False)  # fmt: skip
        for row, value in enumerate(dict.fromkeys(sorted(entry.values, key=_sorting))):
            _draw_strip(axes, entry, value, top + HEADER + 0.5 + row)
        top += HEADER + len(set(entry.values))


def _sorting(value: str) -> tuple[bool, float, str]:
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value


def _draw_strip(axes: Axes, entry: SettingScores, value: str, y: float) -> None:
    own = np.array([other == value for other in entry.values])
    scores = 100 * entry.scores[own & np.isfinite(entry.scores)]
    kept = np.array(entry.chosen) & own
    label_row(axes, -0.57, y, ("✓ " if kept.any() else "   ") + shortened(value, 30), bold=bool(kept.any()))
    low = axes.get_xlim()[0]
    shown = scores[scores >= low]
    axes.scatter(shown, np.full(len(shown), y), s=13, color=ACCENT, alpha=0.5, linewidths=0, zorder=2)
    chosen = 100 * entry.scores[kept]
    axes.scatter(chosen, np.full(len(chosen), y), s=40, facecolor="none", edgecolor=CHOSEN, linewidth=1.4, zorder=4)
    if scores.size:
        middle = float(np.median(scores))
        axes.plot([middle] * 2, [y - 0.34, y + 0.34], color=ACCENT, linewidth=2.0, solid_capstyle="butt", zorder=3)
    below = f", {int((scores < low).sum())} below" if (scores < low).any() else ""
    best = percent(float(scores.max()) / 100, 2) if scores.size else "failed"
    axes.text(1.03, y, f"{int(own.sum())} tried{below}, best {best}", transform=axes.get_yaxis_transform(), fontsize=7,
              va="center", color=MUTED)  # fmt: skip


def _spread_evenly_in_logarithm(numbers: FloatArray) -> bool:
    """Tell whether the median lies nearer to the middle of the range on a logarithmic axis than on a plain one."""
    if numbers.min() <= 0 or numbers.max() / numbers.min() < 10:
        return False
    off_centre = [
        abs((np.median(values) - values.min()) / np.ptp(values) - 0.5) for values in (numbers, np.log(numbers))
    ]
    return bool(off_centre[1] < off_centre[0])


def _draw_range(axes: Axes, entry: SettingScores, limits: tuple[float, float], *, first: bool) -> None:
    assert entry.numbers is not None
    known = np.isfinite(entry.scores)
    axes.scatter(entry.numbers[known], 100 * entry.scores[known], s=13, color=ACCENT, alpha=0.6, linewidths=0, zorder=2)
    failed = entry.numbers[~known]
    axes.scatter(
        failed, np.full(len(failed), 0.03), s=14, marker="v", color=MUTED, transform=axes.get_xaxis_transform()
    )
    kept = np.array(entry.chosen) & known
    axes.scatter(entry.numbers[kept], 100 * entry.scores[kept], s=60, facecolor="none", edgecolor=CHOSEN, linewidth=1.5,
                 zorder=3)  # fmt: skip
    axes.dataLim.update_from_data_x(entry.numbers)  # failed ones count for the range as well
    axes.autoscale_view(scaley=False)
    axes.set_ylim(*limits)
    if _spread_evenly_in_logarithm(entry.numbers):
        logarithmic(axes, "x")
    else:
        axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(shortened(entry.title, 32), labelpad=2)
    if first:
        axes.set_ylabel("accuracy, %", labelpad=2)
    else:
        axes.tick_params(labelleft=False)
    grid(axes, "both")
