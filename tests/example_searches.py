"""Invented findings of every strategy beside the greedy one, built on the example of one model."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import log10
from typing import Literal

import numpy as np

from ceteris.findings import (
    Candidate,
    FactorFinding,
    FactorPath,
    GridSearch,
    InBestRecipe,
    Interaction,
    Kept,
    LevelFinding,
    ModelFinding,
    PutBack,
    Rung,
    RungSearch,
    SampledSearch,
    StudyFindings,
    Taken,
)
from ceteris.records import FloatArray
from tests.example_findings import compared, example_findings, level_finding

Kind = Literal["one-at-a-time", "leave-one-out", "factorial", "joint", "halving", "race"]
KINDS: tuple[Kind, ...] = ("one-at-a-time", "leave-one-out", "factorial", "joint", "halving", "race")
AXES = {
    "optimizer": ("Optimizer", ("sgd, momentum 0.9", "adam", "rmsprop with a long name")),
    "batch-norm": ("Batch normalisation", ("off", "on")),
    "augmentation": ("Augmentation", ("none", "shift by a tenth of the width", "rotate", "noise")),
}


@functools.cache
def search_findings(kind: Kind, *, factors: int = 3, finals: bool = True) -> StudyFindings:
    """Build the findings of one CNN whose best recipe was searched by ``kind``; ``factors`` is 2 or 3 for a grid."""
    made = example_findings(models=("cnn",), factors=factors, seeds=1)
    random = np.random.default_rng(11)
    model = replace(made.models[0], strategy=kind)
    changed = {
        "one-at-a-time": lambda: replace(model, search=_path(model, around="baseline")),
        "leave-one-out": lambda: replace(model, ablation=_worth(random), search=replace(_path(model), put_back=4)),
        "factorial": lambda: _factorial(model, list(AXES)[:factors], random),
        "joint": lambda: _joint(model, random),
        "halving": lambda: _halving(model, random),
        "race": lambda: _race(model, random),
    }[kind]()
    study = replace(made, models=(changed,), seeds=5 if kind == "race" else 1)
    return study if finals else replace(study, finals=(), explanations=(), residual=None)


def _path(model: ModelFinding, around: Literal["best", "baseline"] = "best") -> FactorPath:
    assert isinstance(model.search, FactorPath)
    return replace(model.search, around=around)


def _worth(random: np.random.Generator) -> tuple[FactorFinding, ...]:
    stack: FloatArray = 0.975 + random.normal(0, 0.003, 5)
    losses = {
        "Optimizer": 0.011,
        "Batch normalisation": 0.0004,
        "Augmentation": 0.004,
        "A factor with a long title": -0.006,
    }
    return tuple(_worth_of(title, loss, stack, random) for title, loss in losses.items())


def _worth_of(title: str, loss: float, stack: FloatArray, random: np.random.Generator) -> FactorFinding:
    lacking = stack - loss + random.normal(0, 0.0015, 5)
    name, label = title.lower().replace(" ", "-"), "what the baseline had, said at length"
    levels = (
        level_finding("all choices together", stack, True, True, None, "stack", random),
        level_finding(label, lacking, False, False, compared(lacking, stack), "stack", random),
    )
    return FactorFinding(name=name, title=title, question="", fields=(name,), levels=levels, reason=PutBack())


def _factorial(model: ModelFinding, axes: Sequence[str], random: np.random.Generator) -> ModelFinding:
    effects = {"adam": 0.008, "rmsprop with a long name": -0.03, "on": 0.006, "rotate": 0.003, "noise": -0.004}
    cells = {}
    fold = random.normal(0, 0.004, 5)
    for labels in product(*(AXES[name][1] for name in axes)):
        joint = -0.011 if {"adam", "on"} <= set(labels) else 0.0
        gain = sum(effects.get(label, 0.0) for label in labels) + joint
        cells[labels] = 0.95 + gain + fold + random.normal(0, 0.0015, 5)
    best = max(cells, key=lambda labels: float(cells[labels].mean()))
    candidates = tuple(
        Candidate(
            number=number, settings=tuple(zip(axes, labels, strict=True)), epochs=20, accuracies=accuracies,
            status="finished", chosen=labels == best,
        )
        for number, (labels, accuracies) in enumerate(cells.items())
    )  # fmt: skip
    factors = tuple(_main_effect(name, place, cells, best[place], random) for place, name in enumerate(axes))
    return replace(
        model, factors=factors, candidates=candidates, interactions=_interactions(axes, cells),
        search=GridSearch(size=len(cells), possible=len(cells), left_out=(), untuned="", confirmed=True),
    )  # fmt: skip


Cells = dict[tuple[str, ...], FloatArray]


def _marginal(cells: Cells, fixed: dict[int, str]) -> FloatArray:
    own = [values for labels, values in cells.items() if all(labels[place] == label for place, label in fixed.items())]
    return np.asarray(np.mean(own, axis=0))


def _main_effect(name: str, place: int, cells: Cells, best: str, random: np.random.Generator) -> FactorFinding:
    title, labels = AXES[name]
    means = {label: _marginal(cells, {place: label}) for label in labels}
    levels = tuple(
        level_finding(
            label, means[label], label == labels[0], label == best,
            None if label == labels[0] else compared(means[label], means[labels[0]]), "grid", random,
        )
        for label in labels
    )  # fmt: skip
    return FactorFinding(
        name=name, title=title, question="", fields=(name,), levels=levels, reason=InBestRecipe(cells=len(cells))
    )


def _interactions(axes: Sequence[str], cells: Cells) -> tuple[Interaction, ...]:
    found = []
    for first in range(len(axes)):
        for second in range(first + 1, len(axes)):
            base = (AXES[axes[first]][1][0], AXES[axes[second]][1][0])
            for one, other in product(AXES[axes[first]][1][1:], AXES[axes[second]][1][1:]):
                with_other = _marginal(cells, {first: one, second: other}) - _marginal(
                    cells, {first: base[0], second: other}
                )
                without = _marginal(cells, {first: one, second: base[1]}) - _marginal(
                    cells, {first: base[0], second: base[1]}
                )
                comparison = compared(with_other, without)
                assert comparison is not None
                found.append(Interaction(first=(axes[first], one), second=(axes[second], other), comparison=comparison))
    return tuple(found)


def _drawn(number: int, random: np.random.Generator) -> tuple[tuple[tuple[str, str], ...], float]:
    """Draw settings and their true accuracy; the last number is the learning rate's best place."""
    rate, dropout = 10 ** random.uniform(-4, -0.5), random.uniform(0, 0.6)
    labels = {name: str(random.choice(labels)) for name, (_, labels) in AXES.items()}
    settings = (*labels.items(), ("optimizer.lr", f"{rate:.3g}"), ("model.dropout", f"{dropout:.2f}"))
    accuracy = 0.972 - 0.015 * (log10(rate) + 2.3) ** 2 - 0.03 * (dropout - 0.2) ** 2
    accuracy += 0.004 * (labels["batch-norm"] == "on") - 0.01 * (labels["optimizer"] == "sgd, momentum 0.9")
    return (settings, accuracy) if number else ((("optimizer", "sgd, momentum 0.9"), *settings[1:]), accuracy)


def _joint(model: ModelFinding, random: np.random.Generator) -> ModelFinding:
    candidates: list[Candidate] = []
    for number in range(40):
        settings, accuracy = _drawn(number, random)
        accuracies = accuracy + random.normal(0, 0.003, 5)
        status: Literal["finished", "pruned", "failed"] = "finished"
        if number % 3 == 2 and accuracy < 0.96:
            status, accuracies = "pruned", np.where(np.arange(5) < 2, accuracies, np.nan)
        if number == 13:
            status, accuracies = "failed", np.full(5, np.nan)
        candidates.append(
            Candidate(number=number, settings=settings, epochs=20, accuracies=accuracies, status=status, chosen=False)
        )
    done = [entry for entry in candidates if entry.status == "finished"]
    best = max(done, key=lambda entry: float(entry.accuracies.mean())).number
    chosen = tuple(replace(entry, chosen=entry.number == best) for entry in candidates)
    return replace(
        model,
        factors=(),
        candidates=chosen,
        search=SampledSearch(sampler="tpe", asked=40, first_blocks=2, passed_over=(), confirmed=True),
    )


def _halving(model: ModelFinding, random: np.random.Generator) -> ModelFinding:
    drawn = [_drawn(number, random) for number in range(27)]
    rungs: list[list[tuple[int, float]]] = [[] for _ in drawn]
    left = list(range(27))
    for epochs, next_count in ((2, 9), (6, 3), (18, 1)):
        for number in left:
            rungs[number].append((epochs, drawn[number][1] - 0.1 / epochs + float(random.normal(0, 0.004))))
        last = left
        left = sorted(left, key=lambda number: -rungs[number][-1][1])[:next_count]
    candidates = tuple(
        Candidate(
            number=number, settings=settings, epochs=rungs[number][-1][0],
            accuracies=rungs[number][-1][1] + (random.normal(0, 0.002, 5) if number in last else np.array([0] + [np.nan] * 4)),
            status="finished" if number in last else "eliminated", chosen=number == left[0], rungs=tuple(rungs[number]),
        )
        for number, (settings, _) in enumerate(drawn)
    )  # fmt: skip
    return replace(
        model,
        factors=(),
        candidates=candidates,
        search=RungSearch(
            method="successive halving",
            rungs=(Rung(epochs=2, candidates=27), Rung(epochs=6, candidates=9), Rung(epochs=18, candidates=3)),
            confirmed=True,
        ),
    )


def _race(model: ModelFinding, random: np.random.Generator) -> ModelFinding:
    """Five folds by five seeds; the incumbent saw them all, the others left."""
    incumbent: FloatArray = 0.95 + random.normal(0, 0.004, 25)
    blocks = {1: 25, 2: 4, 3: 9, 4: 13}
    factors = []
    for factor in model.factors:
        start = factor.levels[0]
        levels = [replace(start, accuracies=incumbent, chosen=True)]
        for place, level in enumerate(factor.levels[1:], start=1):
            gain = {1: 0.006, 2: -0.02, 3: 0.0004, 4: 0.0}[place]
            values = np.where(np.arange(25) < blocks[place], incumbent + gain + random.normal(0, 0.002, 25), np.nan)
            levels.append(_raced(level, values, incumbent))
        won = max(
            (level for level in levels[1:]), key=lambda level: level.comparison.difference if level.comparison else 0
        )
        better = won.comparison is not None and won.comparison.verdict == "better"
        kept = tuple(
            replace(level, chosen=(level is won) == better and (level is won or level is levels[0])) for level in levels
        )
        factors.append(replace(factor, levels=kept, reason=Taken(gain=0.006, chance=0.97) if better else Kept()))
        incumbent = won.accuracies if better else incumbent
    return replace(
        model, factors=tuple(factors), trainings_saved=81, search=replace(_path(model), raced=300),
    )  # fmt: skip


def _raced(level: LevelFinding, values: FloatArray, incumbent: FloatArray) -> LevelFinding:
    return replace(
        level, accuracies=values, failures=(), chosen=False, comparison=compared(values, incumbent),
        effort=replace(level.effort, trials=int(np.isfinite(values).sum())),
    )  # fmt: skip
