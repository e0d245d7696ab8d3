"""Arms: what a level makes of a recipe, and the check that it changes one thing only."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ceteris.errors import ConfigError
from ceteris.fields import MissingFieldError, difference, lies_in, put, recipe_of, tree_of
from ceteris.recipe import Recipe
from ceteris.study.messages import explain_invalid, first_problem
from ceteris.study.study import Factor, Level


class IncompatibleError(ConfigError):
    """A recipe does not take a value or a level; ``reason`` says why in one clause."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return a recipe with other values in some of its fields.

    Raises:
        IncompatibleError: when there is no such field, or a value is not allowed in it.
    """
    tree = tree_of(recipe)
    try:
        for field, value in changes.items():
            put(tree, field, value)
        return recipe_of(tree)
    except MissingFieldError as error:
        raise IncompatibleError(str(error), error.reason) from None
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
