"""The recipes that a search of whole recipes tried: how the best one was found, and where good ones lie."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.results import ModelResults, Results
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.rows import ALL_RIGHT, HEADER, ROW, draw_upright, label_row, prepare_rows, readable_range
from ceteris.figures.style import (
    ACCENT,
    CHOSEN,
    FAINT,
    INK,
    MUTED,
    PAPER,
    VERDICT_COLOURS,
    axes_at,
    compact,
    grid,
    logarithmic,
    note,
    open_page,
    spread_evenly_in_logarithm,
)
from ceteris.findings import Candidate, GridSearch, RungSearch
from ceteris.formats import percent, shortened
from ceteris.records import FloatArray

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


def candidate_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield for every model the recipes that were sampled or went up rungs, as they were tried and by their settings."""
    for model in results.models:
        if not (tried := tried_recipes(model)):
            continue
        if isinstance(model.search, RungSearch):
            yield ReportFigure(
                name=f"rungs-{model.name}", section="exploration", model=model.name,
                draw=partial(draw_rungs, tried, title=f"{shortened(model.label, 30)}: {model.search.method}"),
                caption=f"{model.label}: held-out accuracy of every recipe on every rung; the best ones went on with more "
                "epochs. The last rung is the mean over all blocks, the rungs before it one block.",
                description=f"Accuracy of {len(tried)} recipes against the epochs of the rung, survivors joined by lines.",
            )  # fmt: skip
        else:
            yield ReportFigure(
                name=f"history-{model.name}", section="exploration", model=model.name,
                draw=partial(draw_history, tried, title=model.label),
                caption=f"{model.label}: mean held-out accuracy of every recipe in the order of trying. The line is the best "
                "one so far; a cross left after its first blocks. The highest of many noisy means is too high by "
                "construction.",
                description=f"A scatter chart of {len(tried)} recipes by number, with the running maximum.",
            )  # fmt: skip
        if settings := varying_settings(model):
            first_rung = isinstance(model.search, RungSearch) and all(candidate.rungs for candidate in tried)
            measured = "held-out accuracy in the first rung" if first_rung else "mean held-out accuracy"
            yield ReportFigure(
                name=f"settings-{model.name}", section="exploration", model=model.name,
                draw=partial(draw_settings, settings, title=model.label, measured=measured),
                caption=f"{model.label}: the accuracy of every recipe against each of its settings. The recipes differ in "
                "other settings as well, so this shows where good recipes lie, not what one setting does; the ring is the "
                "chosen recipe.",
                description=f"Strips and scatter charts of accuracy for {len(settings)} settings.",
            )  # fmt: skip


def tried_recipes(model: ModelResults) -> tuple[Candidate, ...]:
    """Return the candidates that were sampled in the order of trying; () where they are the cells of a grid."""
    searched = () if isinstance(model.search, GridSearch) else model.candidates
    return tuple(sorted(searched, key=lambda candidate: candidate.number))


def best_so_far(tried: Sequence[Candidate]) -> FloatArray:
    """Return the best mean accuracy up to each candidate, (candidates,); only those that finished count, nan before."""
    scores = [entry.mean if entry.status == "finished" else np.nan for entry in tried]
    return np.fmax.accumulate(np.array(scores, dtype=np.float64))


def varying_settings(model: ModelResults) -> tuple[SettingScores, ...]:
    """Collect the settings that differ between candidates, with the scores of those in which they have an effect."""
    tried, titles = tried_recipes(model), model.factor_titles
    names = dict.fromkeys(name for candidate in tried for name, _ in candidate.settings)
    made = (_setting(titles.get(name, name), name, tried) for name in names)
    return tuple(entry for entry in made if len(set(entry.values)) > 1)


def _setting(title: str, name: str, candidates: Sequence[Candidate]) -> SettingScores:
    having = [
        (candidate, settings[name])
        for candidate in candidates
        if name in (settings := dict(candidate.settings)) and name not in dict(candidate.idle)
    ]
    values = tuple(value for _, value in having)
    numbers = [_as_number(value) for value in values]
    is_range = len(set(values)) > MOST_CATEGORIES and None not in numbers
    # Where there are rungs the first one counts: only there all candidates had the same epochs.
    scores = [entry.rungs[0][1] if entry.rungs else entry.mean for entry, _ in having]
    return SettingScores(
        title=title,
        values=values,
        scores=np.array(scores),
        chosen=tuple(candidate.chosen for candidate, _ in having),
        numbers=np.array(numbers, dtype=np.float64) if is_range else None,
    )


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def draw_history(tried: Sequence[Candidate], figure: Figure, *, title: str) -> None:
    """Draw the score of every candidate in the order of trying, and the best finished one so far."""
    page = f"{shortened(title, 30)}: {len(tried)} recipes tried, one after another"
    open_page(figure, height=3.3, title=page)
    axes, best = axes_at(figure, 0.65, 0.75, 6.35, 1.85), best_so_far(tried)
    scores = np.array([entry.mean for entry in tried])
    low, high = readable_range(scores, scores, scores, needed=best[-1:])
    axes.set_ylim(100 * max(low, -0.01), 100 * min(high, 1.01))
    numbers = [entry.number for entry in tried]
    axes.plot(numbers, 100 * best, color=ACCENT, linewidth=1.3, drawstyle="steps-post", zorder=1)
    for entry, score in zip(tried, scores, strict=True):
        _draw_tried(axes, entry, 100 * float(score), 100 * max(low, 0.0))
    axes.set_xlabel("number of the candidate (in the order of trying)")
    axes.set_ylabel("mean held-out accuracy, %")
    axes.locator_params(axis="x", integer=True)
    grid(axes, "y")
    _explain_marks(axes_at(figure, 0.65, 0.4, 6.35, 0.2), tried)


def _draw_tried(axes: Axes, entry: Candidate, value: float, floor: float) -> None:
    if not np.isfinite(value):
        page, colour = axes.get_xaxis_transform(), VERDICT_COLOURS["worse"]
        axes.scatter([entry.number], [0.03], s=18, marker="v", color=colour, transform=page, zorder=3)
        return
    if value < floor:
        axes.text(entry.number, floor, f"▾{value:.0f}", fontsize=6.5, color=MUTED, ha="center", va="bottom")
        return
    if entry.status == "finished":
        axes.scatter([entry.number], [value], s=18, facecolor=ACCENT, edgecolor=PAPER, linewidth=0.5, zorder=3)
    else:
        axes.scatter([entry.number], [value], s=18, marker="x", color=MUTED, linewidth=1.0, zorder=2)
    if entry.chosen:
        axes.scatter([entry.number], [value], s=95, facecolor="none", edgecolor=CHOSEN, linewidth=1.6, zorder=4)


def _explain_marks(axes: Axes, tried: Sequence[Candidate]) -> None:
    axes.set_xlim(0, 6.35)
    axes.set_ylim(0, 1)
    axes.axis("off")
    x = 0.05
    for status, text, marker, colour in (
        ("finished", "trained on all blocks", "o", ACCENT),
        ("pruned", "left early", "x", MUTED),
        ("failed", "failed", "v", VERDICT_COLOURS["worse"]),
    ):
        count = sum(entry.status == status for entry in tried)
        if count:
            told = f"{text}: {count}"
            axes.scatter([x], [0.5], s=18, marker=marker, color=colour, linewidth=1.0)
            axes.text(x + 0.1, 0.47, told, fontsize=7.5, va="center", color=MUTED)
            x += 0.35 + 0.062 * len(told)
    for chosen in (entry for entry in tried if entry.chosen):
        axes.scatter([x], [0.5], s=60, facecolor="none", edgecolor=CHOSEN, linewidth=1.5)
        axes.text(x + 0.13, 0.47, f"chosen: {_numbered(chosen)}", fontsize=7.5, va="center", color=INK)


def _numbered(candidate: Candidate) -> str:
    return f"number {candidate.number}, {percent(candidate.mean)}"


def draw_rungs(tried: Sequence[Candidate], figure: Figure, *, title: str) -> None:
    """Draw the accuracy of every candidate on every rung, the survivors' rungs joined by lines."""
    open_page(figure, height=3.5, title=f"{title} of {len(tried)} recipes")
    axes = axes_at(figure, 0.65, 0.8, 6.35, 1.95)
    # A recipe without rungs of its own was trained in full alone.
    climbs = [entry.rungs or ((entry.epochs, entry.mean),) for entry in tried]
    reached = [epochs for climb in climbs for epochs, _ in climb]
    rungs = sorted(set(reached))
    scores = np.array([score for climb in climbs for _, score in climb])
    last = np.array([climb[-1][1] for entry, climb in zip(tried, climbs, strict=True) if entry.status == "finished"])
    low, high = readable_range(scores, scores, scores, needed=last)
    axes.set_ylim(100 * max(low, -0.01), 100 * min(high, 1.01))
    for entry, climb in zip(tried, climbs, strict=True):
        # Candidates of one rung are spread a little to either side, so that equal accuracies stay visible.
        aside = 0.24 * ((entry.number * 0.618034) % 1 - 0.5) if len(tried) > 1 else 0.0
        across = np.array([rungs.index(epochs) + aside for epochs, _ in climb])
        _draw_climb(axes, entry, across, 100 * np.array([score for _, score in climb]))
    axes.set_xticks(range(len(rungs)), [f"{compact(rung)}\n{reached.count(rung)} recipes" for rung in rungs])
    axes.set_xlim(-0.4, len(rungs) - 0.6)
    axes.set_xlabel("epochs of the rung, and how many recipes were trained in it")
    axes.set_ylabel("held-out accuracy, %")
    grid(axes, "y")
    told = "open: eliminated; filled and joined: went on; blue: finished"
    chosen = [f"; orange: chosen ({_numbered(entry)})" for entry in tried if entry.chosen]
    note(figure, told + "".join(chosen), left=0.65, top=0.5)


def _draw_climb(axes: Axes, entry: Candidate, across: FloatArray, up: FloatArray) -> None:
    strong = entry.status == "finished"
    colour = CHOSEN if entry.chosen else ACCENT if strong else MUTED
    if len(up) > 1:
        width = 1.6 if entry.chosen else 0.9
        axes.plot(across, up, color=colour, linewidth=width, alpha=1 if strong else 0.5, zorder=2)
    axes.scatter(across[:-1], up[:-1], s=12, color=colour, alpha=0.8 if strong else 0.5, linewidths=0, zorder=3)
    fill = colour if strong else PAPER
    axes.scatter(across[-1:], up[-1:], s=16, facecolor=fill, edgecolor=colour, linewidth=0.9, zorder=3)


def draw_settings(settings: Sequence[SettingScores], figure: Figure, *, title: str, measured: str) -> None:
    """Draw a strip of scores per value of every choice, and a panel per number; ``measured`` says what the scores are."""
    choices = [entry for entry in settings if entry.numbers is None]
    ranges = [entry for entry in settings if entry.numbers is not None]
    rows = sum(HEADER + len(set(entry.values)) for entry in choices)
    strips = rows * ROW + 0.45 if choices else 0.0
    height = 0.55 + strips + 1.85 * -(-len(ranges) // COLUMNS) + 0.3
    open_page(figure, height=height, title=f"{shortened(title, 30)}: where the good recipes lie")
    scores = np.concatenate([*(entry.scores for entry in settings), [np.nan]])
    low, high = readable_range(scores, scores, scores, needed=np.sort(scores[np.isfinite(scores)])[-1:])
    limits = (100 * max(low, 0.0), 100 * min(high, ALL_RIGHT))
    if choices:
        axes = axes_at(figure, 2.2, 0.75, 3.55, rows * ROW)
        axes.set_xlim(*limits)
        prepare_rows(axes, rows, f"{measured} of each recipe, %; the upright bar is their median")
        _draw_choices(axes, choices)
    for number, entry in enumerate(ranges):
        left = 0.6 + 2.3 * (number % COLUMNS)
        axes = axes_at(figure, left, 0.55 + strips + 1.85 * (number // COLUMNS), 1.75, 1.25)
        _draw_range(axes, entry, limits)
        if number % COLUMNS == 0:
            axes.set_ylabel("accuracy, %", labelpad=2)
        else:
            axes.tick_params(labelleft=False)


def _draw_choices(axes: Axes, choices: Sequence[SettingScores]) -> None:
    page, top = axes.get_yaxis_transform(), 0.0
    for entry in choices:
        label_row(axes, -0.59, top + 0.85, shortened(entry.title, 60), bold=True)
        axes.plot([-0.59, 1.38], [top + 0.22] * 2, transform=page, color=FAINT, linewidth=0.7, clip_on=False)
        values = sorted(
            set(entry.values), key=lambda value: (_as_number(value) is None, _as_number(value) or 0.0, value)
        )
        for row, value in enumerate(values):
            _draw_strip(axes, entry, value, top + HEADER + 0.5 + row)
        top += HEADER + len(values)


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
        draw_upright(axes, float(np.median(scores)), y, ACCENT)
    below = f", {int((scores < low).sum())} below" if (scores < low).any() else ""
    best = percent(float(scores.max()) / 100) if scores.size else "failed"
    axes.text(1.03, y, f"{int(own.sum())} tried{below}, best {best}", transform=axes.get_yaxis_transform(), fontsize=7,
              va="center", color=MUTED)  # fmt: skip


def _draw_range(axes: Axes, entry: SettingScores, limits: tuple[float, float]) -> None:
    assert entry.numbers is not None
    known, scores = np.isfinite(entry.scores), 100 * entry.scores
    axes.scatter(entry.numbers[known], scores[known], s=13, color=ACCENT, alpha=0.6, linewidths=0, zorder=2)
    failed, page = entry.numbers[~known], axes.get_xaxis_transform()
    axes.scatter(failed, np.full(len(failed), 0.03), s=14, marker="v", color=MUTED, transform=page)
    kept = np.array(entry.chosen) & known
    axes.scatter(entry.numbers[kept], scores[kept], s=60, facecolor="none", edgecolor=CHOSEN, linewidth=1.5, zorder=3)
    axes.dataLim.update_from_data_x(entry.numbers)  # failed ones count for the range as well
    axes.autoscale_view(scaley=False)
    axes.set_ylim(*limits)
    if spread_evenly_in_logarithm(entry.numbers):
        logarithmic(axes, "x")
    else:
        axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(shortened(entry.title, 32), labelpad=2)
    grid(axes, "both")
