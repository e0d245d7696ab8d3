"""Joint search: all factors and ranges at once, each new recipe chosen by what the ones before it reached."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ceteris.digests import digest_of
from ceteris.execution.populations import NEVER, stacked_folds
from ceteris.execution.queue import Records, Request
from ceteris.findings import PassedOver, Pruned, SampledSearch
from ceteris.recipe import Recipe
from ceteris.records import FloatArray, Trial
from ceteris.study.strategies.candidates import Tried, broken, findings_of, select
from ceteris.study.strategies.evidence import request_of
from ceteris.study.strategies.proposals import Proposals
from ceteris.study.strategies.protocol import Search, SearchResult
from ceteris.study.strategies.pruning import clearly_behind, expected_score
from ceteris.study.strategies.sampling import sampler_of
from ceteris.study.strategies.space import Drawn, space_of
from ceteris.study.study import Joint, ModelSpec, Study
from ceteris.study.trials import ExperimentContext, exploration_trials

ROUND = 4  # recipes side by side, whatever the number of workers: results must not depend on it
FIRST_BLOCKS = 2  # trained before a recipe can be left


def joint(setting: ExperimentContext, model: ModelSpec) -> Search:
    """Search all levels of a model's factors and the strategy's ranges at once.

    Recipes come in rounds of four: the sampler learns after each. The baseline is number 0; no recipe is trained twice.
    A recipe's score is its mean held-out accuracy over the blocks of the design; one that does not finish counts as the
    worst seen. Nuisance parameters are not tuned inside the arms: give them a range. The first round is trained in
    full, because it tells how much results vary between blocks; see :func:`clearly_behind` for who is left later.
    """
    strategy = setting.study.strategy
    assert isinstance(strategy, Joint)
    space = space_of(setting.study, model)
    proposals = Proposals(setting.study, space, sampler_of(setting.study, space))
    tried: list[Tried] = []
    while len(tried) < strategy.trials:
        count = min(ROUND, strategy.trials - len(tried))
        fresh = _round(proposals, len(tried), count)
        if not fresh:
            break
        finished = _finished(tried)
        yield from _train(setting, model.name, strategy, fresh, finished)
        proposals.learn({digest_of(one.recipe): _score(one, finished) for one in fresh})
        tried += fresh
    return _route(setting.study, model, tried, proposals.misfits)


def _round(proposals: Proposals, number: int, count: int) -> list[Tried]:
    drawn = [] if number else [proposals.baseline()]
    while len(drawn) < count and (new := proposals.new()):
        drawn.append(new)
    return [_tried(number + place, one) for place, one in enumerate(drawn)]


def _tried(number: int, drawn: Drawn) -> Tried:
    assert drawn.recipe is not None
    return Tried(number=number, recipe=drawn.recipe, settings=drawn.settings, idle=drawn.idle, records=[])


def _finished(tried: Sequence[Tried]) -> FloatArray:
    """Return the accuracies of those that finished all blocks, (candidates, blocks)."""
    return np.array([one.accuracies for one in tried if one.status == "finished"]).reshape(-1, _blocks(tried))


def _blocks(tried: Sequence[Tried]) -> int:
    return len(tried[0].records) if tried else 1


def _train(
    setting: ExperimentContext, model: str, strategy: Joint, fresh: Sequence[Tried], finished: FloatArray
) -> Generator[Request, Records, None]:
    """Train recipes on their blocks, in two parts where some may be left after the first; ``finished`` are the rivals."""
    trials = {one.number: _trials(setting, strategy, one.recipe) for one in fresh}
    blocks = len(trials[fresh[0].number])
    first = min(FIRST_BLOCKS, blocks) if strategy.pruning and len(finished) > 1 else blocks
    yield from _train_blocks(model, fresh, {number: block[:first] for number, block in trials.items()})
    for one in fresh:
        _judge(one, finished, blocks)
    going_on = [one for one in fresh if one.status == "finished"]
    rest = {one.number: trials[one.number][first:] for one in going_on}
    if first < blocks and going_on:
        yield from _train_blocks(model, going_on, rest)
    for one in going_on:
        _judge(one, finished, blocks)
    for one in fresh:
        one.records += [None] * (blocks - len(one.records))


def _trials(setting: ExperimentContext, strategy: Joint, recipe: Recipe) -> tuple[Trial, ...]:
    """Return a recipe's trials; where it may be left after its first blocks, no population reaches across them."""
    if not strategy.pruning:
        return exploration_trials(setting, recipe)
    alone = exploration_trials(replace(setting, stacking=NEVER), recipe)
    parts = (alone[:FIRST_BLOCKS], alone[FIRST_BLOCKS:])
    return tuple(trial for part in parts for trial in stacked_folds(part, setting.stacking))


def _train_blocks(
    model: str, asked: Sequence[Tried], trials: Mapping[int, Sequence[Trial]]
) -> Generator[Request, Records, None]:
    records = yield request_of(model, "joint search", {one.label: trials[one.number] for one in asked})
    for one in asked:
        one.records += [records[trial.digest] for trial in trials[one.number]]


def _judge(one: Tried, finished: FloatArray, blocks: int) -> None:
    """Say what became of a recipe by the blocks that it was trained on so far."""
    if failed := broken(one.records):
        one.status, one.left = "failed", failed
    elif len(one.records) < blocks and clearly_behind(one.accuracies, finished):
        behind = finished.mean(axis=1).max() - expected_score(one.accuracies, finished)
        one.status = "pruned"
        one.left = Pruned(blocks=len(one.records), design=blocks, behind=float(behind))


def _score(one: Tried, finished: FloatArray) -> float | None:
    if one.status == "failed":
        return None
    known = one.accuracies[np.isfinite(one.accuracies)]
    return expected_score(known, finished) if one.status == "pruned" else float(known.mean())


def _route(study: Study, model: ModelSpec, tried: Sequence[Tried], misfits: Mapping[str, int]) -> SearchResult:
    assert isinstance(study.strategy, Joint)
    selection = select(study, tried)
    best: Recipe = tried[selection.number].recipe
    return SearchResult(
        model=model,
        best=best,
        candidates=findings_of(tried, selection),
        trainings_saved=sum(record is None for one in tried if one.status == "pruned" for record in one.records),
        search=SampledSearch(
            sampler=study.strategy.sampler,
            asked=study.strategy.trials,
            first_blocks=FIRST_BLOCKS,
            passed_over=tuple(PassedOver(count=count, reason=reason) for reason, count in misfits.items()),
            confirmed=study.confirmation.seeds > 0,
        ),
    )
