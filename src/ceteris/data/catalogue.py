"""The data sets that are known by name: where they come from, what they must contain, which files hold them."""

import math
from dataclasses import dataclass

from ceteris.data import class_names as names
from ceteris.data.formats.cifar import CIFAR10, CIFAR100, CIFAR100_COARSE, CifarLayout
from ceteris.errors import DataError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class IdxLayout:
    """Names of a set's IDX files: ``prefix`` + part + "-images-idx3-ubyte"; EMNIST's are stored transposed."""

    prefix: str
    train: str
    test: str
    mapping: str = ""
    transposed: bool = False
    first_label: int = 0


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
    layout: IdxLayout | CifarLayout | BuiltIn
    folders: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    label_meaning: str
    note: str = ""

    @property
    def image_bytes(self) -> int:
        """Size of all images together, unpacked."""
        return (self.train_count + self.test_count) * math.prod(self.image_shape)


_EMNIST_CITATION = (
    "G. Cohen, S. Afshar, J. Tapson and A. van Schaik, EMNIST: an extension of MNIST to handwritten letters, 2017"
)
_MNIST_CITATION = "Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits, 1998"
_CIFAR_CITATION = "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
_NOT_STATED = "not stated by the authors"
_EMNIST_FOLDERS = ("emnist", "EMNIST/raw", "EMNIST/raw/gzip", "EMNIST", "gzip", "emnist/gzip", "")


def _emnist(part: str, classes: tuple[str, ...], train: int, test: int, *, first_label: int = 0) -> NamedSet:
    return NamedSet(
        name=f"emnist-{part.lower()}",
        aliases=("emnist",) if part == "balanced" else (),
        title=f"EMNIST {part[0].upper() + part[1:]}",
        citation=_EMNIST_CITATION,
        licence=f"{_NOT_STATED}; drawn from NIST Special Database 19, a work of the US government",
        classes=classes,
        train_count=train,
        test_count=test,
        image_shape=(1, 28, 28),
        layout=IdxLayout(
            prefix=f"emnist-{part.lower()}-",
            train="train",
            test="test",
            mapping=f"emnist-{part.lower()}-mapping.txt",
            transposed=True,
            first_label=first_label,
        ),
        folders=_EMNIST_FOLDERS,
        label_meaning="the handwritten character",
    )


_SETS = (
    NamedSet(
        name="digits",
        title="scikit-learn digits",
        citation="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998",
        licence="CC BY 4.0",
        classes=names.DIGITS,
        train_count=1438,
        test_count=359,
        image_shape=(1, 8, 8),
        layout=BuiltIn(),
        label_meaning="the digit that was written",
        note="The split into training and test part is ceteris' own (stratified, fixed); the set has no official one.",
    ),
    NamedSet(
        name="mnist",
        title="MNIST",
        citation=_MNIST_CITATION,
        licence="usually given as CC BY-SA 3.0",
        classes=names.DIGITS,
        train_count=60_000,
        test_count=10_000,
        image_shape=(1, 28, 28),
        layout=IdxLayout(prefix="", train="train", test="t10k"),
        folders=("mnist", "MNIST/raw", "MNIST", "mnist/raw", ""),
        label_meaning="the handwritten digit",
    ),
    NamedSet(
        name="emnist-47",
        aliases=("emnist-bymerge47",),
        title="EMNIST, 47 classes (substitute for Balanced)",
        citation=_EMNIST_CITATION,
        licence=f"{_NOT_STATED}; drawn from NIST Special Database 19, a work of the US government",
        classes=names.EMNIST_MERGED,
        train_count=29_610,
        test_count=7_050,
        image_shape=(1, 28, 28),
        layout=IdxLayout(
            prefix="emnist-bymerge47-",
            train="train",
            test="test",
            mapping="emnist-bymerge47-mapping.txt",
            transposed=True,
        ),
        folders=_EMNIST_FOLDERS,
        label_meaning="the handwritten character; 15 letters share a class with their capital",
        note="47 classes made from EMNIST ByMerge and ByClass images; not the official EMNIST Balanced split, so "
        "accuracies cannot be compared with published ones.",
    ),
    _emnist("balanced", names.EMNIST_MERGED, 112_800, 18_800),
    _emnist("byClass", names.EMNIST_BYCLASS, 697_932, 116_323),
    _emnist("byMerge", names.EMNIST_MERGED, 697_932, 116_323),
    _emnist("letters", names.EMNIST_LETTERS, 124_800, 20_800, first_label=1),
    _emnist("digits", names.DIGITS, 240_000, 40_000),
    _emnist("mnist", names.DIGITS, 60_000, 10_000),
    NamedSet(
        name="cifar-10",
        aliases=("cifar10",),
        title="CIFAR-10",
        citation=_CIFAR_CITATION,
        licence=_NOT_STATED,
        classes=names.CIFAR10,
        train_count=50_000,
        test_count=10_000,
        image_shape=(3, 32, 32),
        layout=CIFAR10,
        folders=("cifar-10", "cifar10", "CIFAR10", "cifar-10/cifar-10-batches-bin", "cifar-10-batches-bin", ""),
        archives=("cifar-10-binary",),
        label_meaning="the object in the photograph",
    ),
    NamedSet(
        name="cifar-100",
        aliases=("cifar100", "cifar-100-fine"),
        title="CIFAR-100",
        citation=_CIFAR_CITATION,
        licence=_NOT_STATED,
        classes=names.CIFAR100,
        train_count=50_000,
        test_count=10_000,
        image_shape=(3, 32, 32),
        layout=CIFAR100,
        folders=("cifar-100", "cifar100", "CIFAR100", "cifar-100/cifar-100-binary", "cifar-100-binary", ""),
        archives=("cifar-100-binary",),
        label_meaning="the object in the photograph (one of 100 fine classes)",
    ),
    NamedSet(
        name="cifar-100-coarse",
        aliases=("cifar100-coarse",),
        title="CIFAR-100, 20 coarse classes",
        citation=_CIFAR_CITATION,
        licence=_NOT_STATED,
        classes=names.CIFAR100_COARSE,
        train_count=50_000,
        test_count=10_000,
        image_shape=(3, 32, 32),
        layout=CIFAR100_COARSE,
        folders=("cifar-100", "cifar100", "CIFAR100", "cifar-100/cifar-100-binary", "cifar-100-binary", ""),
        archives=("cifar-100-binary",),
        label_meaning="the group of objects that the photograph belongs to (one of 20 coarse classes)",
    ),
)


def named_sets() -> tuple[NamedSet, ...]:
    """Return all sets that are known by name."""
    return _SETS


def find_named(name: str) -> NamedSet | None:
    """Return the set of that name or alias (in any letter case), or None."""
    wanted = name.lower()
    return next((known for known in _SETS if wanted == known.name or wanted in known.aliases), None)


def unknown_name(name: str) -> DataError:
    """Return the error for a name that is neither a known set nor a path."""
    known = [entry.name for entry in _SETS]
    return DataError(
        f'"{name}" is neither a known data set nor an existing path.{did_you_mean(name.lower(), known)} '
        f"Known: {', '.join(known)}; or name a folder or file."
    )
