"""Models made equally large: the widths of all are set so that they have as many parameters as the first one."""

from dataclasses import replace
from typing import Any

from ceteris.errors import ConfigError
from ceteris.recipe import Model
from ceteris.study.study import ModelSpec, Study
from ceteris.training.build import Shape, parameter_count_of
from ceteris.user_code import NO_IMPORTS, ImportPolicy

_WIDTHS = {"mlp": ("hidden",), "cnn": ("filters", "head"), "resnet": ("filters", "head")}
_BISECTIONS = 20  # of the range in which the right width lies: fine enough for 10,000 units


def matched(study: Study, shape: Shape, classes: int, imports: ImportPolicy = NO_IMPORTS) -> Study:
    """Return the study with the widths of its models set as ``match`` says, for images of a shape and so many classes.

    Raises:
        ConfigError: a model other than the first has no widths that could be set.
    """
    if study.match == "none":
        return study
    first, *others = study.models
    wanted = parameter_count_of(first.recipe.model, shape, classes, imports=imports)
    return replace(study, models=(first, *(_as_large(model, wanted, shape, classes) for model in others)))


def _as_large(spec: ModelSpec, wanted: int, shape: Shape, classes: int) -> ModelSpec:
    """Return a model whose widths are all multiplied by the factor that brings its parameters nearest to a number."""
    if spec.recipe.model.kind not in _WIDTHS:
        raise ConfigError(
            f'match = "parameters": the widths of model {spec.name} ({spec.recipe.model.kind}) cannot be set. Name it first, '
            "so that the others are made as large as it is, or leave match out."
        )

    def missed_by(factor: float) -> int:
        return parameter_count_of(_scaled(spec.recipe.model, factor), shape, classes) - wanted

    if not missed_by(1.0):
        return spec
    low, high = 1.0, 1.0
    while low > 2**-12 and missed_by(low) > 0:
        low /= 2
    while high < 2**12 and missed_by(high) < 0:
        high *= 2
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if missed_by(middle) < 0 else (low, middle)
    nearest = min((1.0, low, high), key=lambda factor: abs(missed_by(factor)))
    return replace(spec, recipe=replace(spec.recipe, model=_scaled(spec.recipe.model, nearest)))


def _scaled(model: Model, factor: float) -> Model:
    written: Any = model.written_out()
    widths = {name: getattr(written, name) for name in _WIDTHS[model.kind]}
    scaled: Model = replace(
        written, **{name: tuple(max(1, round(factor * one)) for one in of) for name, of in widths.items()}
    )
    return scaled
