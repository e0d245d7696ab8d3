"""Searches whose records are invented, one for every sentence that a report can say about a search."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.example_records import example_record
from tests.study.example_search import DROPOUT, RATE, measured, place_of, quality, search
from tests.study.example_study import FACTOR, NORM, Accuracy, driven, example_context, example_study, model
from tests.tiny_trials import MLP

from ceteris import recipe as r
from ceteris.findings import Confirmation, FactorPath
from ceteris.records import Record, Trial
from ceteris.study import ExperimentContext, Exploration, Factor, Level, SearchResult
from ceteris.study.model_experiment import confirm
from ceteris.study.strategies import search_of
from ceteris.study.study import (
    ConfirmationDesign,
    Factorial,
    Greedy,
    Halving,
    Joint,
    LeaveOneOut,
    Nuisance,
    OneAtATime,
    Race,
)

START = replace(MLP, optimizer=r.SGD(lr=0.05), epochs=1)
EPOCHS = Factor(
    name="epochs", fields=("epochs",), levels=tuple(Level(label=f"{n}", changes={"epochs": n}) for n in (1, 2, 3))
)
OPTIMIZER = Factor(
    name="optimizer", title="Optimizer", fields=("optimizer",), tune=(),
    levels=(
        Level(label="sgd", changes={"optimizer": {"kind": "sgd", "lr": 0.05}}),
        Level(label="adam (lr 0.001)", changes={"optimizer": {"kind": "adam", "lr": 0.001}}),
    ),
)  # fmt: skip
MOMENTUM = Factor(
    name="momentum",
    fields=("optimizer.momentum",),
    levels=tuple(Level(label=f"m {m}", changes={"optimizer.momentum": m}) for m in (0.0, 0.9)),
)
NORMED = replace(MLP, model=r.MLP(hidden=(16,), batch_norm=True))


def noise(trial: Trial, size: float = 0.004) -> float:
    """Nearly normal noise that belongs to the recipe and the block alone."""
    digest = trial.digest
    return size * (sum(int(digest[i : i + 6], 16) / 2**24 for i in (0, 6, 12)) - 1.5)


def norm_of(trial: Trial) -> bool:
    assert isinstance(trial.recipe.model, r.MLP)
    return trial.recipe.model.batch_norm


def fold_of(trial: Trial) -> int:
    assert trial.split.kind == "cross-validation"
    return trial.split.index


def lr_of(trial: Trial) -> float:
    assert isinstance(trial.recipe.optimizer, r.SGD | r.Adam)
    return trial.recipe.optimizer.lr


def by_rate(gains: dict[float, float], size: float = 0.02) -> Accuracy:
    return lambda trial: 0.6 + gains.get(lr_of(trial), 0.0) + noise(trial, size)


def but(accuracy: Accuracy, diverges: Callable[[Trial], bool]) -> Accuracy:
    return lambda trial: None if diverges(trial) else accuracy(trial)


def searched(strategy: Any, accuracy: Accuracy, **other: Any) -> SearchResult:
    parts = {"models": (model("net", START),), "exploration": Exploration(folds=5, seeds=1)} | other
    place = example_context(strategy=strategy, **parts)
    return driven(search_of(place, place.study.models[0]), accuracy)[1]


def spaced(strategy: Any, accuracy: Accuracy, **other: Any) -> SearchResult:
    return driven(search(place_of(strategy, **other)), accuracy)[1]


def search_examples() -> Iterator[tuple[str, SearchResult]]:
    """Yield the name of every search and its result."""
    yield from _along_factors()
    yield from _races()
    yield from _grids()
    yield from _joint_searches()
    yield from _halvings()


def _along_factors() -> Iterator[tuple[str, SearchResult]]:
    additive = lambda trial: 0.5 + 0.2 * norm_of(trial) + {0.2: 0.05, 0.5: 0.1}.get(lr_of(trial), 0.0) + noise(trial)  # noqa: E731
    yield "greedy", searched(Greedy(), additive)
    yield "greedy, nothing better", searched(Greedy(), lambda trial: 0.5)
    yield "greedy, noise", searched(Greedy(), lambda trial: 0.8 + 0.004 * norm_of(trial) + noise(trial, 0.02))
    yield "greedy, no factors", searched(Greedy(), additive, factors=())
    yield "greedy, incumbent diverges", searched(Greedy(), but(additive, lambda trial: lr_of(trial) == 0.05))
    yield (
        "greedy, some blocks diverge",
        searched(Greedy(), but(additive, lambda t: lr_of(t) == 0.05 and fold_of(t) < 2)),
    )
    yield "greedy, all diverge", searched(Greedy(), lambda trial: None)
    yield "greedy, one level diverges", searched(Greedy(), but(additive, lambda trial: lr_of(trial) == 0.2))
    yield (
        "greedy, a level that does not fit",
        searched(
            Greedy(),
            lambda trial: 0.5 + 0.2 * (trial.recipe.optimizer.kind == "adam") + noise(trial),
            factors=(OPTIMIZER, MOMENTUM, NORM),
        ),
    )
    yield (
        "greedy, tuned",
        searched(Greedy(), _near, factors=(replace(OPTIMIZER, tune=(Nuisance(field="optimizer.lr"),)), NORM, MOMENTUM)),
    )
    yield (
        "greedy, tuned to an edge",
        searched(
            Greedy(), _near, factors=(replace(OPTIMIZER, tune=(Nuisance(field="optimizer.lr", trials=3, step=1.5),)),)
        ),
    )
    yield "greedy, tuning diverges", searched(
        Greedy(), but(_near, lambda trial: trial.recipe.optimizer.kind == "adam"),
        factors=(replace(OPTIMIZER, tune=(Nuisance(field="optimizer.lr"),)),),
    )  # fmt: skip
    yield "greedy, cheaper", _cheaper()
    yield (
        "greedy, decided by more blocks",
        searched(
            Greedy(),
            lambda trial: 0.8 + 0.016 * norm_of(trial) + noise(trial, 0.01),
            exploration=Exploration(folds=3, seeds=2),
        ),
    )
    yield "greedy, an incumbent that is no level is tuned", searched(
        Greedy(), _near,
        factors=(replace(OPTIMIZER, levels=OPTIMIZER.levels[1:], tune=(Nuisance(field="optimizer.lr", trials=7),)),),
    )  # fmt: skip
    yield "one at a time", searched(OneAtATime(), additive)
    yield "one at a time, one change", searched(OneAtATime(), lambda trial: 0.5 + 0.2 * norm_of(trial) + noise(trial))
    yield "one at a time, no change", searched(OneAtATime(), lambda trial: 0.5)
    yield "one at a time, no factors", searched(OneAtATime(), additive, factors=())
    yield "leave one out", searched(LeaveOneOut(), additive)
    yield "leave one out, nothing to put back", searched(LeaveOneOut(), lambda trial: 0.5)
    broken = but(additive, lambda trial: norm_of(trial) and lr_of(trial) == 0.05 and trial.recipe.epochs > 1)
    yield "leave one out, a stack that breaks", searched(
        LeaveOneOut(), lambda trial: None if (value := broken(trial)) is None else value + 0.1 * trial.recipe.epochs,
        factors=(EPOCHS, FACTOR, replace(NORM, title="Batch normalisation")),
    )  # fmt: skip


def _near(trial: Trial) -> float:
    best = 0.1 if trial.recipe.optimizer.kind == "sgd" else 0.001
    return 0.9 - 0.1 * math.sqrt(abs(lr_of(trial) / best - 1)) + noise(trial)


def _cheaper() -> SearchResult:
    """Two sizes of one accuracy, the other one with half of the operations."""
    place = example_context(models=(model("net", START),), exploration=Exploration(folds=5, seeds=4), factors=(NORM,))
    strategy = search_of(place, place.study.models[0])
    request = next(strategy)
    answer: dict[str, Record] = {
        trial.digest: example_record(trial, accuracy=0.8 + noise(trial), flops=1500 if norm_of(trial) else 3000)
        for trial in request.trials
    }
    try:
        strategy.send(answer)
    except StopIteration as stop:
        result: SearchResult = stop.value
        return result
    raise AssertionError("one factor is one request")


def _races() -> Iterator[tuple[str, SearchResult]]:
    blocks = {"exploration": Exploration(folds=5, seeds=4), "factors": (FACTOR,)}
    yield "race, losers", searched(Race(), by_rate({0.2: -0.2, 0.5: -0.3}), **blocks)
    yield "race, futile", searched(
        Race(), lambda trial: 0.6 + 0.02 * (fold_of(trial) % 2 - 0.5) + noise(trial, 0.02), **blocks
    )  # fmt: skip
    yield "race, one winner", searched(Race(), by_rate({0.2: 0.2}), **blocks | {"factors": (FACTOR, NORM)})
    yield "race, two winners", searched(Race(), by_rate({0.2: 0.2, 0.5: 0.212}, size=0.01), **blocks)
    yield "race, overtaken", searched(Race(), by_rate({0.2: 0.1, 0.5: 0.2}, size=0.04), **blocks)
    yield "race, broken", searched(Race(), but(by_rate({0.2: 0.01}), lambda trial: lr_of(trial) == 0.5), **blocks)
    yield (
        "race, incumbent broken",
        searched(Race(), but(by_rate({0.2: 0.1}), lambda trial: lr_of(trial) == 0.05), **blocks),
    )
    yield (
        "race, one at a time",
        searched(Race(along="one-at-a-time"), by_rate({0.2: 0.2}), **blocks | {"factors": (FACTOR, NORM)}),
    )
    yield "race, no factors", searched(Race(), by_rate({}), **blocks | {"factors": ()})


def _grids() -> Iterator[tuple[str, SearchResult]]:
    def synergy(trial: Trial) -> float:
        return 0.6 + (0.1 if norm_of(trial) else -0.1) * (lr_of(trial) == 0.5) + noise(trial, 0.002)

    yield "grid, synergy", searched(Factorial(), synergy)
    yield "grid, antagonism", searched(Factorial(), lambda trial: 1.2 - synergy(trial))
    yield "grid, noise", searched(Factorial(), lambda trial: 0.6 + noise(trial, 0.05))
    yield "grid, all equal", searched(Factorial(), lambda trial: 0.6)
    yield (
        "grid, a cell diverges",
        searched(Factorial(), but(synergy, lambda trial: lr_of(trial) == 0.5 and not norm_of(trial))),
    )
    yield "grid, the baseline diverges", searched(Factorial(), but(synergy, lambda trial: trial.recipe == START))
    yield "grid, all diverge", searched(Factorial(), lambda trial: None)
    yield "grid, cells left out", searched(Factorial(), lambda t: 0.5 + noise(t), factors=(OPTIMIZER, MOMENTUM))
    yield "grid, no confirmation", searched(Factorial(), synergy, confirmation=ConfirmationDesign(seeds=0))
    tuned = replace(OPTIMIZER, tune=(Nuisance(field="optimizer.lr"), Nuisance(field="model.dropout")))
    yield "grid, not tuned", searched(Factorial(), lambda trial: 0.5 + noise(trial), factors=(tuned, NORM))
    yield "grid, no factors", searched(Factorial(), synergy, factors=())
    yield (
        "grid, a part",
        searched(
            Factorial(cells=8, interactions=False),
            lambda trial: 0.5 + 0.1 * norm_of(trial) + 0.05 * trial.recipe.epochs + noise(trial, 0.002),
            factors=(FACTOR, NORM, EPOCHS),
        ),
    )
    both = Factor(
        name="both", fields=("optimizer.momentum", "model.dropout"),
        levels=(Level(label="both", changes={"optimizer.momentum": 0.9, "model.dropout": 0.1}),),
    )  # fmt: skip
    yield (
        "grid, levels that do not go together",
        searched(Factorial(), lambda trial: 0.5 + noise(trial), factors=(OPTIMIZER, both)),
    )


def _joint(**other: Any) -> Joint:
    return replace(Joint(sampler="random", trials=16, ranges=(RATE, DROPOUT)), **other)


def _joint_searches() -> Iterator[tuple[str, SearchResult]]:
    yield "joint", spaced(_joint(sampler="quasi-random"), measured)
    yield "joint, random", spaced(_joint(), measured, confirmation=ConfirmationDesign(seeds=0))
    yield "joint, pruned", spaced(_joint(pruning=True), lambda trial: quality(trial.recipe) + noise(trial, 0.002))
    yield "joint, some diverge", spaced(_joint(), but(measured, lambda trial: lr_of(trial) > 0.2))
    yield "joint, noise", spaced(_joint(), lambda trial: 0.8 + noise(trial), folds=3)
    yield "joint, the baseline diverges", spaced(_joint(), but(measured, lambda trial: trial.recipe == MLP))
    yield "joint, all diverge", spaced(_joint(), lambda trial: None)
    momentum = Factor(
        name="momentum", fields=("optimizer.momentum", "model.dropout"),
        levels=(Level(label="both", changes={"optimizer.momentum": 0.9, "model.dropout": 0.1}),),
    )  # fmt: skip
    yield (
        "joint, values that do not go together",
        spaced(_joint(ranges=(), trials=20), lambda trial: 0.8 + noise(trial), factors=(OPTIMIZER, momentum)),
    )
    yield (
        "joint, values without effect",
        spaced(_joint(ranges=(), trials=20), lambda trial: 0.8 + noise(trial), factors=(OPTIMIZER, MOMENTUM)),
    )


def _halving(**other: Any) -> Halving:
    return replace(Halving(candidates=27, reduction=3, shortest=1, ranges=(RATE, DROPOUT)), **other)


def _halvings() -> Iterator[tuple[str, SearchResult]]:
    yield "halving", spaced(_halving(), measured, epochs=9)
    yield "halving, longer first rung", spaced(_halving(shortest=2), measured, epochs=9)
    yield "halving, all equal", spaced(_halving(), lambda trial: 0.8, epochs=9)
    yield (
        "halving, some diverge",
        spaced(_halving(), but(measured, lambda trial: int(trial.digest[:6], 16) % 3 == 0), epochs=9),
    )
    yield (
        "halving, the baseline diverges in its first rung",
        spaced(
            _halving(),
            but(measured, lambda trial: quality(trial.recipe) == quality(MLP) and trial.recipe.epochs < 9),
            epochs=9,
        ),
    )
    yield "halving, all diverge", spaced(_halving(), lambda trial: None, epochs=9)
    yield "halving, no confirmation", spaced(_halving(), measured, epochs=9, confirmation=ConfirmationDesign(seeds=0))


def confirmation_examples() -> Iterator[tuple[str, Confirmation | None]]:
    """Yield the name of every confirmation and what it found."""
    for name, gain, size in (
        ("better", 0.2, 0.01),
        ("worse", -0.1, 0.01),
        ("undecided", 0.002, 0.02),
        ("equivalent", 0, 0.002),
    ):
        yield name, _confirmed(lambda trial, gain=gain, size=size: 0.5 + gain * norm_of(trial) + noise(trial, size))  # type: ignore[misc]
    yield "all diverge", _confirmed(lambda trial: None)


def _confirmed(accuracy: Accuracy) -> Confirmation | None:
    study = example_study(confirmation=ConfirmationDesign(seeds=2))
    place = ExperimentContext(study=study, data="tiny", device="cpu")
    search = FactorPath(factors=1, around="best", changed=1)
    return driven(confirm(place, SearchResult(model=study.models[0], best=NORMED, search=search)), accuracy)[1]
