"""Recipes that a search tried: their records, which of them is kept, and what the report says about each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ceteris.findings import Candidate, Comparison
from ceteris.recipe import Recipe
from ceteris.records import Failed, FloatArray, Record
from ceteris.stats import compare_levels
from ceteris.study.decide import accuracies
from ceteris.study.study import Study

BASELINE = "the baseline"


@dataclass
class Tried:
    """One recipe under way: number 0 is the baseline; ``records`` has one entry per block, None where it was not trained."""

    number: int
    recipe: Recipe
    settings: tuple[tuple[str, str], ...]
    note: str
    records: list[Record | None]
    fate: Literal["finished", "pruned", "eliminated", "failed"] = "finished"
    told: str = ""
    rungs: list[tuple[int, float]] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The name in progress and sentences, such as "#7 (adam, 0.01)"."""
        values = ", ".join(value for _, value in self.settings if value != "–")
        if not self.number:
            return BASELINE
        return f"#{self.number} ({values})" if values else f"#{self.number}"

    @property
    def accuracies(self) -> FloatArray:
        """Held-out accuracy per block, (blocks,), NaN where there is none."""
        return accuracies(self.records)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which candidate is kept, why, and how every other one compares with the baseline, by its number."""

    number: int
    sentence: str
    comparisons: Mapping[int, Comparison]


def select(study: Study, tried: Sequence[Tried]) -> Selection:
    """Keep the finished candidate with the highest mean among those that are better than the baseline, else the baseline.

    All candidates that share two blocks with the baseline are compared and counted in Holm's correction, those that were
    left early too: they were tried.
    """
    baseline, *others = tried
    comparisons = _comparisons(study, baseline, others)
    finished = [one for one in others if one.fate == "finished"]
    if baseline.fate != "finished":
        return _without_baseline(finished, comparisons)
    highest = max([baseline, *finished], key=_mean)
    better = [one for one in finished if one.number in comparisons and comparisons[one.number].verdict == "better"]
    if better:
        best = max(better, key=_mean)
        return Selection(number=best.number, sentence=_kept(best, highest, comparisons), comparisons=comparisons)
    return Selection(number=0, sentence=_stays(highest, comparisons), comparisons=comparisons)


def _comparisons(study: Study, baseline: Tried, others: Sequence[Tried]) -> dict[int, Comparison]:
    found = compare_levels(
        baseline.accuracies,
        {one.label: one.accuracies for one in others},
        incumbent_label=BASELINE,
        folds=study.exploration.folds,
        significance=study.significance,
        margin=study.equivalence_margin,
    )
    return {one.number: found[one.label] for one in others if one.label in found}


def _kept(best: Tried, highest: Tried, comparisons: Mapping[int, Comparison]) -> str:
    mean = f"mean accuracy {100 * _mean(best):.2f} %"
    told = (
        f"the highest {mean}" if best is highest else f"the highest of those that are better than the baseline, {mean}"
    )
    return f"{best.label} is kept with {told}, {_of(comparisons)}: {comparisons[best.number].sentence}"


def _stays(highest: Tried, comparisons: Mapping[int, Comparison]) -> str:
    if not comparisons:
        return "The baseline stays: no other recipe was trained on two of its blocks."
    if not highest.number:
        return f"The baseline stays: it has the highest mean accuracy, {100 * _mean(highest):.2f} %."
    compared = comparisons.get(highest.number)
    return (
        f"The baseline stays: no recipe is better by more than the noise, {_of(comparisons)}. The highest mean accuracy, "
        f"{100 * _mean(highest):.2f} %, has {highest.label}" + (f": {compared.sentence}" if compared else ".")
    )


def _of(comparisons: Mapping[int, Comparison]) -> str:
    count = f"{len(comparisons)} comparisons" if len(comparisons) > 1 else "one comparison"
    return f"corrected (Holm) for {count} with the baseline"


def _without_baseline(finished: Sequence[Tried], comparisons: Mapping[int, Comparison]) -> Selection:
    if not finished:
        sentence = "The baseline stays: neither it nor any other recipe finished."
        return Selection(number=0, sentence=sentence, comparisons=comparisons)
    best = max(finished, key=_mean)
    sentence = (
        f"{best.label} is kept: the baseline did not finish on all blocks, and this recipe has the highest mean accuracy, "
        f"{100 * _mean(best):.2f} %."
    )
    return Selection(number=best.number, sentence=sentence, comparisons=comparisons)


def optimism(study: Study, tried: int) -> str:
    """Return the sentence on what the best of many noisy results is worth."""
    told = f"The highest of {tried} noisy means is optimistic: part of its lead is luck (the winner's curse)"
    if study.confirmation.seeds:
        return f"{told}, which is why a recipe that is kept is confirmed on fresh seeds."
    return f"{told}; the study leaves the confirmation on fresh seeds out, so take the difference as an upper bound."


def findings_of(tried: Sequence[Tried], selection: Selection) -> tuple[Candidate, ...]:
    """Return what the report says about every candidate, in the order of trying."""
    return tuple(
        Candidate(
            number=one.number,
            settings=one.settings,
            epochs=one.rungs[-1][0] if one.rungs else one.recipe.epochs,
            accuracies=one.accuracies,
            fate=one.fate,
            chosen=one.number == selection.number,
            sentence=_sentence(one, selection),
            rungs=tuple(one.rungs),
        )
        for one in tried
    )


def _sentence(one: Tried, selection: Selection) -> str:
    compared = selection.comparisons.get(one.number)
    told = one.told or (compared.sentence if compared else "")
    return f"{told} ({one.note})" if one.note else told


def _mean(one: Tried) -> float:
    return float(np.mean(one.accuracies))


def failure(records: Sequence[Record | None]) -> str:
    """Return how the first training that did not finish ended, '' where all finished."""
    broken = (f"{record.status}: {record.error}" for record in records if isinstance(record, Failed))
    return next(broken, "")
