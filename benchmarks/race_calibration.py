"""Does a race say what the full design would have said, and what does it save? Simulated studies with a known truth.

    python benchmarks/race_calibration.py                  # 10,000 studies per row, about a quarter of an hour on one core
    python benchmarks/race_calibration.py --studies 1000   # two minutes

The shipped rules of departure run through every simulated study block by block; at the end the same test as in the full
design is made of the blocks that every level has. Prints Markdown tables. Effects are in standard deviations of the block
differences: with 5 x 4 blocks and one level the test finds 1.6 with power 0.8.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from ceteris.findings import Comparison
from ceteris.stats import Outcomes, compare_levels, holm, overlap_share
from ceteris.study.strategies.race import RaceRules, RaceState
from simulated_studies import Draw, FloatArray, class_means, nearest_neighbours

FOLDS, SIGNIFICANCE = 5, 0.05
INCUMBENT = "incumbent"
Test = Literal["paired", "friedman"]
Worlds = Callable[[np.random.Generator, int, int], tuple[FloatArray, FloatArray]]
# (generator, studies, blocks) -> results (studies, arms, blocks) with the incumbent first, and true effects (studies, levels)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A factor with known effects; ``effect`` is what one level against the incumbent really differs by."""

    title: str
    worlds: Worlds
    test: Test = "paired"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the race did in one scenario, shares of the levels or of the studies."""

    saved: float
    lost: float  # levels: the full design claims better or worse, the race does not
    added: float  # levels: the race claims, the full design does not
    reversed: float  # levels: better in the one and worse in the other
    false_full: float  # studies in which a level without an effect is claimed
    false_race: float
    other_choice: float  # studies in which another level is kept
    given_away: float  # mean true effect of the full design's choice less that of the race's


def gaussian_factor(effects: Callable[[np.random.Generator, int], FloatArray]) -> Worlds:
    """Arms with equally correlated Gaussian blocks: differences have variance 1 beside what all blocks share."""

    def draw(generator: np.random.Generator, studies: int, blocks: int) -> tuple[FloatArray, FloatArray]:
        truth = effects(generator, studies)
        arms = truth.shape[1] + 1
        share = overlap_share(folds=FOLDS, blocks=blocks)
        shared = np.sqrt(share / 2) * generator.normal(size=(studies, arms, 1))
        results = shared + np.sqrt(0.5) * generator.normal(size=(studies, arms, blocks))
        results[:, 1:] += truth[:, :, None]
        return results, truth

    return draw


def fixed(*effects: float) -> Worlds:
    return gaussian_factor(lambda generator, studies: np.tile(np.array(effects), (studies, 1)))


def mixed(levels: int) -> Worlds:
    """Every level: nothing at all (1/3), a small effect up to 0.5 (1/6), or one of 1 to 8 (1/2), up or down."""

    def effects(generator: np.random.Generator, studies: int) -> FloatArray:
        shape = (studies, levels)
        kind = generator.random(shape)
        size = np.where(kind < 1 / 2, generator.uniform(0, 0.5, shape), generator.uniform(1, 8, shape))
        return np.where(kind < 1 / 3, 0.0, size * generator.choice([-1, 1], shape))

    return gaussian_factor(effects)


def learners(make: Callable[[int], Draw], gain: float) -> Worlds:
    """Two learners' real cross-validations; without a gain the null hypothesis holds exactly."""

    def draw(generator: np.random.Generator, studies: int, blocks: int) -> tuple[FloatArray, FloatArray]:
        differences = make(blocks // FOLDS)(generator, studies, gain)
        results = np.stack([np.zeros_like(differences), differences], axis=1)
        return results, np.full((studies, 1), 0.0 if gain == 0 else float(differences.mean()))

    return draw


def means(gain: float) -> Worlds:
    return learners(lambda repeats: class_means(200, FOLDS, repeats), gain)


def neighbours(gain: float) -> Worlds:
    return learners(lambda repeats: nearest_neighbours(100, FOLDS, repeats), gain)


SCENARIOS = (
    Scenario(title="1 level, no effect", worlds=fixed(0)),
    Scenario(title="1 level, effect 1 (power 0.4)", worlds=fixed(1)),
    Scenario(title="1 level, effect 2 (power 0.95)", worlds=fixed(2)),
    Scenario(title="1 level, effect 4", worlds=fixed(4)),
    Scenario(title="1 level, effect 8", worlds=fixed(8)),
    Scenario(title="3 levels, no effects", worlds=fixed(0, 0, 0)),
    Scenario(title="3 levels: 0, 0.3, -0.3", worlds=fixed(0, 0.3, -0.3)),
    Scenario(title="3 levels: 0, 4, -4", worlds=fixed(0, 4, -4)),
    Scenario(title="3 levels: -3, -6, -9", worlds=fixed(-3, -6, -9)),
    Scenario(title="3 levels, mixed", worlds=mixed(3)),
    Scenario(title="3 levels, mixed, Friedman first", worlds=mixed(3), test="friedman"),
    Scenario(title="6 levels, mixed", worlds=mixed(6)),
    Scenario(title="class means, no effect", worlds=means(0.0)),
    Scenario(title="class means, gain 0.15", worlds=means(0.15)),
    Scenario(title="class means, gain 0.6", worlds=means(0.6)),
    Scenario(title="nearest neighbour, no effect", worlds=neighbours(0.0)),
    Scenario(title="nearest neighbour, gain 0.2", worlds=neighbours(0.2)),
)


def run(scenario: Scenario, blocks: int, studies: int, generator: np.random.Generator) -> Row:
    """Race through every study and compare with the full design."""
    results, truth = scenario.worlds(generator, studies, blocks)
    raced = results.copy()
    choices = np.array([race(study, scenario.test) for study in raced])  # leaves NaN where nobody was trained
    full, early = claims(results), claims(raced)
    check_against_shipped(raced, early)
    kept = np.where((early > 0).any(axis=1), choices, -1)
    best = np.where((full > 0).any(axis=1), _best(full, results), -1)
    null = truth == 0
    return Row(
        saved=float(np.isnan(raced).mean()),
        lost=float(((full != 0) & (early == 0)).mean()),
        added=float(((full == 0) & (early != 0)).mean()),
        reversed=float((full * early < 0).mean()),
        false_full=float(((full != 0) & null).any(axis=1).mean()),
        false_race=float(((early != 0) & null).any(axis=1).mean()),
        other_choice=float((kept != best).mean()),
        given_away=float((_effect(truth, best) - _effect(truth, kept)).mean()),
    )


def race(study: FloatArray, test: Test) -> int:
    """Race (arms, blocks) results, put NaN where an arm had left, and return the number of the level that won, or -1."""
    arms, blocks = study.shape
    labels = [INCUMBENT, *map(str, range(arms - 1))]
    rules = RaceRules(blocks=blocks, folds=FOLDS, significance=SIGNIFICANCE, margin=0.0, test=test)
    standings = RaceState(rules=rules, incumbent=INCUMBENT, running=labels.copy())
    done = 3
    while done < blocks and not standings.over:
        running = {label: study[labels.index(label), :done] for label in standings.running}
        compared = _compared(running[INCUMBENT], running)
        standings.look(running, compared)
        for label in set(labels) - set(standings.running):
            study[labels.index(label), done:] = np.nan
        done += 1
    if standings.over:
        study[0, done - 1 :] = np.nan
    overtaken = [int(label) for label, left in standings.left.items() if left.reason == "overtaken"]
    return _winner(study, overtaken)


def _winner(study: FloatArray, overtaken: list[int]) -> int:
    differences = np.nanmean(study[1:] - study[0], axis=1)
    allowed = [number for number in np.flatnonzero(_study_claims(study) > 0) if number not in overtaken]
    return int(max(allowed, key=lambda number: float(differences[number]), default=-1))


def _study_claims(study: FloatArray) -> FloatArray:
    return np.asarray(claims(study[None])[0])


def claims(results: FloatArray) -> FloatArray:
    """Return 1 for better, -1 for worse, 0 for neither, (studies, levels): the rules of compare_levels, many at once."""
    differences = results[:, 1:] - results[:, :1]
    blocks = np.isfinite(differences).sum(axis=2)
    mean, variance = np.nanmean(differences, axis=2), np.nanvar(differences, axis=2, ddof=1)
    shares = np.array([0.0, 0.0] + [overlap_share(folds=FOLDS, blocks=n) for n in range(2, results.shape[2] + 1)])
    error = np.sqrt((1 / blocks + shares[blocks]) * variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * special.stdtr(blocks - 1, -np.abs(mean) / error)
    p = np.where(error > 0, p, np.where(mean == 0, 1.0, 2.0 ** (1 - blocks)))
    adjusted = np.array([holm(row) for row in p])
    return np.where(adjusted < SIGNIFICANCE, np.sign(mean), 0.0)


def check_against_shipped(results: FloatArray, found: FloatArray, studies: int = 50) -> None:
    """Stop the benchmark if its fast verdicts are not those of compare_levels."""
    words = {"better": 1, "worse": -1}
    for study, expected in zip(results[:studies], found, strict=False):
        levels = {str(number): arm for number, arm in enumerate(study[1:])}
        shipped = _compared(study[0], levels)
        assert [words.get(comparison.verdict, 0) for comparison in shipped.values()] == expected.tolist()


def _compared(incumbent: FloatArray, levels: Mapping[str, FloatArray]) -> dict[str, Comparison]:
    figures = {label: Outcomes.of_figures(level, folds=FOLDS) for label, level in levels.items()}
    return compare_levels(Outcomes.of_figures(incumbent, folds=FOLDS), figures, folds=FOLDS, margin=0.0)


def _best(verdicts: FloatArray, results: FloatArray) -> FloatArray:
    means = (results[:, 1:] - results[:, :1]).mean(axis=2)
    return np.asarray(np.where(verdicts > 0, means, -np.inf).argmax(axis=1))


def _effect(truth: FloatArray, choice: FloatArray) -> FloatArray:
    padded = np.concatenate([truth, np.zeros((len(truth), 1))], axis=1)  # the last one, -1, is the incumbent
    return np.asarray(padded[np.arange(len(truth)), choice.astype(int)])


def print_table(repetitions: int, studies: int, seed: int) -> None:
    blocks = FOLDS * repetitions
    print(f"\n**{FOLDS} folds × {repetitions} seeds, {studies:,} studies per row**\n")
    print(
        "| factor | trainings saved % | claim lost % of levels | claim added % | reversed % | any false claim, full % "
        "| any false claim, race % | other level kept % | true effect given away |"
    )
    print("| --- | --: | --: | --: | --: | --: | --: | --: | --: |")
    for number, scenario in enumerate(SCENARIOS):
        row = run(scenario, blocks, studies, np.random.default_rng([seed, repetitions, number]))
        shares = (row.saved, row.lost, row.added, row.reversed, row.false_full, row.false_race, row.other_choice)
        told = " | ".join(f"{100 * share:.1f}" for share in shares)
        print(f"| {scenario.title} | {told} | {row.given_away:.3f} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000, help="simulated studies per row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, choices=(4, 5), action="append", help="repetitions of the full design")
    options = parser.parse_args()
    began = time.perf_counter()
    for repetitions in options.seeds or (4, 5):
        print_table(repetitions, options.studies, options.seed)
    print(f"\nseed {options.seed}, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
