"""Is SGD bad, or was it given Adam's learning rate? The ResNet [2, 2, 2] of 64/128/256 filters on EMNIST
characters, its first convolution with stride 2 so that this takes minutes.

    python benchmarks/sgd_case.py --data-dir FOLDER

Two factors against the same baseline (Adam at 0.001): SGD at that very rate, and SGD with its rate tuned by as many trials
as Adam's. Prints the table of docs/strategies.md. About 40 minutes on one core.
"""

import argparse
from pathlib import Path

from ceteris.findings import FactorFinding
from ceteris.report.search_words import decision_text, tuning_sentence
from ceteris.study import parse_study
from exploring import core_seconds, explore

STUDY = """
name = "sgd-case"
data = "emnist-47"
strategy = "one-at-a-time"
equivalence_margin = 0.01
[exploration]
folds = 3
images = 1800
[models.resnet]
title = "ResNet [2, 2, 2], 64/128/256"
model = { kind = "resnet", blocks = [2, 2, 2], filters = [64, 128, 256], stem_stride = 2 }
optimizer = { kind = "adam", lr = 0.001 }
schedule = "cosine"
epochs = 5
batch_size = 32
precision = "auto"
[[factors]]
name = "at-adams-rate"
title = "SGD at Adam's rate"
field = "optimizer"
tune = false
levels = [{ kind = "adam", lr = 0.001 }, { label = "sgd", value = { kind = "sgd", lr = 0.001 } }]
[[factors]]
name = "at-its-own-rate"
title = "SGD at its own rate"
field = "optimizer"
tune = [{ field = "optimizer.lr", trials = 5, step = 5.0 }]
levels = [{ kind = "adam", lr = 0.001 }, { label = "sgd", value = { kind = "sgd", lr = 0.001 } }]
"""


def rows(finding: FactorFinding) -> list[str]:
    told = []
    for level in finding.levels:
        comparison = level.comparison
        against = (
            f"{100 * comparison.difference:+.2f} ({100 * comparison.low:+.2f} to {100 * comparison.high:+.2f}), "
            f"{comparison.verdict}"
            if comparison
            else "-"
        )
        rate = level.tuning[0].chosen if level.tuning else 0.001
        told.append(
            f"| {finding.title} | {level.label} | {rate:g} | {100 * level.accuracies.mean():.2f} | {against} "
            f"| {level.effort.trials} | {level.effort.seconds:.0f} |"
        )
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--store", type=Path, default=Path("ceteris-results/sgd-case/store"))
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    (found,) = explore(parse_study(STUDY), data_dir=options.data_dir, store=options.store, workers=options.workers)
    print("| comparison | optimizer | learning rate | accuracy % | difference in points | trainings | core-seconds |")
    print("| --- | --- | --: | --: | --- | --: | --: |")
    for factor in found.search.factors:
        print("\n".join(rows(factor)))
    for factor in found.search.factors:
        for level in factor.levels:
            for tuning in level.tuning:
                print(f"\n{level.label}: {tuning_sentence(tuning)}")
        print(f"\n{factor.title}: {decision_text(factor)}")
    records = list(found.records.values())
    print(f"\n{len(records)} trainings, {core_seconds(records):.0f} core-seconds, {found.seconds:.0f} s in all")


if __name__ == "__main__":
    main()
