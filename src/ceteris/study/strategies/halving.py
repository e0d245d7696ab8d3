"""Successive halving: many recipes with few epochs, and only the best of each rung go on with more."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, islice, pairwise

import numpy as np

from ceteris.findings import Eliminated, Rung, RungSearch
from ceteris.records import Finished, Record
from ceteris.study.decide import figures
from ceteris.study.strategies import SAME_BLOCKS, Search, SearchResult, Strategy
from ceteris.study.strategies.candidates import CandidateRun, broken, candidate_runs, select, train_candidates
from ceteris.study.strategies.sampling import FixedSequence, Proposals, quasi_random_points
from ceteris.study.strategies.space import check_space, space_of
from ceteris.study.study import Halving, ModelSpec
from ceteris.study.trials import (
    TUNING_REPETITION,
    Experiment,
    ExperimentContext,
    block_trial,
    exploration_trials,
    train,
)

NAME = "successive halving"


def halving(context: ExperimentContext, model: ModelSpec) -> Search:
    """Search by synchronous successive halving (Jamieson & Talwalkar 2016).

    First come the baseline and what differs from it in one level, up to half of the recipes, so that no level is left to
    the luck of the draw; the others are drawn evenly from all levels of the model's factors and the strategy's ranges (a
    scrambled Sobol sequence). Rungs train on one block of a repetition that no comparison uses, so that what
    is compared at the end has chosen nobody; the last rung trains the remaining ones in full on all blocks, the
    baseline always with them. In a rung the higher accuracy wins, then the lower loss, then the fewer operations, then
    who was drawn first. ASHA (Li et al. 2020) promotes recipes as soon as it can, which keeps more workers busy; who
    is promoted then depends on which training ends first, so a study would not come out the same twice.
    """
    study, strategy = context.study, context.study.strategy
    assert isinstance(strategy, Halving)
    space = space_of(study, model)
    points = chain(islice(space.neighbours(), (strategy.candidates - 1) // 2), quasi_random_points(space, study))
    proposals = Proposals(study, space, FixedSequence(points))
    runs = candidate_runs(proposals.take(strategy.candidates))
    ladder = rungs(strategy, len(runs), max(run.recipe.epochs for run in runs))
    remaining, climbed = runs, list[Rung]()
    for number, (rung, following) in enumerate(pairwise(ladder), start=1):
        climbed.append(replace(rung, candidates=len(remaining)))
        records = yield from _train_rung(context, model.name, rung, number, remaining)
        remaining = _promoted(context, remaining, records, following.candidates, number)
        if not remaining:
            break
    yield from _train_in_full(context, model.name, runs[0], remaining)
    for run in runs:
        run.records += [None] * (study.exploration.folds * study.exploration.seeds - len(run.records))
    best, candidates = select(context, runs)
    return SearchResult(
        model=model,
        best=best.recipe,
        candidates=candidates,
        search=RungSearch(
            method=NAME,
            rungs=(*climbed, replace(ladder[-1], candidates=len(remaining))),
            confirmed=study.confirmation.seeds > 0,
        ),
    )


def rungs(strategy: Halving, candidates: int, epochs: int) -> tuple[Rung, ...]:
    """Return the rungs for so many recipes, of which the longest trains for ``epochs`` epochs.

    Once one recipe is left, or the epochs are reached, the next rung is the last. Unless the strategy says how long the
    first rung is, there are two before it.
    """
    found, length = [], strategy.shortest or -(-epochs // strategy.reduction**2)
    while length < epochs and candidates > 1:
        found.append(Rung(epochs=length, candidates=candidates))
        length, candidates = length * strategy.reduction, max(1, candidates // strategy.reduction)
    return (*found, Rung(epochs=epochs, candidates=candidates))


def _train_rung(
    context: ExperimentContext, model: str, rung: Rung, number: int, remaining: Sequence[CandidateRun]
) -> Experiment[dict[int, Record]]:
    short = {run.label: replace(run.recipe, epochs=min(rung.epochs, run.recipe.epochs)) for run in remaining}
    stage = f"rung {number} ({rung.epochs} epochs)" if rung.epochs > 1 else f"rung {number} (1 epoch)"
    trials = {label: (block_trial(context, recipe, TUNING_REPETITION, 0),) for label, recipe in short.items()}
    records = yield from train(model, stage, trials)
    found = {run.number: records[run.label][0] for run in remaining}
    for run in remaining:
        record = found[run.number]
        accuracy = float(record.accuracy) if isinstance(record, Finished) else np.nan
        run.rungs.append((record.trial.recipe.epochs, accuracy))
    return found


def _promoted(
    context: ExperimentContext,
    remaining: Sequence[CandidateRun],
    records: dict[int, Record],
    count: int,
    number: int,
) -> list[CandidateRun]:
    """Return the best of a rung in the order of drawing; the others keep where they ended.

    The best have the highest criterion, then the lowest loss, then the fewest operations; equal ones stay in their order.
    """
    ranks = {
        of_run: (
            -figures(context, [record])[0],
            record.loss if np.isfinite(record.loss) else np.inf,
            record.cost.training_flops,
        )
        for of_run, record in records.items()
        if isinstance(record, Finished)
    }
    ranked = sorted((run for run in remaining if run.number in ranks), key=lambda run: ranks[run.number])
    for run in remaining:
        if failed := broken([records[run.number]], number):
            run.status, run.left = "failed", failed
    for place, run in enumerate(ranked[count:], start=count + 1):
        run.status = "eliminated"
        run.left = Eliminated(rung=number, place=place, candidates=len(remaining), promoted=count)
    return sorted(ranked[:count], key=lambda run: run.number)


def _train_in_full(
    context: ExperimentContext, model: str, baseline: CandidateRun, remaining: Sequence[CandidateRun]
) -> Experiment[None]:
    """Train who is left, and the baseline always; what a rung said of it stays with it."""
    asked = list(remaining) if baseline in remaining else [baseline, *remaining]
    for run in asked:
        run.status = "finished"
    trials = {run.number: exploration_trials(context, run.recipe) for run in asked}
    yield from train_candidates(model, "last rung", trials, asked)
    for run in asked:
        mean = float(np.nanmean(run.accuracies)) if run.status == "finished" else np.nan
        run.rungs.append((run.recipe.epochs, mean))


HALVING = Strategy(
    search=halving,
    name=NAME,
    how="Many recipes were trained with few epochs; the best ones went on with more, and the last ones were compared with "
    f"the baseline {SAME_BLOCKS}.",
    limits="A recipe that is slow at first may have been eliminated before it could show its strength, and the best of "
    "many noisy results is too high by chance; only the confirmation on fresh seeds counts.",
    check=check_space,
    leaves_early=lambda strategy: True,  # who fails in a rung is not replaced
)
