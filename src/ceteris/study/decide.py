"""Which level of a factor is kept: one that is better by more than the noise, else what is cheaper or already there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ceteris.findings import Comparison
from ceteris.records import FloatArray, TrialRecord
from ceteris.stats import compare_levels
from ceteris.study.study import Study

# A level must save at least this share of the training's FLOPs to replace an equivalent one.
_CHEAPER = 0.9


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The label that is kept, why, and every other level's comparison with the incumbent."""

    label: str
    sentence: str
    comparisons: Mapping[str, Comparison]


def accuracies(records: Sequence[TrialRecord]) -> FloatArray:
    """Return the held-out accuracy per block, (blocks,); NaN where the trial did not finish."""
    return np.array([record.accuracy if record.status == "finished" else np.nan for record in records])


def decide(study: Study, incumbent: str, records: Mapping[str, Sequence[TrialRecord]]) -> Decision:
    """Compare every level with the incumbent on the same blocks and choose.

    Args:
        study: gives significance, margin and folds.
        incumbent: the label of the best setting so far.
        records: label -> one record per block, in the same order of blocks for all labels.
    """
    results = {label: accuracies(block) for label, block in records.items()}
    comparisons = compare_levels(
        results[incumbent],
        {label: values for label, values in results.items() if label != incumbent},
        incumbent_label=incumbent,
        folds=study.exploration.folds,
        significance=study.significance,
        margin=study.equivalence_margin,
    )
    label, sentence = _choice(incumbent, records, results, comparisons)
    return Decision(label=label, sentence=sentence, comparisons=comparisons)


def _choice(
    incumbent: str,
    records: Mapping[str, Sequence[TrialRecord]],
    results: Mapping[str, FloatArray],
    comparisons: Mapping[str, Comparison],
) -> tuple[str, str]:
    complete = [label for label in results if np.isfinite(results[label]).all()]
    if incumbent not in complete:
        return _replace_broken(incumbent, complete, results)
    better = [label for label in complete if label in comparisons and comparisons[label].verdict == "better"]
    if better:
        best = max(better, key=lambda label: float(results[label].mean()))
        return best, f"{best} is kept: {comparisons[best].sentence}"
    cost = {label: _training_flops(records[label]) for label in complete}
    cheap = [
        label
        for label in complete
        if label in comparisons
        and comparisons[label].verdict == "equivalent"
        and cost[label] < _CHEAPER * cost[incumbent]
    ]
    if cheap:
        best = min(cheap, key=lambda label: cost[label])
        saved = 100 * (1 - cost[best] / cost[incumbent])
        return best, f"{best} is kept: it is equivalent to {incumbent} and takes {saved:.0f} % fewer operations."
    return incumbent, f"{incumbent} stays: no level is better by more than the noise{_leader(results, incumbent)}."


def _replace_broken(incumbent: str, complete: list[str], results: Mapping[str, FloatArray]) -> tuple[str, str]:
    broken = int(np.isnan(results[incumbent]).sum())
    told = f"{incumbent} did not finish on {broken} of {len(results[incumbent])} blocks"
    if not complete:
        return incumbent, f"{incumbent} stays: {told}, and no level finished on all of them."
    best = max(complete, key=lambda label: float(results[label].mean()))
    return best, f"{best} is kept: {told}, and {best} has the highest mean accuracy of the levels that finished."


def _leader(results: Mapping[str, FloatArray], incumbent: str) -> str:
    means = {label: float(values.mean()) for label, values in results.items() if np.isfinite(values).all()}
    leader = max(means, key=lambda label: means[label])
    if leader == incumbent:
        return ""
    return f" (the highest mean, {leader}, is {100 * (means[leader] - means[incumbent]):.2f} points above)"


def _training_flops(records: Sequence[TrialRecord]) -> float:
    return float(sum(record.cost.training_flops for record in records if record.cost))
