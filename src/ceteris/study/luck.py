"""Where the noise of a result comes from: a recipe trained again and again with one source of luck varied alone.

Bouthillier et al., Accounting for variance in machine learning benchmarks, MLSys 2021. All other luck is held: the same
images, initial weights, order, augmentation and dropout in every run. The luck of the tuning is that of its own images and
initial weights: the rate is tuned anew in every run, and each rate that is found is trained on the same block.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ceteris.execution.populations import stacked
from ceteris.findings import LuckSource, SourceOfLuck
from ceteris.recipe import Recipe
from ceteris.records import Trial
from ceteris.stats import sampling_deviation, variance_by_source
from ceteris.study.decide import accuracies
from ceteris.study.strategies.tuning import tune_arms
from ceteris.study.study import Factor, ModelSpec, nuisances_of
from ceteris.study.trials import Experiment, ExperimentContext, block_trial, train

# A repetition that nothing else uses: far enough from all others that none of their seeds meets one of these.
VARIANCE_REPETITION = 300_000
_STAGE = "sources of luck"


def sources_of_luck(
    context: ExperimentContext, model: ModelSpec, recipe: Recipe
) -> Experiment[tuple[SourceOfLuck, ...]]:
    """Train a recipe ``study.variance`` times for each source of luck and return how far each moves its accuracy.

    The luck of which images are held out needs no training: it is that of drawing so many. Nothing where ``study.variance``
    is 0; a source of which fewer than two runs finished is left out.
    """
    if not context.study.variance:
        return ()
    trials: dict[LuckSource, tuple[Trial, ...]] = {
        source: stacked(of_source, context.stacking) for source, of_source in _trials(context, recipe).items()
    }
    if tuned := (yield from _tuned(context, model, recipe)):
        trials["tuning"] = tuned
    records = yield from train(model.name, _STAGE, trials)
    values = {source: accuracies(of_source) for source, of_source in records.items()}
    values = {source: known for source, runs in values.items() if len(known := runs[np.isfinite(runs)]) > 1}
    found = [
        SourceOfLuck(source=source, accuracies=values[source], deviation=luck.estimate, low=luck.low, high=luck.high)
        for source, variance in variance_by_source(values).items()
        if (luck := variance.deviation)
    ]
    if "initialisation" in values and context.labels is not None:
        images = len(context.held_out(trials["initialisation"][0].split))
        deviation = sampling_deviation(float(values["initialisation"].mean()), images)
        own = SourceOfLuck(source="images", accuracies=np.zeros(0), deviation=deviation, low=deviation, high=deviation)
        found.insert(0, own)
    return tuple(found)


def _trials(context: ExperimentContext, recipe: Recipe) -> Mapping[LuckSource, tuple[Trial, ...]]:
    """Return the trials of the sources that one training can vary alone, and of all of these together."""
    held = block_trial(context, recipe, VARIANCE_REPETITION, 0)
    seeds = range(held.seed + 1, held.seed + 1 + context.study.variance)
    of_split = {seed: replace(held.split, seed=seed) for seed in seeds}
    return {
        "split": tuple(replace(held, split=of_split[seed]) for seed in seeds),
        "initialisation": tuple(replace(held, seed=seed, order_seed=held.seed) for seed in seeds),
        "order": tuple(replace(held, order_seed=seed) for seed in seeds),
        "all": tuple(replace(held, seed=seed, split=of_split[seed]) for seed in seeds),
    }


def _tuned(context: ExperimentContext, model: ModelSpec, recipe: Recipe) -> Experiment[tuple[Trial, ...]]:
    """Tune the recipe's rate ``study.variance`` times on other images and return the block's trial at each rate found.

    Nothing where the study tunes no rate for this model: then nobody's luck in tuning has a part in its result.
    """
    study, trials = context.study, []
    factors = (factor for factor in study.factors if not factor.models or model.name in factor.models)
    tuning: Factor | None = next((factor for factor in factors if nuisances_of(factor)), None)
    if tuning is None:
        return ()
    for run in range(1, study.variance + 1):
        apart = replace(context, study=replace(study, seed=study.seed + VARIANCE_REPETITION + run))
        label = f"tuning {run}"
        found = yield from tune_arms(
            apart, model.name, replace(tuning, name="luck"), nuisances_of(tuning), {label: recipe}
        )
        trials.append(block_trial(context, found[label].recipe, VARIANCE_REPETITION, 0))
    return tuple(trials)
