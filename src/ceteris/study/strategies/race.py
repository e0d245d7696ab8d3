"""Block after block, all arms side by side; an arm leaves when its verdict on all blocks is all but certain.

The verdicts are those of the test that the full design would end with, so that looking after every block does not make
chance differences significant: see :mod:`ceteris.stats.curtailed`. Winners leave once nobody can overtake them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np

from ceteris.execution.populations import NEVER
from ceteris.findings import Elimination, FactorPath, LeavingReason
from ceteris.records import FloatArray, Trial
from ceteris.stats import (
    StoppingBounds,
    chance_of_lead,
    friedman_test,
    stopping_bounds,
    wilcoxon_blocks_needed,
)
from ceteris.stats.arguments import all_equal
from ceteris.study.decide import Decision, accuracies
from ceteris.study.strategies import SAME_BLOCKS, Search, Strategy
from ceteris.study.strategies.comparison import ArmComparison, looks_of
from ceteris.study.strategies.greedy import factor_by_factor
from ceteris.study.study import Greedy, ModelSpec, OneAtATime, Race
from ceteris.study.trials import Experiment, ExperimentContext, exploration_trials

# How improbable the other verdict of the full design must be. To miss a difference costs less than to claim a false one.
CLAIM_RISK = 0.01
MISS_RISK = 0.05


@dataclass
class _Tally:
    """Digests of the trainings of the full design, and of those that the race asked for."""

    design: set[str] = field(default_factory=set)
    trained: set[str] = field(default_factory=set)


def race(context: ExperimentContext, model: ModelSpec) -> Search:
    """Explore one model's factors, racing the levels of each against the best so far or against the baseline."""
    strategy = context.study.strategy
    assert isinstance(strategy, Race)
    # The folds of an arm are not trained together: it may leave between two of them.
    context, tally = replace(context, stacking=NEVER), _Tally()
    found = yield from factor_by_factor(
        context,
        model,
        around="best" if strategy.along == "greedy" else "baseline",
        compare=partial(_race_arms, strategy=strategy, tally=tally),
    )
    assert isinstance(found.search, FactorPath)
    path = replace(found.search, raced=len(tally.design))
    return replace(found, trainings_saved=len(tally.design - tally.trained), search=path)


def _race_arms(comparison: ArmComparison, strategy: Race, tally: _Tally) -> Experiment[Decision]:
    """Race the arms through the blocks of the design and decide; then go on with what is undecided, as the context says."""
    context, study = comparison.context, comparison.context.study
    trials = {label: exploration_trials(context, recipe) for label, recipe in comparison.arms.items()}
    tally.design.update(trial.digest for of_arm in trials.values() for trial in of_arm)
    rules = RaceRules(
        blocks=study.exploration.folds * study.exploration.seeds,
        folds=study.exploration.folds,
        significance=study.significance / looks_of(context),
        margin=study.equivalence_margin,
        test=strategy.test,
    )
    state = RaceState(rules=rules, incumbent=comparison.incumbent, running=list(comparison.arms))
    yield from _run(comparison, trials, state, strategy.first)
    tally.trained.update(record.digest for block in comparison.records.values() for record in block if record)
    overtaken = {label for label, elimination in state.left.items() if elimination.reason == "overtaken"}
    decision = comparison.decide(overtaken)
    if state.incumbent in state.running:
        decision = yield from comparison.extend(decision, overtaken)
    return replace(decision, eliminations=tuple(state.left.values()))


def _run(
    comparison: ArmComparison, trials: Mapping[str, Sequence[Trial]], state: "RaceState", first: int
) -> Experiment[None]:
    """Train the first blocks, then one after another, until the design ends or nobody is left; fill up with None."""
    done, design, records = 0, state.rules.blocks, comparison.records
    alone = state.over  # a factor without another level: its incumbent runs through the design
    while done < design and (alone or not state.over):
        following = design if alone else min(max(done + 1, first), design)
        yield from comparison.train({label: trials[label][done:following] for label in state.running})
        done = following
        if done < design:
            state.look({label: accuracies(records[label]) for label in state.running})
    for block in records.values():
        block += [None] * (design - done)


# ---------------------------------------------------------------------------------------------------------------------
# Who may leave


@dataclass(frozen=True, kw_only=True)
class RaceRules:
    """The design that is raced through: the test at its end, and what must come before a loser is named.

    ``blocks`` of the full design, ``margin`` of equivalence in accuracy. ``test`` "friedman" asks the ranks of all arms
    before single comparisons, as in irace (López-Ibáñez et al., The irace package: iterated racing for automatic algorithm
    configuration, Operations Research Perspectives 3, 2016, after Birattari et al., GECCO 2002).
    """

    blocks: int
    folds: int
    significance: float
    margin: float
    test: Literal["paired", "friedman"] = "paired"

    def bounds(self, blocks: int, significance: float, risk: float) -> StoppingBounds:
        """Return from which effect size on an arm may leave after so many blocks."""
        return stopping_bounds(blocks=blocks, of=self.blocks, folds=self.folds, significance=significance, risk=risk)


@dataclass
class RaceState:
    """A race under way: who still runs, who was already found better, who left when and why, in the order of leaving.

    Holm's adjustment is kept up with bounds that hold whatever the others will do: with d arms already claimed, the next
    one will be claimed if its p is below significance / (arms - d); with q arms given up, another one cannot be claimed
    unless its p is below significance / (q + 1).
    """

    rules: RaceRules
    incumbent: str
    running: list[str]
    better: set[str] = field(default_factory=set)
    left: dict[str, Elimination] = field(default_factory=dict)

    def look(self, results: Mapping[str, FloatArray]) -> None:
        """Let leave whoever may after so many blocks.

        Args:
            results: label -> accuracy per block so far, (blocks,), for the incumbent and all that run; NaN where a
                training did not finish.
        """
        for label in [label for label in self.running if not np.isfinite(results[label]).all()]:
            self._leave(label, len(results[label]), "broken")
        if self.incumbent not in self.running:
            return
        ranks = np.stack([results[label] for label in self.running], axis=1)
        # Of two arms the paired comparison says all there is to say.
        paired = self.rules.test == "paired" or len(self.running) < 3
        may_claim = paired or friedman_test(ranks).p_value < self.rules.significance
        differences = {label: results[label] - results[self.incumbent] for label in self._rivals()}
        changed = True
        while changed:  # every verdict may loosen the bounds of the others
            before = (len(self.running), len(self.better))
            for label in self.undecided:
                self._judge(label, differences[label], may_claim)
            changed = before != (len(self.running), len(self.better))
        self._settle(differences)

    @property
    def over(self) -> bool:
        """Whether nobody is left to run against the incumbent."""
        return not self._rivals()

    @property
    def undecided(self) -> list[str]:
        """The arms that run and have no verdict yet."""
        return [label for label in self._rivals() if label not in self.better]

    def _rivals(self) -> list[str]:
        return [label for label in self.running if label != self.incumbent]

    def _leave(self, label: str, blocks: int, reason: LeavingReason) -> None:
        self.running.remove(label)
        self.left[label] = Elimination(label=label, blocks=blocks, design=self.rules.blocks, reason=reason)

    def _judge(self, label: str, differences: FloatArray, may_claim: bool) -> None:
        blocks, mean = len(differences), float(differences.mean())
        if all_equal(differences):  # endless where all differences are the same number but not 0
            effect = 0.0 if abs(mean) <= 1e-12 else float(np.copysign(np.inf, mean))
        else:
            effect = mean / float(differences.std(ddof=1))
        reasons = [elimination.reason for elimination in self.left.values()]
        claimed, rivals = len(self.better) + reasons.count("worse"), {*self._rivals(), *self.left, *self.better}
        claim = self.rules.significance / (len(rivals - {self.incumbent}) - claimed)
        miss = self.rules.significance / (reasons.count("futile") + 1)
        certain = blocks >= wilcoxon_blocks_needed(claim)  # of equal differences, which are judged by the sign test
        if abs(effect) >= self.rules.bounds(blocks, claim, CLAIM_RISK).decided and (np.isfinite(effect) or certain):
            if may_claim and effect > 0:
                self.better.add(label)
            elif may_claim:
                self._leave(label, blocks, "worse")
        elif abs(effect) <= self.rules.bounds(blocks, miss, MISS_RISK).futile:
            self._leave(label, blocks, "futile")

    def _settle(self, differences: Mapping[str, FloatArray]) -> None:
        """Let winners leave that another winner has overtaken, and the first of them once nobody can overtake it."""
        running = [label for label in self._rivals() if label in self.better]
        gone = [label for label in self.better if label in self.left and self.left[label].reason == "better"]
        if not running:
            return
        first = max(running, key=lambda label: float(differences[label].mean()))
        blocks = len(differences[first])
        for label in running:
            if gone or (label != first and not self._may_overtake(differences[label] - differences[first])):
                self._leave(label, blocks, "overtaken")
        rivals = [label for label in self._rivals() if label != first]
        if not gone and not any(self._may_overtake(differences[label] - differences[first]) for label in rivals):
            self._leave(first, blocks, "better")

    def _may_overtake(self, ahead: FloatArray) -> bool:
        """Whether an arm may end ahead of the first by more than does not matter."""
        return chance_of_lead(ahead, of=self.rules.blocks, lead=self.rules.margin) > MISS_RISK


RACE = Strategy(
    search=race,
    name="race",
    how=f"The levels of a factor were trained block after block, {SAME_BLOCKS}; those whose verdict was clear left early. The "
    "level that is expected to bring the most, its cost counted, was taken.",
    limits="Levels that left early were judged on fewer blocks: their intervals are wider, and “undecided” or “equivalent” "
    "may have become clearer with all blocks. The factors came one after another, so a combination that only works "
    "together can be missed.",
    upper_bound=lambda strategy: Greedy() if strategy.along == "greedy" else OneAtATime(),
    leaves_early=lambda strategy: True,
)
