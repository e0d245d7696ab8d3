"""Arms: what a level makes of a recipe, and the check that it changes one thing only."""

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ceteris.errors import ConfigError
from ceteris.recipe import Recipe
from ceteris.store import to_tree
from ceteris.study.messages import explain_invalid
from ceteris.study.study import Factor, Level

_RECIPE = TypeAdapter(Recipe)


def difference(first: Recipe, second: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the fields in which two recipes differ, dotted, each with both values.

    A choice of another kind (SGD against Adam) is one difference, not one for each of its own fields.
    """
    return _difference(to_tree(first), to_tree(second), "")


def _difference(first: Any, second: Any, place: str) -> dict[str, tuple[Any, Any]]:
    if first == second:
        return {}
    alike = isinstance(first, dict) and isinstance(second, dict) and first.get("kind") == second.get("kind")
    if not alike:
        return {place: (first, second)}
    found: dict[str, tuple[Any, Any]] = {}
    for name in sorted({*first, *second}):
        inner = f"{place}.{name}" if place else name
        found |= _difference(first.get(name), second.get(name), inner)
    return found


def arm(recipe: Recipe, factor: Factor, level: Level) -> Recipe:
    """Return the recipe with a level's changes.

    Raises:
        ConfigError: when a change names no field of the recipe, gives it a value that is not allowed, or when more than
            the factor's declared fields would change.
    """
    tree = to_tree(recipe)
    where = f'factor "{factor.name}", level "{level.label}"'
    for field, value in level.changes.items():
        _place(tree, field, value, where)
    try:
        changed = _RECIPE.validate_json(json.dumps(tree))
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain_invalid(error, tree)}") from None
    _one_thing_only(recipe, changed, factor, where)
    return changed


def _place(tree: dict[str, Any], field: str, value: Any, where: str) -> None:
    *path, last = field.split(".")
    branch = tree
    for name in path:
        inner = branch.get(name)
        if not isinstance(inner, dict):
            raise ConfigError(f'{where}: the recipe has no field "{field}". Allowed here: {", ".join(sorted(branch))}.')
        branch = inner
    if last not in branch:
        allowed = ", ".join(sorted(key for key in branch if key != "kind"))
        raise ConfigError(
            f'{where}: "{".".join(path) or "the recipe"}" ({branch.get("kind", "recipe")}) has no field "{last}". '
            f"Allowed: {allowed}. List the models that have it with `models = [...]`."
        )
    branch[last] = value


def _one_thing_only(recipe: Recipe, changed: Recipe, factor: Factor, where: str) -> None:
    for field in difference(recipe, changed):
        if not any(field == declared or field.startswith(declared + ".") for declared in factor.fields):
            raise ConfigError(
                f'{where} changes "{field}", which the factor does not declare (fields: {", ".join(factor.fields)}). '
                "A factor changes one thing; declare the field or make it a factor of its own."
            )


def tunable(recipe: Recipe, field: str) -> float | None:
    """Return the number above 0 in a dotted field of a recipe, None where there is no such number to scale."""
    value = to_tree(recipe)
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    return float(value)


def describe_changes(incumbent: Recipe, changed: Recipe) -> tuple[str, ...]:
    """Return one line per difference, such as "optimizer: sgd (lr 0.1) → adam (lr 0.001)"."""
    return tuple(
        f"{field}: {value_label(before, detailed=True)} → {value_label(after, detailed=True)}"
        for field, (before, after) in difference(incumbent, changed).items()
    )


def value_label(value: Any, *, detailed: bool = False) -> str:
    """Return a short text for a value of a recipe as it stands in a study file."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        parts = ", ".join(f"{key} {value_label(part)}" for key, part in value.items() if key != "kind")
        name = str(value.get("kind", ""))
        return f"{name} ({parts})" if parts and (detailed or len(parts) < 40) else name
    if isinstance(value, list | tuple):
        joiner = " + " if any(isinstance(part, dict | str) for part in value) else "-"
        return joiner.join(value_label(part) for part in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
