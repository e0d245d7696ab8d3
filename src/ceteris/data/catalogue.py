"""What is known of a set that has a name: what it must contain, which files hold it, where they can be fetched."""

import math
from dataclasses import dataclass

from ceteris.data.download import RemoteFile
from ceteris.data.formats.cifar import CifarLayout


@dataclass(frozen=True, kw_only=True)
class IdxLayout:
    """Names of a set's IDX files: ``prefix`` + part + "-images-idx3-ubyte"; EMNIST's are stored transposed."""

    prefix: str
    train: str
    test: str
    mapping: str = ""
    transposed: bool = False
    first_label: int = 0
    tables: tuple[tuple[str, str], ...] = ()  # pairs (training, test) of CSV files that hold the same


@dataclass(frozen=True, kw_only=True)
class NpzLayout:
    """Name of the one .npz file."""

    file: str


@dataclass(frozen=True, kw_only=True)
class BuiltIn:
    """A set that comes with a dependency or is made by a formula: always there."""


@dataclass(frozen=True, kw_only=True)
class NamedSet:
    """One set that is known by name; ``folders`` are the folders below the data folder in which it is looked for."""

    name: str
    aliases: tuple[str, ...] = ()
    title: str
    citation: str
    licence: str
    classes: tuple[str, ...]
    train_count: int
    test_count: int
    image_shape: tuple[int, int, int]
    layout: IdxLayout | CifarLayout | NpzLayout | BuiltIn
    folders: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    remote: tuple[RemoteFile, ...] = ()
    label_meaning: str
    note: str = ""

    @property
    def image_bytes(self) -> int:
        """Size of all images together, unpacked."""
        return (self.train_count + self.test_count) * math.prod(self.image_shape)
