"""Time populations beside single trainings and print a Markdown table.

    python benchmarks/populations.py
    python benchmarks/populations.py --network mlp --members 5 --rounds 9 --precision bfloat16

Every round trains each way once, one after the other, so that a load on the machine that comes and goes meets all of
them; the medians are of the rounds. The images per second are those of training alone, all members together, on one
thread. "own" batches belong to the folds of one recipe, "shared" ones to recipes on the same fold.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

import numpy as np

from ceteris import recipe as r
from ceteris.data import ImageSet, make_image_set
from ceteris.records import CrossValidationSplit, Trial, finished
from ceteris.training.device import execution_of, one_thread
from ceteris.training.population import run_population

CLASSES = 47
FOLDS = 5
NETWORKS = {
    "mlp": r.Recipe(
        model=r.MLP(hidden=(128, 128, 128), batch_norm=True, dropout=0.2), optimizer=r.Adam(lr=1e-3), epochs=1
    ),
    "small-cnn": r.Recipe(model="small-cnn", optimizer=r.SGD(lr=0.01, momentum=0.9), epochs=1),  # type: ignore[arg-type]
}
Batches = Literal["own", "shared"]


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way of training a network: alone, or so many members together."""

    network: str
    precision: Literal["float32", "bfloat16"]
    members: int
    batches: Batches

    def trials(self) -> list[Trial]:
        """Return the members: folds of one recipe, or one fold with penalties of different strength."""
        return [self._trial(member) for member in range(self.members)]

    def _trial(self, member: int) -> Trial:
        recipe = replace(NETWORKS[self.network], precision=self.precision)
        fold, seed = member % FOLDS, member // FOLDS
        if self.batches == "shared":
            recipe, fold, seed = replace(recipe, penalty=r.L2(strength=1e-5 * (1 + member))), 0, 0
        return Trial(
            recipe=recipe,
            data="made up",
            split=CrossValidationSplit(folds=FOLDS, index=fold, seed=seed),
            seed=seed,
            execution=execution_of(recipe, "cpu"),
        )


def made_up_images(steps: int) -> ImageSet:
    """Return noise of 28 x 28 pixels: as many images as give every fold ``steps`` batches."""
    random = np.random.default_rng(0)
    count = -(-128 * steps * FOLDS // (FOLDS - 1) // (CLASSES * FOLDS) + 1) * CLASSES * FOLDS
    images = random.integers(0, 256, (count, 1, 28, 28), dtype=np.uint8)
    return make_image_set(images, np.arange(count) % CLASSES, tuple(f"class {label}" for label in range(CLASSES)))


def speed(way: Way, images: ImageSet) -> float:
    """Return the images per second of one training, all members together."""
    costs = [finished(result.record).cost for result in run_population(way.trials(), images)]
    trained = [(cost.train_seconds, cost.images_per_second) for cost in costs]
    assert len(trained) == way.members, "a training did not finish"
    return float(sum(seconds * rate for seconds, rate in trained) / sum(seconds for seconds, _ in trained))


def measured(ways: Sequence[Way], images: ImageSet, rounds: int) -> dict[Way, list[float]]:
    """Return the images per second of every round; the first round, which allocates, is left out."""
    speeds: dict[Way, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way in ways:
            speeds[way].append(speed(way, images))
    return {way: of_way[1:] for way, of_way in speeds.items()}


def table(speeds: dict[Way, list[float]]) -> str:
    """Return the medians, and the medians of the ratios to the single training of the same round."""
    lines = [
        "| network | precision | K | batches | images/s | ratio to single |",
        "| --- | --- | --: | --- | --: | --: |",
    ]
    for way, of_way in speeds.items():
        single = speeds[replace(way, members=1, batches="own")]
        ratio = median(ours / alone for ours, alone in zip(of_way, single, strict=True))
        lines.append(
            f"| {way.network} | {way.precision} | {way.members} | {way.batches} | {median(of_way):,.0f} | {ratio:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=list(NETWORKS), action="append")
    parser.add_argument("--members", type=int, action="append", help="size of a population (default 5 and 8)")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], action="append")
    parser.add_argument("--steps", type=int, default=20, help="batches of 128 per training")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    images = made_up_images(chosen.steps)
    populations: list[tuple[int, Batches]] = [(1, "own")]
    for members in chosen.members or [5, 8]:
        populations += [(members, "own"), (members, "shared")]
    with one_thread():
        for network in chosen.network or list(NETWORKS):
            for precision in chosen.precision or ["float32", "bfloat16"]:
                ways = [
                    Way(network=network, precision=precision, members=members, batches=batches)
                    for members, batches in populations
                ]
                print(table(measured(ways, images, chosen.rounds)), flush=True)


if __name__ == "__main__":
    main()
