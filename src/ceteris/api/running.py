"""A whole study, phase after phase: data, exploration and final trainings, the test set, findings, weights, report."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ceteris.api.checking import check_plan
from ceteris.api.delivery import write_delivery
from ceteris.api.gathering import Run, findings_of
from ceteris.api.listening import Listener
from ceteris.api.result import Result
from ceteris.api.sizes import size_of_trials
from ceteris.data import DataSet, ReadOptions, load
from ceteris.errors import ConfigError
from ceteris.store import Store
from ceteris.study import (
    Extension,
    HerePool,
    Outcome,
    PlannedStage,
    Progress,
    Queue,
    Reading,
    Setting,
    Silent,
    Stacking,
    Study,
    Work,
    WorkerPool,
    Workplace,
    mission,
    planned_stages,
    stacking_on,
)
from ceteris.training import resolve_device


@dataclass(frozen=True, kw_only=True)
class Options:
    """How and where a study runs; none of it changes what comes out, except the device and, in the
    last digits, the stacking.

    ``out`` receives the report; ``store`` keeps finished trainings for every study. ``workers`` 0 trains in this process;
    None takes one worker per core. ``allow_imports`` lets a study name code of the user's own. ``offline`` True never uses
    the network; None asks the environment variable CETERIS_OFFLINE. ``until_decided`` trains more repetitions where the
    design leaves something undecided, as long as the whole run stays within ``budget_seconds`` (None: no limit).
    ``stacking`` says which trainings are done in lockstep as one; None asks this machine's device table.
    """

    out: Path
    store: Path
    data_dir: Path | None = None
    device: str = "auto"
    workers: int | None = None
    allow_imports: bool = False
    offline: bool | None = None
    formats: Sequence[str] = ("html", "pdf", "ipynb")
    until_decided: bool = False
    budget_seconds: float | None = None
    stacking: Stacking | None = None


def run_study(
    study: Study,
    study_text: str,
    options: Options,
    progress: Progress | None = None,
    *,
    data_set: DataSet | None = None,
) -> Result:
    """Run a study, or go on where it was stopped, and write its report; ``data_set`` stands in for the study's data.

    Raises:
        ConfigError: when the study or an option cannot be meant as it is.
        DataError: when the data is missing or damaged.
        StoreError: when something cannot be written; what was finished stays.
    """
    started = time.monotonic()
    progress = progress or Silent()
    store = Store(options.store)
    workers = worker_count(options.workers)
    progress.phase(f"preparing the data: {study.data}")
    data_set = data_set or open_data(study, options, progress.phase)
    setting = setting_of(study, data_set, options)
    stages = planned_stages(setting)
    check_plan(stages, data_set, allow_imports=options.allow_imports)
    listener = Listener(progress)
    outcomes = train(setting, stages, data_set, store, options, workers, listener)
    run = Run(
        study=study,
        study_text=study_text,
        data_set=data_set,
        store=store,
        device=setting.device,
        workers=workers,
        wall_seconds=time.monotonic() - started,
        trials=listener.records,
        allow_imports=options.allow_imports,
    )
    findings = findings_of(run, outcomes, progress)
    write_delivery(findings, outcomes, run, options.out, options.formats, progress)
    return Result(findings=findings, folder=options.out)


def setting_of(study: Study, data_set: DataSet, options: Options) -> Setting:
    """Return what is the same for all trials of a study on this machine.

    Raises:
        ConfigError: when the device is not on this machine.
    """
    extension = (
        Extension(budget_seconds=options.budget_seconds, workers=worker_count(options.workers))
        if options.until_decided
        else None
    )
    device = resolve_device(options.device)
    return Setting(
        study=study,
        data=data_set.train.digest,
        device=device,
        images=len(data_set.train),
        extension=extension,
        stacking=stacking_on(device) if options.stacking is None else options.stacking,
    )


def open_data(study: Study, options: Options, tell: Callable[[str], None] = lambda text: None) -> DataSet:
    """Return the data set of a study, prepared in the store's folder for memory-mapped reading."""
    return load(
        study.data,
        data_dir=options.data_dir,
        cache_dir=options.store / "data",
        options=read_options(study.reading),
        offline=options.offline,
        progress=lambda transfer: tell(f"fetching {transfer.name}: {transfer.done / 2**20:.0f} MiB"),
    )


def read_options(reading: Reading) -> ReadOptions:
    """Return what a study says about reading its images in the words of the data room."""
    return ReadOptions(**{field.name: getattr(reading, field.name) for field in fields(reading)})


def train(
    setting: Setting,
    stages: Sequence[PlannedStage],
    data_set: DataSet,
    store: Store,
    options: Options,
    workers: int,
    progress: Progress,
) -> list[Outcome]:
    """Explore every model and train the finals; what the store knows is not trained again."""
    size_of = size_of_trials(data_set, allow_imports=options.allow_imports)
    progress.planned(
        [
            [
                Work(model=stage.model, stage=stage.stage, label="", epochs=trial.recipe.epochs, units=size_of(trial))
                for trial in stage.trials
            ]
            for stage in stages
        ]
    )
    with _pool(data_set, store, options, workers) as pool:
        queue: Queue[Outcome] = Queue(store, pool, progress, size_of)
        return queue.run([mission(setting, model) for model in setting.study.models])


def _pool(data_set: DataSet, store: Store, options: Options, workers: int) -> AbstractContextManager[Any]:
    if workers == 0:
        return HerePool(data_set.train, store, allow_imports=options.allow_imports)
    workplace = Workplace(train=data_set.prepared, store=options.store, allow_imports=options.allow_imports)
    return WorkerPool(workplace, workers)


def worker_count(wanted: int | None) -> int:
    """Return the number of training processes: as wanted, or one per core that this process may use.

    Raises:
        ConfigError: for a number below 0.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if wanted is not None and not 0 <= wanted <= 1024:
        raise ConfigError(
            f"workers: allowed are 0 (train in this process) to 1024; received {wanted}. This machine: {cores}."
        )
    return cores if wanted is None else wanted
