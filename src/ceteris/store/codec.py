"""Frozen dataclasses to one safetensors file and back: plain values as JSON in its header, arrays as tensors.

Nothing is pickled, and a file that does not fit the type it is read as is refused with a :class:`StoreError`.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from itertools import repeat
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ceteris.digests import plain
from ceteris.errors import StoreError
from ceteris.records import Failed, Finished, Record
from ceteris.store.atomic import write_bytes

T = TypeVar("T")
_ARRAY_KEY = "$array"
_HEADER_KEY = "ceteris"
_TYPE_HINTS = cache(partial(get_type_hints, include_extras=True))


class DamagedError(StoreError):
    """A file that is missing, torn, or not what it should be; reading it again would not help."""


def from_tree(kind: Any, tree: Any) -> Any:
    """Return the value of type ``kind`` that :func:`ceteris.digests.plain` turned into ``tree``."""
    return _unpack(kind, tree, {})


def write_dataclass(value: Any, path: Path) -> None:
    """Write a dataclass with its arrays to ``path``, atomically.

    Raises:
        StoreError: when the file cannot be written, for example because the disk is full.
    """
    arrays: dict[str, NDArray[Any]] = {}
    tree = _pack(value, "", arrays)
    write_bytes(path, save(arrays, metadata={_HEADER_KEY: json.dumps(tree)}))


def read_dataclass(kind: type[T], path: Path, *, schema: int = 0) -> T:
    """Read what :func:`write_dataclass` wrote.

    Args:
        kind: what the file holds.
        path: of the file.
        schema: what the field ``schema`` must be, 0 where the type has none.

    Raises:
        DamagedError: when the file is missing, damaged, of another schema or holds something else.
        StoreError: when it cannot be read for another reason, such as too many open files.
    """
    with _open(path) as file:
        tree = _header(file)
        if schema and tree.get("schema") != schema:
            raise DamagedError(
                f"{path} was written by another version of ceteris (schema {tree.get('schema', 1)}, this version reads "
                f"{schema}). Run the study again: finished trainings are in the store, so only the report is made again."
            )
        return typing.cast(T, _unpack(kind, tree, _arrays(file)))


def read_record(path: Path, *, light: bool = False) -> Record:
    """Read the record of a trial, see ``Finished.light`` for a light one; raises as :func:`read_dataclass` does.

    Records of the first version, which had placeholders where a trial did not finish and no counts, are read as well.
    """
    with _open(path) as file:
        tree = _header(file)
        kind = Finished if tree["status"] == "finished" else Failed
        if kind is Finished:
            for count, key in (("epoch_count", "epochs.seconds"), ("step_count", "iterations.loss")):
                tree[count] = int(file.get_slice(key).get_shape()[0])
        wanted = {field.name for field in dataclasses.fields(kind)}
        tree = {name: part for name, part in tree.items() if name in wanted}
        if light and tree.get("predicted") and tree.get("balanced_accuracy") is not None:
            tree |= dict.fromkeys(("epochs", "iterations", "predictions"))
            light_arrays = {key: file.get_tensor(key) for key in ("predicted", "log_likelihood")}
            return typing.cast(Record, _unpack(kind, tree, light_arrays))
        record = typing.cast(Record, _unpack(kind, tree, _arrays(file)))
        return record.light() if light else record


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a file; what goes wrong until the end of the block is damage, or a machine that could not read it just now."""
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except FileNotFoundError:
        raise DamagedError(f"{path} does not exist. Run the study again to make it.") from None
    except OSError as error:
        raise StoreError(
            f"{path} could not be read ({error.strerror or error}). Nothing was lost; try again."
        ) from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DamagedError(
            f"{path} is damaged or was not written by this version of ceteris ({error}). Delete it and run again."
        ) from None


def _header(file: Any) -> dict[str, Any]:
    return typing.cast(dict[str, Any], json.loads((file.metadata() or {})[_HEADER_KEY]))


def _arrays(file: Any) -> dict[str, NDArray[Any]]:
    return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - safe_open is no mapping


def _pack(value: Any, place: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray):
        arrays[place] = np.ascontiguousarray(value)
        return {_ARRAY_KEY: place}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    inside = f"{place}." if place else ""
    if isinstance(value, Mapping):
        return {str(key): _pack(part, f"{inside}{key}", arrays) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_pack(part, f"{inside}{index}", arrays) for index, part in enumerate(value)]
    return plain(value)


def _unpack(hint: Any, tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(tree, dict) and _ARRAY_KEY in tree:
        return arrays[tree[_ARRAY_KEY]]
    origin, parts = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return _unpack(parts[0], tree, arrays)
    if origin in (typing.Union, types.UnionType):
        return _unpack(_member(parts, tree), tree, arrays)
    if dataclasses.is_dataclass(hint):
        kind = typing.cast(Any, hint)
        hints = _TYPE_HINTS(kind)
        return kind(**{name: _unpack(hints[name], part, arrays) for name, part in tree.items()})
    if origin is tuple:
        hints_of_parts = repeat(parts[0], len(tree)) if parts[1:] == (Ellipsis,) else parts
        return tuple(_unpack(part, branch, arrays) for part, branch in zip(hints_of_parts, tree, strict=True))
    if origin is dict:
        return {key: _unpack(parts[1], part, arrays) for key, part in tree.items()}
    return tree


def _member(options: tuple[Any, ...], tree: Any) -> Any:
    """Return which member of a union a tree is: the only one beside None, or the dataclass of its kind; else a plain one."""
    present = [option for option in options if option is not type(None)]
    if len(present) == 1 and tree is not None:
        return present[0]
    if not isinstance(tree, dict):
        return None
    for option in present:
        if getattr(option, "__dataclass_fields__", {}).get("kind") and option.kind == tree["kind"]:
            return option
    raise ValueError(f'unknown kind "{tree.get("kind")}"')
