"""From the records of an arm's blocks to what the report says about it."""

from collections.abc import Mapping, Sequence

import numpy as np

from ceteris.execution.progress import StageKind
from ceteris.execution.queue import Request
from ceteris.fields import describe_changes
from ceteris.findings import Comparison, Effort, FactorFinding, Failure, LevelFinding
from ceteris.recipe import Recipe
from ceteris.records import Failed, Finished, FloatArray, Record, Trial
from ceteris.study.decide import Decision, accuracies
from ceteris.study.strategies.arms import label_parts
from ceteris.study.strategies.tuning import TunedArm
from ceteris.study.study import Factor

Blocks = Mapping[str, Sequence[Record | None]]  # label -> one entry per block, None where it was not trained


def request_of(model: str, stage: str, trials: Mapping[str, Sequence[Trial]], kind: StageKind = "search") -> Request:
    """Return the request for the trials of several arms by label."""
    return Request(
        model=model,
        stage=stage,
        trials=tuple(trial for block in trials.values() for trial in block),
        labels=tuple(label for label, block in trials.items() for _ in block),
        kind=kind,
    )


def factor_finding(
    factor: Factor,
    arms: Mapping[str, Recipe],
    incumbent: str,
    blocks: Blocks,
    decision: Decision,
    tuned: Mapping[str, TunedArm] | None = None,
) -> FactorFinding:
    """Gather what one factor showed, level by level, in the order of the study file.

    Args:
        factor: what was varied.
        arms: label -> the recipe that was compared.
        incumbent: label of the arm that the others are compared with.
        blocks: label -> records, as many entries for every arm.
        decision: which level is kept and why.
        tuned: label -> the tuning of the arm's nuisance parameters, where there was one.
    """
    levels = tuple(
        level_finding(
            label,
            blocks[label],
            changes=describe_changes(arms[incumbent], recipe),
            incumbent=label == incumbent,
            chosen=label == decision.label,
            comparison=decision.comparisons.get(label),
            tuned=arm,
            parts=label_parts(factor, label, arm.start) if arm else (),
        )
        for label, recipe in arms.items()
        for arm in [tuned.get(label) if tuned else None]
    )
    return FactorFinding(
        name=factor.name,
        title=factor.title or factor.name,
        question=factor.question,
        fields=factor.fields,
        levels=levels,
        reason=decision.reason,
        eliminations=decision.eliminations,
        incompatible=decision.incompatible,
    )


def level_finding(
    label: str,
    records: Sequence[Record | None],
    *,
    changes: tuple[str, ...],
    incumbent: bool,
    chosen: bool,
    comparison: Comparison | None,
    tuned: TunedArm | None = None,
    parts: tuple[tuple[str, str], ...] = (),
) -> LevelFinding:
    """Gather one level's blocks; trials that did not finish count as NaN and are listed as failures."""
    trained = [record for record in records if record]
    costs = [record.cost for record in trained if isinstance(record, Finished)]
    return LevelFinding(
        label=label,
        changes=changes,
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
        incumbent=incumbent,
        chosen=chosen,
        failures=failures_of(records),
        comparison=comparison,
        effort=effort_of([*trained, *(tuned.records if tuned else ())]),
        tuning=tuned.findings if tuned else (),
        label_parts=parts,
    )


def failures_of(records: Sequence[Record | None]) -> tuple[Failure, ...]:
    """Return how the trainings ended that did not finish."""
    return tuple(Failure(status=record.status, error=record.error) for record in records if isinstance(record, Failed))


def effort_of(records: Sequence[Record]) -> Effort:
    """Return what a number of trainings took together."""
    costs = [record.cost for record in records if isinstance(record, Finished)]
    return Effort(
        trials=len(records),
        epochs=sum(record.epoch_count for record in records if isinstance(record, Finished)),
        steps=sum(record.step_count for record in records if isinstance(record, Finished)),
        training_flops=sum(cost.training_flops for cost in costs),
        seconds=sum(cost.train_seconds for cost in costs),
    )


def _values_of(records: Sequence[Record | None], name: str) -> FloatArray:
    return np.array([getattr(record, name) if isinstance(record, Finished) else np.nan for record in records])
