"""The greedy strategy: a baseline, then one factor after another, each time keeping the best setting found so far.

A strategy is a generator: it yields the trials it wants next, receives their records by digest, and returns what it
found. It neither trains nor knows who does.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ceteris.errors import ConfigError
from ceteris.findings import Comparison, FactorFinding, LevelFinding
from ceteris.recipe import Recipe
from ceteris.records import FloatArray, Trial, TrialRecord
from ceteris.store import to_tree, trial_digest
from ceteris.study.decide import Decision, accuracies, decide
from ceteris.study.design import arm, describe_changes, value_label
from ceteris.study.study import Factor, StudyModel, factors_of
from ceteris.study.trials import Setting, exploration_trials


@dataclass(frozen=True, kw_only=True)
class Request:
    """Trials that a strategy wants, with the words that the progress display uses for them."""

    model: str
    stage: str
    trials: tuple[Trial, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where a strategy went with one model: from the baseline to the best recipe."""

    model: StudyModel
    best: Recipe
    factors: tuple[FactorFinding, ...]


Records = Mapping[str, TrialRecord]
_ABSENT = object()


def greedy(setting: Setting, model: StudyModel) -> Generator[Request, Records, Route]:
    """Explore one model's factors in the order of the study."""
    best, found = model.recipe, []
    for factor in factors_of(setting.study, model.name):
        arms, incumbent = arms_of(factor, best)
        trials = {label: exploration_trials(setting, recipe) for label, recipe in arms.items()}
        records = yield _request(model.name, factor, trials)
        blocks = {label: [records[trial_digest(trial)] for trial in trials[label]] for label in arms}
        decision = _with_misfits(decide(setting.study, incumbent, blocks), misfits(factor, best))
        found.append(factor_finding(factor, arms, incumbent, blocks, decision))
        best = arms[decision.label]
    if not found:
        yield _request(model.name, None, {"baseline": exploration_trials(setting, best)})
    return Route(model=model, best=best, factors=tuple(found))


def arms_of(factor: Factor, incumbent: Recipe) -> tuple[dict[str, Recipe], str]:
    """Return label -> recipe for every level, and the label of the incumbent, which is added when it is no level.

    Levels that do not fit the incumbent are left out, see :func:`misfits`.
    """
    left_out = misfits(factor, incumbent)
    arms = {level.label: arm(incumbent, factor, level) for level in factor.levels if level.label not in left_out}
    present = [label for label, recipe in arms.items() if recipe == incumbent]
    if present:
        return arms, present[0]
    values = _values(factor, incumbent)
    label = f"as before ({values})" if values else "as before"
    return {label: incumbent} | arms, label


def misfits(factor: Factor, incumbent: Recipe) -> dict[str, str]:
    """Return label -> reason for the levels that cannot be made of a recipe, though they could of the baseline.

    A factor for the momentum of SGD, for example, has nothing to change once Adam is the best optimizer.
    """
    found = {}
    for level in factor.levels:
        try:
            arm(incumbent, factor, level)
        except ConfigError as error:
            found[level.label] = str(error).partition(f'level "{level.label}": ')[2].partition(". ")[0] or str(error)
    return found


def _with_misfits(decision: Decision, reasons: Mapping[str, str]) -> Decision:
    told = [f"{label} was left out, as it does not fit the best setting so far: {reasons[label]}." for label in reasons]
    return replace(decision, sentence=" ".join([decision.sentence, *told]))


def _values(factor: Factor, recipe: Recipe) -> str:
    """Return the factor's values in a recipe; fields that the recipe does not have are passed over."""
    shown = []
    for field in factor.fields:
        value = to_tree(recipe)
        for name in field.split("."):
            value = value.get(name, _ABSENT) if isinstance(value, dict) else _ABSENT
        shown += [] if value is _ABSENT else [value_label(value)]
    return ", ".join(shown)


def _request(model: str, factor: Factor | None, trials: Mapping[str, Sequence[Trial]]) -> Request:
    return Request(
        model=model,
        stage=factor.name if factor else "baseline",
        trials=tuple(trial for block in trials.values() for trial in block),
        labels=tuple(label for label, block in trials.items() for _ in block),
    )


def factor_finding(
    factor: Factor,
    arms: Mapping[str, Recipe],
    incumbent: str,
    blocks: Mapping[str, Sequence[TrialRecord]],
    decision: Decision,
) -> FactorFinding:
    """Gather what one factor showed, level by level, in the order of the study file."""
    levels = tuple(
        level_finding(
            label,
            blocks[label],
            changes=describe_changes(arms[incumbent], recipe),
            incumbent=label == incumbent,
            chosen=label == decision.label,
            comparison=decision.comparisons.get(label),
        )
        for label, recipe in arms.items()
    )
    return FactorFinding(
        name=factor.name,
        title=factor.title or factor.name,
        question=factor.question,
        fields=factor.fields,
        levels=levels,
        decision=decision.sentence,
    )


def level_finding(
    label: str,
    records: Sequence[TrialRecord],
    *,
    changes: tuple[str, ...],
    incumbent: bool,
    chosen: bool,
    comparison: Comparison | None,
) -> LevelFinding:
    """Gather one level's blocks; trials that did not finish count as NaN and are told in words."""
    costs = [record.cost for record in records if record.cost]
    return LevelFinding(
        label=label,
        changes=changes,
        accuracies=accuracies(records),
        f1=_values_of(records, "f1"),
        losses=_values_of(records, "loss"),
        train_accuracies=_values_of(records, "train_accuracy"),
        train_seconds=np.array([record.cost.train_seconds if record.cost else np.nan for record in records]),
        parameters=costs[0].parameters if costs else 0,
        forward_flops_per_image=costs[0].forward_flops_per_image if costs else 0,
        peak_memory_bytes=max((cost.peak_memory_bytes for cost in costs), default=0),
        incumbent=incumbent,
        chosen=chosen,
        failures=tuple(f"{record.status}: {record.error}" for record in records if record.status != "finished"),
        comparison=comparison,
    )


def _values_of(records: Sequence[TrialRecord], name: str) -> FloatArray:
    return np.array([getattr(record, name) if record.status == "finished" else np.nan for record in records])
