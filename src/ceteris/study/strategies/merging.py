"""Several recipes that each differ from one baseline, put together into one."""

import json
from collections.abc import Collection, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ceteris.recipe import Recipe
from ceteris.store import to_tree
from ceteris.study.design import difference

_RECIPE = TypeAdapter(Recipe)


def merged(baseline: Recipe, changed: Sequence[Recipe], *, only: Collection[str] | None = None) -> Recipe:
    """Return the baseline with the changes of all recipes, the earlier one winning where two change the same field.

    A number inside a choice (the learning rate of Adam) is not carried over where another recipe exchanges the whole
    choice (Adam for SGD): it was found for a choice that is no longer there. Changes that do not fit together with those
    before them (more kernels than filters) are left out. ``only`` lets nothing but these fields, and what lies in them,
    be changed.
    """
    found = baseline
    taken: set[str] = set()
    for recipe in _exchanges_first(baseline, changed):
        tree, fields = to_tree(found), difference(baseline, recipe)
        free = {
            field: after
            for field, (_, after) in fields.items()
            if not _overlaps(field, taken) and (only is None or _lies_in(field, only))
        }
        for field, value in free.items():
            _put(tree, field, value)
        try:
            found = _RECIPE.validate_json(json.dumps(tree))
        except ValidationError:
            continue
        taken |= set(free)
    return found


def _exchanges_first(baseline: Recipe, changed: Sequence[Recipe]) -> list[Recipe]:
    """Whole choices come before numbers inside them, else the order given."""
    depth = {
        id(recipe): max((field.count(".") for field in difference(baseline, recipe)), default=0) for recipe in changed
    }
    return sorted(changed, key=lambda recipe: depth[id(recipe)])


def _overlaps(field: str, taken: Collection[str]) -> bool:
    return _lies_in(field, taken) or any(other.startswith(f"{field}.") for other in taken)


def _lies_in(field: str, others: Collection[str]) -> bool:
    return any(field == other or field.startswith(f"{other}.") for other in others)


def _put(tree: dict[str, Any], field: str, value: Any) -> None:
    *path, last = field.split(".")
    for name in path:
        tree = tree[name]
    tree[last] = value
