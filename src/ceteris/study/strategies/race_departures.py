"""Who may leave a race: arms whose verdict on all blocks is all but certain, and winners that nobody can overtake."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ceteris.records import FloatArray
from ceteris.stats import (
    StoppingBounds,
    chance_of_equivalence,
    chance_of_lead,
    corrected_t_test,
    friedman_test,
    overlap_share,
    stopping_bounds,
    wilcoxon_blocks_needed,
)
from ceteris.stats.arguments import all_equal

# How improbable the other verdict of the full design must be. To miss a difference costs less than to claim a false one.
CLAIM_RISK = 0.01
MISS_RISK = 0.05

Fate = Literal["better", "worse", "futile", "overtaken", "broken"]


@dataclass(frozen=True, kw_only=True)
class RaceRules:
    """The design that is raced through: the test at its end, and what must come before a loser is named.

    ``blocks`` of the full design, ``margin`` of equivalence in accuracy.
    """

    blocks: int
    folds: int
    significance: float
    margin: float
    test: Literal["paired", "friedman"] = "paired"

    def bounds(self, blocks: int, significance: float, risk: float) -> StoppingBounds:
        """Return from which effect size on an arm may leave after so many blocks."""
        return stopping_bounds(blocks=blocks, of=self.blocks, folds=self.folds, significance=significance, risk=risk)


@dataclass(frozen=True, kw_only=True)
class Departure:
    """Why an arm left, after how many blocks."""

    blocks: int
    fate: Fate


@dataclass
class Standings:
    """A race under way: who still runs, who was already found better, who left when and why.

    Holm's adjustment is kept up with bounds that hold whatever the others will do: with d arms already claimed, the next
    one will be claimed if its p is below significance / (arms - d); with q arms given up, another one cannot be claimed
    unless its p is below significance / (q + 1).
    """

    rules: RaceRules
    incumbent: str
    running: list[str]
    better: set[str] = field(default_factory=set)
    left: dict[str, Departure] = field(default_factory=dict)

    def look(self, results: Mapping[str, FloatArray], cheaper: Collection[str] = ()) -> None:
        """Let leave whoever may after so many blocks.

        Args:
            results: label -> accuracy per block so far, (blocks,), for the incumbent and all that run; NaN where a
                training did not finish.
            cheaper: levels that would replace the incumbent if they were equivalent; they are not given up while that
                is possible.
        """
        for label in [label for label in self.running if not np.isfinite(results[label]).all()]:
            self._leave(label, len(results[label]), "broken")
        if self.incumbent not in self.running:
            return
        differences = {label: results[label] - results[self.incumbent] for label in self._rivals()}
        self._judge(differences, results, cheaper)
        self._settle(differences)

    @property
    def over(self) -> bool:
        """Whether nobody is left to run against the incumbent."""
        return not [label for label in self.running if label != self.incumbent]

    @property
    def undecided(self) -> list[str]:
        """The arms that run and have no verdict yet."""
        return [label for label in self._rivals() if label not in self.better]

    def _rivals(self) -> list[str]:
        return [label for label in self.running if label != self.incumbent]

    def _leave(self, label: str, blocks: int, fate: Fate) -> None:
        self.running.remove(label)
        self.left[label] = Departure(blocks=blocks, fate=fate)

    def _judge(
        self, differences: Mapping[str, FloatArray], results: Mapping[str, FloatArray], cheaper: Collection[str]
    ) -> None:
        may_claim = self.rules.test == "paired" or _ranks_differ([results[label] for label in self.running], self.rules)
        changed = True
        while changed:  # every verdict may loosen the bounds of the others
            before = (len(self.running), len(self.better))
            for label in self.undecided:
                self._judge_one(label, differences[label], may_claim, label in cheaper)
            changed = before != (len(self.running), len(self.better))

    def _judge_one(self, label: str, differences: FloatArray, may_claim: bool, cheaper: bool) -> None:
        blocks, effect, claim = len(differences), _effect_size(differences), self._claim_significance()
        certain = blocks >= wilcoxon_blocks_needed(claim)  # of equal differences, which are judged by the sign test
        if abs(effect) >= self.rules.bounds(blocks, claim, CLAIM_RISK).decided and (np.isfinite(effect) or certain):
            if may_claim and effect > 0:
                self.better.add(label)
            elif may_claim:
                self._leave(label, blocks, "worse")
        elif abs(effect) <= self.rules.bounds(blocks, self._miss_significance(), MISS_RISK).futile and not (
            cheaper and self._may_become_equivalent(differences)
        ):
            self._leave(label, blocks, "futile")

    def _claims(self) -> int:
        return len(self.better) + sum(departure.fate == "worse" for departure in self.left.values())

    def _claim_significance(self) -> float:
        rivals = {*self._rivals(), *self.left, *self.better} - {self.incumbent}
        return self.rules.significance / (len(rivals) - self._claims())

    def _miss_significance(self) -> float:
        given_up = sum(departure.fate == "futile" for departure in self.left.values())
        return self.rules.significance / (given_up + 1)

    def _may_become_equivalent(self, differences: FloatArray) -> bool:
        rules = self.rules
        share = overlap_share(folds=rules.folds, blocks=len(differences))
        now = corrected_t_test(differences, test_share=share, confidence=1 - 2 * rules.significance)
        if -rules.margin < now.low and now.high < rules.margin:
            return False
        chance = chance_of_equivalence(
            differences, of=rules.blocks, folds=rules.folds, margin=rules.margin, significance=rules.significance
        )
        return chance > MISS_RISK

    def _settle(self, differences: Mapping[str, FloatArray]) -> None:
        """Let winners leave that another winner has overtaken, and the first of them once nobody can overtake it."""
        running = [label for label in self._rivals() if label in self.better]
        gone = [label for label in self.better if label in self.left and self.left[label].fate == "better"]
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


def _effect_size(differences: FloatArray) -> float:
    """Return mean / standard deviation; endless where all differences are the same number but not 0."""
    mean = float(differences.mean())
    if all_equal(differences):
        return 0.0 if abs(mean) <= 1e-12 else float(np.copysign(np.inf, mean))
    return mean / float(differences.std(ddof=1))


def _ranks_differ(results: Sequence[FloatArray], rules: RaceRules) -> bool:
    """Friedman's test before single comparisons, as in irace; of two arms the paired comparison says all there is to say.

    Lopez-Ibanez et al., The irace package: iterated racing for automatic algorithm configuration, Operations Research
    Perspectives 3 (2016), after Birattari et al., A racing algorithm for configuring metaheuristics, GECCO 2002.
    """
    return len(results) < 3 or friedman_test(np.stack(results, axis=1)).p_value < rules.significance
