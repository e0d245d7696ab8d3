"""Layers, output shapes, parameters and FLOPs of the models of a study, or of a trained one, as text."""

from pathlib import Path

from ceteris.api.bundle import read_model
from ceteris.models import summarise, summary_text
from ceteris.study import Study
from ceteris.study.context import RunOptions, open_data
from ceteris.training.build import summary_of


def study_summaries(study: Study, options: RunOptions) -> list[tuple[str, str]]:
    """Return (title, table) for the baseline of every model of a study."""
    data_set = open_data(study, options)
    return [
        (model.title, summary_text(summary_of(model.recipe, data_set.train, imports=options.imports)))
        for model in study.models
    ]


def model_summaries(path: Path, *, allow_imports: bool = False) -> list[tuple[str, str]]:
    """Return (title, table) of a trained model."""
    model = read_model(path, allow_imports=allow_imports)
    text = summary_text(summarise(model.network, model.card.input_shape))
    return [(f"{model.card.name} ({model.card.version}) of the study {model.card.study}", text)]
