"""Run the exploration of a study without its final trainings: for benchmarks that ask what a strategy decides."""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ceteris.execution.pools import WorkerPool
from ceteris.execution.progress import Progress
from ceteris.execution.queue import Queue, Records, Request
from ceteris.execution.worker import WorkerConfig
from ceteris.findings import Confirmation
from ceteris.records import Finished, Record
from ceteris.store import Store
from ceteris.study import ExperimentContext, ModelSpec, SearchResult, Study
from ceteris.study.context import RunOptions, context_of, open_data
from ceteris.study.model_experiment import confirm
from ceteris.study.strategies import search_of
from ceteris.user_code import NO_IMPORTS


@dataclass(frozen=True, kw_only=True)
class Explored:
    """What one model's exploration found, every record it met, and the wall-clock seconds of the whole run."""

    route: SearchResult
    confirmation: Confirmation | None
    records: dict[str, Record]
    seconds: float


def explore(study: Study, *, data_dir: Path, store: Path, workers: int | None = None) -> list[Explored]:
    """Explore and confirm every model of a study; finished trainings are kept in ``store`` and reused."""
    options = RunOptions(out=store.parent / "out", store=store, data_dir=data_dir, workers=workers)
    data_set = open_data(study, options)
    setting = context_of(study, data_set, options)
    began = time.monotonic()
    config = WorkerConfig(train=data_set.prepared, store=store, imports=NO_IMPORTS, device=setting.device)
    with WorkerPool(config, options.processes) as pool:
        found = []
        for model in study.models:
            queue: Queue[tuple[SearchResult, Confirmation | None]] = Queue(Store(store), pool, Progress())
            found += [(*outcome, queue.records) for outcome in queue.run([_confirmed(setting, model)])]
    seconds = time.monotonic() - began
    return [
        Explored(route=route, confirmation=confirmation, records=records, seconds=seconds)
        for route, confirmation, records in found
    ]


def _confirmed(
    setting: ExperimentContext, model: ModelSpec
) -> Generator[Request, Records, tuple[SearchResult, Confirmation | None]]:
    route = yield from search_of(setting, model)
    confirmation = yield from confirm(setting, model, route.best)
    return route, confirmation


def core_seconds(records: Sequence[Record]) -> float:
    """Return the training time of all records, as if one core had done it."""
    return sum(record.cost.train_seconds for record in records if isinstance(record, Finished))
