"""How and where a study runs, and what is then the same for all of its trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ceteris.data import DataSet, load
from ceteris.execution.device_table import table_for
from ceteris.execution.pools import process_count
from ceteris.execution.populations import Stacking
from ceteris.study.study import Study
from ceteris.study.trials import ExperimentContext, Extension
from ceteris.training import resolve_device
from ceteris.user_code import NO_IMPORTS, ImportPolicy


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How and where a study runs; none of it changes what comes out, except the device and, in the
    last digits, the stacking.

    ``out`` receives the report; ``store`` keeps finished trainings for every study. ``workers`` 0 trains in this process;
    None takes one worker per core, or on CUDA one per GPU. ``imports`` lets a study name code of the user's own.
    ``offline`` True never uses the network; None asks the environment variable CETERIS_OFFLINE. ``until_decided`` trains
    more repetitions where the design leaves something undecided, as long as the whole run stays within
    ``budget_seconds`` (None: no limit).
    ``stacking`` says which trainings are done in lockstep as one; None asks this machine's device table.
    """

    out: Path
    store: Path
    data_dir: Path | None = None
    device: str = "auto"
    workers: int | None = None
    imports: ImportPolicy = NO_IMPORTS
    offline: bool | None = None
    formats: Sequence[str] = ("html", "pdf", "ipynb")
    until_decided: bool = False
    budget_seconds: float | None = None
    stacking: Stacking | None = None

    @property
    def processes(self) -> int:
        """The number of training processes, 0 for this one; see :func:`ceteris.execution.pools.process_count`."""
        return process_count(self.workers, self.device)


def context_of(study: Study, data_set: DataSet, options: RunOptions) -> ExperimentContext:
    """Return what is the same for all trials of a study on this machine.

    Raises:
        ConfigError: when the device is not on this machine.
    """
    extension = (
        Extension(budget_seconds=options.budget_seconds, workers=options.processes) if options.until_decided else None
    )
    device = resolve_device(options.device)
    return ExperimentContext(
        study=study,
        data=data_set.train.digest,
        device=device,
        extension=extension,
        stacking=options.stacking or Stacking(table=table_for(device)),
        imports=options.imports,
    )


def open_data(study: Study, options: RunOptions, tell: Callable[[str], None] = lambda text: None) -> DataSet:
    """Return the data set of a study, prepared in the store's folder for memory-mapped reading."""
    return load(
        study.data,
        data_dir=options.data_dir,
        cache_dir=options.store / "data",
        options=study.reading,
        offline=options.offline,
        progress=lambda transfer: tell(f"fetching {transfer.name}: {transfer.done / 2**20:.0f} MiB"),
    )
