"""``ceteris.run``: a study from a notebook or a script, with the user's own models and arrays."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w
import torch

from ceteris.api.durations import budget_of
from ceteris.api.result import Result
from ceteris.api.running import run_study
from ceteris.data import DataSet, from_arrays
from ceteris.errors import ConfigError
from ceteris.execution.progress import Progress
from ceteris.recipe import CustomModel
from ceteris.study import ModelSpec, Study, parse_study, study_text, study_toml
from ceteris.study.context import RunOptions
from ceteris.user_code import ALL_IMPORTS, ImportPolicy

Arrays = Sequence[Any]


def run(
    study: str | Path | Mapping[str, Any] | Study,
    *,
    settings: Sequence[str] = (),
    data: DataSet | Arrays | None = None,
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
    progress: Progress | None = None,
) -> Result:
    """Run a study, or go on where it was stopped, and return its result.

    Args:
        study: name of a shipped study, path of a TOML file, the same as a dictionary, or a Study.
        settings: overrides such as "cnn.optimizer.lr=0.01"; a model's name or a key of the study comes first.
        data: instead of the study's data: a DataSet, or arrays (train images, train labels[, test images, test labels]).
        models: own classes that take part beside the study's models, by name; each is called with ``input_shape`` and
            ``classes`` and starts from the first model's training recipe. Factors of the model's inside pass them over.
        out: folder for the result; ceteris-results/<name> without it.
        store: folder of finished trainings; "store" beside ``out`` without it.
        data_dir: where named data sets are looked for.
        device: "auto", "cpu", "cuda", ...
        workers: training processes; one per core without it; 0 trains here, as classes defined in a notebook or script do.
        allow_imports: whether the study may name code of your own by import path.
        until_decided: whether to train more repetitions where the design leaves something undecided.
        budget: with ``until_decided``: the time that the whole run may take, in seconds or as "30m", "2h", "1h30m".
        formats: which reports to write.
        progress: a listener, see :class:`ceteris.study.Progress`.

    Raises:
        ConfigError, DataError, StoreError: as the command line tells them.
    """
    budget_seconds = budget_of(until_decided, budget)
    asked, original = _asked(study, settings)
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
        until_decided=until_decided,
        budget_seconds=budget_seconds,
    )
    data_set = _data_set(data, asked, options)
    if data_set is not None:  # the study that runs names the data that it runs on, so that its file runs again
        asked = replace(asked, data=str(data_set.prepared))
    return run_study(asked, options, progress, data_set=data_set, original=original)


def _asked(study: str | Path | Mapping[str, Any] | Study, settings: Sequence[str]) -> tuple[Study, str]:
    """Return the study with its overrides, and the text of the user's own file, '' where there is none."""
    if isinstance(study, str | Path):
        text = study_text(str(study))
        return parse_study(text, settings, origin=str(study)), text
    if isinstance(study, Study) and not settings:
        return study, ""
    text = study_toml(study) if isinstance(study, Study) else tomli_w.dumps(dict(study))
    return parse_study(text, settings), ""


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
    own = tuple(_study_model(study, name, model) for name, model in models.items())
    shipped = tuple(model.name for model in study.models)
    factors = tuple(
        replace(factor, models=factor.models or shipped)
        if any(field.startswith("model.") for field in factor.fields)
        else factor
        for factor in study.factors
    )
    return replace(study, models=(*study.models, *own), factors=factors)


def _study_model(study: Study, name: str, model: type[torch.nn.Module]) -> ModelSpec:
    if "<locals>" in model.__qualname__ or getattr(sys.modules.get(model.__module__), model.__name__, None) is None:
        raise ConfigError(
            f'models: "{name}" must be a class at the top level of a module or notebook, so that its import path '
            f"({model.__module__}:{model.__qualname__}) leads to it."
        )
    path = f"{model.__module__}:{model.__qualname__}"
    recipe = replace(study.models[0].recipe, model=CustomModel(path=path))
    return ModelSpec(name=name, title=name, recipe=recipe)


def _data_set(data: DataSet | Arrays | None, study: Study, options: RunOptions) -> DataSet | None:
    if data is None or isinstance(data, DataSet):
        return data
    if len(data) not in (2, 4):
        raise ConfigError(
            f"data: arrays are (train images, train labels) or these and (test images, test labels); received {len(data)}."
        )
    return from_arrays(*data, name=study.data, cache_dir=options.store / "data")
