"""Recipes that a search tried: their records, which of them is kept, and what becomes of each in the findings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ceteris.findings import Broken, Candidate, Comparison, Eliminated, Pruned, candidate_label
from ceteris.recipe import Recipe
from ceteris.records import FloatArray, Record
from ceteris.stats import compare_levels
from ceteris.study.decide import accuracies
from ceteris.study.strategies.evidence import failures_of
from ceteris.study.study import Study


@dataclass
class Tried:
    """One recipe under way: number 0 is the baseline; ``records`` has one entry per block, None where it was not trained.

    The other fields are those of ``Candidate``.
    """

    number: int
    recipe: Recipe
    settings: tuple[tuple[str, str], ...]
    idle: tuple[tuple[str, str], ...]
    records: list[Record | None]
    status: Literal["finished", "pruned", "eliminated", "failed"] = "finished"
    left: Pruned | Eliminated | Broken | None = None
    rungs: list[tuple[int, float]] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The name in progress and sentences, such as "#7 (adam, 0.01)"."""
        return candidate_label(self.number, self.settings, self.idle)

    @property
    def accuracies(self) -> FloatArray:
        """Held-out accuracy per block, (blocks,), NaN where there is none."""
        return accuracies(self.records)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which candidate is kept, and how every other one compares with the baseline, by its number."""

    number: int
    comparisons: Mapping[int, Comparison]


def select(study: Study, tried: Sequence[Tried]) -> Selection:
    """Keep the finished candidate with the highest mean among those that are better than the baseline, else the baseline.

    All candidates that share two blocks with the baseline are compared and counted in Holm's correction, those that were
    left early too: they were tried.
    """
    baseline, *others = tried
    compared = compare_levels(
        baseline.accuracies,
        {one.label: one.accuracies for one in others},
        folds=study.exploration.folds,
        significance=study.significance,
        margin=study.equivalence_margin,
    )
    comparisons = {one.number: compared[one.label] for one in others if one.label in compared}
    finished = [one for one in others if one.status == "finished"]
    if baseline.status == "finished":
        finished = [
            one for one in finished if one.number in comparisons and comparisons[one.number].verdict == "better"
        ]
    best = max(finished, key=lambda one: float(np.mean(one.accuracies)), default=baseline)
    return Selection(number=best.number, comparisons=comparisons)


def findings_of(tried: Sequence[Tried], selection: Selection) -> tuple[Candidate, ...]:
    """Return what the findings hold of every candidate, in the order of trying."""
    return tuple(
        Candidate(
            number=one.number,
            settings=one.settings,
            epochs=one.rungs[-1][0] if one.rungs else one.recipe.epochs,
            accuracies=one.accuracies,
            status=one.status,
            chosen=one.number == selection.number,
            left=one.left,
            comparison=selection.comparisons.get(one.number),
            idle=one.idle,
            rungs=tuple(one.rungs),
        )
        for one in tried
    )


def broken(records: Sequence[Record | None], rung: int = 0) -> Broken | None:
    """Return how the first training that did not finish ended, None where all finished."""
    failures = failures_of(records)
    return Broken(failure=failures[0], rung=rung) if failures else None
