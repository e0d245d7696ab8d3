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
from ceteris.study.model_experiment import confirm
from ceteris.study.strategies import search_of
from ceteris.study.trials import RunOptions, context_of, open_data
from ceteris.user_code import NO_IMPORTS


@dataclass(frozen=True, kw_only=True)
class Explored:
    """What one model's exploration found, every record it met, and the wall-clock seconds of the whole run."""

    search: SearchResult
    confirmation: Confirmation | None
    records: dict[str, Record]
    seconds: float


def explore(study: Study, *, data_dir: Path, store: Path, workers: int | None = None) -> list[Explored]:
    """Explore and confirm every model of a study; finished trainings are kept in ``store`` and reused."""
    options = RunOptions(out=store.parent / "out", store=store, data_dir=data_dir, workers=workers)
    data_set = open_data(study, options)
    context = context_of(study, data_set, options)
    began = time.monotonic()
    config = WorkerConfig(train=data_set.prepared, store=store, imports=NO_IMPORTS, device=context.device)
    with WorkerPool(config, options.processes) as pool:
        explored = []
        for model in study.models:
            queue: Queue[tuple[SearchResult, Confirmation | None]] = Queue(Store(store), pool, Progress())
            explored += [(*outcome, queue.records) for outcome in queue.run([_confirmed(context, model)])]
    seconds = time.monotonic() - began
    return [
        Explored(search=found, confirmation=confirmation, records=records, seconds=seconds)
        for found, confirmation, records in explored
    ]


def _confirmed(
    context: ExperimentContext, model: ModelSpec
) -> Generator[Request, Records, tuple[SearchResult, Confirmation | None]]:
    found = yield from search_of(context, model)
    confirmation = yield from confirm(context, found)
    return found, confirmation


def core_seconds(records: Sequence[Record]) -> float:
    """Return the training time of all records, as if one core had done it."""
    return sum(record.cost.train_seconds for record in records if isinstance(record, Finished))
