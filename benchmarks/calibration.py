"""Do the tests of ceteris.stats keep what they promise? Simulated studies with a known truth, the shipped functions.

    python benchmarks/calibration.py                      # 10,000 studies per row, some minutes on one core
    python benchmarks/calibration.py --studies 500        # a quick look

Prints the tables of docs/methodology.md: false positives at 5 %, coverage of 95 % intervals, power against the formula.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from ceteris.stats import (
    BlockOutcome,
    Outcomes,
    compare_levels,
    corrected_t_test,
    friedman_test,
    mcnemar,
    overlap_share,
    t_test_power,
    two_way_interval,
    two_way_test,
    wilson_interval,
)
from simulated_studies import Draw, FloatArray, class_means, gaussian, nearest_neighbours

SIGNIFICANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class Design:
    """How the blocks of a study come about, and a gain that is hard but not impossible to find."""

    title: str
    folds: int
    draw: Draw
    gain: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the corrected t-test did in one design, shares of the studies."""

    title: str
    correlation: float
    false_positives: float
    plain_false_positives: float
    coverage: float
    power: float
    formula: float


DESIGNS = (
    Design(title="Gaussian, correlation 1/5, 5 blocks", folds=5, draw=gaussian(5, 1 / 5), gain=2.0),
    Design(title="Gaussian, correlation 1/10, 10 blocks", folds=10, draw=gaussian(10, 1 / 10), gain=1.0),
    Design(title="Gaussian, correlation 1/5, 25 blocks", folds=5, draw=gaussian(25, 1 / 5), gain=1.5),
    Design(title="Gaussian, correlation 0.3, 25 blocks (5 folds assumed)", folds=5, draw=gaussian(25, 0.3), gain=1.5),
    Design(title="class means, 5 folds", folds=5, draw=class_means(200, 5, 1), gain=0.15),
    Design(title="class means, 10 folds", folds=10, draw=class_means(200, 10, 1), gain=0.15),
    Design(title="class means, 5 × 5 folds, new folds per seed", folds=5, draw=class_means(200, 5, 5), gain=0.15),
    Design(title="class means, 10 × 10 folds, new folds per seed", folds=10, draw=class_means(200, 10, 10), gain=0.15),
    Design(
        title="class means, 5 × 5, same folds for every seed",
        folds=5,
        draw=class_means(200, 5, 5, new_folds=False),
        gain=0.15,
    ),
    Design(
        title="the same with no randomness in training",
        folds=5,
        draw=class_means(200, 5, 5, new_folds=False, noise=0.0),
        gain=0.15,
    ),
    Design(title="nearest neighbour, 5 folds", folds=5, draw=nearest_neighbours(100, 5, 1), gain=0.2),
    Design(title="nearest neighbour, 10 folds", folds=10, draw=nearest_neighbours(100, 10, 1), gain=0.2),
    Design(title="nearest neighbour, 5 × 5 folds", folds=5, draw=nearest_neighbours(100, 5, 5), gain=0.2),
    Design(title="nearest neighbour, 10 × 10 folds", folds=10, draw=nearest_neighbours(100, 10, 10), gain=0.2),
)


def corrected_row(design: Design, studies: int, generator: np.random.Generator) -> Row:
    """Run the corrected t-test on null studies and on studies with a gain; the truth is the mean of all studies."""
    null, alternative = design.draw(generator, studies, 0.0), design.draw(generator, studies, design.gain)
    blocks = null.shape[1]
    test_share = overlap_share(folds=design.folds, blocks=blocks)
    truth = float(alternative.mean())
    results = [corrected_t_test(study, test_share=test_share) for study in alternative]
    error = float(np.sqrt(alternative.var(axis=1, ddof=1).mean() * (1 / blocks + test_share)))
    return Row(
        title=design.title,
        correlation=_mean_correlation(null),
        false_positives=share_below(null, lambda study: corrected_t_test(study, test_share=test_share).p_value),
        plain_false_positives=share_below(null, lambda study: corrected_t_test(study, test_share=0).p_value),
        coverage=float(np.mean([result.low <= truth <= result.high for result in results])),
        power=float(np.mean([result.p_value < SIGNIFICANCE for result in results])),
        formula=t_test_power(truth, error=error, degrees=blocks - 1),
    )


def share_below(studies: FloatArray, p_value: Callable[[FloatArray], float]) -> float:
    """Return the share of studies whose p-value is below 5 %."""
    return float(np.mean([p_value(study) < SIGNIFICANCE for study in studies]))


def _mean_correlation(studies: FloatArray) -> float:
    covariance = np.cov(studies.T)
    off_diagonal = ~np.eye(len(covariance), dtype=bool)
    return float(covariance[off_diagonal].mean() / np.diag(covariance).mean())


def other_tests(studies: int, generator: np.random.Generator) -> dict[str, float]:
    """Return the false positives of the other tests, where their assumptions hold."""
    ranked = generator.normal(size=(studies, 10, 5))
    friedman = [friedman_test(study).p_value < SIGNIFICANCE for study in ranked]
    return {
        "Friedman (Iman-Davenport F), 5 arms, 10 independent blocks": float(np.mean(friedman)),
        "McNemar, 1,000 images, 3 % disagree": mcnemar_false_positives(0.03, studies, generator),
        "McNemar, 1,000 images, 1 % disagree (exact)": mcnemar_false_positives(0.01, studies, generator),
    }


def mcnemar_false_positives(disagreement: float, studies: int, generator: np.random.Generator) -> float:
    """Return how often McNemar's test tells two equally accurate models apart on 1,000 images."""
    draws = generator.random((studies, 1000))
    claims = []
    for draw in draws:
        first_wrong, second_wrong = draw < disagreement / 2, (draw >= disagreement / 2) & (draw < disagreement)
        claims.append(mcnemar(~first_wrong, ~second_wrong).p_value < SIGNIFICANCE)
    return float(np.mean(claims))


def verdicts(studies: int, generator: np.random.Generator) -> dict[str, float]:
    """Return how often compare_levels says something false about a factor of five levels on five folds of 200 images."""
    null_claims, false_equivalences, margin = [], [], 0.05
    for _ in range(studies):
        arms = np.sqrt(0.5) * generator.normal(size=200) + np.sqrt(0.5) * generator.normal(size=(6, 200))
        outcomes = [_outcomes(arm) for arm in 0.3 * arms]
        levels = {f"level {number}": arm for number, arm in enumerate(outcomes[1:])}
        found = compare_levels(outcomes[0], levels, folds=5, margin=0)
        null_claims.append(any(comparison.verdict in ("better", "worse") for comparison in found.values()))
        shifted = {"level": _outcomes(0.3 * arms[1] + margin)}
        at_margin = compare_levels(outcomes[0], shifted, folds=5, margin=margin)
        false_equivalences.append(at_margin["level"].verdict == "equivalent")
    return {
        "any of five null levels called better or worse (Holm)": float(np.mean(null_claims)),
        "equivalent although the difference is the margin itself": float(np.mean(false_equivalences)),
    }


def _outcomes(values: FloatArray) -> Outcomes:
    """Cut the values of an arm into five folds."""
    held = np.arange(len(values)).reshape(5, -1)
    return Outcomes(blocks=tuple(BlockOutcome(images=images, values=values[images]) for images in held))


def test_set_coverage(studies: int, generator: np.random.Generator) -> list[tuple[str, float]]:
    """Return (design, Wilson): how often the 95 % interval of a test accuracy holds the truth."""
    rows = []
    for accuracy, images in ((0.9, 100), (0.98, 100), (0.9, 1000), (0.98, 1000), (0.99, 10_000)):
        intervals = [wilson_interval(int(correct), images) for correct in generator.binomial(images, accuracy, studies)]
        covered = np.mean([interval.low <= accuracy <= interval.high for interval in intervals])
        rows.append((f"accuracy {accuracy:.0%}, {images:,} images", float(covered)))
    return rows


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Two recipes with ``seeds`` trainings each on ``images``; ``luck`` is the standard deviation of accuracy over seeds.

    ``opinion`` is the share of the variance of a latent score that belongs to a recipe and an image, not to a training.
    """

    seeds: int
    images: int
    luck: float
    opinion: float
    accuracy: float = 0.95


TEST_SETS = (
    TestSet(seeds=5, images=300, luck=0.0, opinion=0.05),
    TestSet(seeds=5, images=300, luck=0.01, opinion=0.05),
    TestSet(seeds=5, images=2000, luck=0.0, opinion=0.0),
    TestSet(seeds=5, images=2000, luck=0.004, opinion=0.05),
    TestSet(seeds=5, images=2000, luck=0.02, opinion=0.05),
    TestSet(seeds=10, images=2000, luck=0.004, opinion=0.05),
    TestSet(seeds=5, images=10_000, luck=0.004, opinion=0.05),
    TestSet(seeds=3, images=10_000, luck=0.004, opinion=0.05),
)


def two_way_row(design: TestSet, studies: int, generator: np.random.Generator) -> tuple[float, ...]:
    """Return false claims of McNemar at the first seed and of the two-way test, its power, and coverage of an accuracy.

    A run is right on an image where hardness + strength of the run + its recipe's opinion + its own is above 0; the gain
    whose power is measured is three standard errors of the images and seeds together.
    """
    strength = float(norm.ppf(design.accuracy)) * np.sqrt(2)
    density = float(norm.pdf(strength / np.sqrt(2))) / np.sqrt(2)  # accuracy per unit of strength
    gain = 0.0
    claims = []
    for study in range(studies + 50):
        hardness = generator.normal(size=design.images)
        opinions = np.sqrt(design.opinion) * generator.normal(size=(2, 1, design.images))
        own = np.sqrt(1 - design.opinion) * generator.normal(size=(2, design.seeds, design.images))
        runs = design.luck / density * generator.normal(size=(2, design.seeds, 1))
        scores = strength + hardness + opinions + own + runs  # (2 recipes, seeds, images)
        right = scores > 0
        null = two_way_test(right[1].astype(np.float64) - right[0])
        if study < 50:  # a few studies set the size of the gain
            gain += 3 * null.standard_error / density / 50
            continue
        better = (scores[1] + gain > 0).astype(np.float64) - right[0]
        truth = float(norm.cdf(strength / np.sqrt(2 + (design.luck / density) ** 2)))
        interval = two_way_interval(right[0])
        claims.append(
            (
                mcnemar(right[0, 0], right[1, 0]).p_value < SIGNIFICANCE,
                null.p_value < SIGNIFICANCE,
                two_way_test(better).p_value < SIGNIFICANCE,
                interval.low <= truth <= interval.high,
            )
        )
    return tuple(float(share) for share in np.mean(claims, axis=0))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def print_corrected(studies: int, generator: np.random.Generator) -> None:
    print("| design | correlation | false positives % | uncorrected % | coverage % | power % | power by formula % |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for design in DESIGNS:
        row = corrected_row(design, studies, generator)
        shares = (row.false_positives, row.plain_false_positives, row.coverage, row.power, row.formula)
        print(f"| {row.title} | {row.correlation:.2f} | " + " | ".join(map(_percent, shares)) + " |", flush=True)


def print_other_tests(studies: int, generator: np.random.Generator) -> None:
    print("\n| claim | made falsely, % |\n| --- | --: |")
    for title, share in {**other_tests(studies, generator), **verdicts(studies, generator)}.items():
        print(f"| {title} | {_percent(share)} |", flush=True)


def print_test_sets(studies: int, generator: np.random.Generator) -> None:
    print("\n| test set | Wilson: coverage % |\n| --- | --: |")
    for title, coverage in test_set_coverage(studies, generator):
        print(f"| {title} | {_percent(coverage)} |", flush=True)


def print_two_way(studies: int, generator: np.random.Generator) -> None:
    print(
        "\n| seeds | images | deviation over seeds, points | McNemar, one seed: false claims % | two-way: false claims % "
        "| power % | interval of an accuracy: coverage % |\n| --: | --: | --: | --: | --: | --: | --: |"
    )
    for design in TEST_SETS:
        shares = two_way_row(design, studies, generator)
        print(
            f"| {design.seeds} | {design.images:,} | {100 * design.luck:.1f} | "
            + " | ".join(map(_percent, shares))
            + " |",
            flush=True,
        )


PARTS = {
    "corrected": print_corrected,
    "others": print_other_tests,
    "test-sets": print_test_sets,
    "two-way": print_two_way,
}


def main() -> None:
    """Print all tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000, help="simulated studies per row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=("all", *PARTS), default="all")
    arguments = parser.parse_args()
    began = time.perf_counter()
    for number, (name, table) in enumerate(PARTS.items()):
        if arguments.part in ("all", name):
            table(arguments.studies, np.random.default_rng([arguments.seed, number]))
    print(f"\n{arguments.studies:,} studies per row, seed {arguments.seed}, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
