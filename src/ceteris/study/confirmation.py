"""Baseline and best recipe once more, on blocks that no choice has seen: only this difference is the improvement.

The best of many noisy results is better on the blocks that chose it than anywhere else.
"""

from collections.abc import Generator

from ceteris.execution.queue import Records, Request
from ceteris.findings import Confirmation
from ceteris.recipe import Recipe
from ceteris.stats import compare_levels
from ceteris.study.decide import accuracies
from ceteris.study.strategies.evidence import request_of
from ceteris.study.study import ModelSpec
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
        folds=setting.study.exploration.folds,
        significance=setting.study.significance,
        margin=setting.study.equivalence_margin,
    ).get("best")
    return Confirmation(baseline=results["baseline"], best=results["best"], comparison=comparison)
