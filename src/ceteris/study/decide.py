"""Which level of a factor is kept: one that is better by more than the noise, else what is cheaper or already there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ceteris.findings import Comparison
from ceteris.records import Failed, Finished, FloatArray, Record
from ceteris.stats import compare_levels
from ceteris.study.study import Study

# A level must save at least this share of the training's FLOPs to replace an equivalent one.
_CHEAPER = 0.9


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The label that is kept, why, every other level's comparison with the incumbent, and what would decide the rest."""

    label: str
    sentence: str
    comparisons: Mapping[str, Comparison]
    prospect: str = ""


def accuracies(records: Sequence[Record | None]) -> FloatArray:
    """Return the held-out accuracy per block, (blocks,); NaN where the trial did not finish or was not asked for."""
    return np.array([record.accuracy if isinstance(record, Finished) else np.nan for record in records])


def decide(study: Study, incumbent: str, records: Mapping[str, Sequence[Record | None]], *, looks: int = 1) -> Decision:
    """Compare every level with the incumbent on the same blocks and choose.

    Args:
        study: gives significance, margin and folds.
        incumbent: the label of the best setting so far.
        records: label -> one record per block, in the same order of blocks for all labels; None where the level was not
            trained on a block.
        looks: how often a comparison may be looked at before it is decided; each look gets its share of the significance
            (Bonferroni), so that looking again does not make chance differences significant.
    """
    results = {label: accuracies(block) for label, block in records.items()}
    comparisons = compare_levels(
        results[incumbent],
        {label: values for label, values in results.items() if label != incumbent},
        incumbent_label=incumbent,
        folds=study.exploration.folds,
        significance=study.significance / looks,
        margin=study.equivalence_margin,
    )
    label, sentence = _choice(incumbent, records, results, comparisons)
    prospect = _prospect(study, incumbent, records, comparisons)
    return Decision(label=label, sentence=sentence, comparisons=comparisons, prospect=prospect)


def _choice(
    incumbent: str,
    records: Mapping[str, Sequence[Record | None]],
    results: Mapping[str, FloatArray],
    comparisons: Mapping[str, Comparison],
) -> tuple[str, str]:
    complete = [label for label, block in records.items() if all(isinstance(r, Finished) for r in block if r)]
    if incumbent not in complete:
        return _replace_broken(incumbent, complete, records[incumbent], results)
    better = [label for label in complete if label in comparisons and comparisons[label].verdict == "better"]
    if better:
        best = max(better, key=lambda label: comparisons[label].difference)
        return best, f"{best} is kept: {comparisons[best].sentence}"
    cheap = [
        label
        for label in complete
        if label in comparisons
        and comparisons[label].verdict == "equivalent"
        and is_cheaper(records[label], records[incumbent])
    ]
    if cheap:
        cost = {label: _flops_per_training(records[label]) for label in (*cheap, incumbent)}
        best = min(cheap, key=lambda label: cost[label])
        saved = 100 * (1 - cost[best] / cost[incumbent])
        return best, f"{best} is kept: it is equivalent to {incumbent} and takes {saved:.0f} % fewer operations."
    return incumbent, f"{incumbent} stays: no level is better by more than the noise{_leader(results, incumbent)}."


def is_cheaper(level: Sequence[Record | None], incumbent: Sequence[Record | None]) -> bool:
    """Say whether a level saves so much that it replaces the incumbent when both are equivalent."""
    return _flops_per_training(level) < _CHEAPER * _flops_per_training(incumbent)


def _replace_broken(
    incumbent: str, complete: list[str], block: Sequence[Record | None], results: Mapping[str, FloatArray]
) -> tuple[str, str]:
    trained = [record for record in block if record]
    broken = sum(isinstance(record, Failed) for record in trained)
    told = f"{incumbent} did not finish on {broken} of {len(trained)} blocks"
    if not complete:
        return incumbent, f"{incumbent} stays: {told}, and no level finished on all of them."
    best = max(complete, key=lambda label: float(np.nanmean(results[label])))
    return best, f"{best} is kept: {told}, and {best} has the highest mean accuracy of the levels that finished."


def _leader(results: Mapping[str, FloatArray], incumbent: str) -> str:
    """Name the level with the highest mean where it lies above the incumbent on the blocks that both finished."""
    ahead = {
        label: np.nanmean(values - results[incumbent])
        for label, values in results.items()
        if _common(values, results[incumbent])
    }
    leader = max(ahead, key=lambda label: float(ahead[label]))
    if leader == incumbent or ahead[leader] <= 0:
        return ""
    return f" (the highest mean, {leader}, is {100 * ahead[leader]:.2f} points above)"


def _common(first: FloatArray, second: FloatArray) -> bool:
    return bool(np.isfinite(first - second).any())


def _flops_per_training(records: Sequence[Record | None]) -> float:
    flops = [record.cost.training_flops for record in records if isinstance(record, Finished)]
    return float(np.mean(flops)) if flops else 0.0


def _prospect(
    study: Study,
    incumbent: str,
    records: Mapping[str, Sequence[Record | None]],
    comparisons: Mapping[str, Comparison],
) -> str:
    """Say what more blocks would decide, and what they cost; '' where all is decided."""
    told = []
    for label, comparison in comparisons.items():
        if comparison.verdict != "undecided":
            continue
        more = comparison.blocks_to_decide - comparison.blocks
        if comparison.blocks_to_decide < 0 or more <= 0:
            told.append(f"{label}: no number of repetitions would decide a difference of this size")
            continue
        seconds = more * sum(map(_seconds_per_training, (records[label], records[incumbent])))
        told.append(
            f"{label}: about {more} more blocks ({-(-more // study.exploration.folds)} more repetitions, "
            f"{_duration(seconds)} of training on one core)"
        )
    return f"To decide: {'; '.join(told)}." if told else ""


def _seconds_per_training(records: Sequence[Record | None]) -> float:
    seconds = [record.cost.train_seconds for record in records if isinstance(record, Finished)]
    return float(np.mean(seconds)) if seconds else 0.0


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
