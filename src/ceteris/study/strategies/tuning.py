"""Nuisance parameters: each arm gets its own learning rate, say, found with the same number of trials for every arm.

Comparing optimizers at one learning rate measures whom that rate suits. The search is over powers of a step around the
arm's own value, on one fold of a repetition that no comparison uses.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ceteris.execution.queue import Records, Request
from ceteris.fields import number_at
from ceteris.findings import TuningFinding
from ceteris.recipe import Recipe
from ceteris.records import Finished, Record
from ceteris.study.design import IncompatibleError, changed
from ceteris.study.study import Factor, Nuisance
from ceteris.study.trials import ExperimentContext, tuning_trial


@dataclass(frozen=True, kw_only=True)
class TunedArm:
    """An arm with its nuisance parameters at their best values, how these were found, and all trainings that it took.

    ``start`` is its recipe before.
    """

    start: Recipe
    recipe: Recipe
    findings: tuple[TuningFinding, ...] = ()
    records: tuple[Record, ...] = ()


@dataclass
class _Search:
    """One arm's search: exponent of the step -> (accuracy, -loss); -inf where a training did not finish."""

    recipe: Recipe
    start: float
    nuisance: Nuisance
    scores: dict[float, tuple[float, float]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def value(self, exponent: float) -> float:
        return float(f"{self.start * self.nuisance.step**exponent:.3g}")

    def recipe_at(self, exponent: float) -> Recipe:
        return self.recipe if exponent == 0 else changed(self.recipe, {self.nuisance.field: self.value(exponent)})

    def best(self) -> float:
        return max(self.scores, key=lambda exponent: (self.scores[exponent], -abs(exponent), exponent))

    def at_edge(self) -> bool:
        return self.best() in (min(self.scores), max(self.scores))


def tune_arms(
    setting: ExperimentContext, model: str, factor: Factor, nuisances: tuple[Nuisance, ...], arms: Mapping[str, Recipe]
) -> Generator[Request, Records, dict[str, TunedArm]]:
    """Tune every nuisance parameter of every arm, one parameter after another, all arms side by side."""
    tuned = {label: TunedArm(start=recipe, recipe=recipe) for label, recipe in arms.items()}
    for nuisance in nuisances:
        searches = {label: search for label, done in tuned.items() if (search := _search(done.recipe, nuisance))}
        for _ in range(1 + nuisance.trials - 3 if searches else 0):
            yield from _round(setting, model, f"{factor.name}: tuning", searches)
        for label, search in searches.items():
            before = tuned[label]
            tuned[label] = TunedArm(
                start=before.start,
                recipe=search.recipe_at(search.best()),
                findings=(*before.findings, _finding(search)),
                records=(*before.records, *search.records),
            )
    return tuned


def _search(recipe: Recipe, nuisance: Nuisance) -> _Search | None:
    """Return the search of an arm; None where its recipe has no such number, or has 0 there, which nothing scales."""
    start = number_at(recipe, nuisance.field)
    return _Search(recipe=recipe, start=float(start), nuisance=nuisance) if start and start > 0 else None


def _round(
    setting: ExperimentContext, model: str, stage: str, searches: Mapping[str, _Search]
) -> Generator[Request, Records, None]:
    asked = [
        (label, exponent, tuning_trial(setting, recipe))
        for label, search in searches.items()
        for exponent in _next_exponents(search)
        if (recipe := _possible(search, exponent)) is not None
    ]
    if not asked:
        return
    records = yield Request(
        model=model,
        stage=stage,
        trials=tuple(trial for _, _, trial in asked),
        labels=tuple(f"{label}, {searches[label].value(exponent):g}" for label, exponent, _ in asked),
    )
    for label, exponent, trial in asked:
        record = records[trial.digest]
        searches[label].records.append(record)
        score = (record.accuracy, -record.loss) if isinstance(record, Finished) else (-np.inf, -np.inf)
        searches[label].scores[exponent] = score


def _possible(search: _Search, exponent: float) -> Recipe | None:
    """Return the recipe at a value, None where the value is not allowed (a momentum of 1.2, say): it counts as the worst."""
    try:
        return search.recipe_at(exponent)
    except IncompatibleError:
        search.scores[exponent] = (-np.inf, -np.inf)
        return None


def _next_exponents(search: _Search) -> tuple[float, ...]:
    """First the start and its neighbours; then beyond the edge where the best lies there, else the wider gap beside it."""
    if not search.scores:
        return (-1.0, 0.0, 1.0)
    tried, best = sorted(search.scores), search.best()
    place = tried.index(best)
    if place in (0, len(tried) - 1):
        return (best - 1 if place == 0 else best + 1,)
    below, above = tried[place - 1], tried[place + 1]
    better = below if search.scores[below] > search.scores[above] else above
    wider = {below: best - below, above: above - best}
    neighbour = max((below, above), key=lambda other: (wider[other], other == better))
    return ((best + neighbour) / 2,)


def _finding(search: _Search) -> TuningFinding:
    tried = list(search.scores)
    scores = np.array([search.scores[exponent][0] for exponent in tried])
    return TuningFinding(
        field=search.nuisance.field,
        values=tuple(search.value(exponent) for exponent in tried),
        accuracies=np.where(np.isfinite(scores), scores, np.nan),
        start=search.value(0),
        chosen=search.value(search.best()),
        widened=sum(abs(exponent) > 1 for exponent in tried),
        at_edge=search.at_edge(),
    )
