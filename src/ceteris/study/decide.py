"""Which level of a factor is taken: the one that is expected to bring the most, its cost counted.

A choice is reversible and confirmed later, so it asks for the best bet. What a sceptic would be convinced of is another
question, which the verdict of every comparison answers; no choice depends on it.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

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
from ceteris.records import Failed, Finished, FloatArray, Record
from ceteris.stats import compare_levels
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
    study = context.study
    results = {label: accuracies(block) for label, block in records.items()}
    others = {label: values for label, values in results.items() if label != incumbent}
    comparisons = compare_blocks(study, results[incumbent], others, significance=significance)
    running = {label: block for label, block in records.items() if label not in left}
    label, reason = choose(study, incumbent, running, comparisons)
    return Decision(incumbent=incumbent, label=label, reason=reason, comparisons=comparisons)


def choose(
    study: Study,
    incumbent: str,
    records: Mapping[str, Sequence[Record | None]],
    comparisons: Mapping[str, Comparison],
) -> tuple[str, Reason]:
    """Return the label that is taken, and why.

    Of the levels whose trainings all finished, the one with the highest expected gain less its cost is taken if that is more
    than a tenth of the margin, and if it pays with a probability of at least the study's ``caution``. An incumbent that
    did not finish is replaced by the best mean.
    """
    complete = [label for label, block in records.items() if all(isinstance(r, Finished) for r in block if r)]
    if incumbent not in complete:
        trained = [record for record in records[incumbent] if record]
        broken = sum(isinstance(record, Failed) for record in trained)
        best = max(complete, key=lambda label: float(np.nanmean(accuracies(records[label]))), default=incumbent)
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
    least = max(_LEAST_GAIN * study.equivalence_margin, _ROUNDING)
    worth_taking = bet.gain - bet.cost > least
    if worth_taking and chance_above(comparisons[leader], bet.cost) >= study.caution:
        return leader, bet
    if all(comparison.identical for comparison in comparisons.values()):
        return incumbent, SameTraining()
    return incumbent, Kept(leader=leader, gain=bet.gain, chance=bet.chance, cost=bet.cost)


def cost_of(study: Study, level: Sequence[Record | None], incumbent: Sequence[Record | None]) -> float:
    """Return what a level's operations cost against the incumbent's, in the unit of the criterion; below 0 if it saves some."""
    flops, before = flops_per_training(level), flops_per_training(incumbent)
    doublings = math.log2(flops / before) if flops > 0 and before > 0 else 0.0
    return _COST_OF_DOUBLING * study.equivalence_margin * doublings


def flops_per_training(records: Sequence[Record | None]) -> float:
    """Return the mean operations of the trainings that finished."""
    flops = [record.cost.training_flops for record in records if isinstance(record, Finished)]
    return float(np.mean(flops)) if flops else 0.0


# ---------------------------------------------------------------------------------------------------------------------
# What is expected of a difference


def compare_blocks(
    study: Study, incumbent: FloatArray, levels: Mapping[str, FloatArray], *, significance: float | None = None
) -> dict[str, Comparison]:
    """Compare accuracies per block as the study asks, see ``compare_levels``."""
    found = compare_levels(
        incumbent,
        levels,
        folds=study.exploration.folds,
        significance=study.significance if significance is None else significance,
        margin=study.equivalence_margin,
    )
    error = 1 - float(np.nanmean(incumbent)) if np.isfinite(incumbent).any() else 0.1
    return {label: _expected(comparison, error) for label, comparison in found.items()}


def _expected(found: Comparison, error: float) -> Comparison:
    if found.low == found.high == 0:
        return replace(found, standard_error=0.0, identical=True)
    degrees = found.blocks - 1
    standard_error = max((found.high - found.low) / 2 / float(stats.t.ppf(0.975, degrees)), 1e-6)
    weights, means, deviations = _posterior(found.difference, standard_error, max(error, 1e-3))
    return replace(
        found,
        standard_error=standard_error,
        degrees=degrees,
        expected_gain=float(weights @ means),
        chance=float(weights @ stats.norm.sf(0, means, deviations)),
    )


def chance_above(found: Comparison, least: float) -> float:
    """Return how probably the true difference is above ``least``."""
    if found.identical:
        return float(least < 0)
    quantile = abs(float(stats.norm.ppf(min(max(found.chance, 1e-6), 1 - 1e-6))))
    spread = abs(found.expected_gain) / quantile if quantile > 1e-6 else found.standard_error
    return float(stats.norm.sf(least, found.expected_gain, max(spread, 1e-9)))


def _posterior(difference: float, standard_error: float, error: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    prior = np.array([0.06, 0.4, 1.2]) * error
    total = standard_error**2 + prior**2
    density = stats.norm.logpdf(difference, 0, np.sqrt(total))
    weights = np.array([0.5, 0.35, 0.15]) * np.exp(density - density.max())
    means = difference * prior**2 / total
    return weights / weights.sum(), means, np.sqrt(standard_error**2 * prior**2 / total)
