"""One model's way through a study: explore by the strategy, confirm what was chosen, train what will meet the test set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from ceteris.errors import ConfigError
from ceteris.fields import merged
from ceteris.findings import (
    Comparison,
    Confirmation,
    ConfirmedRecipe,
    IncumbentBroken,
    Kept,
    Reason,
    SameTraining,
    SourceOfLuck,
    Taken,
    Version,
)
from ceteris.recipe import Recipe
from ceteris.records import Failed, Record, Trial
from ceteris.stats import adjusted_claim, holm
from ceteris.study.arms import arm
from ceteris.study.decide import compare, cost_of, outcomes
from ceteris.study.luck import sources_of_luck
from ceteris.study.strategies import Search, SearchResult, search_of
from ceteris.study.study import ModelSpec, factors_of, nuisances_of, varied
from ceteris.study.trials import (
    Experiment,
    ExperimentContext,
    confirmation_trials,
    final_trials,
    train,
    without_residual,
)

CONFIRMED: tuple[Literal["chosen", "sure"], ...] = ("chosen", "sure")
SURE = 0.9  # how likely a choice must be to help to be in the careful one of the recipes that are confirmed


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """What became of one model: what the search found, its confirmation, and one record per seed of every version.

    The best recipe of ``found`` is the one that is delivered: the best of those that were confirmed, the baseline among them.
    """

    found: SearchResult
    confirmation: Confirmation | None
    finals: Mapping[Version, tuple[Record, ...]]
    luck: tuple[SourceOfLuck, ...] = ()
    levels: tuple[tuple[str, str, Record], ...] = ()  # factor, level and its one training on the whole training set


def model_experiment(
    context: ExperimentContext,
    model: ModelSpec,
    search: Callable[[ExperimentContext, ModelSpec], Search] = search_of,
) -> Experiment[ModelResult]:
    """Explore a model, confirm what was found, then train baseline, best and, for a ResNet, the best without shortcuts.

    ``search`` explores; without it the study's strategy does.
    """
    found = yield from search(context, model)
    confirmation = yield from confirm(context, found)
    best = delivered_recipe(found, confirmation)
    found = replace(found, best=best)
    recipes: dict[Version, Recipe] = {"baseline": model.recipe, "best": best}
    if not varied(context.study, model.name):
        del recipes["baseline"]  # nothing was varied: there is one version of it
    if plain := without_residual(best):
        recipes["plain"] = plain
    trials = {version: final_trials(context, recipe) for version, recipe in recipes.items()}
    records = yield from train(model.name, "final", trials, "final")
    finals = {version: tuple(of_version) for version, of_version in records.items()}
    luck = yield from sources_of_luck(context, model, best)
    levels = yield from level_trainings(context, found, tuple(recipes.values()))
    return ModelResult(found=found, confirmation=confirmation, finals=finals, luck=luck, levels=levels)


def level_trainings(
    context: ExperimentContext, found: SearchResult, finals: Sequence[Recipe]
) -> Experiment[tuple[tuple[str, str, Record], ...]]:
    """Train every level of every factor once on the whole training set, as it was compared; nothing unless the study asks.

    A level that is an average over several recipes is trained inside the best one, where it fits there. One that is the recipe
    of a final training is that training.
    """
    if not context.study.final.levels:
        return ()
    trials = dict[tuple[str, str], Trial]()
    for factor in factors_of(context.study, found.model.name):
        levels = {level.label: level for level in factor.levels}
        finding = next((finding for finding in found.factors if finding.name == factor.name), None)
        for level in finding.levels if finding else ():
            try:
                recipe = level.recipe or arm(found.best, factor, levels[level.label])
            except (ConfigError, KeyError):
                continue
            trial = final_trials(context, recipe)[0]
            keep = trial.keep_snapshots and recipe in finals
            trials[factor.name, level.label] = replace(trial, keep_snapshots=keep)
    labelled = {f"{factor}: {label}": (trial,) for (factor, label), trial in trials.items()}
    records = yield from train(found.model.name, "every option", labelled, "final")
    return tuple((factor, label, records[f"{factor}: {label}"][0]) for factor, label in trials)


def delivered_recipe(found: SearchResult, confirmation: Confirmation | None) -> Recipe:
    """Return the recipe that a model ends with: what was chosen, unless its confirmation preferred another one."""
    if confirmation is None:
        return found.best
    confirmed = (recipe.recipe for recipe in confirmation.recipes if recipe.name == confirmation.delivered)
    return next(confirmed, found.model.recipe)


# ---------------------------------------------------------------------------------------------------------------------
# Confirmation


def confirm(context: ExperimentContext, found: SearchResult) -> Experiment[Confirmation | None]:
    """Compare the baseline with what was chosen, as both would be delivered; None where nothing was, or the study wants none.

    The best of many noisy results is better on the blocks that chose it than anywhere else, and a short training says little
    of a long one: only this difference is the improvement. If some choices are less than 90 % likely to help, the recipe
    without them is compared too. Delivered is what is expected to be best by exploration and confirmation together.
    """
    study, baseline = context.study, found.model.recipe
    if found.best == baseline or not study.confirmation.seeds:
        return None
    recipes = {"baseline": baseline, "chosen": found.best}
    if (careful := found.sure or sure_choices(context, found)) not in recipes.values():
        recipes["sure"] = careful
    trials = {name: confirmation_trials(context, recipe) for name, recipe in recipes.items()}
    records = yield from train(found.model.name, "confirmation", trials, "confirmation")
    results = {name: outcomes(context, of_recipe) for name, of_recipe in records.items()}
    comparisons = compare(
        study,
        results["baseline"],
        {name: of_recipe for name, of_recipe in results.items() if name != "baseline"},
        fresh_samples=False,
        same_images=context.reserve > 0,
    )
    confirmed = list[ConfirmedRecipe]()
    for name in CONFIRMED[: len(recipes) - 1]:
        gain, chance = expected_after(explored_gains(found, sure=name == "sure"), comparisons.get(name))
        confirmed.append(
            ConfirmedRecipe(
                name=name,
                recipe=recipes[name],
                results=results[name].figures,
                comparison=comparisons.get(name),
                gain=gain,
                chance=chance,
            )
        )
    complete = {name for name, of_recipe in records.items() if not any(isinstance(r, Failed) for r in of_recipe)}
    best = _best_of(context, [recipe for recipe in confirmed if recipe.name in complete], records)
    told = best or confirmed[0]
    trial = records["baseline"][0].trial
    images = sum(comparison.images for comparison in comparisons.values()) // max(1, len(comparisons))
    return Confirmation(
        baseline=results["baseline"].figures,
        best=told.results,
        comparison=told.comparison,
        gain=told.gain,
        chance=told.chance,
        delivered=best.name if best else "baseline",
        recipes=tuple(confirmed),
        fresh=context.reserve > 0,
        images=images,
        fitted=context.fitted_count(trial),
        epochs=trial.recipe.epochs,
    )


def _best_of(
    context: ExperimentContext, confirmed: Sequence[ConfirmedRecipe], records: Mapping[str, Sequence[Record]]
) -> ConfirmedRecipe | None:
    """Return the recipe that is expected to be the best, cost counted; None where that is the baseline."""
    before, study = records["baseline"], context.study
    worth = {recipe.name: recipe.gain - cost_of(study, records[recipe.name], before) for recipe in confirmed}
    best = max(confirmed, key=lambda recipe: worth[recipe.name], default=None)
    if best is None or any(isinstance(record, Failed) for record in before):
        return best
    return best if worth[best.name] > 0 and best.chance >= study.caution else None


def sure_choices(context: ExperimentContext, found: SearchResult) -> Recipe:
    """Return the best recipe with only those choices that are likely to help by 90 %; of a whole recipe all or nothing."""
    baseline = found.model.recipe
    if not all(isinstance(factor.reason, Taken | Kept | SameTraining | IncumbentBroken) for factor in found.factors):
        return found.best
    fields = {
        field
        for factor in factors_of(context.study, found.model.name)
        for finding in found.factors
        if finding.name == factor.name and finding.winner and not _unsure(finding.reason)
        for field in (*factor.fields, *(nuisance.field for nuisance in nuisances_of(factor)))
    }
    return merged(baseline, [found.best], only=fields) if found.factors else found.best


def _unsure(reason: Reason) -> bool:
    return isinstance(reason, Taken) and reason.chance < SURE


def explored_gains(found: SearchResult, *, sure: bool) -> list[tuple[float, float]]:
    """Return what the exploration expected of every choice, with its standard deviation; of the sure ones alone if asked."""
    taken = [
        (factor.reason.gain, factor.reason.chance)
        for factor in found.factors
        if isinstance(factor.reason, Taken) and not (sure and _unsure(factor.reason))
    ]
    for candidate in found.candidates:
        if candidate.chosen and candidate.comparison:
            taken = [(candidate.comparison.expected_gain, candidate.comparison.chance)]
    quantiles = [abs(float(stats.norm.ppf(np.clip(chance, 1e-4, 1 - 1e-4)))) for _, chance in taken]
    return [(gain, abs(gain) / max(quantile, 0.01)) for (gain, _), quantile in zip(taken, quantiles, strict=True)]


def expected_after(explored: Sequence[tuple[float, float]], found: Comparison | None) -> tuple[float, float]:
    """Return the gain that is expected after exploration and confirmation together, and how probably it is above 0.

    The gains of the choices add up, and so do their variances. That gains of shorter trainings add up, and carry over to the
    delivered ones, is uncertain by half of their sum.

    Args:
        explored: gain and standard deviation of every choice.
        found: the recipe against the baseline in the confirmation; None where too few trainings finished.
    """
    promised = sum(gain for gain, _ in explored)
    variance = sum(deviation**2 for _, deviation in explored) + (promised / 2) ** 2
    if found is None:
        return promised, _chance(promised, variance)
    if found.identical or not found.choice_error:
        return found.difference, 0.5 if not found.difference else float(found.difference > 0)
    if not variance:
        return found.expected_gain, found.chance
    precision = 1 / variance + 1 / found.choice_error**2
    gain = (promised / variance + found.difference / found.choice_error**2) / precision
    return gain, _chance(gain, 1 / precision)


def _chance(gain: float, variance: float) -> float:
    return float(stats.norm.sf(0, gain, variance**0.5)) if variance else 0.5


def adjusted_over_models(results: Sequence[ModelResult], significance: float) -> tuple[ModelResult, ...]:
    """Return the results with one claim per model, adjusted for the number of models (Holm 1979)."""
    claims = [result.confirmation.comparison if result.confirmation else None for result in results]
    adjusted = iter(holm([claim.adjusted_p for claim in claims if claim]))
    count, found = sum(claim is not None for claim in claims), []
    for result, claim in zip(results, claims, strict=True):
        if claim and result.confirmation:
            shown = adjusted_claim(claim, float(next(adjusted)), significance=significance, levels=count)
            result = replace(result, confirmation=replace(result.confirmation, comparison=shown))
        found.append(result)
    return tuple(found)
