"""A plan in a terminal, and as plain values for programs."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console

from ceteris.cli.printing import print_lines, rich_table
from ceteris.formats import clock, plain_points, points_range, several
from ceteris.planning.estimate import FittedPlan, PlanEstimate
from ceteris.planning.power import Disagreement
from ceteris.stats import MORE_REPETITIONS

_RANKED = 3  # factors that are named as the best and the worst use of time


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
            print_lines(console, text)

    yield line


def print_plan(console: Console, estimate: PlanEstimate) -> None:
    """Print how the data were read, the stages of a plan, what they take and what they can find out."""
    print_lines(console, *estimate.data)
    titles = ["model", "stage", "arms", "train", "time", "finds", "gain", "gain/h", "stored"]
    shown = len(titles) if estimate.known else len(titles) - 1
    rows = [
        (
            stage.model,
            stage.stage,
            f"{len(stage.arms)} x {stage.blocks}" if stage.blocks else str(len(stage.arms)),
            str(len(stage.trials)),
            clock(stage.seconds),
            plain_points(stage.detectable) if stage.detectable else "",
            f"{100 * stage.expected_gain:.1f}" if stage.expected_gain else "",
            f"{100 * stage.gain_per_hour:.0f}" if stage.gain_per_hour else "",
            str(stage.known),
        )[:shown]
        for stage in estimate.stages
    ]
    title = f"Plan of {estimate.study.name} (arms x blocks; train: new trainings; time: of one core)"
    console.print(rich_table(title, titles[:shown], rows, right=range(2, shown), whole=range(2, shown)))
    print_lines(console, *_cost_lines(estimate), *_power_lines(estimate))


def print_fitted(console: Console, study: str, plan: FittedPlan) -> None:
    """Print the design that fits into a time, and what it can no longer find."""
    print_plan(console, plan.fitted)
    budget, asked, fitted = clock(plan.budget_seconds), plan.asked, plan.fitted
    as_it_is = f"Budget {budget}: the study as it is"
    if not plan.settings:
        told = "fits" if plan.fits else "does not fit, and there is no smaller design"
        print_lines(console, f"{as_it_is} {told}: at most {clock(asked.most_seconds)}.")
        return
    if plan.fits:
        most = clock(fitted.most_seconds)
        head = f"{as_it_is} takes up to {clock(asked.most_seconds)}; this design fits, with {most} at most:"
    else:
        finals = sum(stage.seconds for stage in fitted.stages if stage.kind == "final") / max(1, fitted.workers)
        head = (
            f"Budget {budget}: even the smallest design does not fit: {clock(fitted.most_seconds)}, of which final trainings "
            f"take {clock(finals)} and the report {clock(fitted.report_seconds)}. Give more time or more workers, or take "
            "out factors, models, or seeds of the final trainings (final.seeds). The smallest design is:"
        )
    found = [
        f"  {model}: differences that can be found were {points_range(before)} points and would be {points_range(after)}."
        for model in fitted.designs
        if (before := _detectable(asked, model)) and (after := _detectable(fitted, model))
    ]
    print_lines(console, head)
    command = " \\\n    --set ".join([f"  ceteris run {study}", *plan.settings])
    console.print(command, highlight=False, markup=False, soft_wrap=True)  # whole, to be copied
    print_lines(console, *found)


def plan_json(estimate: PlanEstimate) -> dict[str, Any]:
    """Return a plan as plain values: seconds, bytes, and differences of accuracy in 0..1."""
    as_it_is = (
        "at_most",
        "more_seconds",
        "most_seconds",
        "workers",
        "seconds",
        "preparing_seconds",
        "training_seconds",
        "report_seconds",
    )
    of_stage = (
        "model", "stage", "kind", "arms", "blocks", "detectable", "detectable_with_more", "expected_gain", "gain_per_hour",
    )  # fmt: skip
    return {name: getattr(estimate, name) for name in as_it_is} | {
        "data": list(estimate.data),
        "trainings": estimate.trials,
        "in_store": estimate.known,
        "memory_bytes": asdict(estimate.memory),
        "disk_bytes": asdict(estimate.disk) | {"total": estimate.disk.total},
        "more_repetitions": estimate.more_repetitions or MORE_REPETITIONS,
        "designs": {
            model: asdict(design) | {"source": disagreement_source(design.disagreement)}
            for model, design in estimate.designs.items()
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
    if estimate.more_repetitions:
        lines.append(
            f"Levels that are open then and matter get {several(estimate.more_repetitions, 'more repetition')}: up to "
            f"{clock(estimate.more_seconds)} more, {clock(estimate.most_seconds)} in all."
        )
    if memory.per_worker:
        lines.append(f"Memory: about {_size(memory.per_worker)} per worker, {_size(memory.total)} in all.")
    lines.append(
        f"Disk: about {_size(disk.total)} (records {_size(disk.records)}, weights {_size(disk.weights)}, weights of every "
        f"epoch of finals {_size(disk.snapshots)})."
    )
    return lines


def _power_lines(estimate: PlanEstimate) -> list[str]:
    """Say what the design finds, model by model, and what that rests on."""
    lines = [
        "Finds: the smallest true difference, in points of accuracy, that a comparison shows with power 0.8 at significance "
        f"{estimate.study.significance:g}; smaller ones stay open, or are shown to be equivalent within "
        f"±{plain_points(estimate.study.equivalence_margin)}. Gain: what the best bet among a factor's levels is expected to "
        f"bring by the prior of a choice, rather a ranking than a forecast; an hour is one of "
        f"{max(1, estimate.workers)} workers."
    ]
    for model, design in estimate.designs.items():
        if now := _detectable(estimate, model):
            more = [s.detectable_with_more for s in estimate.stages if s.model == model and s.detectable_with_more]
            confirmed = [
                s.detectable for s in estimate.stages if (s.model, s.kind) == (model, "confirmation") and s.detectable
            ]
            finds = f"finds a true difference of about {points_range(now)} points"
            with_more = f"with {estimate.more_repetitions or MORE_REPETITIONS} more repetitions {points_range(more)}"
            confirms = f", its confirmation {points_range(confirmed)}" if confirmed else ""
            lines.append(
                f"  {model}: with these {design.images:,} images this design {finds}; {with_more}{confirms} "
                f"({disagreement_source(design.disagreement)})."
            )
    ranked = sorted((s for s in estimate.stages if s.gain_per_hour), key=lambda stage: -(stage.gain_per_hour or 0))
    if len(ranked) >= 2 * _RANKED:
        first, last = (
            ", ".join(f"{stage.model} {stage.stage}" for stage in part)
            for part in (ranked[:_RANKED], ranked[-_RANKED:])
        )
        lines.append(f"Most gain per hour: {first}; least: {last}.")
    return lines


def disagreement_source(found: Disagreement) -> str:
    """Say on what the differences that can be found rest."""
    differ = (
        f"two settings differ on {100 * found.share:.1f} % of the images, and between blocks by {found.ratio:.1f} times what "
        "these explain"
    )
    if found.arms:
        return f"{differ}, from {found.arms} arms x {found.blocks} blocks in the store"
    return f"assumed: {100 * found.error:.0f} % errors, {differ}"


def _detectable(estimate: PlanEstimate, model: str) -> list[float]:
    return [s.detectable for s in estimate.stages if s.model == model and s.kind == "comparison" and s.detectable]


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
