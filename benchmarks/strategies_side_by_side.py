"""All strategies on the same factors and the same blocks: what they decide, and at what cost.

    python benchmarks/strategies_side_by_side.py --data-dir FOLDER

An MLP on a sample of MNIST, 5 folds x 4 repetitions. Every strategy has a store of its own, so that its cost
is its own.
Prints the tables of docs/strategies.md.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ceteris.fields import describe_changes
from ceteris.findings import Confirmation, FactorFinding
from ceteris.recipe import Recipe
from ceteris.report.search_words import search_text
from ceteris.study import parse_study
from exploring import Explored, core_seconds, explore
from strategies_study import STRATEGIES, study_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path("ceteris-results/strategies"), help="of the stores")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--strategy", choices=STRATEGIES, action="append", help="only these; repeatable")
    options = parser.parse_args()
    found = {name: run(name, options) for name in options.strategy or STRATEGIES}
    print_costs(found)
    if {"one-at-a-time", "race"} <= set(found):
        print_race(found["one-at-a-time"], found["race"])
    for name, explored in found.items():
        print(f"\n**{name}.** {search_text(explored.search)}")


def run(strategy: str, options: argparse.Namespace) -> Explored:
    study = parse_study(study_text(strategy, data="mnist", images=options.images, seeds=options.seeds))
    store = options.folder / strategy / "store"
    (explored,) = explore(study, data_dir=options.data_dir, store=store, workers=options.workers)
    print(f"<!-- {strategy}: {explored.seconds:.0f} s -->", flush=True)
    return explored


def print_costs(found: dict[str, Explored]) -> None:
    print("| strategy | best recipe | trainings | core-seconds | confirmed improvement, points |")
    print("| --- | --- | --: | --: | --- |")
    for name, explored in found.items():
        changes = changes_text(explored.search.model.recipe, explored.search.best)
        records = list(explored.records.values())
        print(
            f"| {name} | {changes} | {len(records)} | {core_seconds(records):.0f} "
            f"| {confirmed_text(explored.confirmation)} |"
        )


def changes_text(baseline: Recipe, best: Recipe) -> str:
    return "; ".join(describe_changes(baseline, best)) or "the baseline"


def confirmed_text(confirmation: Confirmation | None) -> str:
    comparison = confirmation.comparison if confirmation else None
    if comparison is None:
        return "-"
    low, high = 100 * comparison.low, 100 * comparison.high
    return f"{100 * comparison.difference:+.2f} ({low:+.2f} to {high:+.2f}), {comparison.verdict}"


def print_race(full: Explored, race: Explored) -> None:
    """Compare the verdicts of the race with those of the full design, level by level."""
    print("\n| factor | level | full design: verdict | points | race: verdict | points | race: blocks |")
    print("| --- | --- | --- | --: | --- | --: | --: |")
    pairs = list(zip(levels_of(full.search.factors), levels_of(race.search.factors), strict=True))
    for (factor, level, verdict, points, _), (_, _, raced, raced_points, blocks) in pairs:
        print(f"| {factor} | {level} | {verdict} | {points:+.2f} | {raced} | {raced_points:+.2f} | {blocks} |")
    decided = {"better", "worse"}
    different = sum(one[2] != other[2] for one, other in pairs if {one[2], other[2]} & decided)
    exploration = [trainings_without_confirmation(explored) for explored in (full, race)]
    print(
        f"\n{different} verdicts better/worse differ; the race trained {exploration[1]} of {exploration[0]} "
        f"({100 * (1 - exploration[1] / exploration[0]):.0f} % saved)."
    )


def levels_of(factors: Sequence[FactorFinding]) -> list[tuple[str, str, str, float, int]]:
    return [
        (factor.name, level.label, level.comparison.verdict, 100 * level.comparison.difference, level.comparison.blocks)
        for factor in factors
        for level in factor.levels
        if level.comparison
    ]


def trainings_without_confirmation(explored: Explored) -> int:
    confirmed = 2 * len(explored.confirmation.best) if explored.confirmation else 0
    return len(explored.records) - confirmed


if __name__ == "__main__":
    main()
