"""How and where a study runs, the trials of a recipe there, one for every block, and what asks for their records."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from ceteris.data import DataSet, load, split_indices
from ceteris.execution.device_table import table_for
from ceteris.execution.pools import process_count
from ceteris.execution.populations import NEVER, Stacking, stacked_folds
from ceteris.execution.progress import StageKind
from ceteris.execution.queue import Records, Request, SizeOf
from ceteris.recipe import CustomLoss, CustomModel, Recipe
from ceteris.records import CrossValidationSplit, HoldoutSplit, IntArray, Record, Split, Trial
from ceteris.study.study import Study
from ceteris.training.device import execution_of, resolve_device
from ceteris.user_code import NO_IMPORTS, ImportPolicy

T = TypeVar("T")
Label = TypeVar("Label", bound=str)
Experiment = Generator[Request, Records, T]  # asks for trials, receives their records, returns what it found

# Repetitions beyond those of the design: far enough from the study's seed that no number of repetitions meets them.
TUNING_REPETITION = 100_000
CONFIRMATION_REPETITION = 200_000


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


@dataclass(frozen=True, kw_only=True)
class Extension:
    """More repetitions where the design leaves something undecided, until all is decided or the budget is spent.

    ``budget_seconds`` is wall-clock time of the whole run, None without limit; ``workers`` share it. The repetitions
    double at every look, up to ``most_repetitions``. ``size_of`` says how long a trial takes in comparison with others; it
    depends on trials alone, never on a clock. Without it all take equally long.
    """

    budget_seconds: float | None
    workers: int
    most_repetitions: int = 8
    size_of: SizeOf = lambda trial: 1.0


@dataclass(frozen=True, kw_only=True)
class ExperimentContext:
    """What is the same for all trials of a study: the study, the digest of its training data and the device.

    ``labels`` (n,) and ``groups`` are those of the training part, None where only the course of a study matters.
    ``extension`` None keeps to the design of the study. ``stacking`` says which trials are trained in lockstep as one.
    ``imports`` says which code of the user's own may be imported.
    """

    study: Study
    data: str
    device: str
    extension: Extension | None = None
    stacking: Stacking = NEVER
    imports: ImportPolicy = NO_IMPORTS
    labels: IntArray | None = field(default=None, repr=False, compare=False)
    groups: IntArray | None = field(default=None, repr=False, compare=False)
    _held_out: dict[Split, IntArray] = field(default_factory=dict, repr=False, compare=False)

    def held_out(self, split: Split) -> IntArray:
        """Return the sorted numbers of the images that a split holds out, int64 (n,)."""
        assert self.labels is not None, "the context of a study without its labels was asked for images"
        if split not in self._held_out:
            self._held_out[split] = split_indices(split, self.labels, self.groups)[1]
        return self._held_out[split]


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
        labels=data_set.train.labels,
        groups=data_set.train.groups,
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


def train(
    model: str, stage: str, trials: Mapping[Label, Sequence[Trial]], kind: StageKind = "search"
) -> Experiment[dict[Label, list[Record]]]:
    """Ask for the trials of several arms by label and return their records, in the same order."""
    records = yield Request(
        model=model,
        stage=stage,
        trials=tuple(trial for of_arm in trials.values() for trial in of_arm),
        labels=tuple(label for label, of_arm in trials.items() for _ in of_arm),
        kind=kind,
    )
    return {label: [records[trial.digest] for trial in of_arm] for label, of_arm in trials.items()}


def exploration_trials(
    context: ExperimentContext, recipe: Recipe, repetitions: Sequence[int] | None = None
) -> tuple[Trial, ...]:
    """Return the trials of one arm, one per block: every fold of every repetition, in this order.

    Without ``repetitions`` those of the study's design, 0 to seeds - 1. Every repetition has folds of its own.
    """
    exploration = context.study.exploration
    alone = tuple(
        block_trial(context, recipe, repetition, fold)
        for repetition in (range(exploration.seeds) if repetitions is None else repetitions)
        for fold in range(exploration.folds)
    )
    return stacked_folds(alone, context.stacking)


def block_trial(context: ExperimentContext, recipe: Recipe, repetition: int, fold: int) -> Trial:
    """Return the trial of a recipe on one block."""
    exploration = context.study.exploration
    seed = context.study.seed + repetition
    return Trial(
        recipe=recipe,
        data=context.data,
        split=CrossValidationSplit(folds=exploration.folds, index=fold, seed=seed, images=exploration.images),
        seed=seed,
        execution=execution_of(recipe, context.device),
        code=_code_digest(context, recipe),
    )


def tuning_trial(context: ExperimentContext, recipe: Recipe) -> Trial:
    """Return the trial on which nuisance parameters are tuned: one fold of a repetition that no comparison uses."""
    return block_trial(context, recipe, TUNING_REPETITION, 0)


def confirmation_trials(context: ExperimentContext, recipe: Recipe) -> tuple[Trial, ...]:
    """Return the trials of a recipe on fresh repetitions, which no choice has seen."""
    seeds = context.study.confirmation.seeds
    return exploration_trials(context, recipe, range(CONFIRMATION_REPETITION, CONFIRMATION_REPETITION + seeds))


def final_trials(context: ExperimentContext, recipe: Recipe) -> tuple[Trial, ...]:
    """Return the trainings of one recipe on the whole training set, one per seed."""
    final = context.study.final
    recipe = replace(recipe, epochs=final.epochs or recipe.epochs)
    root = context.study.seed
    return tuple(
        Trial(
            recipe=recipe,
            data=context.data,
            split=HoldoutSplit(fraction=final.validation, seed=root),
            seed=root + number,
            execution=execution_of(recipe, context.device),
            patience=final.patience,
            criterion=context.study.criterion,
            keep_weights=True,
            keep_snapshots=final.test_curves and number == 0,
            code=_code_digest(context, recipe),
        )
        for number in range(final.seeds)
    )


def without_residual(recipe: Recipe) -> Recipe | None:
    """Return the recipe with its residual connections off and everything else equal; None where there are none."""
    if recipe.model.kind != "resnet" or not recipe.model.residual:
        return None
    return replace(recipe, model=replace(recipe.model, residual=False))


def _code_digest(context: ExperimentContext, recipe: Recipe) -> str:
    """Return the digest of the user's own code in a recipe, '' when there is none; the context says what is allowed."""
    parts = {"model": recipe.model, "loss": recipe.loss}
    own = {name: part.path for name, part in parts.items() if isinstance(part, CustomModel | CustomLoss)}
    return context.imports.digest(own)
