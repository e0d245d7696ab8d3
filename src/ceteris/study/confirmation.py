"""Baseline and best recipe once more, on blocks that no choice has seen: only this difference is the improvement.

The best of many noisy results is better on the blocks that chose it than anywhere else.
"""

from collections.abc import Generator

from ceteris.execution.queue import Records, Request
from ceteris.findings import Comparison, Confirmation
from ceteris.recipe import Recipe
from ceteris.stats import compare_levels
from ceteris.study.decide import accuracies
from ceteris.study.strategies.evidence import request_of
from ceteris.study.study import ModelSpec, Study
from ceteris.study.trials import ExperimentContext, confirmation_trials


def confirm(
    setting: ExperimentContext, model: ModelSpec, best: Recipe
) -> Generator[Request, Records, Confirmation | None]:
    """Compare baseline and best on fresh repetitions; None where the baseline stayed the best or no repetition is asked."""
    if best == model.recipe or not setting.study.confirmation.seeds:
        return None
    trials = {
        "baseline": confirmation_trials(setting, model.recipe),
        "best": confirmation_trials(setting, best),
    }
    records = yield request_of(model.name, "confirmation", trials, "confirmation")
    results = {label: accuracies([records[trial.digest] for trial in of_arm]) for label, of_arm in trials.items()}
    comparison = compare_levels(
        results["baseline"],
        {"best": results["best"]},
        incumbent_label="baseline",
        folds=setting.study.exploration.folds,
        significance=setting.study.significance,
        margin=setting.study.equivalence_margin,
    ).get("best")
    return Confirmation(
        baseline=results["baseline"],
        best=results["best"],
        comparison=comparison,
        sentence=_sentence(comparison, setting.study),
    )


def _sentence(comparison: Comparison | None, study: Study) -> str:
    if comparison is None:
        return "The improvement could not be measured: too few trainings finished on the fresh seeds."
    where = f"on {comparison.blocks} fresh blocks that no choice has seen"
    size = f"{100 * comparison.difference:+.2f} points"
    interval = f"95 % interval {100 * comparison.low:+.2f} to {100 * comparison.high:+.2f}"
    told = {
        "better": f"The best recipe improves on the baseline by {size} {where} ({interval}).",
        "worse": f"The best recipe turned out worse than the baseline, {size} {where} ({interval}): what chose it was chance.",
        "equivalent": f"The best recipe is equivalent to the baseline {where}: {size} ({interval}, margin "
        f"±{100 * study.equivalence_margin:.2f} points).",
        "undecided": f"The improvement is not confirmed: {size} {where} ({interval}).",
    }
    return told[comparison.verdict]
