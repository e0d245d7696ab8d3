"""Which level of a factor is taken: the one that is expected to bring the most, its cost counted.

A choice is reversible and confirmed later, so it asks for the best bet. What a sceptic would be convinced of is another
question, which the verdict of every comparison answers; no choice depends on it.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ceteris.findings import (
    Comparison,
    Elimination,
    Incompatible,
    IncumbentBroken,
    Kept,
    Reason,
    SameTraining,
    Taken,
)
from ceteris.records import Failed, Finished, FloatArray, Record, score_of
from ceteris.stats import BlockOutcome, Outcomes, compare_levels, image_values, posterior_of
from ceteris.study.study import Study
from ceteris.study.trials import ExperimentContext

# A doubling of the operations is worth this share of the margin; a gain is worth taking from another share of it on.
_COST_OF_DOUBLING, _LEAST_GAIN = 1 / 5, 1 / 10
_ROUNDING = 1e-9  # what sums of accuracies may differ by though they are the same


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The label that is kept and why, and how every other level compares with the incumbent.

    ``eliminations`` and ``incompatible`` are those of ``FactorFinding``.
    """

    incumbent: str
    label: str
    reason: Reason
    comparisons: Mapping[str, Comparison]
    eliminations: tuple[Elimination, ...] = ()
    incompatible: tuple[Incompatible, ...] = ()


def accuracies(records: Sequence[Record | None]) -> FloatArray:
    """Return the held-out accuracy per block, (blocks,); NaN where the trial did not finish or was not asked for."""
    return np.array([record.accuracy if isinstance(record, Finished) else np.nan for record in records])


def figures(context: ExperimentContext, records: Sequence[Record | None]) -> FloatArray:
    """Return what the study's criterion says of every block, (blocks,), higher is better; NaN as in :func:`accuracies`."""
    return outcomes(context, records).figures


def outcomes(context: ExperimentContext, records: Sequence[Record | None]) -> Outcomes:
    """Return a recipe's results image by image, in the unit of the study's criterion.

    Records that do not say what single images were taken for, as those of a plan, give the figures of their blocks alone.
    """
    return Outcomes(
        blocks=tuple(_outcome(context, record) if isinstance(record, Finished) else None for record in records)
    )


def _outcome(context: ExperimentContext, record: Finished) -> BlockOutcome:
    criterion, split = context.study.criterion, record.trial.split
    repetition = split.seed - context.study.seed
    if context.labels is None or record.predicted is None or record.log_likelihood is None:
        figure = np.array([score_of(record, criterion)])
        return BlockOutcome(images=np.zeros(1, dtype=np.int64), values=figure, repetition=repetition)
    images = context.held_out(split)
    likelihood = record.log_likelihood.astype(np.float64)
    values = image_values(
        criterion,
        labels=context.labels[images],
        predicted=record.predicted,
        log_likelihood=likelihood,
        classes=int(context.labels.max()) + 1,
    )
    groups = None if context.groups is None else context.groups[images]
    return BlockOutcome(images=images, values=values, repetition=repetition, log_likelihood=likelihood, groups=groups)


def compare(
    study: Study,
    incumbent: Outcomes,
    levels: Mapping[str, Outcomes],
    *,
    significance: float | None = None,
    error: float | None = None,
    same_images: bool = False,
    fresh_samples: bool | None = None,
) -> dict[str, Comparison]:
    """Compare levels with the incumbent as the study asks, see ``compare_levels``.

    ``significance`` None is the study's, ``error`` None that of the incumbent, ``fresh_samples`` None as in the exploration.
    """
    found = compare_levels(
        incumbent,
        levels,
        folds=study.exploration.folds,
        significance=study.significance if significance is None else significance,
        margin=study.equivalence_margin,
        test=study.test,
        error=error_of(study, incumbent) if error is None else error,
        fresh_samples=study.exploration.images > 0 if fresh_samples is None else fresh_samples,
        same_images=same_images,
    )
    return {label: replace(comparison, criterion=study.criterion) for label, comparison in found.items()}


def error_of(study: Study, results: Outcomes) -> float:
    """Return the error rate of a recipe, or its loss where that is the criterion; 1 where nothing finished."""
    known = results.figures[np.isfinite(results.figures)]
    best = 0.0 if study.criterion == "log-loss" else 1.0
    return max(0.0, best - float(known.mean())) if len(known) else 1.0


def decide(
    context: ExperimentContext,
    incumbent: str,
    records: Mapping[str, Sequence[Record | None]],
    *,
    significance: float | None = None,
    left: Collection[str] = (),
) -> Decision:
    """Compare every level with the incumbent on the same blocks and choose.

    Args:
        context: whose study says what counts.
        incumbent: the label of the best setting so far.
        records: label -> one record per block, in the same order of blocks for all labels; None where the level was not
            trained on a block.
        significance: of the claims, over all levels; that of the study unless a comparison is looked at several times.
        left: labels that are out of the running, though they are compared.
    """
    results = {label: outcomes(context, block) for label, block in records.items()}
    others = {label: found for label, found in results.items() if label != incumbent}
    comparisons = compare(context.study, results[incumbent], others, significance=significance)
    running = {label: block for label, block in records.items() if label not in left}
    label, reason = choose(context, incumbent, running, comparisons)
    return Decision(incumbent=incumbent, label=label, reason=reason, comparisons=comparisons)


def choose(
    context: ExperimentContext,
    incumbent: str,
    records: Mapping[str, Sequence[Record | None]],
    comparisons: Mapping[str, Comparison],
) -> tuple[str, Reason]:
    """Return the label that is taken, and why.

    Of the levels whose trainings all finished, the one with the highest expected gain less its cost is taken if that is more
    than a tenth of the margin, and if it pays with a probability of at least the study's ``caution``. An incumbent that
    did not finish is replaced by the best mean.
    """
    study = context.study
    complete = [label for label, block in records.items() if all(isinstance(r, Finished) for r in block if r)]
    if incumbent not in complete:
        trained = [record for record in records[incumbent] if record]
        broken = sum(isinstance(record, Failed) for record in trained)
        best = max(complete, key=lambda label: float(np.nanmean(figures(context, records[label]))), default=incumbent)
        return best, IncumbentBroken(broken=broken, blocks=len(trained))
    bets = {
        label: Taken(
            gain=comparisons[label].expected_gain,
            chance=comparisons[label].chance,
            cost=cost_of(study, records[label], records[incumbent]),
        )
        for label in complete
        if label in comparisons
    }
    if not bets:
        return incumbent, Kept()
    leader = max(bets, key=lambda label: bets[label].gain - bets[label].cost)
    bet = bets[leader]
    worth_taking = bet.gain - bet.cost > max(_LEAST_GAIN * study.equivalence_margin, _ROUNDING)
    if worth_taking and posterior_of(comparisons[leader]).chance_above(bet.cost) >= study.caution:
        return leader, bet
    if all(comparison.identical for comparison in comparisons.values()):
        return incumbent, SameTraining()
    return incumbent, Kept(leader=leader, gain=bet.gain, chance=bet.chance, cost=bet.cost)


def cost_of(study: Study, level: Sequence[Record | None], incumbent: Sequence[Record | None]) -> float:
    """Return what a level's operations cost against the incumbent's, in the unit of the criterion; below 0 if it saves some."""
    flops, before = (
        [record.cost.training_flops for record in records if isinstance(record, Finished)]
        for records in (level, incumbent)
    )
    doublings = math.log2(np.mean(flops) / np.mean(before)) if any(flops) and any(before) else 0.0
    return _COST_OF_DOUBLING * study.equivalence_margin * doublings
