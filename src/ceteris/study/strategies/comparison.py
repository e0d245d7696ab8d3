"""Arms against an incumbent on the same blocks: trained, decided and, where something is undecided, trained on."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ceteris.findings import FactorFinding
from ceteris.recipe import Recipe
from ceteris.records import Finished, Record, Trial
from ceteris.study.arms import arms_of
from ceteris.study.decide import Decision, decide
from ceteris.study.strategies.budget import Budget, seconds_of
from ceteris.study.strategies.summaries import factor_finding
from ceteris.study.strategies.tuning import tune_arms
from ceteris.study.study import Factor, ModelSpec, nuisances_of
from ceteris.study.trials import Experiment, ExperimentContext, exploration_trials, train


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

    def decide(self) -> Decision:
        """Compare all arms with the incumbent on what was trained so far."""
        return decide(self.context.study, self.incumbent, self.records, looks=looks_of(self.context))

    def extend(self, decision: Decision) -> Experiment[Decision]:
        """Double the repetitions of what is undecided while looks and budget last; arms that left the design stay out."""
        repetitions = self.context.study.exploration.seeds
        design = repetitions * self.context.study.exploration.folds
        for _ in range(looks_of(self.context) - 1):
            undecided = [
                label
                for label, comparison in decision.comparisons.items()
                if comparison.verdict == "undecided" and self.records[label][design - 1] is not None
            ]
            if not undecided or not self._can_double([self.incumbent, *undecided]):
                break
            yield from self.train_repetitions([self.incumbent, *undecided], range(repetitions, 2 * repetitions))
            repetitions *= 2
            decision = self.decide()
        return decision

    def _can_double(self, labels: Sequence[str]) -> bool:
        """Say whether the budget allows as many blocks again, at what an arm's blocks took on average so far."""
        blocks = len(self.records[self.incumbent])
        taken = {label: [seconds_of(record) for record in self.records[label] if record] for label in labels}
        seconds = sum(sum(of_arm) / len(of_arm) * blocks for of_arm in taken.values() if of_arm)
        trained = (record for record in reversed(self.records[self.incumbent]) if isinstance(record, Finished))
        return self.budget.allows(seconds, next(trained, None))


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
