"""Files of safetensors whose header is changed by hand, as somebody who wants to break the reader would."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

Header = dict[str, Any]


def forge(path: Path, change: Callable[[Header, bytes], tuple[Header | bytes, bytes]]) -> None:
    """Write a file again with what ``change`` makes of its header and its data."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = change(json.loads(content[8 : 8 + length]), content[8 + length :])
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def forge_tree(path: Path, key: str, change: Callable[[Any], Any]) -> None:
    """Write a file again whose plain values, which stand in its header under ``key``, were changed."""

    def in_header(header: Header, data: bytes) -> tuple[Header, bytes]:
        tree = change(json.loads(header["__metadata__"][key]))
        text = tree if isinstance(tree, str) else json.dumps(tree)
        return header | {"__metadata__": {key: text}}, data

    forge(path, in_header)


def put(tree: Any, place: str, value: Any) -> Any:
    """Set a value at a dotted place of a tree of tables and lists, and return the tree."""
    *path, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    branch = tree
    for part in path:
        branch = branch[part]
    branch[last] = value
    return tree


def first_tensor(header: Header) -> str:
    return next(name for name in sorted(header) if name != "__metadata__")


def bytes_claimed(header: Header, data: bytes) -> tuple[bytes, bytes]:
    return b"{" * 50, data


# What can be wrong with any file of safetensors, whatever it holds.
FILES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: path.write_bytes(b""),
    "no header": lambda path: path.write_bytes(b"\0" * 7),
    "a header beyond numbers": lambda path: path.write_bytes(b"\xff" * 8 + b"{}"),
    "a header of 99 million spaces": lambda path: path.write_bytes(struct.pack("<Q", 99_000_000) + b" " * 99_000_000),
    "a header of brackets": lambda path: forge(path, lambda header, data: (b"[" * 100_000, data)),
    "a header that is no text": lambda path: forge(path, lambda header, data: (b"\xff" * 100, data)),
    "data cut short": lambda path: forge(path, lambda header, data: (header, data[: len(data) // 2])),
    "data that overlap": lambda path: forge(path, lambda header, data: (overlapping(header), data)),
    "a shape beyond the data": lambda path: forge(path, lambda header, data: (reshaped(header, [10**9, 10**9]), data)),
    "an unknown type": lambda path: forge(path, lambda header, data: (retyped(header, "F1024"), data)),
    "a type that numpy lacks": lambda path: forge(path, lambda header, data: (retyped(header, "BF16"), data)),
    "no values": lambda path: forge(path, lambda header, data: (header | {"__metadata__": {}}, data)),
    "other values": lambda path: forge(path, lambda header, data: (header | {"__metadata__": {"other": "1"}}, data)),
}


def overlapping(header: Header) -> Header:
    return {
        name: part
        if name == "__metadata__"
        else part | {"data_offsets": [0, part["data_offsets"][1] - part["data_offsets"][0]]}
        for name, part in header.items()
    }


def reshaped(header: Header, shape: list[int]) -> Header:
    name = first_tensor(header)
    return header | {name: header[name] | {"shape": shape}}


def retyped(header: Header, kind: str) -> Header:
    name = first_tensor(header)
    return header | {name: header[name] | {"dtype": kind}}


# What can be wrong with the plain values in it.
TEXTS: dict[str, str] = {
    "lists in lists": "[" * 100_000 + "]" * 100_000,
    "tables in tables": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "a number of many digits": "9" * 100_000,
    "a list": "[]",
    "a number": "1",
    "nothing": "",
    "an empty table": "{}",
    "a table that is an array": '{"$array": "x"}',
}
