"""Nuisance parameters: each arm gets its own learning rate, say, found with the same number of trials for every arm.

Comparing optimizers at one learning rate measures whom that rate suits. The search is over powers of a step around the
arm's own value, on folds of a repetition that no comparison uses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ceteris.execution.populations import stacked
from ceteris.execution.queue import Request
from ceteris.fields import IncompatibleError, number_at
from ceteris.findings import TuningFinding
from ceteris.recipe import Recipe
from ceteris.records import Finished, Record
from ceteris.study.arms import changed, starting_value
from ceteris.study.decide import figures
from ceteris.study.study import Factor, Nuisance
from ceteris.study.trials import TUNING_REPETITION, Experiment, ExperimentContext, block_trial

_START = (-1.0, 0.0, 1.0)  # exponents of the first round: the arm's own value and its neighbours
_WORST = (-np.inf, -np.inf)


@dataclass(frozen=True, kw_only=True)
class TunedArm:
    """An arm with its nuisance parameters at their best values, how these were found, and all trainings that it took.

    ``level`` is its label and ``start`` its recipe before.
    """

    level: str
    start: Recipe
    recipe: Recipe
    findings: tuple[TuningFinding, ...] = ()
    records: tuple[Record, ...] = ()


@dataclass
class _Search:
    """One arm's search: exponent of the step -> (mean criterion, -mean loss); -inf where a training did not finish."""

    recipe: Recipe
    start: float
    nuisance: Nuisance
    scores: dict[float, tuple[float, float]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def value(self, exponent: float) -> float:
        return float(f"{self.start * self.nuisance.step**exponent:.3g}")

    def recipe_at(self, exponent: float) -> Recipe:
        """Return the recipe at a value; raise IncompatibleError where it is not allowed (a momentum of 1.2, say)."""
        if exponent == 0 and number_at(self.recipe, self.nuisance.field) == self.start:
            return self.recipe
        return changed(self.recipe, {self.nuisance.field: self.value(exponent)})

    def best(self) -> float:
        return max(self.scores, key=lambda exponent: (self.scores[exponent], -abs(exponent), exponent))

    def next_exponents(self) -> tuple[float, ...]:
        """First the start; then beyond the edge where the best lies there, else halfway to the wider gap beside it."""
        if not self.scores:
            return _START
        tried, best = sorted(self.scores), self.best()
        place = tried.index(best)
        if place in (0, len(tried) - 1):
            return (best - 1 if place == 0 else best + 1,)
        below, above = tried[place - 1], tried[place + 1]
        better = below if self.scores[below] > self.scores[above] else above
        wider = {below: best - below, above: above - best}
        neighbour = max((below, above), key=lambda other: (wider[other], other == better))
        return ((best + neighbour) / 2,)

    def finding(self) -> TuningFinding:
        tried, best = list(self.scores), self.best()
        accuracies = np.array([self.scores[exponent][0] for exponent in tried])
        return TuningFinding(
            field=self.nuisance.field,
            values=tuple(map(self.value, tried)),
            accuracies=np.where(np.isfinite(accuracies), accuracies, np.nan),
            start=self.value(0),
            chosen=self.value(best),
            widened=sum(abs(exponent) > 1 for exponent in tried),
            at_edge=best in (min(tried), max(tried)),
        )


def tune_arms(
    context: ExperimentContext, model: str, factor: Factor, nuisances: Sequence[Nuisance], arms: Mapping[str, Recipe]
) -> Experiment[dict[str, TunedArm]]:
    """Tune every nuisance parameter of every arm, one parameter after another, all arms side by side.

    An arm whose recipe has no such number, or 0 there, which nothing scales, stays as it is.
    """
    tuned = {label: TunedArm(level=label, start=recipe, recipe=recipe) for label, recipe in arms.items()}
    for nuisance in nuisances:
        starts = {label: starting_value(factor, label, arm.recipe, nuisance.field) for label, arm in tuned.items()}
        searches = {
            label: _Search(recipe=tuned[label].recipe, start=start, nuisance=nuisance)
            for label, start in starts.items()
            if start > 0
        }
        for _ in range(1 + nuisance.trials - len(_START)):
            yield from _round(context, model, f"{factor.name}: tuning", searches)
        for label, search in searches.items():
            before = tuned[label]
            tuned[label] = TunedArm(
                level=label,
                start=before.start,
                recipe=search.recipe_at(search.best()),
                findings=(*before.findings, search.finding()),
                records=(*before.records, *search.records),
            )
    return tuned


def _round(context: ExperimentContext, model: str, stage: str, searches: Mapping[str, _Search]) -> Experiment[None]:
    """Try the next values of every arm; one that is not allowed counts as the worst."""
    asked = []
    for label, search in searches.items():
        for exponent in search.next_exponents():
            try:
                recipe = search.recipe_at(exponent)
            except IncompatibleError:
                search.scores[exponent] = _WORST
                continue
            folds = range(min(search.nuisance.folds, context.study.exploration.folds))
            trials = [block_trial(context, recipe, TUNING_REPETITION, fold) for fold in folds]
            asked.append((label, exponent, stacked(trials, context.stacking)))
    if not asked:
        return
    records = yield Request(
        model=model,
        stage=stage,
        trials=tuple(trial for _, _, trials in asked for trial in trials),
        labels=tuple(
            f"{label}, {searches[label].value(exponent):g}" for label, exponent, trials in asked for _ in trials
        ),
    )
    for label, exponent, of_value in asked:
        found = [records[trial.digest] for trial in of_value]
        searches[label].records += found
        finished = [record for record in found if isinstance(record, Finished)]
        score = float(np.mean(figures(context, found))), -float(np.mean([record.loss for record in finished] or [0.0]))
        searches[label].scores[exponent] = score if len(finished) == len(found) else _WORST
