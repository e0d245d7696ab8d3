"""A recipe as a tree of plain values: fields at dotted places such as ``optimizer.lr`` read, written, compared, told.

Trees are what stands in a study file: tables, lists, texts, numbers. A choice (SGD, say) is a table whose ``kind`` is
its name; two choices of different kinds differ as a whole, not in each of their fields.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ceteris.digests import plain
from ceteris.errors import ConfigError
from ceteris.recipe import Recipe

ABSENT = object()  # what a recipe has in a field that it does not have

Tree = dict[str, Any]
_RECIPE = TypeAdapter(Recipe)


class IncompatibleError(ConfigError):
    """A recipe has no such field or does not take a value; ``reason`` says why in one clause, the message more."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def tree_of(recipe: Recipe) -> Tree:
    """Return a recipe as plain tables and lists, a copy that may be changed."""
    tree: Tree = plain(recipe, whole=True)
    return tree


def recipe_of(tree: Mapping[str, Any]) -> Recipe:
    """Return the recipe that a tree describes.

    Raises:
        ValidationError: pydantic's, when it is none.
    """
    return _RECIPE.validate_json(json.dumps(tree))


def value_at(recipe: Recipe, field: str) -> Any:
    """Return the plain value in a field of a recipe; ABSENT where the recipe has no such field.

    A choice is as its digest has it: without what was added to it later and is not used.
    """
    value = _at(tree_of(recipe), field)
    return _at(plain(recipe), field) if isinstance(value, dict | list) else value


def _at(tree: Any, field: str) -> Any:
    for name in field.split("."):
        tree = tree.get(name, ABSENT) if isinstance(tree, dict) else ABSENT
    return tree


def number_at(recipe: Recipe, field: str) -> int | float | None:
    """Return the number in a field of a recipe, None where there is none."""
    value = value_at(recipe, field)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def number_fields(tree: Tree, place: str = "") -> Iterator[str]:
    """Yield all fields of a tree that hold a number."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from number_fields(value, f"{place}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{place}{name}"


def put(tree: Tree, field: str, value: Any, *, new: bool = False) -> None:
    """Set a field of a tree; with ``new`` the last name may be one that is not there yet.

    Raises:
        IncompatibleError: when the tree has no such field.
    """
    *path, last = field.split(".")
    branch = tree
    for name in path:
        inner = branch.get(name)
        if not isinstance(inner, dict):
            reason = f'the recipe has no field "{field}"'
            raise IncompatibleError(f"{reason}. Allowed here: {', '.join(sorted(branch))}.", reason)
        branch = inner
    if last not in branch and not new:
        allowed = ", ".join(sorted(key for key in branch if key != "kind"))
        reason = f'"{".".join(path) or "the recipe"}" ({branch.get("kind", "recipe")}) has no field "{last}"'
        advice = "List the models that have it with `models = [...]`."
        raise IncompatibleError(f"{reason}. Allowed: {allowed}. {advice}", reason)
    branch[last] = value


# ---------------------------------------------------------------------------------------------------------------------
# Compare and merge


def difference(first: Recipe, second: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the fields in which two recipes differ, each with both values."""

    def value(recipe: Recipe, field: str) -> Any:
        found = value_at(recipe, field)
        return None if found is ABSENT else found

    return {field: (value(first, field), value(second, field)) for field in _differing(tree_of(first), tree_of(second))}


def _differing(first: Any, second: Any, place: str = "") -> Iterator[str]:
    """Yield the dotted places at which two trees differ."""
    if first == second:
        return
    alike = isinstance(first, dict) and isinstance(second, dict) and first.get("kind") == second.get("kind")
    if not alike:
        yield place
        return
    for name in sorted({*first, *second}):
        yield from _differing(first.get(name), second.get(name), f"{place}.{name}" if place else name)


def lies_in(field: str, others: Collection[str]) -> bool:
    """Say whether a field is one of the others or a part of one: ``optimizer.lr`` lies in ``optimizer``."""
    return any(field == other or field.startswith(f"{other}.") for other in others)


def merged(baseline: Recipe, changed: Sequence[Recipe], *, only: Collection[str] | None = None) -> Recipe:
    """Return the baseline with the changes of all recipes, the earlier one winning where two change the same field.

    Whole choices come before the numbers inside them. A number inside a choice (the learning rate of Adam) is not carried
    over where another recipe exchanges the whole choice (Adam for SGD): it was found for a choice that is no longer there.
    Changes that do not fit together with those before them (more kernels than filters) are left out. ``only`` lets nothing
    but these fields, and what lies in them, be changed.
    """
    merging, taken = baseline, set[str]()
    changes = [{field: after for field, (_, after) in difference(baseline, recipe).items()} for recipe in changed]
    for of_recipe in sorted(changes, key=lambda fields: max((field.count(".") for field in fields), default=0)):
        free = {
            field: value
            for field, value in of_recipe.items()
            if not lies_in(field, taken)
            and not any(lies_in(other, [field]) for other in taken)
            and (only is None or lies_in(field, only))
        }
        tree = tree_of(merging)
        for field, value in free.items():
            put(tree, field, value, new=True)
        try:
            merging = recipe_of(tree)
        except ValidationError:
            continue
        taken |= set(free)
    return merging


# ---------------------------------------------------------------------------------------------------------------------
# Describe


def describe_value(value: Any, *, detailed: bool = False) -> str:
    """Return a short text for a plain value: "sgd (lr 0.1)", "32-64", "on"; ``detailed`` keeps every number of a choice."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        parts = ", ".join(f"{key} {describe_value(part)}" for key, part in value.items() if key != "kind")
        name = str(value.get("kind", ""))
        return f"{name} ({parts})" if parts and (detailed or len(parts) < 40) else name
    if isinstance(value, list | tuple):
        joiner = " + " if any(isinstance(part, dict | str) for part in value) else "-"
        return joiner.join(describe_value(part) for part in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def describe_parts(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the descriptions of fields as (text, dotted field): numbers of a choice, "lr 0.1", with the field they hold.

    The texts joined are the descriptions joined by ", ".
    """
    parts: list[tuple[str, str]] = []
    for field, value in values.items():
        parts += [(", ", "")] if parts else []
        text = describe_value(value)
        if isinstance(value, dict) and text != value.get("kind"):
            numbers = [
                (f"{key} {describe_value(part)}", f"{field}.{key}") for key, part in value.items() if key != "kind"
            ]
            inner = [piece for number in numbers for piece in ((", ", ""), number)][1:]
            parts += [(f"{value.get('kind', '')} (", ""), *inner, (")", "")]
        else:
            parts.append((text, ""))
    return tuple(parts)


def describe_fields(recipe: Recipe, fields: Collection[str]) -> str:
    """Return what a recipe has in some fields, "" where it has none of them."""
    values = [value_at(recipe, field) for field in fields]
    return ", ".join(describe_value(value) for value in values if value is not ABSENT)


def describe_changes(incumbent: Recipe, changed: Recipe) -> tuple[str, ...]:
    """Return one line per difference, such as "optimizer: sgd (lr 0.1) → adam (lr 0.001)"."""
    return tuple(
        f"{field}: {describe_value(before, detailed=True)} → {describe_value(after, detailed=True)}"
        for field, (before, after) in difference(incumbent, changed).items()
    )
