"""Run the exploration of a study without its final trainings: for benchmarks that ask what a strategy decides."""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ceteris.api import Options
from ceteris.api.listening import Listener
from ceteris.api.running import open_data, setting_of, worker_count
from ceteris.api.sizes import size_of_trials
from ceteris.findings import Confirmation
from ceteris.records import TrialRecord
from ceteris.store import Store
from ceteris.study import Queue, Request, Route, Setting, Silent, Study, StudyModel, WorkerPool, Workplace, strategy_of
from ceteris.study.confirmation import confirm
from ceteris.study.strategies import Records


@dataclass(frozen=True, kw_only=True)
class Explored:
    """What one model's exploration found, every record it met, and the wall-clock seconds of the whole run."""

    route: Route
    confirmation: Confirmation | None
    records: dict[str, TrialRecord]
    seconds: float


def explore(study: Study, *, data_dir: Path, store: Path, workers: int | None = None) -> list[Explored]:
    """Explore and confirm every model of a study; finished trainings are kept in ``store`` and reused."""
    options = Options(out=store.parent / "out", store=store, data_dir=data_dir, workers=workers)
    data_set = open_data(study, options)
    setting = setting_of(study, data_set, options)
    began = time.monotonic()
    listeners = [Listener(Silent()) for _ in study.models]
    with WorkerPool(
        Workplace(train=data_set.prepared, store=store, allow_imports=False), worker_count(workers)
    ) as pool:
        found = []
        for model, listener in zip(study.models, listeners, strict=True):
            queue: Queue[tuple[Route, Confirmation | None]] = Queue(
                Store(store), pool, listener, size_of_trials(data_set, allow_imports=False)
            )
            found += queue.run([_confirmed(setting, model)])
    seconds = time.monotonic() - began
    return [
        Explored(route=route, confirmation=confirmation, records=listener.records, seconds=seconds)
        for (route, confirmation), listener in zip(found, listeners, strict=True)
    ]


def _confirmed(setting: Setting, model: StudyModel) -> Generator[Request, Records, tuple[Route, Confirmation | None]]:
    route = yield from strategy_of(setting, model)
    confirmation = yield from confirm(setting, model, route.best)
    return route, confirmation


def core_seconds(records: Sequence[TrialRecord]) -> float:
    """Return the training time of all records, as if one core had done it."""
    return sum(record.cost.train_seconds for record in records if record.cost)
