"""Which level of a factor is kept: one that is better by more than the noise, else what is cheaper or already there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ceteris.findings import (
    Better,
    Cheaper,
    Comparison,
    Elimination,
    Incompatible,
    IncumbentBroken,
    NoneBetter,
    Reason,
)
from ceteris.records import Failed, Finished, FloatArray, Record
from ceteris.stats import compare_levels
from ceteris.study.study import Study

# A level must save at least this share of the training's FLOPs to replace an equivalent one.
_CHEAPER = 0.9


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


def compare_blocks(
    study: Study, incumbent: FloatArray, levels: Mapping[str, FloatArray], *, looks: int = 1
) -> dict[str, Comparison]:
    """Compare accuracies per block as the study asks, see ``compare_levels``; ``looks`` as for :func:`decide`."""
    return compare_levels(
        incumbent,
        levels,
        folds=study.exploration.folds,
        significance=study.significance / looks,
        margin=study.equivalence_margin,
    )


def decide(study: Study, incumbent: str, records: Mapping[str, Sequence[Record | None]], *, looks: int = 1) -> Decision:
    """Compare every level with the incumbent on the same blocks and choose.

    Args:
        study: gives significance, margin and folds.
        incumbent: the label of the best setting so far.
        records: label -> one record per block, in the same order of blocks for all labels; None where the level was not
            trained on a block.
        looks: how often a comparison may be looked at before it is decided; each look gets its share of the significance
            (Bonferroni), so that looking again does not make chance differences significant.
    """
    results = {label: accuracies(block) for label, block in records.items()}
    others = {label: values for label, values in results.items() if label != incumbent}
    comparisons = compare_blocks(study, results[incumbent], others, looks=looks)
    label, reason = _choice(incumbent, records, results, comparisons)
    return Decision(incumbent=incumbent, label=label, reason=reason, comparisons=comparisons)


def _choice(
    incumbent: str,
    records: Mapping[str, Sequence[Record | None]],
    results: Mapping[str, FloatArray],
    comparisons: Mapping[str, Comparison],
) -> tuple[str, Reason]:
    complete = [label for label, block in records.items() if all(isinstance(r, Finished) for r in block if r)]
    if incumbent not in complete:
        trained = [record for record in records[incumbent] if record]
        broken = sum(isinstance(record, Failed) for record in trained)
        best = max(complete, key=lambda label: float(np.nanmean(results[label])), default=incumbent)
        return best, IncumbentBroken(broken=broken, blocks=len(trained))
    verdicts = {label: comparisons[label].verdict for label in complete if label in comparisons}
    better = [label for label, verdict in verdicts.items() if verdict == "better"]
    if better:
        return max(better, key=lambda label: comparisons[label].difference), Better()
    cost = {label: _flops_per_training(records[label]) for label in complete}
    equal = [label for label, verdict in verdicts.items() if verdict == "equivalent"]
    cheap = [label for label in equal if is_cheaper(records[label], records[incumbent])]
    if cheap:
        best = min(cheap, key=lambda label: cost[label])
        return best, Cheaper(saved=1 - cost[best] / cost[incumbent])
    ahead = {  # on the blocks that both finished
        label: float(np.nanmean(values - results[incumbent]))
        for label, values in results.items()
        if np.isfinite(values - results[incumbent]).any()
    }
    leader = max(ahead, key=lambda label: ahead[label])
    return incumbent, NoneBetter(leader=leader, lead=ahead[leader]) if ahead[leader] > 0 else NoneBetter()


def is_cheaper(level: Sequence[Record | None], incumbent: Sequence[Record | None]) -> bool:
    """Say whether a level saves so much that it replaces the incumbent when both are equivalent."""
    return _flops_per_training(level) < _CHEAPER * _flops_per_training(incumbent)


def _flops_per_training(records: Sequence[Record | None]) -> float:
    flops = [record.cost.training_flops for record in records if isinstance(record, Finished)]
    return float(np.mean(flops)) if flops else 0.0
