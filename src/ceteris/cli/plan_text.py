"""A plan in a terminal, and as plain values for programs."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console

from ceteris.cli.printing import rich_table
from ceteris.formats import clock, plain_points
from ceteris.planning.estimate import MORE_REPETITIONS, FittedPlan, PlanEstimate
from ceteris.planning.power import Spread


@contextmanager
def tell_planning(console: Console) -> Iterator[Callable[[str], None]]:
    """Yield what shows how far the planning is: one changing line in a terminal, a line a second at most elsewhere."""
    if console.is_terminal:
        with console.status("planning") as status:
            yield status.update
        return
    last = -math.inf

    def line(text: str) -> None:
        nonlocal last
        if time.monotonic() > last + 1:
            last = time.monotonic()
            _print_lines(console, [text])

    yield line


def print_plan(console: Console, estimate: PlanEstimate) -> None:
    """Print how the data were read, the stages of a plan, what they take and what they can find out."""
    _print_lines(console, estimate.data)
    titles = ["model", "stage", "arms", "blocks", "train", "time", "detects", "stored"]
    shown = len(titles) if estimate.known else len(titles) - 1
    rows = [
        (
            stage.model,
            stage.stage,
            str(len(stage.arms)),
            str(stage.blocks or ""),
            str(len(stage.trials)),
            clock(stage.seconds),
            plain_points(stage.detectable) if stage.detectable else "",
            str(stage.known),
        )[:shown]
        for stage in estimate.stages
    ]
    title = f"Plan of {estimate.study.name} (train: new trainings, time: of one core)"
    console.print(rich_table(title, titles[:shown], rows, right=range(2, shown), whole=range(2, shown)))
    _print_lines(console, [*_cost_lines(estimate), *_power_lines(estimate)])


def print_fitted(console: Console, study: str, plan: FittedPlan) -> None:
    """Print the design that fits into a time, and what it can no longer find."""
    print_plan(console, plan.fitted)
    budget, asked, fitted = clock(plan.budget_seconds), plan.asked, plan.fitted
    as_it_is = f"Budget {budget}: the study as it is"
    if not plan.settings:
        told = "fits" if plan.fits else "does not fit, and there is no smaller design"
        _print_lines(console, [f"{as_it_is} {told}: about {clock(asked.seconds)}."])
        return
    if plan.fits:
        head = f"{as_it_is} takes about {clock(asked.seconds)}; this design fits, with about {clock(fitted.seconds)}:"
    else:
        finals = sum(stage.seconds for stage in fitted.stages if stage.kind == "final") / max(1, fitted.workers)
        head = (
            f"Budget {budget}: even the smallest design does not fit: about {clock(fitted.seconds)}, of which final trainings "
            f"take {clock(finals)} and the report {clock(fitted.report_seconds)}. Give more time or more workers, or take "
            "out factors, models, or seeds of the final trainings (final.seeds). The smallest design is:"
        )
    found = [
        f"  {model}: detectable differences were {_points(before)} points and would be {_points(after)}."
        for model in fitted.spreads
        if (before := _detectable(asked, model)) and (after := _detectable(fitted, model))
    ]
    command = "  ceteris run " + " ".join([study, *(f"--set {setting}" for setting in plan.settings)])
    _print_lines(console, [head, command, *found])


def _print_lines(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def plan_json(estimate: PlanEstimate) -> dict[str, Any]:
    """Return a plan as plain values: seconds, bytes, and detectable differences of accuracy in 0..1."""
    as_it_is = ("at_most", "workers", "seconds", "preparing_seconds", "training_seconds", "report_seconds")
    of_stage = ("model", "stage", "kind", "arms", "blocks", "detectable", "detectable_with_more")
    return {name: getattr(estimate, name) for name in as_it_is} | {
        "data": list(estimate.data),
        "trainings": estimate.trials,
        "in_store": estimate.known,
        "memory_bytes": asdict(estimate.memory),
        "disk_bytes": asdict(estimate.disk) | {"total": estimate.disk.total},
        "more_repetitions": MORE_REPETITIONS * estimate.study.exploration.seeds,
        "spreads": {
            model: asdict(spread) | {"source": spread_source(spread)} for model, spread in estimate.spreads.items()
        },
        "stages": [
            {name: getattr(stage, name) for name in of_stage}
            | {"trainings": len(stage.trials), "in_store": stage.known, "core_seconds": stage.seconds}
            for stage in estimate.stages
        ],
    }


def fitted_json(plan: FittedPlan) -> dict[str, Any]:
    """Return a fitted plan as plain values, with the plan as it was asked."""
    return {
        "budget_seconds": plan.budget_seconds,
        "fits": plan.fits,
        "settings": list(plan.settings),
        "asked": plan_json(plan.asked),
        "fitted": plan_json(plan.fitted),
    }


def _cost_lines(estimate: PlanEstimate) -> list[str]:
    memory, disk = estimate.memory, estimate.disk
    most = " at most (the strategy may leave some early)" if estimate.at_most else ""
    lines = [
        f"{estimate.trials} trainings{most}, {estimate.known} of them in the store already; about "
        f"{clock(estimate.seconds)} on {estimate.workers} workers: {clock(estimate.preparing_seconds)} until the first "
        f"training, {clock(estimate.training_seconds)} of training, {clock(estimate.report_seconds)} for the report. "
        "A better setting found on the way changes the times of what follows."
    ]
    if memory.per_worker:
        lines.append(f"Memory: about {_size(memory.per_worker)} per worker, {_size(memory.total)} in all.")
    lines.append(
        f"Disk: about {_size(disk.total)} (records {_size(disk.records)}, weights {_size(disk.weights)}, weights of every "
        f"epoch of finals {_size(disk.snapshots)})."
    )
    return lines


def _power_lines(estimate: PlanEstimate) -> list[str]:
    """Say, model by model, which differences will stay undecided."""
    repetitions = MORE_REPETITIONS * estimate.study.exploration.seeds
    lines = [
        "Detects: the smallest true difference, in points of accuracy, that a comparison finds with power 0.8 at "
        f"significance {estimate.study.significance:g}; what is smaller stays undecided, or is shown to be equivalent within "
        f"±{plain_points(estimate.study.equivalence_margin)}."
    ]
    for model, spread in estimate.spreads.items():
        if now := _detectable(estimate, model):
            more = [s.detectable_with_more for s in estimate.stages if s.model == model and s.detectable_with_more]
            lines.append(
                f"  {model}: differences below {_points(now)} points will stay undecided; {repetitions} repetitions would "
                f"find {_points(more)} (differences between blocks spread by {plain_points(spread.deviation)} points, "
                f"{spread_source(spread)})."
            )
    return lines


def spread_source(spread: Spread) -> str:
    """Say where a spread comes from."""
    if spread.arms:
        return f"from {spread.arms} arms x {spread.blocks} blocks in the store"
    accuracy, held_out = 100 * spread.accuracy, spread.held_out
    return f"an assumption: accuracy {accuracy:.0f} %, mistakes independent, {held_out:,} images held out"


def _detectable(estimate: PlanEstimate, model: str) -> list[float]:
    return [s.detectable for s in estimate.stages if s.model == model and s.detectable]


def _points(differences: Sequence[float]) -> str:
    low, high = map(plain_points, (min(differences), max(differences)))
    return low if low == high else f"{low} to {high}"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
