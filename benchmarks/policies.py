"""What does a rule of choice bring in a whole study? Simulated greedy studies with a known truth, and real networks.

    python benchmarks/policies.py                        # 1,500 studies per rule and scenario, some minutes on one core
    python benchmarks/policies.py --networks FOLDER      # the levels of benchmarks/real_networks.py as one factor

A recipe is right on an image where its latent score is above 0: how hard the image is, the recipe's strength, what the
recipe makes of this image, and what a training adds by luck. A level inherits most of that from the setting it changes, so
that the luck of a choice stays with the recipe: the winner's curse is in the numbers. The truth is exact. Every study goes
through eight factors, each compared with the best setting so far on five folds; the end is confirmed against the
baseline on new images by five seeds, or on new splits of the same images.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from calibration_two_part import FOLDS, SIGNIFICANCE, corrected_t, moments_of, read_networks, two_part
from calibration_two_part import Test as TestOfMany
from ceteris.stats import expected_gain, holm, two_way_test
from ceteris.stats.expected_gain import Posterior
from ceteris.stats.twopart import training_variance
from simulated_studies import FloatArray, IntArray, Studies

LEVELS = (4, 1, 3, 3, 3, 2, 1, 3)  # of the factors of a study, without the incumbent
IMAGES, FRESH, SEEDS = 1440, 500, 5
MARGIN, ACCURACY, CHUNK = 0.005, 0.90, 250
HARDNESS, OPINION, LUCK = 1.0, 0.03, 0.5  # variances of a latent score: the image, the recipe on it, a training on it
SCALE = float(np.sqrt(HARDNESS + OPINION + LUCK))
HARM = 0.002  # a choice that loses more than this is called harmful

Choice = IntArray  # (studies,), the number of the level that is taken, -1 for none
Rule = Callable[[list[Studies], FloatArray, FloatArray], Choice]
# (levels minus incumbent, doublings of the operations (studies, levels), the incumbent's error (studies,))


def first_version(levels: list[Studies], doublings: FloatArray, error: FloatArray, *, by_image: bool = False) -> Choice:
    """Take the best of the levels that a test shows to be better, else one that is equivalent and a tenth cheaper."""
    tests = [two_part(level) if by_image else corrected_t(level) for level in levels]
    adjusted = np.array([holm(p) for p in np.stack([test.p_value for test in tests], axis=1)])
    means = np.stack([test.mean for test in tests], axis=1)
    choice = _best(means, (adjusted < SIGNIFICANCE) & (means > 0))
    reach = np.stack([stats.t.ppf(0.95, test.degrees) * test.error for test in tests], axis=1)
    cheap = (np.abs(means) + reach < MARGIN) & (adjusted >= SIGNIFICANCE) & (doublings < np.log2(0.9))
    return np.where(choice >= 0, choice, _best(-doublings, cheap))


def highest_mean(levels: list[Studies], doublings: FloatArray, error: FloatArray) -> Choice:
    """Take the level with the highest mean if that is above 0."""
    means = np.stack([level.differences.mean(axis=(1, 2)) for level in levels], axis=1)
    return _best(means, means > 0)


def posteriors(levels: list[Studies], error: FloatArray) -> list[list[Posterior]]:
    """Return what is believed of every level of every study, as ``ceteris.stats`` does: one list per level."""
    found = []
    for level in levels:
        moments = moments_of(level)
        noise = np.sqrt(moments.image_variance + training_variance(moments)[0])
        studies = zip(moments.mean, noise, error, strict=True)
        found.append([expected_gain(float(mean), float(one), error=float(rate)) for mean, one, rate in studies])
    return found


def best_bet(levels: list[Studies], doublings: FloatArray, error: FloatArray, *, caution: float = 0.5) -> Choice:
    """Take the highest expected gain, cost counted, as ``ceteris.study.decide`` does."""
    costs, believed = MARGIN / 5 * doublings, posteriors(levels, error)
    worth = np.array([[one.gain for one in level] for level in believed]).T - costs
    pays = np.array([[one.chance_above(float(cost)) for one, cost in zip(*pair, strict=True)]
                     for pair in zip(believed, costs.T, strict=True)]).T  # fmt: skip
    return _best(worth, (worth > MARGIN / 10) & (pays >= caution))


def _best(score: FloatArray, allowed: NDArray[np.bool_]) -> Choice:
    masked = np.where(allowed, score, -np.inf)
    return np.where(np.isfinite(masked.max(axis=1)), masked.argmax(axis=1), -1)


RULES: Mapping[str, tuple[Rule, int]] = {
    "first version: Holm, corrected t": (first_version, 1),
    "the same at three times the trainings": (first_version, 3),
    "Holm, two-part test": (lambda *study: first_version(*study, by_image=True), 1),
    "highest mean": (highest_mean, 1),
    "**best bet (shipped)**": (best_bet, 1),
    "best bet, caution 0.75": (lambda *study: best_bet(*study, caution=0.75), 1),
}
SCENARIOS = {  # shares of levels without effect, harmful, of some use and of great use
    "good baseline": (0.50, 0.35, 0.13, 0.02),
    "poor baseline": (0.40, 0.25, 0.25, 0.10),
    "nothing helps": (1.0, 0.0, 0.0, 0.0),
}


def strength(accuracy: FloatArray) -> FloatArray:
    """Return the strength of recipes with that true accuracy."""
    return np.asarray(SCALE * special.ndtri(accuracy))


def accuracy_of(latent: FloatArray) -> FloatArray:
    """Return the true accuracy of recipes of that strength."""
    return np.asarray(special.ndtr(latent / SCALE))


@dataclass(frozen=True, kw_only=True)
class Recipes:
    """A recipe per study: strength (studies,), opinion (studies, n), luck (studies, repetitions, n) and of folds."""

    strength: FloatArray
    opinion: FloatArray
    luck: FloatArray
    block_luck: FloatArray  # (studies, repetitions, folds)

    def right(self, hardness: FloatArray, fold: IntArray) -> FloatArray:
        """Return which images every training has right when they are held out, (studies, repetitions, n)."""
        shift = np.take_along_axis(self.block_luck, fold, axis=2)
        score = self.strength[:, None, None] + (hardness + self.opinion)[:, None] + self.luck + shift
        return (score > 0).astype(np.float64)

    def like(
        self, generator: np.random.Generator, alike: FloatArray, shift: FloatArray, wobble: FloatArray
    ) -> "Recipes":
        """Return recipes that share much with these: ``alike`` (studies,) is the correlation, ``wobble`` the luck of folds."""
        rest = np.sqrt(1 - alike**2)
        opinion = np.sqrt(OPINION) * generator.normal(size=self.opinion.shape)
        luck = np.sqrt(LUCK) * generator.normal(size=self.luck.shape)
        return Recipes(
            strength=self.strength + shift,
            opinion=alike[:, None] * self.opinion + rest[:, None] * opinion,
            luck=alike[:, None, None] * self.luck + rest[:, None, None] * luck,
            block_luck=wobble[:, None, None] * generator.normal(size=self.block_luck.shape),
        )

    def where(self, taken: NDArray[np.bool_], other: "Recipes") -> "Recipes":
        """Return the other recipe where it is taken."""

        def mixed(mine: FloatArray, theirs: FloatArray) -> FloatArray:
            return np.where(taken.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine)

        return Recipes(
            strength=mixed(self.strength, other.strength),
            opinion=mixed(self.opinion, other.opinion),
            luck=mixed(self.luck, other.luck),
            block_luck=mixed(self.block_luck, other.block_luck),
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of studies, (studies,) each: true gain, choices, harmful ones, and whether the end was claimed better."""

    gain: FloatArray
    choices: FloatArray
    harmful: FloatArray
    claimed_fresh: NDArray[np.bool_]
    claimed_again: NDArray[np.bool_]


def simulate(
    rule: Rule, repetitions: int, shares: tuple[float, ...], studies: int, generator: np.random.Generator
) -> Outcome:
    """Run greedy studies from the baseline to their confirmation."""
    hardness = np.sqrt(HARDNESS) * generator.normal(size=(studies, IMAGES))
    fold = generator.permuted(np.tile(np.arange(IMAGES) % FOLDS, (studies, repetitions, 1)), axis=2)
    nothing = np.zeros(studies)
    empty = Recipes(
        strength=np.full(studies, strength(np.asarray(ACCURACY))),
        opinion=np.zeros((studies, IMAGES)),
        luck=np.zeros((studies, repetitions, IMAGES)),
        block_luck=np.zeros((studies, repetitions, FOLDS)),
    )
    baseline = incumbent = empty.like(generator, nothing, nothing, nothing)
    alike, choices, harmful = np.ones(studies), np.zeros(studies), np.zeros(studies)
    for count in LEVELS:
        before = incumbent.right(hardness, fold)
        correlations = np.sqrt(1 - np.clip(0.25 * np.exp(0.6 * generator.normal(size=(count, studies))), 0.02, 0.9))
        doublings = np.where(generator.random((studies, count)) < 0.5, 0, generator.normal(size=(studies, count)))
        levels = [
            incumbent.like(generator, one, effects(shares, incumbent.strength, generator), wobbles(studies, generator))
            for one in correlations
        ]
        differences = [Studies(differences=level.right(hardness, fold) - before, fold=fold) for level in levels]
        choice = rule(differences, doublings, 1 - before.mean(axis=(1, 2)))
        for number, level in enumerate(levels):
            taken = choice == number
            lost = accuracy_of(incumbent.strength) - accuracy_of(level.strength)
            choices, harmful = choices + taken, harmful + (taken & (lost > HARM))
            alike = np.where(taken, alike * correlations[number], alike)
            incumbent = incumbent.where(taken, level)
    gain = accuracy_of(incumbent.strength) - accuracy_of(baseline.strength)
    changed = choices > 0
    return Outcome(
        gain=gain,
        choices=choices,
        harmful=harmful,
        claimed_fresh=changed & _confirmed_on_new_images(baseline, incumbent, alike, generator),
        claimed_again=changed & _confirmed_on_new_splits(baseline, incumbent, alike, hardness, generator),
    )


def effects(shares: tuple[float, ...], latent: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Return by how much levels differ in strength: in points nothing, up to 2 worse, some 0.8 or some 2.5 better."""
    size = generator.normal(size=(3, len(latent)))
    points = np.stack([np.zeros(len(latent)), -2.0 * np.abs(size[0]), 0.8 * np.abs(size[1]), 2.5 + 1.2 * size[2]])
    kind = np.searchsorted(np.cumsum(shares)[:-1], generator.random(len(latent)))
    target = accuracy_of(latent) + points[kind, np.arange(len(latent))] / 100
    return np.where(kind == 0, 0.0, strength(np.clip(target, 0.5, 0.995)) - latent)


def wobbles(studies: int, generator: np.random.Generator) -> FloatArray:
    """Return the luck of whole trainings, as a deviation of the strength; one recipe in ten is unsteady."""
    return generator.choice([0.01, 0.03, 0.1], studies, p=[0.7, 0.2, 0.1])


def _confirmed_on_new_images(
    baseline: Recipes, best: Recipes, alike: FloatArray, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Return whether five seeds of both, on images that no choice has seen, show the best to be better."""
    claimed = []
    for first, second, correlation, wobble in zip(
        baseline.strength, best.strength, alike, best.block_luck.std(axis=(1, 2)), strict=True
    ):
        hardness = np.sqrt(HARDNESS) * generator.normal(size=FRESH)
        one, other = generator.normal(size=(2, SEEDS, FRESH))
        opinions = generator.normal(size=(2, FRESH))
        rest = np.sqrt(1 - correlation**2)
        luck = wobble * generator.normal(size=(SEEDS, 1))
        before = first + hardness + np.sqrt(OPINION) * opinions[0] + np.sqrt(LUCK) * one > 0
        mixed = np.sqrt(OPINION) * (correlation * opinions[0] + rest * opinions[1])
        after = second + hardness + mixed + np.sqrt(LUCK) * (correlation * one + rest * other) + luck > 0
        found = two_way_test(after.astype(np.float64) - before)
        claimed.append(found.p_value < SIGNIFICANCE and found.difference > 0)
    return np.array(claimed)


def _confirmed_on_new_splits(
    baseline: Recipes, best: Recipes, alike: FloatArray, hardness: FloatArray, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Return whether two new repetitions on the images of the exploration show the best to be better."""
    fold = generator.permuted(np.tile(np.arange(IMAGES) % FOLDS, (len(alike), 2, 1)), axis=2)
    luck = np.sqrt(LUCK) * generator.normal(size=(2, len(alike), 2, IMAGES))
    mixed = alike[:, None, None] * luck[0] + np.sqrt(1 - alike**2)[:, None, None] * luck[1]
    wobble = best.block_luck.std(axis=(1, 2))[:, None, None] * generator.normal(size=(len(alike), 2, FOLDS))
    before = Recipes(strength=baseline.strength, opinion=baseline.opinion, luck=luck[0], block_luck=0 * wobble)
    after = Recipes(strength=best.strength, opinion=best.opinion, luck=mixed, block_luck=wobble)
    test: TestOfMany = two_part(
        Studies(differences=after.right(hardness, fold) - before.right(hardness, fold), fold=fold)
    )
    return np.asarray((test.p_value < SIGNIFICANCE) & (test.mean > 0))


def print_simulated(studies: int, seed: int) -> None:
    """Print what every rule brings in every scenario."""
    print("| rule | baseline | gain, points | choices | harmful % of them | studies left worse % | confirmed, new images % "
          "| of these falsely | confirmed, new splits % | of these falsely |"
          "\n| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |")  # fmt: skip
    for scenario, shares in SCENARIOS.items():
        for title, (rule, repetitions) in RULES.items():
            generator = np.random.default_rng(seed)
            parts = [simulate(rule, repetitions, shares, CHUNK, generator) for _ in range(studies // CHUNK)]
            gain = np.concatenate([part.gain for part in parts])
            choices = sum(float(part.choices.sum()) for part in parts)
            harmful = sum(float(part.harmful.sum()) for part in parts) / max(1.0, choices)
            claims = []
            for field in ("claimed_fresh", "claimed_again"):
                claimed = np.concatenate([getattr(part, field) for part in parts])
                claims += [f"{100 * claimed.mean():.1f}", f"{100 * (claimed & (gain <= 1e-12)).mean():.1f}"]
            print(
                f"| {title} | {scenario} | {100 * gain.mean():.2f} | {choices / len(gain):.2f} | {100 * harmful:.1f} | "
                f"{100 * (gain < -0.001).mean():.1f} | {' | '.join(claims)} |",
                flush=True,
            )


def print_networks(folder: Path) -> None:
    """Print what every rule brings where the arms of real networks are the levels of one factor, at 5 × 1."""
    print("| network | studies | best level, points | rule | gain, points | changed % | harmful % of choices |"
          "\n| --- | --: | --: | --- | --: | --: | --: |")  # fmt: skip
    for row, networks in read_networks(folder):
        pairs = [networks.pair(name, "base") for name in networks.names[1:]]
        truth = np.array([gain for _, gain in pairs])
        error = 1 - networks.correct[:, networks.names.index("base"), :1].mean(axis=(1, 2))
        for title, (rule, repetitions) in RULES.items():
            if repetitions > networks.fold.shape[1]:
                continue
            levels = [
                Studies(differences=pair.differences[:, :repetitions], fold=pair.fold[:, :repetitions])
                for pair, _ in pairs
            ]
            choice = rule(levels, np.zeros((len(error), len(levels))), error)
            gains = np.where(choice >= 0, truth[np.maximum(choice, 0)], 0.0)
            harmful = (gains < -HARM).sum() / max(1, (choice >= 0).sum())
            print(
                f"| {row} | {len(error)} | {100 * max(0.0, truth.max()):.2f} | {title} | {100 * gains.mean():.2f} | "
                f"{100 * (choice >= 0).mean():.0f} | {100 * harmful:.1f} |",
                flush=True,
            )


def print_promises(folder: Path) -> None:
    """Print what the best bet of a factor was measured at, what was expected of it, and what it truly brings, at 5 × 1."""
    print("\n| network | errors % | measured | expected | true gain, points | expected in units of e (1 - e) |"
          "\n| --- | --: | --: | --: | --: | --: |")  # fmt: skip
    for row, networks in read_networks(folder):
        pairs = [networks.pair(name, "base") for name in networks.names[1:]]
        error = 1 - networks.correct[:, networks.names.index("base"), :1].mean(axis=(1, 2))
        levels = [Studies(differences=pair.differences[:, :1], fold=pair.fold[:, :1]) for pair, _ in pairs]
        choice = best_bet(levels, np.zeros((len(error), len(levels))), error)
        taken = (np.maximum(choice, 0), np.arange(len(error)))
        kinds = (
            np.array([level.differences.mean(axis=(1, 2)) for level in levels]),
            *(np.array([[one.gain for one in level] for level in posteriors(levels, unit)])
              for unit in (error, error * (1 - error))),
            np.repeat([[truth] for _, truth in pairs], len(error), axis=1),
        )  # fmt: skip
        measured, expected, shrunk, true = (100 * np.where(choice >= 0, kind[taken], 0).mean() for kind in kinds)
        print(f"| {row} | {100 * error.mean():.0f} | {measured:.2f} | {expected:.2f} | {true:.2f} | {shrunk:.2f} |")


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1500, help="simulated studies per rule and scenario")
    parser.add_argument("--networks", type=Path, help="folder of benchmarks/real_networks.py")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.perf_counter()
    if arguments.networks:
        print_networks(arguments.networks)
        print_promises(arguments.networks)
    else:
        print_simulated(arguments.studies, arguments.seed)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
