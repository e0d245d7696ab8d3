"""A whole study, phase after phase: data, exploration and final trainings, the test set, findings, weights, report."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from ceteris.api.checking import check_plan
from ceteris.api.delivery import write_delivery
from ceteris.api.gathering import Run, findings_of
from ceteris.api.listening import Listener
from ceteris.api.result import Result
from ceteris.data import DataSet
from ceteris.execution.in_process import InProcessPool
from ceteris.execution.progress import Progress, Silent, Work
from ceteris.execution.queue import Queue
from ceteris.execution.worker import WorkerConfig
from ceteris.execution.worker_pool import WorkerPool
from ceteris.planning.dry_run import PlannedStage, planned_stages
from ceteris.planning.timing import Timing
from ceteris.report import check_formats
from ceteris.store import Store
from ceteris.study import ExperimentContext, Study, model_experiment, study_toml
from ceteris.study.context import RunOptions, open_data, setting_of, worker_count
from ceteris.study.model_experiment import ModelResult


def run_study(
    study: Study,
    options: RunOptions,
    progress: Progress | None = None,
    *,
    data_set: DataSet | None = None,
    original: str = "",
) -> Result:
    """Run a study, or go on where it was stopped, and write its report.

    ``data_set`` is the study's data where that is open already. ``original`` is the text of the user's own study file, with
    its comments; it is kept beside the study that ran.

    Raises:
        ConfigError: when the study or an option cannot be meant as it is.
        DataError: when the data is missing or damaged.
        StoreError: when something cannot be written; what was finished stays.
    """
    check_formats(options.formats)
    started = time.monotonic()
    progress, text = progress or Silent(), study_toml(study)
    store = Store(options.store)
    workers = worker_count(options.workers)
    progress.phase(f"preparing the data: {study.data}")
    data_set = data_set or open_data(study, options, progress.phase)
    setting = setting_of(study, data_set, options)
    stages = planned_stages(setting)
    check_plan(stages, data_set, imports=options.imports)
    listener = Listener(progress)
    outcomes = train(setting, stages, data_set, store, options, workers, listener)
    run = Run(
        study=study,
        study_text=text,
        data_set=data_set,
        store=store,
        device=setting.device,
        workers=workers,
        wall_seconds=time.monotonic() - started,
        trials=listener.records,
        imports=options.imports,
    )
    findings = findings_of(run, outcomes, progress)
    write_delivery(findings, outcomes, run, options.out, options.formats, progress, original=original)
    return Result(findings=findings, folder=options.out)


def train(
    setting: ExperimentContext,
    stages: Sequence[PlannedStage],
    data_set: DataSet,
    store: Store,
    options: RunOptions,
    workers: int,
    progress: Progress,
) -> list[ModelResult]:
    """Explore every model and train the finals; what the store knows is not trained again."""
    size_of = Timing(data_set.train, imports=options.imports, table=setting.stacking.table).size
    progress.planned(
        [
            [
                Work(
                    model=stage.model,
                    stage=stage.stage,
                    label="",
                    epochs=trial.recipe.epochs,
                    units=size_of(trial),
                    kind=stage.kind,
                )
                for trial in stage.trials
            ]
            for stage in stages
        ]
    )
    with _pool(data_set, store, options, workers) as pool:
        queue: Queue[ModelResult] = Queue(store, pool, progress, size_of)
        return queue.run([model_experiment(setting, model) for model in setting.study.models])


def _pool(data_set: DataSet, store: Store, options: RunOptions, workers: int) -> AbstractContextManager[Any]:
    if workers == 0:
        return InProcessPool(data_set.train, store, imports=options.imports)
    workplace = WorkerConfig(train=data_set.prepared, store=options.store, imports=options.imports)
    return WorkerPool(workplace, workers)
