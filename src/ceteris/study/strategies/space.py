"""The space of recipes around a baseline: the levels of all factors as choices, ranges as numbers.

A point names one value per dimension. Its recipe is the baseline with all of them at once, whole choices before the
numbers inside them, so that a range of the learning rate holds for whichever optimizer was chosen.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np
from pydantic import ValidationError

from ceteris.errors import ConfigError, did_you_mean
from ceteris.fields import IncompatibleError, number_at, number_fields, put, recipe_of, tree_of
from ceteris.recipe import Recipe
from ceteris.records import FloatArray
from ceteris.study.arms import arms_of, changed
from ceteris.study.messages import explain_invalid
from ceteris.study.study import Factor, ModelSpec, Range, Study, factors_of, ranges_of

_DIGITS = 4  # significant ones of a number that is drawn: recipes stay readable
_LISTED = 10_000  # up to so many points of a finite space are visited one by one

Point = tuple[str | float, ...]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A factor as a dimension: one of the labels of its levels, the baseline's own value among them."""

    factor: Factor
    labels: tuple[str, ...]
    start: str

    @property
    def name(self) -> str:
        """The name in a candidate's settings."""
        return self.factor.name

    def at(self, share: float) -> str:
        """Return the label at a share of the dimension, in [0, 1)."""
        return self.labels[min(int(share * len(self.labels)), len(self.labels) - 1)]

    def changes(self, value: str | float) -> dict[str, Any]:
        """Return what a label changes, by dotted field; nothing where it is the baseline's own value."""
        return next((level.changes for level in self.factor.levels if level.label == value), {})

    def text(self, value: str | float) -> str:
        """Return how a value is told."""
        return str(value)


@dataclass(frozen=True, kw_only=True)
class Number:
    """A range as a dimension: every number, or every whole number, from ``low`` to ``high``."""

    name: str
    low: float
    high: float
    log: bool
    whole: bool
    start: float

    def at(self, share: float) -> float:
        """Return the number at a share of the range, in [0, 1): evenly spread, or evenly in its logarithm."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        if self.log:
            return self.allowed(math.exp(math.log(low) + share * (math.log(high) - math.log(low))))
        return self.allowed(low + share * (high - low))

    def allowed(self, value: float) -> float:
        """Return the nearest number that a recipe may have here: whole, or of few digits, and inside the range."""
        near = round(value) if self.whole else float(f"{value:.{_DIGITS}g}")
        return min(max(near, self.low), self.high)

    def changes(self, value: str | float) -> dict[str, Any]:
        """Return what a value changes, by dotted field."""
        allowed = self.allowed(float(value))
        return {self.name: int(allowed) if self.whole else allowed}

    def text(self, value: str | float) -> str:
        """Return how a value is told."""
        return f"{self.allowed(float(value)):g}"


Dimension = Choice | Number


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """What a point stands for: its recipe, None where its values do not go together, and the reason.

    ``settings`` is (factor or field, value as text), "–" for those in ``idle``, which have no effect because the recipe
    does not have the field that is named there.
    """

    recipe: Recipe | None
    settings: tuple[tuple[str, str], ...]
    idle: tuple[tuple[str, str], ...] = ()
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Space:
    """All recipes of a model that a search may try."""

    baseline: Recipe
    dimensions: tuple[Dimension, ...]

    @property
    def start(self) -> Point:
        """The point of the baseline."""
        return tuple(dimension.start for dimension in self.dimensions)

    def at(self, shares: FloatArray) -> Point:
        """Return the point at shares of all dimensions, (dimensions,) in [0, 1)."""
        return tuple(dimension.at(float(share)) for dimension, share in zip(self.dimensions, shares, strict=True))

    def neighbours(self) -> Iterator[Point]:
        """Yield the points that differ from the baseline's in one choice: a level of every factor, then the next ones."""
        start = self.start
        levels = [
            [label for label in dimension.labels if label != dimension.start] if isinstance(dimension, Choice) else []
            for dimension in self.dimensions
        ]
        for labels in zip_longest(*levels):
            for place, label in enumerate(labels):
                if label is not None:
                    yield (*start[:place], label, *start[place + 1 :])

    def points(self, random: np.random.Generator) -> Iterator[Point]:
        """Yield points at random: of a small finite space every one once, otherwise as many as are listed at most."""
        sizes = [len(dimension.labels) for dimension in self.dimensions if isinstance(dimension, Choice)]
        finite = len(sizes) == len(self.dimensions)
        if not finite or math.prod(sizes) > _LISTED:
            for _ in range(_LISTED):
                yield self.at(random.random(len(self.dimensions)))
            return
        for place in random.permutation(math.prod(sizes)):
            indices = np.unravel_index(place, sizes) if sizes else ()
            yield self.at(np.array([(index + 0.5) / size for index, size in zip(indices, sizes, strict=True)]))

    def sampled(self, point: Point) -> Sampled:
        """Return the recipe of a point, or why there is none."""
        changes = [dimension.changes(value) for dimension, value in zip(self.dimensions, point, strict=True)]
        recipe, applied = self.baseline, set[str]()
        for depth in sorted({field.count(".") for change in changes for field in change}):
            level = {field: value for change in changes for field, value in change.items() if field.count(".") == depth}
            tree = tree_of(recipe)
            for field, value in level.items():
                with suppress(IncompatibleError):
                    put(tree, field, value)
                    applied.add(field)
            try:
                recipe = recipe_of(tree)
            except ValidationError as error:
                return self._without_recipe(point, explain_invalid(error, tree).replace("\n", "; "))
        idle: dict[str, str] = {}
        for dimension, change in zip(self.dimensions, changes, strict=True):
            missing = [field for field in change if field not in applied]
            if missing and len(missing) < len(change):  # half of a level is another level
                return self._without_recipe(point, f'{dimension.name}: the recipe has no field "{missing[0]}"')
            if missing:
                idle[dimension.name] = missing[0]
        settings = tuple((name, "–" if name in idle else text) for name, text in self._settings(point))
        return Sampled(recipe=recipe, settings=settings, idle=tuple(idle.items()))

    def _without_recipe(self, point: Point, reason: str) -> Sampled:
        return Sampled(recipe=None, settings=self._settings(point), reason=reason)

    def _settings(self, point: Point) -> tuple[tuple[str, str], ...]:
        return tuple(
            (dimension.name, dimension.text(value)) for dimension, value in zip(self.dimensions, point, strict=True)
        )


def space_of(study: Study, model: ModelSpec) -> Space:
    """Return the space of a model: its factors with more than one value, and the ranges whose field it can have."""
    dimensions: list[Dimension] = []
    for factor in factors_of(study, model.name):
        arms = arms_of(factor, model.recipe)
        if len(arms.recipes) > 1:
            dimensions.append(Choice(factor=factor, labels=tuple(arms.recipes), start=arms.incumbent))
    for span in ranges_of(study):
        if recipe := recipe_with_number(study, model, span.field):
            whole = isinstance(number_at(recipe, span.field), int)
            low, high = (math.ceil(span.low), math.floor(span.high)) if whole else (span.low, span.high)
            middle = math.sqrt(low * high) if span.log else (low + high) / 2
            start = number_at(model.recipe, span.field)
            number = Number(name=span.field, low=low, high=high, log=span.log, whole=whole, start=middle)
            dimensions.append(replace(number, start=number.allowed(middle) if start is None else start))
    return Space(baseline=model.recipe, dimensions=tuple(dimensions))


def recipe_with_number(study: Study, model: ModelSpec, field: str) -> Recipe | None:
    """Return the baseline, else the first arm of any factor, that has a number in a field; None where none has."""
    arms = (
        recipe for factor in factors_of(study, model.name) for recipe in arms_of(factor, model.recipe).recipes.values()
    )
    return next((recipe for recipe in (model.recipe, *arms) if number_at(recipe, field) is not None), None)


# ---------------------------------------------------------------------------------------------------------------------
# What cannot be searched as a study asks for, found before anything is trained


def check_space(study: Study) -> None:
    """Check that there is something to search, and the ranges.

    Raises:
        ConfigError: a range whose field no recipe has, that allows values which the recipe does not, or that leaves the
            baseline's own value out; a field that is a range and a factor at once; no factor and no range.
    """
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
