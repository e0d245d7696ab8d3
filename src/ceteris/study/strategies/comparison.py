"""Arms against an incumbent on the same blocks: trained, decided and, where something is undecided, trained on.

What more repetitions may cost is counted in recorded training times, never by the clock, so that a run that goes on after a
stop decides as it would have.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ceteris.fields import describe_changes
from ceteris.findings import Effort, FactorFinding, Failure, LevelFinding
from ceteris.recipe import Recipe
from ceteris.records import Failed, Finished, FloatArray, Record, Trial
from ceteris.study.arms import arms_of, label_parts
from ceteris.study.decide import Decision, accuracies, decide
from ceteris.study.strategies.tuning import TunedArm, tune_arms
from ceteris.study.study import Factor, ModelSpec, nuisances_of
from ceteris.study.trials import (
    Experiment,
    ExperimentContext,
    confirmation_trials,
    exploration_trials,
    final_trials,
    train,
)

# What a run takes besides training, in wall-clock seconds: starting and reporting, of which explaining and drawing each model.
SECONDS_TO_START, SECONDS_TO_REPORT, SECONDS_TO_REPORT_MODEL = 5.0, 5.0, 5.0
Blocks = Mapping[str, Sequence[Record | None]]  # label -> one entry per block, None where it was not trained


class Budget:
    """The core-seconds of one model; what the confirmation and the final trainings will take is put aside.

    ``share`` is an even part of what the run's budget leaves for training, without limit where there is no budget.
    """

    def __init__(self, context: ExperimentContext) -> None:
        self._context = context
        self._counted: set[str] = set()
        self.spent = 0.0
        self.share = float("inf")
        extension, models = context.extension, len(context.study.models)
        if extension is not None and extension.budget_seconds is not None:
            besides = SECONDS_TO_START + SECONDS_TO_REPORT + SECONDS_TO_REPORT_MODEL * models
            self.share = max(0.0, extension.budget_seconds - besides) * max(1, extension.workers) / models

    def add(self, records: Iterable[Record]) -> None:
        """Count trainings, each once."""
        for record in records:
            if record.digest not in self._counted:
                self._counted.add(record.digest)
                self.spent += seconds_of(record)

    def allows(self, seconds: float, sample: Record | None) -> bool:
        """Say whether so many core-seconds are left, when a recipe like that of ``sample`` goes into the finals."""
        return self.spent + seconds + (reserve(self._context, sample) if sample else 0.0) <= self.share


def seconds_of(record: Record) -> float:
    """Return the training and evaluation time of a record in core-seconds."""
    if isinstance(record, Failed):
        return 0.0
    return record.cost.train_seconds + record.epoch_count * record.cost.evaluation_seconds


def reserve(context: ExperimentContext, sample: Record) -> float:
    """Return the core-seconds that confirmation and finals will take if all recipes cost what ``sample`` did."""
    if context.extension is None:
        return 0.0
    recipe, size_of = sample.trial.recipe, context.extension.size_of
    versions = 3 if recipe.model.kind == "resnet" else 2
    trials = 2 * confirmation_trials(context, recipe) + versions * final_trials(context, recipe)
    return seconds_of(sample) / size_of(sample.trial) * sum(map(size_of, trials))


@dataclass(kw_only=True)
class ArmComparison:
    """The arms of one stage by label, which of them is the incumbent, and what they reached so far.

    ``records`` has one entry per block for every arm, None where the arm was not trained; all lists grow alike.
    """

    context: ExperimentContext
    model: str
    stage: str
    arms: Mapping[str, Recipe]
    incumbent: str
    budget: Budget
    records: dict[str, list[Record | None]] = field(init=False)

    def __post_init__(self) -> None:
        self.records = {label: [] for label in self.arms}

    def run(self) -> Experiment[Decision]:
        """Train every arm on all blocks of the design and decide; go on with what is undecided, as the context says."""
        yield from self.train_repetitions(self.arms, range(self.context.study.exploration.seeds))
        return (yield from self.extend(self.decide()))

    def train(self, trials: Mapping[str, Sequence[Trial]]) -> Experiment[None]:
        """Train some arms on more blocks, as many for each."""
        records = yield from train(self.model, self.stage, trials, "comparison")
        count = max(map(len, trials.values()))
        for label, block in self.records.items():
            new = records.get(label, [])
            self.budget.add(new)
            block += new or [None] * count

    def train_repetitions(self, labels: Iterable[str], repetitions: Sequence[int]) -> Experiment[None]:
        """Train some arms on more repetitions of the cross-validation."""
        arms = {label: exploration_trials(self.context, self.arms[label], repetitions) for label in labels}
        return self.train(arms)

    def decide(self, left: Collection[str] = ()) -> Decision:
        """Compare all arms with the incumbent on what was trained so far; those that ``left`` are not taken."""
        significance = self.context.study.significance / looks_of(self.context)
        return decide(self.context, self.incumbent, self.records, significance=significance, left=left)

    def extend(self, decision: Decision, left: Collection[str] = ()) -> Experiment[Decision]:
        """Double the repetitions of what is undecided while looks and budget last; arms that left the design stay out."""
        repetitions = self.context.study.exploration.seeds
        design = repetitions * self.context.study.exploration.folds
        for _ in range(looks_of(self.context) - 1):
            undecided = [
                label
                for label, comparison in decision.comparisons.items()
                if comparison.verdict == "undecided" and self.records[label][design - 1] is not None
            ]
            again = [self.incumbent, *undecided]
            # As many blocks again cost what an arm's blocks took on average so far.
            taken = [[seconds_of(record) for record in self.records[label] if record] for label in again]
            blocks = len(self.records[self.incumbent])
            seconds = sum(sum(of_arm) / len(of_arm) * blocks for of_arm in taken if of_arm)
            trained = (record for record in reversed(self.records[self.incumbent]) if isinstance(record, Finished))
            if not undecided or not self.budget.allows(seconds, next(trained, None)):
                break
            yield from self.train_repetitions(again, range(repetitions, 2 * repetitions))
            repetitions *= 2
            decision = self.decide(left)
        return decision


Compare = Callable[[ArmComparison], Experiment[Decision]]


def looks_of(context: ExperimentContext) -> int:
    """Return how often an undecided comparison may be looked at: once, or after every doubling of the repetitions."""
    if context.extension is None:
        return 1
    return 1 + max(0, math.floor(math.log2(context.extension.most_repetitions / context.study.exploration.seeds)))


@dataclass(frozen=True, kw_only=True)
class FactorSearch:
    """How the factors of a model are compared one after another; ``compare`` trains and decides the tuned arms of one."""

    context: ExperimentContext
    model: ModelSpec
    budget: Budget
    compare: Compare = ArmComparison.run

    def explore(self, factor: Factor, incumbent: Recipe) -> Experiment[tuple[FactorFinding, Recipe]]:
        """Compare all levels of a factor with the incumbent, and return what was found and the recipe that is kept.

        Nuisance parameters are tuned first, in every arm alike.
        """
        arms = arms_of(factor, incumbent)
        tuned = yield from tune_arms(self.context, self.model.name, factor, nuisances_of(factor), arms.recipes)
        for arm in tuned.values():
            self.budget.add(arm.records)
        comparison = ArmComparison(
            context=self.context,
            model=self.model.name,
            stage=factor.name,
            arms={label: arm.recipe for label, arm in tuned.items()},
            incumbent=arms.incumbent,
            budget=self.budget,
        )
        decision = yield from self.compare(comparison)
        decision = replace(decision, incompatible=arms.incompatible)
        finding = factor_finding(factor, comparison.arms, comparison.records, decision, tuned)
        return finding, comparison.arms[decision.label]


# ---------------------------------------------------------------------------------------------------------------------
# What the findings hold of the arms


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
