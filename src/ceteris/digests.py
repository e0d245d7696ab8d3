"""Plain trees of values, their one JSON text, and the digest that is a trial's address."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ADDED = {"added": True}  # the metadata of a dataclass's field that came later than digests of the type


def plain(
    value: Any, place: str = "", *, whole: bool = False, array: Callable[[NDArray[Any], str], Any] | None = None
) -> Any:
    """Return a frozen dataclass, mapping or sequence as JSON-able dicts, lists and scalars.

    A field that was :data:`ADDED` to a type is left out at its default, so that older digests stay what they were; ``whole``
    leaves nothing out. ``array`` returns what stands for an array at a dotted place; without it none is allowed.

    Raises:
        TypeError: for a value that has no plain form, with its dotted ``place``.
    """
    if isinstance(value, np.ndarray) and array is not None:
        return array(value, place)
    inside = f"{place}." if place else ""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {field: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {
            field.name: plain(part, f"{inside}{field.name}", whole=whole, array=array)
            for field, part in parts.items()
            if whole or not (field.metadata.get("added") and part == field.default)
        }
    if isinstance(value, Mapping):
        return {str(key): plain(part, f"{inside}{key}", whole=whole, array=array) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part, f"{inside}{index}", whole=whole, array=array) for index, part in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{place}: a value of type {type(value).__name__} has no plain form")


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, shortest numbers that read back exactly."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest_of(value: Any) -> str:
    """Return the sha256 of a frozen dataclass (or of plain values), as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
