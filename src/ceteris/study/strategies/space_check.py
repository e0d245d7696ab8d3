"""What cannot be searched as a study asks for, found before anything is trained."""

import math

from ceteris.errors import ConfigError, did_you_mean
from ceteris.fields import number_at, number_fields, tree_of
from ceteris.recipe import Recipe
from ceteris.study.design import IncompatibleError, changed
from ceteris.study.strategies.space import Choice, ranges_of, recipe_with_number, space_of
from ceteris.study.study import Halving, Joint, ModelSpec, Range, Study


def check_search(study: Study) -> None:
    """Check the ranges of a joint search or of successive halving, and that its sampler can search the space.

    Raises:
        ConfigError: a range whose field no recipe has, that allows values which the recipe does not, or that leaves the
            baseline's own value out; a field that is a range and a factor at once; CMA-ES without numbers alone.
    """
    if not isinstance(study.strategy, Joint | Halving):
        return
    for span in ranges_of(study):
        _check_range(span, study)
    fields = [span.field for span in ranges_of(study)]
    for field in fields:
        if fields.count(field) > 1:
            raise ConfigError(f'strategy.ranges: "{field}" is there twice; one range of each field is needed.')
    if not any(space_of(study, model).dimensions for model in study.models):
        raise ConfigError(
            f"strategy: {study.strategy.kind} has nothing to search. Add [[factors]] with levels, or ranges such as "
            '{ field = "optimizer.lr", low = 0.001, high = 1.0, log = true }.'
        )
    if isinstance(study.strategy, Joint) and study.strategy.sampler == "cma-es":
        for model in study.models:
            _check_numbers_alone(study, model)


def _check_range(span: Range, study: Study) -> None:
    where = f"strategy.ranges[{span.field}]"
    factor = next((factor.name for factor in study.factors if span.field in factor.fields), None)
    if factor:
        raise ConfigError(
            f'{where}: the factor "{factor}" sets this field too. Keep one of the two: levels to compare a few values, a '
            "range to search among all."
        )
    having = [(model, recipe) for model in study.models if (recipe := recipe_with_number(study, model, span.field))]
    if not having:
        known = sorted({field for model in study.models for field in number_fields(tree_of(model.recipe))})
        raise ConfigError(
            f'{where}: no recipe has a number in "{span.field}".{did_you_mean(span.field, known)} '
            f"Numbers of the baselines: {', '.join(known)}."
        )
    for model, recipe in having:
        _check_values(span, model, recipe, where)


def _check_values(span: Range, model: ModelSpec, recipe: Recipe, where: str) -> None:
    whole = isinstance(number_at(recipe, span.field), int)
    if whole and not math.ceil(span.low) < math.floor(span.high):
        raise ConfigError(
            f"{where}: the field holds whole numbers and the range has fewer than two; received low {span.low:g} and high "
            f"{span.high:g}."
        )
    for name, end in (("low", span.low), ("high", span.high)):
        try:
            changed(recipe, {span.field: int(end) if whole else end})
        except IncompatibleError as error:
            raise ConfigError(f"{where}.{name}: model {model.name} does not allow {end:g}: {error}") from None
    own = number_at(model.recipe, span.field)
    if own is not None and not span.low <= own <= span.high:
        raise ConfigError(
            f"{where}: the baseline of {model.name} has {own:g}, outside of {span.low:g} to {span.high:g}. The search starts "
            "from the baseline: widen the range or change the baseline."
        )


def _check_numbers_alone(study: Study, model: ModelSpec) -> None:
    dimensions = space_of(study, model).dimensions
    choices = [dimension.name for dimension in dimensions if isinstance(dimension, Choice)]
    advice = 'Use sampler = "tpe" or "gp"'
    if choices:
        raise ConfigError(
            f"strategy.sampler: cma-es searches among numbers and cannot choose among the levels of {', '.join(choices)} "
            f"(model {model.name}). {advice}, or leave these factors out."
        )
    if len(dimensions) == 1:
        raise ConfigError(
            f"strategy.sampler: cma-es needs at least two ranges, model {model.name} has one ({dimensions[0].name}). "
            f"{advice}, or add a range."
        )
