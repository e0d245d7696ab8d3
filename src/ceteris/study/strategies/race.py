"""Block after block, all arms side by side; an arm leaves when its verdict on all blocks is all but certain.

The verdicts are those of the test that the full design would end with, so that looking after every block does not make
chance differences significant: stochastic curtailment (Lan, Simon & Halperin, Stochastically curtailed tests in long-term
clinical trials, Sequential Analysis 1, 1982) by predictive power (Spiegelhalter, Freedman & Blackburn, Controlled Clinical
Trials 7, 1986). Winners leave once nobody can overtake them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np
from scipy import special, stats

from ceteris.execution.populations import NEVER
from ceteris.findings import Comparison, ComparisonTest, Elimination, FactorPath, LeavingReason
from ceteris.records import FloatArray, Trial
from ceteris.stats import chance_of_lead, friedman_test, overlap_share
from ceteris.stats.twopart import PERSISTENT
from ceteris.study.decide import Decision, compare, outcomes
from ceteris.study.strategies import SAME_BLOCKS, Search, Strategy
from ceteris.study.strategies.comparison import ArmComparison, looks_of
from ceteris.study.strategies.greedy import factor_by_factor
from ceteris.study.study import ModelSpec, Race
from ceteris.study.trials import Experiment, ExperimentContext, exploration_trials

# How improbable the other verdict of the full design must be. To miss a difference costs less than to claim a false one.
CLAIM_RISK = 0.01
MISS_RISK = 0.05
_NODES = (np.arange(200) + 0.5) / 200  # quantiles over which a forecast averages what the variance may be


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
    looks = looks_of(context)
    trials = {label: exploration_trials(context, recipe) for label, recipe in comparison.arms.items()}
    tally.design.update(trial.digest for of_arm in trials.values() for trial in of_arm)
    rules = RaceRules(
        blocks=study.exploration.folds * study.exploration.seeds,
        folds=study.exploration.folds,
        significance=study.significance * looks[0][1],
        last_blocks=study.exploration.folds * looks[-1][0],
        last_significance=study.significance * looks[-1][1],
        margin=study.equivalence_margin,
        test=strategy.test,
    )
    state = RaceState(rules=rules, incumbent=comparison.incumbent, running=list(comparison.arms))
    yield from _run(comparison, trials, state, strategy.first)
    tally.trained.update(record.digest for block in comparison.records.values() for record in block if record)
    overtaken = {label: left for label, left in state.left.items() if left.reason == "overtaken"}
    comparison.left.update(
        overtaken
    )  # a mean over few blocks may flatter them; who left for another reason may be taken
    decision = yield from comparison.extend()
    return replace(decision, eliminations=tuple(state.left.values()))


def _run(
    comparison: ArmComparison, trials: Mapping[str, Sequence[Trial]], state: "RaceState", first: int
) -> Experiment[None]:
    """Train the first blocks, then one after another, until the design ends or nobody is left; fill up with None."""
    study, records = comparison.context.study, comparison.records
    done, design = 0, state.rules.blocks
    alone = state.over  # a factor without another level: its incumbent runs through the design
    while done < design and (alone or not state.over):
        following = design if alone else min(max(done + 1, first), design)
        yield from comparison.train({label: trials[label][done:following] for label in state.running})
        done = following
        if done < design:
            running = {label: outcomes(comparison.context, records[label]) for label in state.running}
            comparisons = compare(study, running[state.incumbent], running) if state.incumbent in running else {}
            state.look({label: found.figures for label, found in running.items()}, comparisons)
    for block in records.values():
        block += [None] * (design - done)


# ---------------------------------------------------------------------------------------------------------------------
# Who may leave


@dataclass(frozen=True, kw_only=True)
class RaceRules:
    """The design that is raced through: the test at its end, and what must come before a loser is named.

    ``blocks`` of the full design, ``margin`` of equivalence. What is open after them may be repeated: nothing is given up
    that might still be found on ``last_blocks``, with the significance of that look; 0 means the design. ``test``
    "friedman" asks the ranks of all arms before single comparisons, as in irace (López-Ibáñez et al., The irace package:
    iterated racing for automatic algorithm configuration, Operations Research Perspectives 3, 2016, after Birattari et al.,
    GECCO 2002).
    """

    blocks: int
    folds: int
    significance: float
    margin: float
    last_blocks: int = 0
    last_significance: float = 0.0
    test: Literal["paired", "friedman"] = "paired"

    def chances(self, found: Comparison, significance: float, blocks: int) -> tuple[float, float]:
        """Return how probably the test on so many blocks will claim that a level is worse, and that it is better.

        The mean of all blocks is, given those so far and the variance, normal around theirs; its variance is by how much the
        squared standard error still falls. What belongs to an image comes back when a repetition holds it out again. The
        variance itself is known by its degrees of freedom, and the test at the end will have estimated it anew.
        """
        if found.identical or not found.standard_error:
            return 0.0, 0.0
        at_all, so_far = (self._error_share(found.test, number) for number in (blocks, found.blocks))
        left, kept = at_all / so_far, found.blocks / blocks
        degrees = max(1.0, found.degrees)
        true = degrees / special.chdtri(degrees, _NODES)  # variances that may be true, in units of the estimated one
        at_end = np.sqrt(left * (kept + (1 - kept) * true)) * found.standard_error
        critical = at_end * stats.t.isf(significance / 2, degrees / kept)
        spread = np.sqrt((1 - left) * true) * found.standard_error
        worse, better = (float(special.ndtr((side * found.difference - critical) / spread).mean()) for side in (-1, 1))
        return worse, better

    def _error_share(self, test: ComparisonTest, blocks: int) -> float:
        """Return what the squared standard error of a test on so many blocks is proportional to."""
        if test == "corrected-t":
            return 1 / blocks + overlap_share(folds=self.folds, blocks=max(self.blocks, self.last_blocks))
        first = min(blocks, self.folds)
        return (PERSISTENT + (1 - PERSISTENT) * first / blocks) / first


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

    def look(self, results: Mapping[str, FloatArray], comparisons: Mapping[str, Comparison]) -> None:
        """Let leave whoever may after so many blocks.

        Args:
            results: label -> criterion per block so far, (blocks,), for the incumbent and all that run; NaN where a
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
                self._judge(label, comparisons[label], may_claim)
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

    def _judge(self, label: str, found: Comparison, may_claim: bool) -> None:
        reasons = [elimination.reason for elimination in self.left.values()]
        claimed, rivals = len(self.better) + reasons.count("worse"), {*self._rivals(), *self.left, *self.better}
        claim = self.rules.significance / (len(rivals - {self.incumbent}) - claimed)
        miss = (self.rules.last_significance or self.rules.significance) / (reasons.count("futile") + 1)
        design, last = self.rules.blocks, self.rules.last_blocks or self.rules.blocks
        if found.p_value < claim and max(self.rules.chances(found, claim, design)) >= 1 - CLAIM_RISK:
            if may_claim and found.difference > 0:
                self.better.add(label)
            elif may_claim:
                self._leave(label, found.blocks, "worse")
        elif found.p_value >= miss and sum(self.rules.chances(found, miss, last)) <= MISS_RISK:
            self._leave(label, found.blocks, "futile")

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
    how=f"The options of a factor were trained block after block, {SAME_BLOCKS}; those whose verdict was clear left early. The "
    "option that is expected to bring the most, its cost counted, was taken.",
    limits="Options that left early were judged on fewer blocks: their intervals are wider, and what is “not shown” or "
    "“equivalent” may have become clearer with all blocks. The factors came one after another, so a combination that only "
    "works together can be missed.",
    upper_bound=lambda strategy: replace(strategy, first=100),
    leaves_early=lambda strategy: True,
)
