"""Successive halving: many recipes with few epochs, and only the best of each rung go on with more."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ceteris.execution.queue import Records, Request
from ceteris.findings import Eliminated, Rung, RungSearch
from ceteris.records import Finished, Record, Trial
from ceteris.study.strategies.candidates import Tried, broken, findings_of, select
from ceteris.study.strategies.evidence import request_of
from ceteris.study.strategies.proposals import Proposals
from ceteris.study.strategies.protocol import Search, SearchResult
from ceteris.study.strategies.sampling import FixedSequence, quasi_random_points
from ceteris.study.strategies.space import space_of
from ceteris.study.study import Halving, ModelSpec, Study
from ceteris.study.trials import ExperimentContext, exploration_trials, tuning_trial


def halving(setting: ExperimentContext, model: ModelSpec) -> Search:
    """Search by synchronous successive halving (Jamieson & Talwalkar 2016).

    The recipes are drawn evenly from all levels of the model's factors and the strategy's ranges (a scrambled Sobol
    sequence), the baseline among them. Rungs train on one block of a repetition that no comparison uses, so that what
    is compared at the end has chosen nobody; the last rung trains the remaining ones in full on all blocks, the
    baseline always with them. In a rung the higher accuracy wins, then the lower loss, then the fewer operations, then
    who was drawn first. ASHA (Li et al. 2020) promotes recipes as soon as it can, which keeps more workers busy; who
    is promoted then depends on which training ends first, so a study would not come out the same twice.
    """
    strategy = setting.study.strategy
    assert isinstance(strategy, Halving)
    tried = _drawn(setting.study, model, strategy.candidates)
    ladder = rungs(strategy, len(tried), max(one.recipe.epochs for one in tried))
    remaining, climbed = tried, list[Rung]()
    for number, (rung, following) in enumerate(pairwise(ladder), start=1):
        climbed.append(replace(rung, candidates=len(remaining)))
        records = yield from _train_rung(setting, model.name, rung, number, remaining)
        remaining = _promoted(remaining, records, following.candidates, number)
        if not remaining:
            break
    yield from _train_in_full(setting, model.name, tried[0], remaining)
    selection = select(setting.study, tried)
    return SearchResult(
        model=model,
        best=tried[selection.number].recipe,
        candidates=findings_of(tried, selection),
        search=RungSearch(
            rungs=(*climbed, replace(ladder[-1], candidates=len(remaining))),
            confirmed=setting.study.confirmation.seeds > 0,
        ),
    )


def rungs(strategy: Halving, candidates: int, epochs: int) -> tuple[Rung, ...]:
    """Return the rungs for so many recipes, of which the longest trains for ``epochs`` epochs.

    Once one recipe is left, or the epochs are reached, the next rung is the last.
    """
    found, length = [], strategy.shortest
    while length < epochs and candidates > 1:
        found.append(Rung(epochs=length, candidates=candidates))
        length, candidates = length * strategy.reduction, max(1, candidates // strategy.reduction)
    return (*found, Rung(epochs=epochs, candidates=candidates))


def _drawn(study: Study, model: ModelSpec, count: int) -> list[Tried]:
    space = space_of(study, model)
    proposals = Proposals(study, space, FixedSequence(quasi_random_points(space, study)))
    drawn = [proposals.baseline()]
    while len(drawn) < count and (new := proposals.new()):
        drawn.append(new)
    blocks = study.exploration.folds * study.exploration.seeds
    return [
        Tried(
            number=number,
            recipe=one.recipe,
            settings=one.settings,
            idle=one.idle,
            records=[None] * blocks,
            status="eliminated",
        )
        for number, one in enumerate(drawn)
        if one.recipe
    ]


def _train_rung(
    setting: ExperimentContext, model: str, rung: Rung, number: int, remaining: Sequence[Tried]
) -> Generator[Request, Records, dict[int, Record]]:
    trials = {one.number: _short_trial(setting, one, rung) for one in remaining}
    stage = f"rung {number} ({rung.epochs} epochs)" if rung.epochs > 1 else f"rung {number} (1 epoch)"
    records = yield request_of(model, stage, {one.label: (trials[one.number],) for one in remaining})
    found = {one.number: records[trials[one.number].digest] for one in remaining}
    for one in remaining:
        record = found[one.number]
        accuracy = float(record.accuracy) if isinstance(record, Finished) else np.nan
        one.rungs.append((record.trial.recipe.epochs, accuracy))
    return found


def _short_trial(setting: ExperimentContext, one: Tried, rung: Rung) -> Trial:
    return tuning_trial(setting, replace(one.recipe, epochs=min(rung.epochs, one.recipe.epochs)))


def _promoted(remaining: Sequence[Tried], records: dict[int, Record], count: int, number: int) -> list[Tried]:
    """Return the best of a rung in the order of drawing; the others keep where they ended."""
    ranks = {number: _rank(record) for number, record in records.items() if isinstance(record, Finished)}
    ranked = sorted((one for one in remaining if one.number in ranks), key=lambda one: ranks[one.number])
    for one in remaining:
        if failed := broken([records[one.number]], number):
            one.status, one.left = "failed", failed
    for place, one in enumerate(ranked[count:], start=count + 1):
        one.left = Eliminated(rung=number, place=place, candidates=len(remaining), promoted=count)
    return sorted(ranked[:count], key=lambda one: one.number)


def _rank(record: Finished) -> tuple[float, float, float]:
    """Best first: accuracy, then loss, then operations; equal ones stay in their order."""
    loss = record.loss if np.isfinite(record.loss) else np.inf
    return -record.accuracy, loss, record.cost.training_flops


def _train_in_full(
    setting: ExperimentContext, model: str, baseline: Tried, remaining: Sequence[Tried]
) -> Generator[Request, Records, None]:
    asked = list(remaining) if baseline in remaining else [baseline, *remaining]
    trials = {one.number: exploration_trials(setting, one.recipe) for one in asked}
    records = yield request_of(model, "last rung", {one.label: trials[one.number] for one in asked})
    for one in asked:
        one.records = [records[trial.digest] for trial in trials[one.number]]
        failed = broken(one.records)
        one.status, one.left = ("failed", failed) if failed else ("finished", one.left)
        one.rungs.append((one.recipe.epochs, float(np.nanmean(one.accuracies)) if not failed else np.nan))
