"""How long must a rung of successive halving be for its ranks to say something of the end?

    python benchmarks/rungs.py --data-dir FOLDER

Recipes from the space of a study are trained on one block for a share of their epochs, and in full on all folds of other
cross-validations, whose mean is the truth. Prints the rank correlation of both, how often the best recipe of 18 is in the upper
third of such a rung, and what the best of that third gives away.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import stats

from ceteris.execution.pools import WorkerPool
from ceteris.execution.progress import Progress
from ceteris.execution.queue import Queue
from ceteris.execution.worker import WorkerConfig
from ceteris.recipe import Recipe
from ceteris.records import FloatArray, Record
from ceteris.store import Store
from ceteris.study import ExperimentContext, ModelSpec, Study, parse_study, read_study
from ceteris.study.decide import accuracies
from ceteris.study.strategies.space import space_of
from ceteris.study.trials import (
    TUNING_REPETITION,
    Experiment,
    RunOptions,
    block_trial,
    context_of,
    exploration_trials,
    open_data,
    train,
)
from ceteris.user_code import NO_IMPORTS
from strategies_study import study_text

SHARES = (1 / 9, 1 / 6, 1 / 3, 1 / 2, 1.0)
DRAWN, KEPT, DRAWS = 18, 6, 2000


def ladder(
    context: ExperimentContext, model: ModelSpec, recipes: list[Recipe], blocks: int
) -> Experiment[dict[str, list[Record]]]:
    """Train every recipe for every share of its epochs on single blocks, and in full on the design."""
    trials = {f"{place} truth": exploration_trials(context, recipe) for place, recipe in enumerate(recipes)}
    for share in SHARES:
        for place, recipe in enumerate(recipes):
            short = replace(recipe, epochs=max(1, round(share * recipe.epochs)))
            trials[f"{place} {share}"] = tuple(
                block_trial(context, short, TUNING_REPETITION + number, 0) for number in range(blocks)
            )
    return (yield from train(model.name, "rungs", trials))


def judged(rung: FloatArray, truth: FloatArray, generator: np.random.Generator) -> tuple[float, float, float]:
    """Return rank correlation, how often the best of 18 is in the upper third of a rung, and what that third gives away."""
    stays, lost = [], []
    for _ in range(DRAWS):
        drawn = generator.choice(len(truth), min(DRAWN, len(truth)), replace=False)
        kept = drawn[np.argsort(-rung[drawn], kind="stable")[:KEPT]]
        stays.append(truth[kept].max() == truth[drawn].max())
        lost.append(truth[drawn].max() - truth[kept].max())
    return float(stats.spearmanr(rung, truth).statistic), float(np.mean(stays)), float(np.mean(lost))


def print_model(
    context: ExperimentContext, model: ModelSpec, pool: WorkerPool, store: Store, options: argparse.Namespace
) -> None:
    """Print one row per share of the epochs."""
    generator = np.random.default_rng(0)
    points = space_of(context.study, model).points(generator)
    sampled = (space_of(context.study, model).sampled(point).recipe for point in points)
    recipes = list(_first(options.recipes, (recipe for recipe in sampled if recipe)))
    queue: Queue[dict[str, list[Record]]] = Queue(store, pool, Progress())
    (records,) = queue.run([ladder(context, model, recipes, options.blocks)])
    truth = np.nan_to_num([accuracies(records[f"{place} truth"]).mean() for place in range(len(recipes))])
    for share in SHARES:
        rungs = np.nan_to_num([accuracies(records[f"{place} {share}"]) for place in range(len(recipes))]).T
        rank, stays, lost = np.mean([judged(rung, truth, generator) for rung in rungs], axis=0)
        epochs = max(1, round(share * model.recipe.epochs))
        print(f"| {context.study.data} {model.title} | {len(recipes)} | {epochs} of {model.recipe.epochs} | {rank:.2f} "
              f"| {100 * stays:.0f} | {100 * lost:.2f} |", flush=True)  # fmt: skip


def _first(count: int, recipes: Iterator[Recipe]) -> Iterator[Recipe]:
    yield from (recipe for recipe, _ in zip(recipes, range(count), strict=False))


def main() -> None:
    """Print a table of both studies as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--store", type=Path, default=Path("ceteris-results/rungs"))
    parser.add_argument("--recipes", type=int, default=36, help="of every model")
    parser.add_argument("--blocks", type=int, default=3, help="single blocks that a rung is tried on")
    options = parser.parse_args()
    print(
        "| model | recipes | epochs of the rung | rank correlation | best of 18 in the upper third % | given away, points |"
    )
    print("| --- | --: | --: | --: | --: | --: |")
    studies: list[Study] = [
        parse_study(study_text("halving", data="mnist", images=3000, seeds=2)),
        read_study("digits"),
    ]
    for study in studies:
        run = RunOptions(out=options.store / "out", store=options.store, data_dir=options.data_dir, workers=1)
        data_set = open_data(study, run)
        context = context_of(study, data_set, run)
        config = WorkerConfig(train=data_set.prepared, store=options.store, imports=NO_IMPORTS, device=context.device)
        with WorkerPool(config, run.processes) as pool:
            for model in study.models:
                print_model(context, model, pool, Store(options.store), options)


if __name__ == "__main__":
    main()
