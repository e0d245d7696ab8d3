"""One factor's levels against the incumbent: tuned, trained on the same blocks, decided, and, where asked, trained on."""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace

from ceteris.execution.queue import Records, Request
from ceteris.findings import FactorFinding
from ceteris.recipe import Recipe
from ceteris.records import Finished, Record
from ceteris.study.decide import Decision, decide
from ceteris.study.strategies.arms import arms_of, incompatible_levels
from ceteris.study.strategies.evidence import factor_finding, request_of
from ceteris.study.strategies.purse import Purse, seconds_of
from ceteris.study.strategies.tuning import tune_arms
from ceteris.study.study import Factor, nuisances_of
from ceteris.study.trials import ExperimentContext, Extension, exploration_trials

Trained = dict[str, list[Record | None]]
# (setting, model, stage, arms, incumbent, purse) -> every arm's records and the decision
Comparing = Callable[
    [ExperimentContext, str, str, Mapping[str, Recipe], str, Purse],
    Generator[Request, Records, tuple[Trained, Decision]],
]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What one factor showed, and the recipe that was kept."""

    finding: FactorFinding
    best: Recipe


def compare_factor(
    setting: ExperimentContext,
    model: str,
    factor: Factor,
    incumbent: Recipe,
    purse: Purse,
    compare: Comparing | None = None,
) -> Generator[Request, Records, Compared]:
    """Compare all levels of a factor with the incumbent; nuisance parameters are tuned first, in every arm alike.

    ``compare`` says how the tuned arms are compared: without it on all blocks of the design.
    """
    arms, label = arms_of(factor, incumbent)
    tuned = yield from tune_arms(setting, model, factor, nuisances_of(factor), arms)
    for arm in tuned.values():
        purse.charge(arm.records)
    recipes = {name: arm.recipe for name, arm in tuned.items()}
    blocks, decision = yield from (compare or compare_arms)(setting, model, factor.name, recipes, label, purse)
    decision = replace(decision, incompatible=incompatible_levels(factor, incumbent))
    finding = factor_finding(factor, recipes, label, blocks, decision, tuned)
    return Compared(finding=finding, best=recipes[decision.label])


def compare_arms(
    setting: ExperimentContext, model: str, stage: str, arms: Mapping[str, Recipe], incumbent: str, purse: Purse
) -> Generator[Request, Records, tuple[Trained, Decision]]:
    """Train every arm on the blocks of the design and decide; then go on with what is undecided, as the setting says."""
    repetitions = setting.study.exploration.seeds
    blocks: Trained = {label: [] for label in arms}
    yield from train_on(setting, model, stage, arms, list(arms), range(repetitions), blocks, purse)
    decision = decide(setting.study, incumbent, blocks, looks=looks_of(setting))
    decision = yield from until_decided(setting, model, stage, arms, incumbent, purse, blocks, decision)
    return blocks, decision


def until_decided(
    setting: ExperimentContext,
    model: str,
    stage: str,
    arms: Mapping[str, Recipe],
    incumbent: str,
    purse: Purse,
    blocks: Trained,
    decision: Decision,
) -> Generator[Request, Records, Decision]:
    """Go on with what is undecided after the design, as the setting says; arms that left before its end stay out."""
    repetitions, looks = setting.study.exploration.seeds, looks_of(setting)
    design = repetitions * setting.study.exploration.folds
    for _ in range(looks - 1):
        undecided = [
            label
            for label, found in decision.comparisons.items()
            if found.verdict == "undecided" and blocks[label][design - 1] is not None
        ]
        asked = [incumbent, *undecided]
        if not undecided or not purse.affords(_seconds(blocks, asked, repetitions), _latest(blocks[incumbent])):
            break
        more = range(repetitions, 2 * repetitions)
        yield from train_on(setting, model, stage, arms, asked, more, blocks, purse)
        repetitions *= 2
        decision = decide(setting.study, incumbent, blocks, looks=looks)
    return decision


def looks_of(setting: ExperimentContext) -> int:
    """Return how often an undecided comparison may be looked at: once, or after every doubling of the repetitions."""
    extension: Extension | None = setting.extension
    if extension is None:
        return 1
    return 1 + max(0, math.floor(math.log2(extension.most_repetitions / setting.study.exploration.seeds)))


def train_on(
    setting: ExperimentContext,
    model: str,
    stage: str,
    arms: Mapping[str, Recipe],
    asked: Sequence[str],
    repetitions: Sequence[int],
    blocks: Trained,
    purse: Purse,
) -> Generator[Request, Records, None]:
    """Train the arms that are asked for on more repetitions; every arm's list grows alike, None where it was not asked."""
    trials = {label: exploration_trials(setting, arms[label], repetitions) for label in asked}
    records = yield request_of(model, stage, trials, "comparison")
    for label, block in blocks.items():
        new = [records[trial.digest] for trial in trials[label]] if label in trials else []
        purse.charge(new)
        block += new or [None] * (len(repetitions) * setting.study.exploration.folds)


def _seconds(blocks: Trained, labels: Sequence[str], repetitions: int) -> float:
    """Predict the core-seconds of as many repetitions again: what the last ones took."""
    trained = {label: [seconds_of(record) for record in blocks[label] if record] for label in labels}
    folds = len(blocks[labels[0]]) // repetitions
    return sum(sum(seconds) / len(seconds) * folds * repetitions for seconds in trained.values() if seconds)


def _latest(records: Sequence[Record | None]) -> Record | None:
    return next((record for record in reversed(records) if isinstance(record, Finished)), None)
