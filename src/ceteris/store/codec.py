"""Frozen dataclasses to one safetensors file and back: plain values as JSON in its header, arrays as tensors.

Nothing is pickled, and a file that does not fit the type it is read as is refused with a :class:`StoreError`.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ceteris.errors import StoreError
from ceteris.records import Failed, Finished, Record
from ceteris.store.atomic import write_bytes

T = TypeVar("T")
_ARRAY_KEY = "$array"
_HEADER_KEY = "ceteris"


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
    with _reading(path), safe_open(path, framework="numpy") as file:
        tree = _header(file)
        if schema and tree.get("schema") != schema:
            raise DamagedError(
                f"{path} was written by another version of ceteris (schema {tree.get('schema', 1)}, this version reads "
                f"{schema}). Run the study again: finished trainings are in the store, so only the report is made again."
            )
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - safe_open is no mapping
        return typing.cast(T, _unpack(kind, tree, arrays))


def read_record(path: Path, *, light: bool = False) -> Record:
    """Read the record of a trial; a light one without its arrays.

    Records of the first version, which had placeholders where a trial did not finish and no counts, are read as well.

    Raises:
        DamagedError, StoreError: as :func:`read_dataclass`.
    """
    with _reading(path), safe_open(path, framework="numpy") as file:
        tree = _header(file)
        kind = Finished if tree["status"] == "finished" else Failed
        if kind is Finished:
            tree |= {"epoch_count": _length(file, "epochs.seconds"), "step_count": _length(file, "iterations.loss")}
        known = {field.name for field in dataclasses.fields(kind)} - (
            {"epochs", "iterations", "predictions"} if light else set()
        )
        arrays = {} if light else {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return typing.cast(Record, _unpack(kind, {name: part for name, part in tree.items() if name in known}, arrays))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into words: damage, or a machine that could not read it just now."""
    try:
        yield
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


def _length(file: Any, key: str) -> int:
    return int(file.get_slice(key).get_shape()[0])


def _pack(value: Any, place: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _pack(getattr(value, field.name), f"{place}.{field.name}", arrays)
            for field in dataclasses.fields(value)
        }
    if isinstance(value, np.ndarray):
        name = place.lstrip(".")
        arrays[name] = np.ascontiguousarray(value)
        return {_ARRAY_KEY: name}
    if isinstance(value, Mapping):
        return {str(key): _pack(part, f"{place}.{key}", arrays) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_pack(part, f"{place}.{index}", arrays) for index, part in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{place}: a value of type {type(value).__name__} cannot be stored")


def _unpack(hint: Any, tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(tree, dict) and _ARRAY_KEY in tree:
        return arrays[tree[_ARRAY_KEY]]
    origin = get_origin(hint)
    if origin is typing.Annotated:
        return _unpack(get_args(hint)[0], tree, arrays)
    if origin in (typing.Union, types.UnionType):
        return _unpack_union(get_args(hint), tree, arrays)
    if dataclasses.is_dataclass(hint):
        return _unpack_dataclass(hint, tree, arrays)
    if origin is tuple:
        return _unpack_tuple(get_args(hint), tree, arrays)
    if origin is dict:
        return {key: _unpack(get_args(hint)[1], part, arrays) for key, part in tree.items()}
    return tree


def _unpack_union(options: tuple[Any, ...], tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if tree is None:
        return None
    present = [option for option in options if option is not type(None)]
    if len(present) == 1:
        return _unpack(present[0], tree, arrays)
    if isinstance(tree, dict):
        for option in present:
            if getattr(option, "__dataclass_fields__", {}).get("kind") and option.kind == tree["kind"]:
                return _unpack_dataclass(option, tree, arrays)
        raise ValueError(f'unknown kind "{tree.get("kind")}"')
    return tree


def _unpack_dataclass(kind: Any, tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    hints = get_type_hints(kind, include_extras=True)
    return kind(**{name: _unpack(hints[name], part, arrays) for name, part in tree.items()})


def _unpack_tuple(parts: tuple[Any, ...], tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if len(parts) == 2 and parts[1] is Ellipsis:
        return tuple(_unpack(parts[0], part, arrays) for part in tree)
    return tuple(_unpack(part, branch, arrays) for part, branch in zip(parts, tree, strict=True))
