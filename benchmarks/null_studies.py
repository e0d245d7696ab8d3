"""Does a study in which nothing helps claim an improvement? The shipped code drives simulated trainings.

    python benchmarks/null_studies.py                 # 2,000 studies of one model, half of them with a reserve of images

``model_experiment`` explores four factors greedily, confirms what it chose and delivers a recipe, exactly as in a study;
only the trainings are made up. All recipes are equally good: an image is right where its hardness, what the recipe makes of
it and the luck of the training, half of which the block's trainings share, add up to enough. Every change of the recipe is
therefore luck, and every claim of the confirmation is false.
"""

import argparse
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from ceteris import recipe as r
from ceteris.digests import digest_of
from ceteris.execution.queue import Records, Request
from ceteris.records import Cost, Finished, IntArray, Split, Trial
from ceteris.study import ExperimentContext, Exploration, Factor, Final, Level, ModelSpec, Study
from ceteris.study.model_experiment import ModelResult, model_experiment

CLASSES, ACCURACY_SCORE = 4, 1.28  # 90 % are right
HARDNESS, OPINION, LUCK = 0.6, 0.02, 0.38  # variances of a latent score
COST = Cost(
    train_seconds=1.0, evaluation_seconds=0.1, peak_memory_bytes=1, parameters=1, forward_flops_per_image=1,
    training_flops=1_000_000, images_per_second=1.0,
)  # fmt: skip
MODEL = ModelSpec(
    name="mlp",
    title="MLP",
    recipe=r.Recipe(model=r.MLP(hidden=(8,)), optimizer=r.SGD(lr=0.1), epochs=2, batch_size=32),
)


def factor(name: str, field: str, values: tuple[object, ...]) -> Factor:
    """Return a factor over the values of one field, without tuning."""
    levels = tuple(Level(label=f"{name} {value}", changes={field: value}) for value in values)
    return Factor(name=name, fields=(field,), levels=levels, tune=())


FACTORS = (
    factor("rate", "optimizer.lr", (0.05, 0.2, 0.4)),
    factor("norm", "model.batch_norm", (True, False)),
    factor("batch", "batch_size", (16, 64, 128, 256)),
    factor("dropout", "model.dropout", (0.1, 0.2, 0.3)),
)


@cache
def number_of(part: r.Recipe | Split) -> int:
    """Return a number that belongs to a recipe or a split."""
    return int(digest_of(part)[:12], 16)


@dataclass
class World:
    """The made-up trainings of one study; all numbers follow from ``number`` and the trial."""

    number: int
    labels: IntArray
    context: ExperimentContext

    def __post_init__(self) -> None:
        self.hardness = np.sqrt(HARDNESS) * np.random.default_rng([self.number, 0]).normal(size=len(self.labels))
        self.opinions: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = {}

    def opinion(self, recipe: r.Recipe) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Return what a recipe makes of every image, whatever its number of epochs."""
        key = number_of(replace(recipe, epochs=1))
        if key not in self.opinions:
            random = np.random.default_rng([self.number, key])
            self.opinions[key] = np.sqrt(OPINION) * random.normal(size=len(self.labels))
        return self.opinions[key]

    def record(self, trial: Trial) -> Finished:
        """Return the record of a training."""
        images = self.context.held_out(trial.split)
        block = np.random.default_rng([self.number, number_of(trial.split), trial.seed])
        own = np.random.default_rng([self.number, int(trial.digest[:12], 16)])
        luck = np.sqrt(LUCK / 2) * (block.normal(size=len(images)) + own.normal(size=len(images)))
        right = self.hardness[images] + self.opinion(trial.recipe)[images] + luck + ACCURACY_SCORE > 0
        labels = self.labels[images]
        accuracy = float(right.mean())
        return Finished(
            trial=trial, accuracy=accuracy, f1=accuracy, loss=1 - accuracy, train_accuracy=accuracy, best_epoch=1,
            epoch_count=1, step_count=1, cost=COST, environment={},
            predicted=np.where(right, labels, (labels + 1) % CLASSES).astype(np.uint8),
            log_likelihood=np.where(right, -0.1, -2.0).astype(np.float16),
        )  # fmt: skip

    def run(self, experiment: Generator[Request, Records, ModelResult]) -> tuple[ModelResult, int]:
        """Answer every request; return the result and the number of trainings."""
        done: dict[str, Finished] = {}
        answer: Mapping[str, Finished] | None = None
        try:
            while True:
                request = next(experiment) if answer is None else experiment.send(answer)
                for trial in request.trials:
                    if trial.digest not in done:
                        done[trial.digest] = self.record(trial)
                answer = {trial.digest: done[trial.digest] for trial in request.trials}
        except StopIteration as stop:
            return stop.value, len(done)


def study_of(images: int) -> ExperimentContext:
    """Return the context of a null study; from 2,000 images on a fifth of them is kept for the confirmation."""
    study = Study(
        name="nothing-helps", data="made up", exploration=Exploration(folds=5),
        final=Final(seeds=2, validation=0.1, patience=2, epochs=3), models=(MODEL,), factors=FACTORS,
    )  # fmt: skip
    return ExperimentContext(study=study, data="made up", device="cpu", labels=np.arange(images) % CLASSES)


def main() -> None:
    """Print one row per size of the data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="studies in all")
    parser.add_argument("--images", type=int, action="append", help="training images (default 800 and 2,000)")
    arguments = parser.parse_args()
    sizes = arguments.images or [800, 2000]
    print("| training images | confirmed on | studies | recipe changed % | changed recipe delivered % | claims % "
          "| better % | trainings each | s each |\n| --: | --- | --: | --: | --: | --: | --: | --: | --: |")  # fmt: skip
    for images in sizes:
        context, began = study_of(images), time.perf_counter()
        counts, labels = np.zeros(5), np.arange(images) % CLASSES
        where = "a reserve of images" if context.reserve else "new splits"
        for number in range(arguments.studies // len(sizes)):
            result, trainings = World(number=number, labels=labels, context=context).run(
                model_experiment(context, MODEL)
            )
            confirmed = result.confirmation
            verdict = confirmed.comparison.verdict if confirmed and confirmed.comparison else "undecided"
            changed, delivered = confirmed is not None, result.found.best != MODEL.recipe
            counts += [changed, delivered, verdict in ("better", "worse"), verdict == "better", trainings]
            if (number + 1) % 250 == 0:  # so far
                shares = " | ".join(f"{100 * count / (number + 1):.1f}" for count in counts[:4])
                each, seconds = counts[4] / (number + 1), (time.perf_counter() - began) / (number + 1)
                print(f"| {images:,} | {where} | {number + 1:,} | {shares} | {each:.0f} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
