"""Recipes that a search tries: their records, which of them is kept, and what the findings hold of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ceteris.findings import Broken, Candidate, Eliminated, Pruned, candidate_label
from ceteris.recipe import Recipe
from ceteris.records import FloatArray, Record, Trial
from ceteris.study.decide import accuracies, choose, compare, outcomes
from ceteris.study.strategies.comparison import failures_of
from ceteris.study.strategies.space import Sampled
from ceteris.study.trials import Experiment, ExperimentContext, train


@dataclass
class CandidateRun:
    """One recipe under way: number 0 is the baseline; ``records`` has one entry per block, None where it was not trained.

    The other fields are those of ``Candidate``.
    """

    number: int
    recipe: Recipe
    settings: tuple[tuple[str, str], ...]
    idle: tuple[tuple[str, str], ...]
    records: list[Record | None] = field(default_factory=list)
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


def candidate_runs(sampled: Sequence[Sampled], first: int = 0) -> list[CandidateRun]:
    """Return sampled recipes as candidates, numbered from ``first`` on."""
    return [
        CandidateRun(number=number, recipe=one.recipe, settings=one.settings, idle=one.idle)
        for number, one in enumerate(sampled, start=first)
        if one.recipe is not None
    ]


def train_candidates(
    model: str, stage: str, trials: Mapping[int, Sequence[Trial]], runs: Sequence[CandidateRun]
) -> Experiment[None]:
    """Train candidates on more blocks, given their trials by number; one with a failed training fails."""
    records = yield from train(model, stage, {run.label: trials[run.number] for run in runs})
    for run in runs:
        run.records += records[run.label]
        if failed := broken(run.records):
            run.status, run.left = "failed", failed


def broken(records: Sequence[Record | None], rung: int = 0) -> Broken | None:
    """Return how the first training that did not finish ended, None where all finished."""
    failures = failures_of(records)
    return Broken(failure=failures[0], rung=rung) if failures else None


def select(context: ExperimentContext, runs: Sequence[CandidateRun]) -> tuple[CandidateRun, tuple[Candidate, ...]]:
    """Return the candidate that is taken, see :func:`choose`, and what the findings hold of all, in the order of trying.

    All candidates that share two blocks with the baseline are compared and counted in Holm's correction, those that were
    left early too: they were tried.
    """
    baseline, *others = runs
    results = {run.label: outcomes(context, run.records) for run in others}
    comparisons = compare(context.study, outcomes(context, baseline.records), results)
    finished = {run.label: run.records for run in runs if run.status == "finished" or run is baseline}
    taken, _ = choose(context, baseline.label, finished, comparisons)
    best = next(run for run in runs if run.label == taken)
    findings = tuple(
        Candidate(
            number=run.number,
            settings=run.settings,
            epochs=run.rungs[-1][0] if run.rungs else run.recipe.epochs,
            accuracies=run.accuracies,
            status=run.status,
            chosen=run is best,
            left=run.left,
            comparison=comparisons.get(run.label),
            idle=run.idle,
            rungs=tuple(run.rungs),
        )
        for run in runs
    )
    return best, findings
