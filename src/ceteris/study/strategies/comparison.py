"""Arms against an incumbent on the same blocks: trained, decided and, where something is undecided, trained on.

What more repetitions may cost is counted in recorded training times, never by the clock, so that a run that goes on after a
stop decides as it would have.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from scipy import stats

from ceteris.fields import describe_changes
from ceteris.findings import Comparison, Effort, Elimination, FactorFinding, Failure, LevelFinding
from ceteris.recipe import Recipe
from ceteris.records import Failed, Finished, FloatArray, Record, Trial
from ceteris.study.arms import arms_of, label_parts
from ceteris.study.decide import Decision, accuracies, cost_of, decide, figures
from ceteris.study.strategies.tuning import TunedArm, tune_arms
from ceteris.study.study import Factor, ModelSpec, nuisances_of
from ceteris.study.trials import (
    FIRST_BLOCKS,
    Experiment,
    ExperimentContext,
    confirmation_trials,
    exploration_trials,
    final_trials,
    train,
    without_residual,
)

# What a run takes besides training, in wall-clock seconds: starting and reporting, of which explaining and drawing each model.
SECONDS_TO_START, SECONDS_TO_REPORT, SECONDS_TO_REPORT_MODEL = 5.0, 5.0, 5.0
NARROWED_FROM = 4  # arms: then the worse half of the levels goes no further than the first blocks
# By the number of looks at a comparison: which share of the significance each of them has.
_SHARES = {
    1: (1.0,), 2: (0.4, 0.7), 3: (0.3, 0.4, 0.6), 4: (0.2, 0.3, 0.4, 0.5), 5: (0.2, 0.2, 0.25, 0.35, 0.45),
}  # fmt: skip
# Shares of the difference that is detectable with power 0.8: what is found with power 0.5, and half an interval of 90 %.
_HALF_POWER, _EQUIVALENCE_REACH = 0.72, 0.55
_FUTILE = 0.2
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
    """Return the core-seconds that confirmation and finals will take at most if all recipes cost what ``sample`` did."""
    if context.extension is None:
        return 0.0
    recipe, size_of = sample.trial.recipe, context.extension.size_of
    versions = 3 if without_residual(recipe) else 2
    trials = 3 * confirmation_trials(context, recipe) + versions * final_trials(context, recipe)
    return seconds_of(sample) / size_of(sample.trial) * sum(map(size_of, trials))


@dataclass(kw_only=True)
class ArmComparison:
    """The arms of one stage by label, which of them is the incumbent, and what they reached so far.

    ``narrowed`` lets the worse half of many levels leave after the first blocks; ``left`` holds who left.
    ``records`` has one entry per block for every arm, None where the arm was not trained; all lists grow alike.
    """

    context: ExperimentContext
    model: str
    stage: str
    arms: Mapping[str, Recipe]
    incumbent: str
    budget: Budget
    narrowed: bool = True
    records: dict[str, list[Record | None]] = field(init=False)
    left: dict[str, Elimination] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.records = {label: [] for label in self.arms}

    def run(self) -> Experiment[Decision]:
        """Train the arms on the blocks of the design, of four or more the better half only, and go on with what is open."""
        trials = {label: exploration_trials(self.context, recipe) for label, recipe in self.arms.items()}
        design = len(trials[self.incumbent])
        if self.narrowed and len(self.arms) >= NARROWED_FROM and design > FIRST_BLOCKS:
            yield from self.train({label: of_arm[:FIRST_BLOCKS] for label, of_arm in trials.items()})
            for label in self._worse_half():
                self.left[label] = Elimination(label=label, blocks=FIRST_BLOCKS, design=design, reason="behind")
            trials = {label: of_arm[FIRST_BLOCKS:] for label, of_arm in trials.items() if label not in self.left}
        yield from self.train(trials)
        return (yield from self.extend())

    def train(self, trials: Mapping[str, Sequence[Trial]]) -> Experiment[None]:
        """Train some arms on more blocks, as many for each."""
        records = yield from train(self.model, self.stage, trials, "comparison")
        count = max(map(len, trials.values()))
        for label, block in self.records.items():
            new = records.get(label, [])
            self.budget.add(new)
            block += new or [None] * count

    def _worse_half(self) -> list[str]:
        """Return the levels with the lower means, cost counted, on the blocks so far; one that failed is among the first."""
        study, before = self.context.study, self.records[self.incumbent]
        worth = {
            label: float(figures(self.context, block).mean()) - cost_of(study, block, before)
            for label, block in self.records.items()
            if label != self.incumbent
        }
        ranked = sorted(worth, key=lambda label: np.nan_to_num(worth[label], nan=-np.inf))
        return ranked[: len(ranked) // 2]

    def decide(self, significance: float | None = None) -> Decision:
        """Compare all arms with the incumbent on what was trained so far; those that left are not taken."""
        decision = decide(self.context, self.incumbent, self.records, significance=significance, left=self.left)
        return replace(decision, eliminations=tuple(self.left.values()))

    def extend(self) -> Experiment[Decision]:
        """Decide; train more repetitions of what is open and matters, as long as looks and budget last.

        Every look has its own share of the significance, see :func:`looks_of`.
        """
        study, looks = self.context.study, looks_of(self.context)
        significance = study.significance
        for (repetitions, share), (following, _) in pairwise(looks):
            decision = self.decide(share * significance)
            incumbent = self.records[self.incumbent]
            open_levels = [
                label
                for label, comparison in decision.comparisons.items()
                if label not in self.left and self.records[label][-1] is not None and worth_repeating(comparison)
            ]
            again = [self.incumbent, *open_levels]
            # A block more costs what an arm's blocks took on average so far.
            taken = [[seconds_of(record) for record in self.records[label] if record] for label in again]
            blocks = (following - repetitions) * study.exploration.folds
            seconds = sum(sum(of_arm) / len(of_arm) * blocks for of_arm in taken if of_arm)
            trained = (record for record in reversed(incumbent) if isinstance(record, Finished))
            if not open_levels or not self.budget.allows(seconds, next(trained, None)):
                return decision
            fresh = range(repetitions, following)
            yield from self.train({label: exploration_trials(self.context, self.arms[label], fresh) for label in again})
        return self.decide(looks[-1][1] * significance)


def worth_repeating(found: Comparison) -> bool:
    """Say whether an open comparison matters, and may be decided by more repetitions.

    It matters if more than half of the margin is expected, or if it is uncertain whether the level helps. It is given up as
    futile unless by the data alone the true difference is with a chance of one in five one that is found more often than
    not, or it may turn out equivalent.
    """
    if found.verdict != "undecided":
        return False
    matters = abs(found.expected_gain) > found.margin / 2 or 0.1 < found.chance < 0.9
    missing = _HALF_POWER * found.detectable_with_more - abs(found.difference)
    findable = float(stats.norm.sf(missing / found.choice_error)) if found.choice_error else 0.0
    may_be_equal = abs(found.difference) + _EQUIVALENCE_REACH * found.detectable_with_more < found.margin
    return matters and (findable > _FUTILE or may_be_equal)


Compare = Callable[[ArmComparison], Experiment[Decision]]


def looks_of(context: ExperimentContext) -> list[tuple[int, float]]:
    """Return after how many repetitions an open comparison is looked at, and which share of the significance each look has.

    Over all looks the shares let 5 % of the comparisons without a difference be claimed (at most 5.3 % of a million simulated
    ones with independent repetitions; fewer where the same images come again). More than five looks share it evenly.
    """
    exploration, extension = context.study.exploration, context.extension
    most = max(exploration.repetitions, extension.most_repetitions if extension else 0)
    repetitions = [exploration.seeds]
    while repetitions[-1] < most:
        repetitions.append(min(most, max(repetitions[-1] + 1, round(1.6 * repetitions[-1]))))
    shares = _SHARES.get(len(repetitions), (1 / len(repetitions),) * len(repetitions))
    return list(zip(repetitions, shares, strict=True))


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
        own = tuned[arms.incumbent]
        if own.recipe != incumbent:  # nothing changes untested: what was there before stays an arm
            before = TunedArm(level=arms.incumbent, start=incumbent, recipe=incumbent)
            tuned = {arms.incumbent: before, f"{arms.incumbent}, tuned": own} | {
                label: arm for label, arm in tuned.items() if label != arms.incumbent
            }
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
            recipe=recipe,
        )
        if arm := (tuned or {}).get(label):
            records = [*(record for record in blocks[label] if record), *arm.records]
            parts = label_parts(factor, arm.level, arm.start) or ((arm.level, ""),)
            level = replace(level, effort=effort_of(records), tuning=arm.findings, label_parts=parts)
        levels.append(level)
    return FactorFinding(
        name=factor.name,
        title=factor.title or factor.name,
        question=factor.words.question,
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
        trials=tuple(record.digest if record else "" for record in records) if trained else (),
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
