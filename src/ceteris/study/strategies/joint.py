"""Joint search: all factors and ranges at once, each new recipe chosen by what the ones before it reached.

A recipe may be left after its first blocks, when it is clearly behind the best one on the same blocks.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from ceteris.digests import digest_of
from ceteris.errors import ConfigError
from ceteris.findings import PassedOver, Pruned, SampledSearch
from ceteris.records import FloatArray
from ceteris.study.decide import figures
from ceteris.study.strategies import SAME_BLOCKS, Search, SearchResult, Strategy
from ceteris.study.strategies.candidates import CandidateRun, candidate_runs, select, train_candidates
from ceteris.study.strategies.sampling import Proposals, sampler_of
from ceteris.study.strategies.space import Choice, check_space, space_of
from ceteris.study.study import Joint, ModelSpec, Study
from ceteris.study.trials import FIRST_BLOCKS, Experiment, ExperimentContext, exploration_trials

ROUND = 4  # recipes side by side, whatever the number of workers: results must not depend on it
_RISK = 0.01  # of leaving a recipe that would have ended at or above the best one


def joint(context: ExperimentContext, model: ModelSpec) -> Search:
    """Search all levels of a model's factors and the strategy's ranges at once.

    Recipes come in rounds of four: the sampler learns after each. The baseline is number 0; no recipe is trained twice.
    A recipe's score is its mean held-out accuracy over the blocks of the design; one that does not finish counts as the
    worst seen. Nuisance parameters are not tuned inside the arms: give them a range. The first round is trained in
    full, because it tells how much results vary between blocks; see :func:`clearly_behind` for who is left later.
    """
    study, strategy = context.study, context.study.strategy
    assert isinstance(strategy, Joint)
    space = space_of(study, model)
    proposals = Proposals(study, space, sampler_of(study, space))
    runs: list[CandidateRun] = []
    while len(runs) < strategy.trials:
        sampled = proposals.take(min(ROUND, strategy.trials - len(runs)))
        if not sampled:
            break
        fresh = candidate_runs(sampled, first=len(runs))
        finished = np.array([figures(context, run.records) for run in runs if run.status == "finished"])
        scores = yield from _train_round(context, model.name, fresh, finished)
        proposals.learn(scores)
        runs += fresh
    best, candidates = select(context, runs)
    return SearchResult(
        model=model,
        best=best.recipe,
        candidates=candidates,
        trainings_saved=sum(record is None for run in runs if run.status == "pruned" for record in run.records),
        search=SampledSearch(
            sampler=strategy.sampler,
            asked=strategy.trials,
            first_blocks=FIRST_BLOCKS,
            passed_over=tuple(PassedOver(count=n, reason=reason) for reason, n in proposals.incompatible.items()),
            confirmed=study.confirmation.seeds > 0,
        ),
    )


def _train_round(
    context: ExperimentContext, model: str, runs: Sequence[CandidateRun], finished: FloatArray
) -> Experiment[dict[str, float | None]]:
    """Train recipes on their blocks and return their scores by digest, None for those that failed.

    They are trained in two parts where some may be left after the first; ``finished`` are the rivals.
    """
    strategy = context.study.strategy
    assert isinstance(strategy, Joint)
    trials = {run.number: exploration_trials(context, run.recipe) for run in runs}
    blocks = len(trials[runs[0].number])
    first = min(FIRST_BLOCKS, blocks) if strategy.pruning and len(finished) > 1 else blocks
    yield from train_candidates(model, "joint search", {run.number: trials[run.number][:first] for run in runs}, runs)
    for run in runs:
        reached = figures(context, run.records)
        if run.status == "finished" and first < blocks and clearly_behind(reached, finished):
            behind = finished.mean(axis=1).max() - expected_score(reached, finished)
            run.status, run.left = "pruned", Pruned(blocks=first, design=blocks, behind=float(behind))
    going_on = [run for run in runs if run.status == "finished"]
    if first < blocks and going_on:
        rest = {run.number: trials[run.number][first:] for run in going_on}
        yield from train_candidates(model, "joint search", rest, going_on)
    scores: dict[str, float | None] = {}
    for run in runs:
        reached = figures(context, run.records)
        score = expected_score(reached, finished) if run.status == "pruned" else float(reached.mean())
        scores[digest_of(run.recipe)] = None if run.status == "failed" else score
        run.records += [None] * (blocks - len(run.records))
    return scores


# ---------------------------------------------------------------------------------------------------------------------
# When a recipe may be left


def expected_score(first: FloatArray, finished: FloatArray) -> float:
    """Return the mean over all blocks that a candidate can be expected to reach after its first ones.

    It is the best one's mean plus the mean difference on the blocks that both have: blocks differ in difficulty, and a
    mean of other blocks would not compare.

    Args:
        first: accuracy on the first blocks, (first blocks,).
        finished: accuracies of the candidates that were trained on all blocks, (candidates, blocks).
    """
    best = finished[finished.mean(axis=1).argmax()]
    return float(best.mean() + (first - best[: len(first)]).mean())


def clearly_behind(first: FloatArray, finished: FloatArray) -> bool:
    """Say whether a candidate would end below the best one with 99 % probability, were it trained on all blocks.

    With independent normal differences between two recipes from block to block, the mean over the first m of n blocks
    is off from the mean over all of them by s * sqrt(1/m - 1/n), and by how much does not depend on the latter. So a
    candidate that would end at or above the best one is left with a probability of at most 1 %, however small its lead.
    s comes from what is left of the finished candidates' accuracies without candidate and block means; its degrees of
    freedom, (candidates - 1) * (blocks - 1), enter by Student's t. Until two candidates have finished nobody is left.

    Args:
        first: accuracy on the first blocks, (first blocks,).
        finished: accuracies of the candidates that were trained on all blocks, (candidates, blocks).
    """
    candidates, blocks = finished.shape
    degrees = (candidates - 1) * (blocks - 1)
    if degrees < 1 or len(first) >= blocks:
        return False
    rest = finished - finished.mean(axis=1, keepdims=True) - finished.mean(axis=0) + finished.mean()
    std = np.sqrt(2 * (rest**2).sum() / degrees)  # of a difference between two candidates on one block
    reach = stats.t.ppf(1 - _RISK, degrees) * std * np.sqrt(1 / len(first) - 1 / blocks)
    best = float(finished.mean(axis=1).max())
    return bool(expected_score(first, finished) + reach < best)


# ---------------------------------------------------------------------------------------------------------------------
# The strategy


def check_joint(study: Study) -> None:
    """Check the ranges, and that the sampler can search the space.

    Raises:
        ConfigError: as for :func:`check_space`, and for CMA-ES without at least two numbers, and numbers alone.
    """
    check_space(study)
    assert isinstance(study.strategy, Joint)
    if study.strategy.sampler != "cma-es":
        return
    for model in study.models:
        dimensions = space_of(study, model).dimensions
        choices = [dimension.name for dimension in dimensions if isinstance(dimension, Choice)]
        advice = 'Use sampler = "tpe" or "gp"'
        if choices:
            raise ConfigError(
                f"strategy.sampler: cma-es searches among numbers and cannot choose among the levels of {', '.join(choices)} "
                f"(model {model.name}). {advice}, or leave these factors out."
            )
        if len(dimensions) == 1:
            raise ConfigError(
                f"strategy.sampler: cma-es needs at least two ranges, model {model.name} has one ({dimensions[0].name}). "
                f"{advice}, or add a range."
            )


JOINT = Strategy(
    search=joint,
    name="joint search",
    how="All factors were varied at once: a sampler proposed whole recipes, and those clearly behind the best one could be "
    f"left early. All recipes met the baseline {SAME_BLOCKS}.",
    limits="The best of many noisy means is too high by chance (winner's curse), so only the confirmation on fresh seeds "
    "counts. The search says which recipe is good, not which of its settings made it so.",
    check=check_joint,
    upper_bound=lambda strategy: replace(strategy, pruning=False),
    leaves_early=lambda strategy: bool(strategy.pruning),
)
