"""A design that fits into a time: fewer repetitions first, then fewer images, then fewer folds; never fewer epochs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ceteris.planning.estimate import PlanEstimate, Planner
from ceteris.study import Exploration, Study
from ceteris.study.context import RunOptions

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
    estimates = _Estimates(planner, study, designs)
    place = _first_that_fits(estimates, budget_seconds)
    fitted = estimates.at(place)
    return FittedPlan(
        budget_seconds=budget_seconds,
        asked=estimates.at(0),
        fitted=fitted,
        fits=fitted.seconds <= budget_seconds,
        settings=settings_of(study.exploration, designs[place]),
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


class _Estimates:
    """The estimates of designs, each made when it is first needed."""

    def __init__(self, planner: Planner, study: Study, designs: Sequence[Exploration]) -> None:
        self._planner, self._study, self.designs = planner, study, designs
        self._made: dict[int, PlanEstimate] = {}

    def at(self, place: int) -> PlanEstimate:
        if place not in self._made:
            self._made[place] = self._planner.estimate(replace(self._study, exploration=self.designs[place]))
        return self._made[place]


def _first_that_fits(estimates: _Estimates, budget: float) -> int:
    """Return the first design within the budget, the last one where none is; each takes less time than the one before."""
    if estimates.at(0).seconds <= budget:
        return 0
    low, high = 0, len(estimates.designs) - 1  # low does not fit; high does, or is all that is left
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if estimates.at(middle).seconds <= budget else (middle, high)
    return high
