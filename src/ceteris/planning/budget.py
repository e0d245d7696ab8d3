"""A design that fits into a time: fewer repetitions first, then fewer images, then fewer folds; never fewer epochs."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from ceteris.planning.estimate import PlanEstimate, Planner
from ceteris.study import Exploration, Study
from ceteris.study.trials import RunOptions

LEAST_IMAGES, LEAST_FOLDS = 1000, 3


@dataclass(frozen=True, kw_only=True)
class FittedPlan:
    """The plan as asked, and the largest design that fits into ``budget_seconds``.

    ``fitted`` is the smallest design where ``fits`` is False. ``settings`` are the ``--set`` arguments that make it.
    """

    budget_seconds: float
    asked: PlanEstimate
    fitted: PlanEstimate
    fits: bool
    settings: tuple[str, ...]


def fit_to_budget(
    study: Study, options: RunOptions, budget_seconds: float, *, progress: Callable[[str], None] = lambda text: None
) -> FittedPlan:
    """Return the largest design of a study's exploration whose predicted time is within the budget.

    Raises:
        ConfigError, DataError: as for running it.
    """
    planner = Planner(study, options, progress=progress)
    designs = list(smaller_designs(study.exploration, len(planner.data_set.train)))

    @cache
    def estimate(number: int) -> PlanEstimate:
        return planner.estimate(replace(study, exploration=designs[number]))

    # each design takes less time than the one before
    first = bisect_left(range(len(designs) - 1), True, key=lambda number: estimate(number).seconds <= budget_seconds)
    return FittedPlan(
        budget_seconds=budget_seconds,
        asked=estimate(0),
        fitted=estimate(first),
        fits=estimate(first).seconds <= budget_seconds,
        settings=settings_of(study.exploration, designs[first]),
    )


def smaller_designs(asked: Exploration, images: int) -> Iterator[Exploration]:
    """Yield the design that is asked for, then ever smaller ones."""
    yield asked
    for seeds in range(asked.seeds - 1, 0, -1):
        asked = replace(asked, seeds=seeds)
        yield asked
    used = min(asked.images or images, images)
    while used > LEAST_IMAGES:
        used = max(LEAST_IMAGES, used // 2)
        asked = replace(asked, images=used)
        yield asked
    for folds in range(asked.folds - 1, LEAST_FOLDS - 1, -1):
        yield replace(asked, folds=folds)


def settings_of(asked: Exploration, fitted: Exploration) -> tuple[str, ...]:
    """Return what has to be set to turn one design into the other, as "exploration.folds=3"."""
    return tuple(
        f"exploration.{name}={getattr(fitted, name)}"
        for name in ("folds", "seeds", "images")
        if getattr(fitted, name) != getattr(asked, name)
    )
