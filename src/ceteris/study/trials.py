"""How and where a study runs, the trials of a recipe there, one for every block, and what asks for their records."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from ceteris.data import DataSet, load, split_indices
from ceteris.execution.pools import process_count
from ceteris.execution.populations import NEVER, Stacking, stacked_folds, table_for
from ceteris.execution.progress import StageKind
from ceteris.execution.queue import Records, Request, SizeOf
from ceteris.recipe import CustomLoss, CustomModel, Estimator, Recipe, written_out
from ceteris.records import CrossValidationSplit, HoldoutSplit, IntArray, Record, ReserveSplit, Split, Trial
from ceteris.study.matching import matched
from ceteris.study.study import Study
from ceteris.training.device import execution_of, resolve_device
from ceteris.training.single import split_of
from ceteris.user_code import NO_IMPORTS, ImportPolicy

T = TypeVar("T")
Label = TypeVar("Label", bound=str)
Experiment = Generator[Request, Records, T]  # asks for trials, receives their records, returns what it found

# From so many training images on a share of them is kept out of the exploration, for the confirmation alone.
RESERVE, RESERVED_FROM = 0.2, 2000
# No population reaches across the first blocks of a repetition: some arms go no further.
FIRST_BLOCKS = 2
# Repetitions beyond those of the design: far enough from the study's seed that no number of repetitions meets them.
TUNING_REPETITION = 100_000
CONFIRMATION_REPETITION = 200_000


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How and where a study runs; none of it changes what comes out, except the device and, in the
    last digits, the stacking.

    ``out`` receives the report, in the place of another study's only to ``overwrite`` it; ``store`` keeps finished
    trainings for every study. ``workers`` 0 trains in this process; None takes one worker per core, or on CUDA one
    per GPU. ``imports`` lets a study name code of the user's own. ``offline`` True never uses the network; None asks
    the environment variable CETERIS_OFFLINE. ``until_decided`` trains more repetitions where the design leaves
    something undecided, as long as the whole run stays within ``budget_seconds`` (None: no limit). ``stacking`` says
    which trainings are done in lockstep as one; None asks this machine's device table. ``notebook_train`` writes the notebook
    that trains everything again.
    """

    out: Path
    store: Path
    data_dir: Path | None = None
    device: str = "auto"
    workers: int | None = None
    imports: ImportPolicy = NO_IMPORTS
    offline: bool | None = None
    formats: Sequence[str] = ("html", "pdf", "ipynb")
    notebook_train: bool = False
    overwrite: bool = False
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

    @property
    def reserve(self) -> float:
        """The share of the training images that no choice sees; 0 where there are too few, or no confirmation wants them."""
        enough = self.labels is not None and len(self.labels) >= RESERVED_FROM
        return RESERVE if enough and self.study.confirmation.seeds else 0.0

    def held_out(self, split: Split) -> IntArray:
        """Return the sorted numbers of the images that a split holds out, int64 (n,)."""
        assert self.labels is not None, "the context of a study without its labels was asked for images"
        if split not in self._held_out:
            self._held_out[split] = split_indices(split, self.labels, self.groups)[1]
        return self._held_out[split]

    def fitted_count(self, trial: Trial) -> int:
        """Return on how many images a trial fits; 0 where the images are not known."""
        return 0 if self.labels is None else len(split_of(trial, self.labels, self.groups).fitted)


def context_of(study: Study, data_set: DataSet, options: RunOptions) -> ExperimentContext:
    """Return what is the same for all trials of a study on this machine; its study's models are matched.

    Raises:
        ConfigError: when the device is not on this machine, or a model cannot be matched.
    """
    extension = (
        Extension(budget_seconds=options.budget_seconds, workers=options.processes) if options.until_decided else None
    )
    device = resolve_device(options.device)
    train = data_set.train
    return ExperimentContext(
        study=matched(study, train.shape, len(train.classes), options.imports),
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
    exploration, trials = context.study.exploration, list[Trial]()
    for repetition in range(exploration.seeds) if repetitions is None else repetitions:
        blocks = [block_trial(context, recipe, repetition, fold) for fold in range(exploration.folds)]
        for part in (blocks[:FIRST_BLOCKS], blocks[FIRST_BLOCKS:]):
            trials += stacked_folds(part, context.stacking)
    return tuple(trials)


def block_trial(context: ExperimentContext, recipe: Recipe, repetition: int, fold: int) -> Trial:
    """Return the trial of a recipe on one block."""
    return _trial(context, recipe, _fold(context, repetition, fold), repetition)


def confirmation_trials(context: ExperimentContext, recipe: Recipe) -> tuple[Trial, ...]:
    """Return the trials that confirm a recipe, as long and with as many images as it is delivered.

    Where images are reserved, one training for each seed of the design is judged by them. Where there are too few, about
    twice as many blocks of new cross-validations are: on other splits, but of the same images.
    """
    study, first = context.study, CONFIRMATION_REPETITION
    if context.reserve:
        seeds = [study.seed + first + number for number in range(study.confirmation.seeds)]
        splits: list[Split] = [
            ReserveSplit(
                reserve=context.reserve,
                reserve_seed=study.seed,
                seed=seed,
                validation=study.final.validation,
                images=study.final.images,
            )
            for seed in seeds
        ]
    else:
        folds = study.exploration.folds
        splits = [
            replace(_fold(context, first + number, fold), images=study.final.images, validation=study.final.validation)
            for number in range(-(-2 * study.confirmation.seeds // folds))
            for fold in range(folds)
        ]
    return stacked_folds(
        [_delivered(context, recipe, split, split.seed - study.seed) for split in splits], context.stacking
    )


def final_trials(context: ExperimentContext, recipe: Recipe) -> tuple[Trial, ...]:
    """Return the trainings of one recipe on the whole training set, one per seed, each with a validation split of its own."""
    final, root = context.study.final, context.study.seed
    splits = [
        HoldoutSplit(fraction=final.validation, seed=root + number, images=final.images)
        for number in range(final.seeds)
    ]
    return tuple(
        replace(
            _delivered(context, recipe, split, number),
            keep_weights=True,
            keep_snapshots=final.test_curves and number == 0,
        )
        for number, split in enumerate(splits)
    )


def delivered(study: Study, recipe: Recipe) -> Recipe:
    """Return a recipe with as many epochs as its final trainings have at most."""
    return replace(recipe, epochs=study.final.epochs or recipe.epochs)


def _delivered(context: ExperimentContext, recipe: Recipe, split: Split, repetition: int) -> Trial:
    trial, final = _trial(context, delivered(context.study, recipe), split, repetition), context.study.final
    if not final.validation:  # nothing to stop by
        return trial
    return replace(trial, patience=final.patience, criterion=context.study.criterion)


def _trial(context: ExperimentContext, recipe: Recipe, split: Split, repetition: int) -> Trial:
    return Trial(
        recipe=written_out(recipe),
        data=context.data,
        split=split,
        seed=context.study.seed + repetition,
        execution=execution_of(recipe, context.device),
        code=context.imports.digest(own_code(recipe)),
    )


def _fold(context: ExperimentContext, repetition: int, fold: int) -> CrossValidationSplit:
    study = context.study
    return CrossValidationSplit(
        folds=study.exploration.folds,
        index=fold,
        seed=study.seed + repetition,
        images=study.exploration.images,
        reserve=context.reserve,
        reserve_seed=study.seed if context.reserve else 0,
    )


def without_residual(recipe: Recipe) -> Recipe | None:
    """Return the recipe with its residual connections off and everything else equal; None where there are none."""
    model = recipe.model
    if model.kind == "resnet" and model.residual:
        return replace(recipe, model=replace(model, residual=False))
    if model.kind == "cnn" and model.residual:
        return replace(recipe, model=replace(model, residual=0, shortcut="padding"))
    return None


def own_code(recipe: Recipe) -> dict[str, str]:
    """Return the import paths of code in a recipe that is not ours, by the parameter that names each."""
    parts = {"model": recipe.model, "loss": recipe.loss}
    return {name: part.path for name, part in parts.items() if isinstance(part, CustomModel | CustomLoss | Estimator)}
