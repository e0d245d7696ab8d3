"""Arms: what the levels of a factor make of a recipe, the check that each changes one thing, and those that do not fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ceteris.fields import (
    ABSENT,
    IncompatibleError,
    describe_fields,
    describe_parts,
    difference,
    lies_in,
    number_at,
    put,
    recipe_of,
    tree_of,
    value_at,
)
from ceteris.findings import Incompatible
from ceteris.recipe import STARTING_RATES, Recipe, written_out
from ceteris.study.messages import explain_invalid, first_problem
from ceteris.study.study import Factor, Level


@dataclass(frozen=True, kw_only=True)
class Arms:
    """The arms of a factor around an incumbent: label -> recipe, which of them is the incumbent, which levels do not fit."""

    recipes: Mapping[str, Recipe]
    incumbent: str
    incompatible: tuple[Incompatible, ...]


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return a recipe with other values in some of its fields.

    Raises:
        IncompatibleError: when there is no such field, or a value is not allowed in it.
    """
    tree = tree_of(recipe)
    for field, value in changes.items():
        put(tree, field, value)
    try:
        return recipe_of(tree)
    except ValidationError as error:
        raise IncompatibleError(explain_invalid(error, tree), first_problem(error, tree)) from None


def arm(recipe: Recipe, factor: Factor, level: Level) -> Recipe:
    """Return the recipe with a level's changes.

    Raises:
        IncompatibleError: when a change names no field of the recipe, gives it a value that is not allowed, or when more
            than the factor's declared fields would change.
    """
    where = f'factor "{factor.name}", level "{level.label}"'
    try:
        of_level = changed(recipe, level.changes)
    except IncompatibleError as error:
        raise IncompatibleError(f"{where}: {error}", error.reason) from None
    for field in difference(recipe, of_level):
        if not lies_in(field, factor.fields):
            reason = f'changes "{field}", which the factor does not declare (fields: {", ".join(factor.fields)})'
            advice = "A factor changes one thing; declare the field or make it a factor of its own."
            raise IncompatibleError(f"{where} {reason}. {advice}", f"it {reason}")
    return of_level


def arms_of(factor: Factor, incumbent: Recipe) -> Arms:
    """Return the arms of a factor; the incumbent is added to them when it is no level.

    Levels that cannot be made of the incumbent, though they could of the baseline, are left out: a factor for the momentum
    of SGD, for example, has nothing to change once Adam is the best optimizer.
    """
    recipes, incompatible = dict[str, Recipe](), list[Incompatible]()
    for level in factor.levels:
        try:
            recipes[level.label] = arm(incumbent, factor, level)
        except IncompatibleError as error:
            incompatible.append(Incompatible(label=level.label, reason=error.reason))
    trained = written_out(incumbent)
    own = next((label for label, recipe in recipes.items() if written_out(recipe) == trained), None)
    if own is None:
        values = describe_fields(incumbent, factor.fields)
        own = f"as before ({values})" if values else "as before"
        recipes = {own: incumbent} | recipes
    recipes[own] = incumbent  # also where a level says the same in other words
    return Arms(recipes=recipes, incumbent=own, incompatible=tuple(incompatible))


def starting_value(factor: Factor, label: str, recipe: Recipe, field: str) -> float:
    """Return where the search for a number of an arm starts: its own value, 0 where it has none.

    A level that names an optimizer without its learning rate starts at the rate in ``STARTING_RATES``.
    """
    changes = next((level.changes for level in factor.levels if level.label == label), {})
    optimizer = changes.get("optimizer")
    named = "lr" in optimizer if isinstance(optimizer, dict) else optimizer is None
    own = float(number_at(recipe, field) or 0.0)
    if field != "optimizer.lr" or named or field in changes:
        return own
    return STARTING_RATES.get(recipe.optimizer.kind, own)


def label_parts(factor: Factor, label: str, start: Recipe) -> tuple[tuple[str, str], ...]:
    """Return the (text, field) of which the label of an arm was made, see ``LevelFinding``; () where it is a name of its own.

    ``start`` is the arm's recipe before anything was tuned.
    """
    level = next((level for level in factor.levels if level.label == label), None)
    if level is not None:
        parts = describe_parts(level.changes)
        return parts if "".join(text for text, _ in parts) == label else ()
    values = {field: value_at(start, field) for field in factor.fields}
    parts = describe_parts({field: value for field, value in values.items() if value is not ABSENT})
    return (("as before (", ""), *parts, (")", "")) if parts else ()
