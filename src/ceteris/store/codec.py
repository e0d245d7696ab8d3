"""Frozen dataclasses to one safetensors file and back: plain values as JSON in its header, arrays as tensors.

Nothing is pickled, and a file that does not fit the type it is read as is refused with a :class:`StoreError`.
"""

import dataclasses
import json
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ceteris.digests import plain
from ceteris.errors import CeterisError, StoreError
from ceteris.files import check_regular, json_tree, write_bytes
from ceteris.records import ARRAY_KEY, Failed, Finished, Record

T = TypeVar("T")
_HEADER_KEY = "ceteris"
_ADAPTER: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)
_MOST_BYTES = 16 << 30


class DamagedError(StoreError):
    """A file that is missing, torn, or not what it should be; reading it again would not help."""


def from_tree(kind: Any, tree: Any) -> Any:
    """Return the value of type ``kind`` that :func:`ceteris.digests.plain` turned into ``tree``.

    Raises:
        ValueError: pydantic's, when it is none.
    """
    return _ADAPTER(kind).validate_python(tree)


def write_dataclass(value: Any, path: Path) -> None:
    """Write a dataclass with its arrays to ``path``, atomically.

    Raises:
        StoreError: when the file cannot be written, for example because the disk is full.
    """
    arrays: dict[str, NDArray[Any]] = {}

    def keep(array: NDArray[Any], place: str) -> dict[str, str]:
        arrays[place] = np.ascontiguousarray(array)
        return {ARRAY_KEY: place}

    tree = plain(value, whole=True, array=keep)
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
    with open_tensors(path) as file:
        tree = header_of(file)
        if schema and tree.get("schema") != schema:
            raise DamagedError(
                f"{path} was written by another version of ceteris (schema {tree.get('schema', 1)}, this version reads "
                f"{schema}). Run the study again: finished trainings are in the store, so only the report is made again."
            )
        return typing.cast(T, _ADAPTER(kind).validate_python(tree, context=arrays_of(file)))


def read_record(path: Path, *, light: bool = False) -> Record:
    """Read the record of a trial, see ``Finished.light`` for a light one; raises as :func:`read_dataclass` does.

    Records of the first version, which had placeholders where a trial did not finish and no counts, are read as well.
    """
    with open_tensors(path) as file:
        tree = header_of(file)
        kind = Finished if tree["status"] == "finished" else Failed
        if kind is Finished:
            for count, key in (("epoch_count", "epochs.seconds"), ("step_count", "iterations.loss")):
                tree[count] = int(file.get_slice(key).get_shape()[0])
        wanted = {field.name for field in dataclasses.fields(kind)}
        tree = {name: part for name, part in tree.items() if name in wanted}
        if light and tree.get("predicted") and tree.get("balanced_accuracy") is not None:
            tree |= dict.fromkeys(("epochs", "iterations", "predictions"))
            light_arrays = {key: file.get_tensor(key) for key in ("predicted", "log_likelihood")}
            return typing.cast(Record, _ADAPTER(kind).validate_python(tree, context=light_arrays))
        record = typing.cast(Record, _ADAPTER(kind).validate_python(tree, context=arrays_of(file)))
        return record.light() if light else record


@contextmanager
def open_tensors(path: Path, *, fix: str = "Run the study again to make it.") -> Iterator[Any]:
    """Open a file; what goes wrong until the end of the block is damage, or a machine that could not read it just now.

    Raises:
        DamagedError: the file is missing, damaged, or holds something else; the message ends with ``fix``.
        StoreError: it cannot be read for another reason, such as too many open files, or since it is a pipe.
    """
    try:
        check_regular(path, _MOST_BYTES)
        with safe_open(path, framework="numpy") as file:
            yield file
    except CeterisError:
        raise
    except FileNotFoundError:
        raise DamagedError(f"{path} does not exist. {fix}") from None
    except OSError as error:
        raise StoreError(
            f"{path} could not be read ({error.strerror or error}). Nothing was lost; try again."
        ) from None
    except (SafetensorError, LookupError, TypeError, ValueError) as error:
        reason: object = error
        if isinstance(error, ValidationError):
            problem = error.errors(include_url=False, include_context=False)[0]
            reason = f"{'.'.join(map(str, problem['loc']))}: {problem['msg'].removeprefix('Value error, ')}"
        raise DamagedError(
            f"{path} is damaged or was not written by this version of ceteris ({reason}). {fix}"
        ) from None


def header_of(file: Any, key: str = _HEADER_KEY) -> dict[str, Any]:
    """Return the plain values in the header of a file."""
    metadata = file.metadata() or {}
    if key not in metadata:
        raise ValueError(f"the text {key} in its header is missing")
    tree = json_tree(metadata[key])
    if not isinstance(tree, dict):
        raise ValueError(f"the text {key} in its header is no table")
    return tree


def arrays_of(file: Any) -> dict[str, NDArray[Any]]:
    """Return all arrays of a file by name."""
    return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - safe_open is no mapping
