"""A space with a known best recipe, for the tests of the strategies that search it."""

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from tests.study.example_study import NORM, example_context, model
from tests.tiny_trials import MLP

from ceteris import recipe as r
from ceteris.execution.queue import Request
from ceteris.records import Record, Trial
from ceteris.study import ExperimentContext, Exploration, Factor, Level, SearchResult
from ceteris.study.strategies import search_of
from ceteris.study.study import Range

T = TypeVar("T")
RATE = Range(field="optimizer.lr", low=0.001, high=2.0, log=True)
DROPOUT = Range(field="model.dropout", low=0.0, high=0.8)
EFFECTS = {"relu": 0.0, "gelu": 0.02, "tanh": -0.02, "elu": 0.01}
ACTIVATION = Factor(
    name="activation",
    fields=("model.activation",),
    levels=tuple(Level(label=kind, changes={"model.activation": kind}) for kind in EFFECTS),
)
BEST = 0.93  # accuracy of the best recipe: gelu with norm, rate 0.7, dropout 0.3


def quality(recipe: r.Recipe) -> float:
    """The true accuracy of a recipe."""
    assert isinstance(recipe.model, r.MLP)
    assert isinstance(recipe.optimizer, r.SGD)
    assert isinstance(recipe.model.dropout, float)
    rate = -0.05 * abs(float(np.log10(recipe.optimizer.lr / 0.7)))
    dropout = -0.3 * (recipe.model.dropout - 0.3) ** 2
    return 0.9 + rate + dropout + 0.01 * recipe.model.batch_norm + EFFECTS[recipe.model.activation.kind]


def noise(trial: Trial, size: float = 0.004) -> float:
    """A number that belongs to the trial alone, and a fold's own difficulty."""
    fold = trial.split.index if trial.split.kind == "cross-validation" else 0
    return size * (int(trial.digest[:6], 16) / 2**24 - 0.5) + 0.003 * fold


def measured(trial: Trial) -> float:
    return quality(trial.recipe) + noise(trial)


def place_of(strategy: Any, *, folds: int = 5, epochs: int = 2, **other: Any) -> ExperimentContext:
    parts = {"factors": (NORM, ACTIVATION), "models": (model("mlp", replace(MLP, epochs=epochs)),)}
    return example_context(strategy=strategy, exploration=Exploration(folds=folds), **parts | other)


def search(place: ExperimentContext) -> Generator[Request, Any, SearchResult]:
    return search_of(place, place.study.models[0])


def answered(strategy: Generator[Request, Any, T], record: Callable[[Trial], Record]) -> tuple[list[Request], T]:
    """Answer every request, the last trial's record first."""
    requests, answer = [], None
    try:
        while True:
            request = next(strategy) if answer is None else strategy.send(answer)
            requests.append(request)
            answer = {trial.digest: record(trial) for trial in reversed(request.trials)}
    except StopIteration as stop:
        return requests, stop.value


def digests(requests: list[Request]) -> list[list[str]]:
    return [[trial.digest for trial in request.trials] for request in requests]
