"""Does the two-part test keep what it promises? Simulated learners and real networks, beside the corrected t-test.

    python benchmarks/calibration_two_part.py                           # 10,000 studies per row, some minutes on one core
    python benchmarks/calibration_two_part.py --studies 500             # a quick look
    python benchmarks/calibration_two_part.py --networks FOLDER         # what benchmarks/real_networks.py saved there

Prints the tables of docs/methodology.md: false claims at 5 %, coverage of 95 % intervals and power, at one, two and three
repetitions of five folds. The tests are the shipped ones: ``judge_moments`` on the moments of many studies at once, which a
check compares with ``two_part_test``, and the formula of ``corrected_t_test``.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from ceteris.stats import (
    BlockDifference,
    PairedMoments,
    corrected_t_test,
    judge_moments,
    mcnemar,
    overlap_share,
    two_part_test,
    two_way_test,
)
from simulated_studies import (
    DrawImages,
    FloatArray,
    IntArray,
    Studies,
    class_mean_images,
    gaussian_images,
    nearest_neighbour_images,
)

FOLDS, SIGNIFICANCE, CHUNK = 5, 0.05, 500


@dataclass(frozen=True, kw_only=True)
class World:
    """A learner whose studies are drawn, and a gain that is hard but not impossible to find."""

    title: str
    draw: DrawImages
    gain: float


WORLDS = (
    World(title="class means, 200 images", draw=class_mean_images(200, FOLDS, 3), gain=0.15),
    World(title="class means, 1,000 images", draw=class_mean_images(1000, FOLDS, 3), gain=0.06),
    World(title="nearest neighbour, 200 images", draw=nearest_neighbour_images(200, FOLDS, 3), gain=0.15),
    World(title="Gaussian, no luck", draw=gaussian_images(500, FOLDS, 3, luck=0, correlation=0), gain=2.5),
    World(title="Gaussian, luck 1", draw=gaussian_images(500, FOLDS, 3, luck=1, correlation=0), gain=3.5),
    World(
        title="Gaussian, luck 1, correlated 0.1", draw=gaussian_images(500, FOLDS, 3, luck=1, correlation=0.1), gain=3.5
    ),
    World(
        title="Gaussian, luck 1, correlated 0.2", draw=gaussian_images(500, FOLDS, 3, luck=1, correlation=0.2), gain=3.5
    ),
    World(title="Gaussian, luck 5", draw=gaussian_images(500, FOLDS, 3, luck=5, correlation=0), gain=6),
    World(
        title="Gaussian, luck 5, correlated 0.1", draw=gaussian_images(500, FOLDS, 3, luck=5, correlation=0.1), gain=7
    ),
    World(
        title="Gaussian, luck 5, correlated 0.2", draw=gaussian_images(500, FOLDS, 3, luck=5, correlation=0.2), gain=7
    ),
)


@dataclass(frozen=True, kw_only=True)
class Test:
    """Differences, standard errors, degrees of freedom and p-values of many studies, (studies,) each."""

    mean: FloatArray
    error: FloatArray
    degrees: FloatArray
    p_value: FloatArray

    def claims(self, significance: float = SIGNIFICANCE) -> float:
        """Return the share of studies that claim a difference."""
        return float(np.mean(self.p_value < significance))

    def coverage(self, truth: float, confidence: float = 0.95) -> float:
        """Return the share of studies whose interval holds the truth; it holds 0 wherever the test does not refuse 0."""
        reach = stats.t.ppf((1 + confidence) / 2, self.degrees) * self.error
        kept = self.p_value > 1 - confidence
        low = np.where(kept, np.minimum(self.mean - reach, 0), self.mean - reach)
        high = np.where(kept, np.maximum(self.mean + reach, 0), self.mean + reach)
        return float(np.mean((low <= truth) & (truth <= high)))


def moments_of(studies: Studies) -> PairedMoments:
    """Return the moments of many studies whose folds are of one size, as ``paired_moments`` does of one."""
    parts = [
        _moments(studies.differences[start : start + CHUNK], studies.fold[start : start + CHUNK])
        for start in range(0, len(studies.differences), CHUNK)
    ]
    mean, variance, binomial, spread, gains, losses = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    _, repetitions, images = studies.differences.shape
    return PairedMoments(
        mean=mean, image_variance=variance, binomial=binomial, spread=spread, gains=gains, losses=losses,
        images=images, blocks=repetitions * (int(studies.fold.max()) + 1),
    )  # fmt: skip


def _moments(d: FloatArray, fold: IntArray) -> tuple[FloatArray, ...]:
    images = d.shape[2]
    held = (fold[..., None] == np.arange(int(fold.max()) + 1)).astype(np.float64)  # (studies, repetitions, n, folds)
    sizes = held.sum(axis=2)
    means = np.einsum("srn,srnk->srk", d, held) / sizes
    squares = np.einsum("srn,srnk->srk", d**2, held) - sizes * means**2
    mean = means.mean(axis=(1, 2))
    own = np.take_along_axis(sizes, fold.astype(np.int64), axis=2)
    shares = ((d - mean[:, None, None]) / own).sum(axis=1) / (means.shape[1] * means.shape[2])
    gains, losses = (d.sum(axis=1) > 1e-9).sum(axis=1), (d.sum(axis=1) < -1e-9).sum(axis=1)
    variance = (shares**2).sum(axis=1) * images / (images - 1) + np.where(gains + losses < 25, 1 / images**2, 0)
    binomial = (squares / (sizes - 1) / sizes).mean(axis=(1, 2))
    spread = means.reshape(len(d), -1).var(axis=1, ddof=1)
    return mean, variance, binomial, spread, gains.astype(np.float64), losses.astype(np.float64)


def two_part(studies: Studies) -> Test:
    """Return the two-part test of many studies."""
    moments = moments_of(studies)
    error, degrees, p_value = judge_moments(moments, folds=FOLDS, repeated=studies.fold.shape[1] > 1)
    return Test(mean=moments.mean, error=error, degrees=degrees, p_value=p_value)


def corrected_t(studies: Studies) -> Test:
    """Return the corrected t-test of many studies."""
    blocks = studies.blocks
    count, mean, spread = blocks.shape[1], blocks.mean(axis=1), blocks.std(axis=1, ddof=1)
    error = spread * np.sqrt(1 / count + overlap_share(folds=FOLDS, blocks=count))
    flat = error < 1e-12
    p_value = 2 * stats.t.sf(np.abs(mean) / np.where(flat, 1, error), count - 1)
    same = np.where(np.abs(mean) < 1e-12, 1.0, 2.0 ** (1 - count))
    degrees = np.full(len(mean), count - 1.0)
    return Test(mean=mean, error=error, degrees=degrees, p_value=np.where(flat, same, p_value))


def check(studies: Studies) -> None:
    """Stop if the tests of many studies at once are not the shipped ones."""
    ours, theirs = two_part(studies), corrected_t(studies)
    for number in range(5):
        blocks = [
            BlockDifference(units=held, values=values[held], repetition=repetition, same=False)
            for repetition, (values, fold) in enumerate(
                zip(studies.differences[number], studies.fold[number], strict=True)
            )
            for place in range(FOLDS)
            if (held := np.flatnonzero(fold == place)).size
        ]
        shipped = two_part_test(blocks, folds=FOLDS)
        np.testing.assert_allclose(
            [ours.error[number], ours.degrees[number], ours.p_value[number]],
            [shipped.standard_error, shipped.degrees, shipped.p_value],
        )
        means = np.array([block.mean for block in blocks])
        corrected = corrected_t_test(means, test_share=overlap_share(folds=FOLDS, blocks=len(means)))
        np.testing.assert_allclose(theirs.p_value[number], corrected.p_value)


def first_repetitions(studies: Studies, count: int) -> Studies:
    """Return the studies with only so many repetitions."""
    return Studies(differences=studies.differences[:, :count], fold=studies.fold[:, :count])


def _percent(*shares: float | np.floating) -> str:
    return " | ".join(f"{100 * share:.1f}" for share in shares)


def print_simulated(studies: int, generator: np.random.Generator) -> None:
    """Print what both tests do on simulated learners, at one, two and three repetitions."""
    print("| studies | blocks | corrected t: false claims % | coverage % | power % | two-part: false claims % "
          "| coverage % | power % |\n| --- | --- | --: | --: | --: | --: | --: | --: |")  # fmt: skip
    for world in WORLDS:
        null, gained = world.draw(generator, studies, 0.0), world.draw(generator, studies, world.gain)
        truth = float(gained.differences.mean())
        check(null)
        for repetitions in (1, 2, 3):
            pair = [first_repetitions(drawn, repetitions) for drawn in (null, gained)]
            cells = []
            for test in (corrected_t, two_part):
                of_null, of_gain = (test(drawn) for drawn in pair)
                cells += [of_null.claims(), of_gain.coverage(truth), of_gain.claims()]
            print(f"| {world.title} | 5 × {repetitions} | {_percent(*cells)} |", flush=True)


# ---------------------------------------------------------------------------------------------------------------------
# Real networks


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The studies of one row of benchmarks/real_networks.py, and their arms' accuracy on other images of the set."""

    names: tuple[str, ...]
    correct: FloatArray  # (studies, arms, repetitions, images)
    fold: IntArray  # (studies, repetitions, images)
    pool: FloatArray  # (studies, arms, repetitions)

    def pair(self, level: str, incumbent: str) -> tuple[Studies, float]:
        """Return the studies of two arms and their true difference, which is 0 for two seeds of one recipe.

        The truth is the mean over all studies of what both see: the images held out and those of the pool, weighted
        by their numbers of images.
        """
        after, before = (self.names.index(name) for name in (level, incumbent))
        differences = self.correct[:, after] - self.correct[:, before]
        if {level, incumbent} == {"null", "base"}:
            return Studies(differences=differences, fold=self.fold), 0.0
        pool = float((self.pool[:, after] - self.pool[:, before]).mean())
        weight = self.correct.shape[3] / (self.correct.shape[3] + FOLDS * POOL_IMAGES)
        truth = weight * float(differences.mean()) + (1 - weight) * pool
        return Studies(differences=differences, fold=self.fold), truth


POOL_IMAGES = 300  # that every network of benchmarks/real_networks.py answers


def read_networks(folder: Path) -> Iterator[tuple[str, Networks]]:
    """Yield the rows that lie in a folder, the studies of all their files together."""
    rows = sorted({file.name.rsplit("-", 2)[0] for file in folder.glob("*-*-*.npz")})
    for row in rows:
        files = [np.load(file) for file in sorted(folder.glob(f"{row}-*.npz"))]
        yield (
            row,
            Networks(
                names=tuple(str(name) for name in files[0]["names"]),
                correct=np.concatenate([file["correct"] for file in files]).astype(np.float64),
                fold=np.concatenate([file["fold"] for file in files]).astype(np.int64),
                pool=np.concatenate([file["pool"] for file in files]),
            ),
        )


def print_networks(folder: Path) -> None:
    """Print what both tests do on real networks: false claims between seeds, coverage for all other pairs of arms."""
    print("| network | studies | difference | truth, points | blocks | corrected t: claims % | coverage % "
          "| two-part: claims % | coverage % |\n| --- | --: | --- | --: | --- | --: | --: | --: | --: |")  # fmt: skip
    for row, networks in read_networks(folder):
        for level in networks.names[1:]:
            studies, truth = networks.pair(level, "base")
            for repetitions in range(1, studies.fold.shape[1] + 1):
                cells = []
                for test in (corrected_t, two_part):
                    found = [test(part) for part in _windows(studies, repetitions)]
                    cells += [
                        float(np.mean([one.claims() for one in found])),
                        float(np.mean([one.coverage(truth) for one in found])),
                    ]
                name = "another seed" if level == "null" else level
                print(
                    f"| {row} | {len(networks.fold)} | {name} | {100 * truth:.2f} | 5 × {repetitions} | "
                    f"{_percent(*cells)} |",
                    flush=True,
                )


def _windows(studies: Studies, repetitions: int) -> Iterator[Studies]:
    """Yield the studies with every set of so many repetitions in a row."""
    for start in range(studies.fold.shape[1] - repetitions + 1):
        chosen = slice(start, start + repetitions)
        yield Studies(differences=studies.differences[:, chosen], fold=studies.fold[:, chosen])


def print_luck(folder: Path) -> None:
    """Print what the constants rest on: how far the luck of trainings goes beyond images, and what is shared.

    The mean of five blocks varies over studies by as much as five independent blocks would if its column is 1; more says that
    blocks are correlated.
    """
    print("\n| network | difference | images that differ % | s² / b² | Var(m) / (s² / N) | comes back in another repetition "
          "|\n| --- | --- | --: | --: | --: | --: |")  # fmt: skip
    for row, networks in read_networks(folder):
        for level in networks.names[1:]:
            studies, _ = networks.pair(level, "base")
            moments = [moments_of(part) for part in _windows(studies, 1)]
            spread, binomial = (np.mean([getattr(one, name) for one in moments]) for name in ("spread", "binomial"))
            shared = np.mean([one.mean.var(ddof=1) / (one.spread.mean() / one.blocks) for one in moments])
            centred = studies.differences - studies.differences.mean(axis=2, keepdims=True)
            back = (centred[:, 0] * centred[:, 1]).mean() / (centred**2).mean()
            differ = 100 * (studies.differences != 0).mean()
            print(
                f"| {row} | {level} | {differ:.1f} | {spread / binomial:.2f} | {shared:.2f} | {back:.2f} |", flush=True
            )


def print_finals(folder: Path) -> None:
    """Print the false claims of the two-way test between two seeds of one recipe, and those of McNemar's test."""
    print("| network | studies | seeds | images | deviation over seeds, points | McNemar, one seed: false claims % "
          "| two-way: false claims % |\n| --- | --: | --: | --: | --: | --: | --: |")  # fmt: skip
    for row in sorted({file.name.rsplit("-", 2)[0] for file in folder.glob("*-*-*.npz")}):
        right = np.concatenate([np.load(file)["right"] for file in sorted(folder.glob(f"{row}-*.npz"))])
        one = [mcnemar(first[0], second[0]).p_value < SIGNIFICANCE for first, second in right]
        both = [two_way_test(second.astype(float) - first).p_value < SIGNIFICANCE for first, second in right]
        luck = float(np.sqrt(right.mean(axis=3).var(axis=2, ddof=1).mean()))
        studies, _, seeds, images = right.shape
        print(
            f"| {row} | {studies} | {seeds} | {images} | {100 * luck:.1f} | {_percent(np.mean(one), np.mean(both))} |"
        )


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000, help="simulated studies per row")
    parser.add_argument("--networks", type=Path, help="folder of benchmarks/real_networks.py")
    parser.add_argument("--finals", type=Path, help="folder of benchmarks/real_networks.py --finals")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.perf_counter()
    if arguments.networks:
        print_networks(arguments.networks)
        print_luck(arguments.networks)
    elif arguments.finals:
        print_finals(arguments.finals)
    else:
        print_simulated(arguments.studies, np.random.default_rng(arguments.seed))
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
