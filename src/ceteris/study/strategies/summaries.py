"""From the records of an arm's blocks to what the findings hold of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ceteris.fields import describe_changes
from ceteris.findings import Effort, FactorFinding, Failure, LevelFinding
from ceteris.recipe import Recipe
from ceteris.records import Failed, Finished, FloatArray, Record
from ceteris.study.arms import label_parts
from ceteris.study.decide import Decision, accuracies
from ceteris.study.strategies.tuning import TunedArm
from ceteris.study.study import Factor

Blocks = Mapping[str, Sequence[Record | None]]  # label -> one entry per block, None where it was not trained


def factor_finding(
    factor: Factor,
    arms: Mapping[str, Recipe],
    blocks: Blocks,
    decision: Decision,
    tuned: Mapping[str, TunedArm] | None = None,
) -> FactorFinding:
    """Gather what one factor showed, level by level, in the order of the study file.

    Args:
        factor: what was varied.
        arms: label -> the recipe that was compared.
        blocks: label -> records, as many entries for every arm.
        decision: which level is kept and why.
        tuned: label -> the tuning of the arm's nuisance parameters, where there was one.
    """
    levels = []
    for label, recipe in arms.items():
        level = replace(
            level_finding(label, blocks[label]),
            changes=describe_changes(arms[decision.incumbent], recipe),
            incumbent=label == decision.incumbent,
            chosen=label == decision.label,
            comparison=decision.comparisons.get(label),
        )
        if arm := (tuned or {}).get(label):
            records = [*(record for record in blocks[label] if record), *arm.records]
            parts = label_parts(factor, label, arm.start)
            level = replace(level, effort=effort_of(records), tuning=arm.findings, label_parts=parts)
        levels.append(level)
    return FactorFinding(
        name=factor.name,
        title=factor.title or factor.name,
        question=factor.question,
        fields=factor.fields,
        levels=tuple(levels),
        reason=decision.reason,
        eliminations=decision.eliminations,
        incompatible=decision.incompatible,
    )


def level_finding(label: str, records: Sequence[Record | None]) -> LevelFinding:
    """Gather the blocks of one level, not compared with any other; trials that did not finish count as NaN."""
    trained = [record for record in records if record]
    costs = [record.cost for record in trained if isinstance(record, Finished)]
    return LevelFinding(
        label=label,
        changes=(),
        accuracies=accuracies(records),
        f1=_values_of(records, "f1"),
        losses=_values_of(records, "loss"),
        train_accuracies=_values_of(records, "train_accuracy"),
        train_seconds=np.array(
            [record.cost.train_seconds if isinstance(record, Finished) else np.nan for record in records]
        ),
        parameters=costs[0].parameters if costs else 0,
        forward_flops_per_image=costs[0].forward_flops_per_image if costs else 0,
        peak_memory_bytes=max((cost.peak_memory_bytes for cost in costs), default=0),
        incumbent=False,
        chosen=False,
        failures=failures_of(records),
        comparison=None,
        effort=effort_of(trained),
    )


def failures_of(records: Sequence[Record | None]) -> tuple[Failure, ...]:
    """Return how the trainings ended that did not finish."""
    return tuple(Failure(status=record.status, error=record.error) for record in records if isinstance(record, Failed))


def effort_of(records: Sequence[Record]) -> Effort:
    """Return what a number of trainings took together."""
    finished = [record for record in records if isinstance(record, Finished)]
    return Effort(
        trials=len(records),
        epochs=sum(record.epoch_count for record in finished),
        steps=sum(record.step_count for record in finished),
        training_flops=sum(record.cost.training_flops for record in finished),
        seconds=sum(record.cost.train_seconds for record in finished),
    )


def _values_of(records: Sequence[Record | None], name: str) -> FloatArray:
    return np.array([getattr(record, name) if isinstance(record, Finished) else np.nan for record in records])
