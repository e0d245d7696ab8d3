"""CIFAR's Python version (Krizhevsky 2009): pickles, read by an unpickler that admits only what the official files hold."""

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ceteris.errors import DataError
from ceteris.records import ByteArray

# What a dictionary of texts, lists of whole numbers, and one array of bytes is written with (pickle protocols 0 to 2).
_OPCODES = frozenset((
    "PROTO", "EMPTY_DICT", "DICT", "BINPUT", "LONG_BINPUT", "PUT", "MARK", "EMPTY_LIST", "LIST", "EMPTY_TUPLE",
    "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "BINGET", "LONG_BINGET", "GET", "SHORT_BINSTRING", "BINSTRING",
    "STRING", "BINUNICODE", "UNICODE", "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "APPEND",
    "APPENDS", "SETITEM", "SETITEMS", "GLOBAL", "REDUCE", "BUILD", "NONE", "NEWTRUE", "NEWFALSE", "STOP",
))  # fmt: skip
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


def read_cifar_pickle(content: bytes, name: str) -> dict[str, Any]:
    """Return the dictionary of an official CIFAR pickle: texts as keys, bytes, lists and one uint8 array as values.

    Raises:
        DataError: the pickle holds anything that the official files do not, or is damaged.
    """
    try:
        _check_opcodes(content)
        loaded = _CifarUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise almost anything
        raise DataError(
            f"{name}: not an official CIFAR pickle ({str(error)[:200]}). It was refused, because a pickle can run code; "
            "use the binary version of the set."
        ) from error
    if not isinstance(loaded, dict):
        raise DataError(f"{name}: not an official CIFAR pickle; it holds no dictionary.")
    return {_text(key): value.values if isinstance(value, _Bytes) else value for key, value in loaded.items()}


def pickled_records(batch: dict[str, Any], label_keys: tuple[str, ...], name: str) -> ByteArray:
    """Return images and labels of a batch in the form of the binary version: uint8 (n, label bytes + 3072).

    Raises:
        DataError: the batch has no such labels or no images, or their numbers differ.
    """
    data = batch.get("data")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        raise DataError(f"{name}: holds no array 'data' of bytes with 3072 columns.")
    columns = [batch.get(key) for key in label_keys]
    for key, column in zip(label_keys, columns, strict=True):
        whole = isinstance(column, list) and all(type(label) is int and 0 <= label <= 255 for label in column)
        if not whole or len(column or ()) != len(data):
            raise DataError(f"{name}: its {key!r} are not one class number per image.")
    return np.concatenate([np.array(columns, dtype=np.uint8).T, data], axis=1)


def pickled_names(meta: dict[str, Any], key: str, name: str) -> tuple[str, ...]:
    """Return the class names under ``key`` of the meta file.

    Raises:
        DataError: there are none.
    """
    names = meta.get(key)
    if not isinstance(names, list) or not names:
        raise DataError(f"{name}: holds no list {key!r} of class names.")
    return tuple(_text(entry) for entry in names)


class _Texts(dict[Any, Any]):
    """A dictionary whose keys are texts: the hash of a tuple of tuples of tuples may take for ever."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, str | bytes):
            raise DataError("it holds a dictionary whose keys are no texts")
        super().__setitem__(key, value)


class _ByteType:
    """Stands for numpy's type of bytes, whose own state is not taken from a file."""

    def __init__(self, code: Any, align: Any, copy: Any) -> None:
        if code not in (b"u1", "u1"):
            raise DataError(f"it holds an array of the type {code!r} instead of bytes")

    def __setstate__(self, state: Any) -> None:
        """Take nothing."""


class _Bytes:
    """Stands for an array of bytes; ``values`` is the array once its state is known."""

    values: ByteArray

    def __init__(self, kind: Any, shape: Any, code: Any) -> None:
        if kind != "ndarray" or shape != (0,) or code not in (b"b", "b"):
            raise DataError("it makes an array in another way")

    def __setstate__(self, state: Any) -> None:
        """Take shape and bytes."""
        _, shape, kind, columns_first, content = state
        if not isinstance(kind, _ByteType) or not isinstance(content, bytes):
            raise DataError("it holds an array of something else than bytes")
        self.values = np.frombuffer(content, dtype=np.uint8).reshape(shape, order="F" if columns_first else "C")


class _CifarUnpickler(pickle._Unpickler):
    """Finds stand-ins of its own in place of the three names of numpy that the official files contain.

    Python's own implementation is used since the one in C reserves as much memory as a forged memo number says.
    """

    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Any]] = {**pickle._Unpickler.dispatch}

    def find_class(self, module: str, name: str) -> Any:
        if module in _ARRAY_MODULES and name == "_reconstruct":
            return _Bytes
        if (module, name) == ("numpy", "ndarray"):
            return "ndarray"
        if (module, name) == ("numpy", "dtype"):
            return _ByteType
        raise DataError(f"it refers to {module}.{name}")

    def _load_dictionary(self) -> None:
        self.append(_Texts())

    def _load_items(self) -> None:
        made, items = _Texts(), self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            made[key] = value
        self.append(made)

    dispatch[pickle.EMPTY_DICT[0]] = _load_dictionary
    dispatch[pickle.DICT[0]] = _load_items


def _check_opcodes(content: bytes) -> None:
    for opcode, _, _ in pickletools.genops(content):
        if opcode.name not in _OPCODES:
            raise DataError(f"it uses the pickle operation {opcode.name}")


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
