"""How long must a rung of successive halving be for its ranks to say something of the end?

    python benchmarks/rungs.py --data-dir FOLDER

All recipes from the space of the study of strategies_side_by_side.py are trained on single blocks for a share of their epochs,
and in full on all blocks of the design, whose mean is the truth. Prints the rank correlation of both, and how often the best
recipe of 18 is in the upper third of such a rung.
"""

import argparse
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
from ceteris.study import ExperimentContext, ModelSpec, parse_study
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

SHARES = (1 / 6, 1 / 3, 1 / 2, 1.0)
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


def judged(rung: FloatArray, truth: FloatArray, generator: np.random.Generator) -> tuple[float, float]:
    """Return the rank correlation, and how often the best of 18 is in the upper third of a rung."""
    stays = []
    for _ in range(DRAWS):
        drawn = generator.choice(len(truth), DRAWN, replace=False)
        kept = drawn[np.argsort(-rung[drawn], kind="stable")[:KEPT]]
        stays.append(truth[kept].max() == truth[drawn].max())
    return float(stats.spearmanr(rung, truth).statistic), float(np.mean(stays))


def main() -> None:
    """Print a table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--store", type=Path, default=Path("ceteris-results/rungs"))
    parser.add_argument("--blocks", type=int, default=3, help="single blocks that a rung is tried on")
    options = parser.parse_args()
    study = parse_study(study_text("halving", data="mnist", images=3000, seeds=2))
    run = RunOptions(out=options.store / "out", store=options.store, data_dir=options.data_dir, workers=1)
    data_set, (model,) = open_data(study, run), study.models
    context, space, generator = context_of(study, data_set, run), space_of(study, model), np.random.default_rng(0)
    sampled = (space.sampled(point).recipe for point in space.points(generator))
    recipes = [recipe for recipe in sampled if recipe]
    config = WorkerConfig(train=data_set.prepared, store=options.store, imports=NO_IMPORTS, device=context.device)
    with WorkerPool(config, run.processes) as pool:
        queue: Queue[dict[str, list[Record]]] = Queue(Store(options.store), pool, Progress())
        (records,) = queue.run([ladder(context, model, recipes, options.blocks)])
    truth = np.nan_to_num([accuracies(records[f"{place} truth"]).mean() for place in range(len(recipes))])
    print(
        "| recipes | epochs of the rung | rank correlation | best of 18 in the upper third % |\n| --: | --- | --: | --: |"
    )
    for share in SHARES:
        rungs = np.nan_to_num([accuracies(records[f"{place} {share}"]) for place in range(len(recipes))]).T
        rank, stays = np.mean([judged(rung, truth, generator) for rung in rungs], axis=0)
        epochs = max(1, round(share * model.recipe.epochs))
        print(f"| {len(recipes)} | {epochs} of {model.recipe.epochs} | {rank:.2f} | {100 * stays:.0f} |")


if __name__ == "__main__":
    main()
