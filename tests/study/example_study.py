"""A small study of one factor for the tests of its execution."""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from tests.example_records import example_record, finished_record
from tests.tiny_trials import MLP

from ceteris import recipe as r
from ceteris.execution.queue import Records, Request
from ceteris.records import Finished, Record, Trial
from ceteris.study import ExperimentContext, Exploration, Factor, Final, Level, ModelSpec, Study

T = TypeVar("T")
Accuracy = Callable[[Trial], float | None]

FACTOR = Factor(
    name="rate",
    fields=("optimizer.lr",),
    levels=tuple(Level(label=f"lr {lr}", changes={"optimizer.lr": lr}) for lr in (0.05, 0.2, 0.5)),
)
NORM = Factor(
    name="norm",
    fields=("model.batch_norm",),
    levels=tuple(
        Level(label=label, changes={"model.batch_norm": norm}) for label, norm in (("off", False), ("on", True))
    ),
)


def model(name: str = "mlp", recipe: r.Recipe = MLP) -> ModelSpec:
    return ModelSpec(name=name, title=name, recipe=recipe)


def example_study(**other: Any) -> Study:
    parts: dict[str, Any] = {
        "name": "example",
        "data": "tiny",
        "exploration": Exploration(folds=3),
        "final": Final(seeds=2, validation=0.25, patience=2, epochs=3),
        "models": (model(),),
        "factors": (FACTOR, NORM),
    }
    return Study(**parts | other)


def example_context(**other: Any) -> ExperimentContext:
    return ExperimentContext(study=example_study(**other), data="tiny", device="cpu")


def invented_record(trial: Trial, digest: str) -> Finished:
    """A record that any pool would give for this trial: a function of its digest alone."""
    return finished_record(trial, accuracy=0.5 + int(digest[:4], 16) / 2**18)


def driven(strategy: Generator[Request, Records, T], accuracy: Accuracy) -> tuple[list[Request], T]:
    """Answer every request with records of the given accuracy (None: diverged); the requests and what came out."""
    requests, answer = [], None
    try:
        while True:
            request = next(strategy) if answer is None else strategy.send(answer)
            requests.append(request)
            answer = {trial.digest: record_for(trial, accuracy(trial)) for trial in request.trials}
    except StopIteration as stop:
        return requests, stop.value


def record_for(trial: Trial, accuracy: float | None) -> Record:
    return example_record(trial, status="diverged") if accuracy is None else example_record(trial, accuracy=accuracy)
