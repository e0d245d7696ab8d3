"""A study, phase after phase: data, exploration and final trainings, the test set, findings, weights, report."""

import logging
import math
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import tomli_w
import torch

from ceteris.api.collect import TrainedStudy, findings_of
from ceteris.api.result import LOG_FILE, Result, claim_folder, write_result
from ceteris.data import DataSet, from_arrays, parts_of, reading_lines, split_indices
from ceteris.digests import digest_of
from ceteris.errors import ConfigError, did_you_mean
from ceteris.execution.pools import InProcessPool, WorkerPool
from ceteris.execution.progress import Progress, Work
from ceteris.execution.queue import Queue
from ceteris.execution.worker import WorkerConfig
from ceteris.files import check_links, open_to_append, write_error
from ceteris.findings import Form
from ceteris.formats import visible
from ceteris.planning.dry_run import PlannedStage, dry_run
from ceteris.planning.timing import Timing
from ceteris.recipe import CustomModel, Recipe
from ceteris.records import Split
from ceteris.report import check_formats
from ceteris.report.running import RunningPage
from ceteris.store import Store
from ceteris.study import ModelSpec, Study, model_experiment, parse_study, study_text, study_toml
from ceteris.study.model_experiment import ModelResult, adjusted_over_models
from ceteris.study.trials import RunOptions, context_of, open_data
from ceteris.training.build import build_loss, parameter_count_of, summary_of
from ceteris.user_code import ALL_IMPORTS, ImportPolicy

_LOG = logging.getLogger("ceteris")

Arrays = Sequence[Any]

_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


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
    started, progress = time.monotonic(), progress or Progress()
    check_formats(options.formats)
    for folder in (options.out, options.store):
        check_links(folder)
    claim_folder(options.out, study.name, overwrite=options.overwrite)
    workers, store = options.processes, Store(options.store)
    progress.phase(f"preparing the data: {study.data}")
    data_set = data_set or open_data(study, options, progress.phase)
    for line in reading_lines(data_set):
        progress.note(line)
    context = context_of(study, data_set, options)
    study = context.study
    for model in study.models if study.match == "parameters" else ():
        shape, classes = data_set.train.shape, len(data_set.train.classes)
        count = parameter_count_of(model.recipe.model, shape, classes, imports=options.imports)
        progress.note(f"matched: {model.name} has {count:,} parameters")
    size_of = Timing(data_set.train, imports=options.imports, table=context.stacking.table).size
    if context.extension:
        context = replace(context, extension=replace(context.extension, size_of=size_of))
    stages = dry_run(context).stages
    check_plan(stages, data_set, imports=options.imports)
    check_layers(study, data_set, imports=options.imports)
    works = [
        [
            Work(
                model=stage.model, stage=stage.stage, kind=stage.kind, epochs=trial.recipe.epochs, units=size_of(trial)
            )
            for trial in stage.trials
        ]
        for stage in stages
    ]
    store.remove_unfinished()
    with _logged_to(options.out / LOG_FILE), _shown(progress, study, options) as progress:
        progress.planned(works)
        config = WorkerConfig(
            train=data_set.prepared, store=options.store, imports=options.imports, device=context.device
        )
        here = InProcessPool(data_set.train, store, imports=options.imports)
        with WorkerPool(config, workers) if workers else here as pool:
            queue: Queue[ModelResult] = Queue(store, pool, progress, size_of)
            results = queue.run([model_experiment(context, model) for model in study.models])
        trained = TrainedStudy(
            context=context,
            options=options,
            data_set=data_set,
            results=adjusted_over_models(results, study.significance),
            records=queue.records,
            seconds=time.monotonic() - started,
        )

        def tell(text: str) -> None:
            _LOG.info("%s", text)
            progress.phase(text)

        return write_result(findings_of(trained, tell), trained, tell, original=original)


def _shown(progress: Progress, study: Study, options: RunOptions) -> AbstractContextManager[Progress]:
    """Return a listener that also shows the running study in the place of its page, where one is asked for."""
    if "html" not in options.formats:
        return nullcontext(progress)
    return RunningPage(
        progress,
        options.out / "report.html",
        title=study.title or study.name,
        models={model.name: model.title or model.name for model in study.models},
        stages={factor.name: factor.title or factor.name for factor in study.factors},
        workers=options.processes,
    )


def check_plan(stages: Sequence[PlannedStage], data_set: DataSet, *, imports: ImportPolicy) -> None:
    """Build the model and the loss of every planned recipe, and make every planned split, so that mistakes cost nothing.

    Raises:
        ConfigError: when one cannot be built for these images; the message names the model and the stage.
        DataError: when the images cannot be split as planned.
    """
    splits: dict[str, Split] = {}
    recipes: dict[str, tuple[PlannedStage, Recipe]] = {}
    for stage in stages:
        for trial in stage.trials:
            splits.setdefault(digest_of(trial.split), trial.split)
            recipes.setdefault(digest_of((trial.recipe.model, trial.recipe.loss)), (stage, trial.recipe))
    for split in splits.values():
        split_indices(split, data_set.train.labels, data_set.train.groups, classes=data_set.train.classes)
    for stage, recipe in recipes.values():
        try:
            summary_of(recipe, data_set.train, imports=imports)
            build_loss(recipe.loss, imports=imports)
        except ConfigError as error:
            raise ConfigError(f"model {stage.model}, {stage.stage}: {error}") from None
        except Exception:
            continue  # the user's own code failed: a row of the report will say how, and the study goes on


def check_layers(study: Study, data_set: DataSet, *, imports: ImportPolicy) -> None:
    """Make sure that every layer that a study names for its t-SNE picture is one of its model.

    Raises:
        ConfigError: naming the model, the layer and those that it has.
    """
    for model in study.models:
        if model.embedding:
            names = [row.name for row in summary_of(model.recipe, data_set.train, imports=imports).layers]
            if model.embedding not in names:
                raise ConfigError(
                    f'models.{model.name}.embedding: there is no layer "{model.embedding}".'
                    f"{did_you_mean(model.embedding, names)} Layers: {', '.join(names)}."
                )


# ---------------------------------------------------------------------------------------------------------------------
# The log beside the report: what a run did and when, and why trainings did not finish


class _LogFile(logging.StreamHandler[IO[str]]):
    """A log that ends nothing when the disk is full, and in which every entry starts a line and nothing moves a cursor."""

    def format(self, record: logging.LogRecord) -> str:
        """Write an entry; what follows its first line, such as a traceback, is indented."""
        return visible(super().format(record)).replace("\n", "\n    ")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name that logging gives it
        """Leave the line out."""


@contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Append what ceteris logs inside the block to a file, with date and time.

    Raises:
        StoreError: when the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open_to_append(path)
    except OSError as error:
        raise write_error(path, error) from None
    handler = _LogFile(file)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-7s  %(message)s"))
    level = _LOG.level
    _LOG.setLevel(min(level or logging.INFO, logging.INFO))
    _LOG.addHandler(handler)
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        _LOG.setLevel(level)
        handler.close()
        file.close()


# ---------------------------------------------------------------------------------------------------------------------
# From Python


def run(
    study: str | Path | Mapping[str, Any] | Study,
    *,
    settings: Sequence[str] = (),
    form: Form = "",
    data: DataSet | str | Path | Arrays | None = None,
    models: Mapping[str, type[torch.nn.Module]] | None = None,
    out: str | Path | None = None,
    store: str | Path | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    allow_imports: bool = False,
    until_decided: bool = False,
    budget: str | float | None = None,
    formats: Sequence[str] = ("html", "pdf", "ipynb"),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Run a study, or go on where it was stopped, and return its result.

    Args:
        study: name of a shipped study, path of a TOML file, the same as a dictionary, or a Study.
        settings: overrides such as "cnn.optimizer.lr=0.01"; a model's name or a key of the study comes first.
        form: "quick" or "full" for the study with the changes of its table of that name.
        data: instead of the study's data: a DataSet, a name or path, or arrays (train images, train labels[, test images, test
            labels]), also as the two pairs that Keras returns. Images are bytes, 16 bits, or floats in 0..1 or 0..255.
        models: own classes that take part beside the study's models, by name; each is called with ``input_shape`` and
            ``classes`` and starts from the first model's training recipe. Factors of the model's inside pass them over.
        out: folder for the result; ceteris-results/<name> without it.
        store: folder of finished trainings; "store" beside ``out`` without it.
        data_dir: where named data sets are looked for.
        device: "auto", "cpu", "cuda", ...
        workers: training processes; one per core (or GPU) without it; 0 trains here, as classes of a notebook or script do.
        allow_imports: whether the study may name code of your own by import path.
        until_decided: whether to train more repetitions where the design leaves something undecided.
        budget: with ``until_decided``: the time that the whole run may take, in seconds or as "30m", "2h", "1h30m".
        formats: which reports to write.
        overwrite: whether to replace the result of another study that lies in ``out``.
        progress: a listener, see :class:`ceteris.execution.progress.Progress`.

    Raises:
        ConfigError, DataError, StoreError: as the command line tells them.
    """
    budget_seconds = budget_of(until_decided, budget)
    asked, original = _asked(study, settings, form)
    if isinstance(data, str | Path):
        asked, data = replace(asked, data=str(data)), None
    if models:
        asked = _with_models(asked, models)
        workers = _workers_knowing(models, workers)
    own = frozenset(f"{model.__module__}:{model.__qualname__}" for model in (models or {}).values())
    folder = Path(out) if out else Path("ceteris-results") / asked.name
    options = RunOptions(
        out=folder,
        store=Path(store) if store else folder.parent / "store",
        data_dir=Path(data_dir) if data_dir else None,
        device=device,
        workers=workers,
        imports=ALL_IMPORTS if allow_imports else ImportPolicy(paths=own),
        formats=tuple(formats),
        overwrite=overwrite,
        until_decided=until_decided,
        budget_seconds=budget_seconds,
    )
    if data is not None and not isinstance(data, DataSet):
        train, test = parts_of(data)
        data = from_arrays(*train, *(test or ()), cache_dir=options.store / "data", options=asked.reading)
    if data is not None:  # the study that runs names the data that it runs on, so that its file runs again
        asked = replace(asked, data=str(data.prepared))
    return run_study(asked, options, progress, data_set=data, original=original)


def _asked(study: str | Path | Mapping[str, Any] | Study, settings: Sequence[str], form: Form) -> tuple[Study, str]:
    """Return the study with its overrides, and the text of the user's own file, '' where there is none."""
    if isinstance(study, str | Path):
        text = study_text(str(study))
        return parse_study(text, settings, origin=str(study), form=form), text
    if isinstance(study, Study) and not settings and not form:
        return study, ""
    text = study_toml(study) if isinstance(study, Study) else tomli_w.dumps(dict(study))
    return parse_study(text, settings, form=form), ""


def _workers_knowing(models: Mapping[str, type[torch.nn.Module]], workers: int | None) -> int | None:
    """Return the number of workers: 0 where a class is known to this process alone."""
    here = [name for name, model in models.items() if model.__module__ == "__main__"]
    if here and workers:
        raise ConfigError(
            f'workers: "{here[0]}" is defined in the notebook or script that runs, which training processes do not know, so '
            f"only 0 (train in this process) is allowed; received {workers}. Or put the class into a module and import it."
        )
    return 0 if here else workers


def _with_models(study: Study, models: Mapping[str, type[torch.nn.Module]]) -> Study:
    """Return the study with own classes as models beside its own, whose factors of the model's inside pass them over."""
    own = []
    for name, model in models.items():
        path = f"{model.__module__}:{model.__qualname__}"
        if "<locals>" in path or getattr(sys.modules.get(model.__module__), model.__name__, None) is None:
            raise ConfigError(
                f'models: "{name}" must be a class at the top level of a module or notebook, so that its import path '
                f"({path}) leads to it."
            )
        recipe = replace(study.models[0].recipe, model=CustomModel(path=path))
        own.append(ModelSpec(name=name, title=name, recipe=recipe))
    given = tuple(model.name for model in study.models)
    factors = tuple(
        replace(factor, models=factor.models or given)
        if any(field.startswith("model.") for field in factor.fields)
        else factor
        for factor in study.factors
    )
    return replace(study, models=(*study.models, *own), factors=factors)


# ---------------------------------------------------------------------------------------------------------------------
# Times as people write them: 90s, 30m, 2h, 1h30m


def seconds_of(text: str | float, *, name: str = "budget") -> float:
    """Return the seconds of a duration such as "90s", "30m" or "1h30m"; a number is taken as seconds.

    Raises:
        ConfigError: for anything else, and for a time that is not above 0.
    """
    seconds: float | None = None
    if not isinstance(text, str):
        seconds = float(text)
    elif (found := _DURATION.fullmatch(text.strip().lower().replace(" ", ""))) and any(found.groups()):
        seconds = sum(float(count) * _SECONDS[unit] for unit, count in found.groupdict().items() if count)
    if seconds is None or not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(
            f'{name}: a time above 0 is needed, as 90s, 30m, 2h or 1h30m (h, m and s in this order); received "{text}".'
        )
    return seconds


def budget_of(until_decided: bool, budget: str | float | None) -> float | None:
    """Return the budget of a run in seconds, None without one.

    Raises:
        ConfigError: when the budget is no time, or is given to a run that keeps to its design.
    """
    if budget is None:
        return None
    seconds = seconds_of(budget)
    if not until_decided:
        raise ConfigError(
            "budget: a run keeps to the design of its study, so a budget alone changes nothing. Add --until-decided "
            "(until_decided=True) to spend it on more repetitions where something is undecided, or let "
            f"`ceteris plan STUDY --budget {budget}` say which design fits into it."
        )
    return seconds
