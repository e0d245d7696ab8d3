"""The recipes that a joint search or successive halving tried: how the best one was found."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, model_named, shortened
from ceteris.analysis.search import mean_of_finished
from ceteris.figures.factor_effects import readable_range
from ceteris.figures.style import (
    ACCENT,
    INK,
    MUTED,
    PAPER,
    VERDICT_COLOURS,
    axes_at,
    compact,
    grid,
    open_page,
    percent,
    styled,
)
from ceteris.findings import Candidate, StudyFindings
from ceteris.records import FloatArray

Fate = Literal["finished", "pruned", "eliminated", "failed"]
CHOSEN = "#d1622b"


@dataclass(frozen=True, kw_only=True)
class TriedRecipe:
    """One candidate: mean accuracy over the blocks it was trained on, nan where none finished.

    ``rungs`` is (epochs, accuracy) of each rung of successive halving.
    """

    number: int
    score: float
    epochs: int
    fate: Fate
    chosen: bool
    rungs: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class CandidatesInfo:
    """All candidates of one model in the order of trying; ``best_so_far`` (candidates,) counts finished ones only."""

    model: str
    strategy: str
    tried: tuple[TriedRecipe, ...]
    best_so_far: FloatArray
    identity: str


def candidates_info(findings: StudyFindings, model: str) -> CandidatesInfo:
    """Collect the candidates of a joint search or of successive halving; empty for other strategies."""
    found = model_named(findings, model)
    searched = found.candidates if found.strategy != "factorial" else ()
    tried = tuple(_tried(candidate) for candidate in sorted(searched, key=lambda candidate: candidate.number))
    scores = np.array([entry.score if entry.fate == "finished" else -np.inf for entry in tried])
    running = np.maximum.accumulate(np.nan_to_num(scores, nan=-np.inf, neginf=-np.inf)) if len(tried) else np.zeros(0)
    return CandidatesInfo(
        model=found.title or found.name,
        strategy=found.strategy,
        tried=tried,
        best_so_far=np.where(np.isfinite(running), running, np.nan),
        identity=identity(findings),
    )


def _tried(candidate: Candidate) -> TriedRecipe:
    score = mean_of_finished(candidate.accuracies)
    return TriedRecipe(
        number=candidate.number,
        score=score,
        epochs=candidate.epochs,
        fate=candidate.status,
        chosen=candidate.chosen,
        rungs=candidate.rungs or ((candidate.epochs, score),),
    )


@styled
def draw_history(info: CandidatesInfo, figure: Figure) -> None:
    """Draw the score of every candidate in the order of trying, and the best finished one so far."""
    title = f"{shortened(info.model, 30)}: {len(info.tried)} recipes tried, one after another"
    open_page(figure, height=3.3, title=title, identity=info.identity)
    axes = axes_at(figure, 0.65, 0.75, 6.35, 1.85)
    scores = np.array([entry.score for entry in info.tried])
    low, high = readable_range(scores, scores, scores, needed=info.best_so_far[-1:])
    axes.set_ylim(100 * max(low, -0.01), 100 * min(high, 1.01))
    numbers = [entry.number for entry in info.tried]
    axes.plot(numbers, 100 * info.best_so_far, color=ACCENT, linewidth=1.3, drawstyle="steps-post", zorder=1)
    for entry in info.tried:
        _draw_tried(axes, entry, 100 * max(low, 0.0))
    axes.set_xlabel("number of the candidate (in the order of trying)")
    axes.set_ylabel("mean held-out accuracy, %")
    axes.locator_params(axis="x", integer=True)
    grid(axes, "y")
    _explain(figure, info)


def _draw_tried(axes: Axes, entry: TriedRecipe, floor: float) -> None:
    if not np.isfinite(entry.score):
        colour = VERDICT_COLOURS["worse"]
        axes.scatter(
            [entry.number], [0.03], s=18, marker="v", color=colour, transform=axes.get_xaxis_transform(), zorder=3
        )
        return
    value = 100 * entry.score
    if value < floor:
        axes.text(entry.number, floor, f"▾{value:.0f}", fontsize=6.5, color=MUTED, ha="center", va="bottom")
        return
    if entry.fate == "finished":
        axes.scatter([entry.number], [value], s=18, facecolor=ACCENT, edgecolor=PAPER, linewidth=0.5, zorder=3)
    else:
        axes.scatter([entry.number], [value], s=18, marker="x", color=MUTED, linewidth=1.0, zorder=2)
    if entry.chosen:
        axes.scatter([entry.number], [value], s=95, facecolor="none", edgecolor=CHOSEN, linewidth=1.6, zorder=4)


def _explain(figure: Figure, info: CandidatesInfo) -> None:
    axes = axes_at(figure, 0.65, 0.4, 6.35, 0.2)
    axes.set_xlim(0, 6.35)
    axes.set_ylim(0, 1)
    axes.axis("off")
    x = 0.05
    for fate, text, marker, colour in (
        ("finished", "trained on all blocks", "o", ACCENT),
        ("pruned", "left early", "x", MUTED),
        ("failed", "failed", "v", VERDICT_COLOURS["worse"]),
    ):
        count = sum(entry.fate == fate for entry in info.tried)
        if not count:
            continue
        axes.scatter([x], [0.5], s=18, marker=marker, color=colour, linewidth=1.0)
        told = f"{text}: {count}"
        axes.text(x + 0.1, 0.47, told, fontsize=7.5, va="center", color=MUTED)
        x += 0.35 + 0.062 * len(told)
    chosen = next((entry for entry in info.tried if entry.chosen), None)
    if chosen is not None:
        axes.scatter([x], [0.5], s=60, facecolor="none", edgecolor=CHOSEN, linewidth=1.5)
        axes.text(x + 0.13, 0.47, f"chosen: number {chosen.number}, {percent(chosen.score, 2)}", fontsize=7.5, va="center",
                  color=INK)  # fmt: skip


@styled
def draw_rungs(info: CandidatesInfo, figure: Figure) -> None:
    """Draw the accuracy of every candidate on every rung, the survivors' rungs joined by lines."""
    title = f"{shortened(info.model, 30)}: successive halving of {len(info.tried)} recipes"
    open_page(figure, height=3.5, title=title, identity=info.identity)
    axes = axes_at(figure, 0.65, 0.8, 6.35, 1.95)
    epochs = sorted({epoch for entry in info.tried for epoch, _ in entry.rungs})
    place = {epoch: number for number, epoch in enumerate(epochs)}
    scores = np.array([score for entry in info.tried for _, score in entry.rungs])
    last = np.array([entry.rungs[-1][1] for entry in info.tried if entry.fate == "finished"])
    low, high = readable_range(scores, scores, scores, needed=last)
    axes.set_ylim(100 * max(low, -0.01), 100 * min(high, 1.01))
    for entry in info.tried:
        _draw_climb(axes, entry, place, len(info.tried))
    left = [sum(any(epoch == rung for rung, _ in entry.rungs) for entry in info.tried) for epoch in epochs]
    names = [f"{compact(epoch)}\n{count} recipes" for epoch, count in zip(epochs, left, strict=True)]
    axes.set_xticks(range(len(epochs)), names)
    axes.set_xlim(-0.4, len(epochs) - 0.6)
    axes.set_xlabel("epochs of the rung, and how many recipes were trained in it")
    axes.set_ylabel("held-out accuracy, %")
    grid(axes, "y")
    _explain_rungs(figure, info)


def _draw_climb(axes: Axes, entry: TriedRecipe, place: dict[int, int], count: int) -> None:
    # Candidates of one rung are spread a little to either side, so that equal accuracies stay visible.
    aside = 0.24 * ((entry.number * 0.618034) % 1 - 0.5) if count > 1 else 0.0
    across = np.array([place[epochs] + aside for epochs, _ in entry.rungs])
    up = 100 * np.array([score for _, score in entry.rungs])
    far, strong = len(entry.rungs) > 1, entry.fate == "finished"
    colour = CHOSEN if entry.chosen else ACCENT if strong else MUTED
    if far:
        axes.plot(
            across, up, color=colour, linewidth=1.6 if entry.chosen else 0.9, alpha=1 if strong else 0.5, zorder=2
        )
    axes.scatter(across[:-1], up[:-1], s=12, color=colour, alpha=0.8 if strong else 0.5, linewidths=0, zorder=3)
    fill = colour if strong else PAPER
    axes.scatter(across[-1:], up[-1:], s=16, facecolor=fill, edgecolor=colour, linewidth=0.9, zorder=3)


def _explain_rungs(figure: Figure, info: CandidatesInfo) -> None:
    height = figure.get_size_inches()[1]
    told = "open: eliminated; filled and joined: went on; blue: finished"
    chosen = next((entry for entry in info.tried if entry.chosen), None)
    if chosen is not None:
        told += f"; orange: chosen (number {chosen.number}, {percent(chosen.score, 2)})"
    figure.text(0.65 / 7.2, 1 - 0.5 / height, told, fontsize=7.5, color=MUTED, va="center")
