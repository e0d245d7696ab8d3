"""The table of the sets known by name: provenance, official counts, addresses and checksums.

Checksums: sha256 as published by TensorFlow Datasets (tensorflow_datasets/url_checksums) for MNIST, Fashion-MNIST, KMNIST,
EMNIST and CIFAR; MD5 as published by MedMNIST (medmnist/info.py, version 2.1) for its sets, which publish no sha256.
Sizes in bytes are those of the same tables; 0 where none is published.
"""

from ceteris.data import class_names as names
from ceteris.data.catalogue import BuiltIn, IdxLayout, NamedSet, NpzLayout
from ceteris.data.download import RemoteFile
from ceteris.data.formats.cifar import CIFAR10, CIFAR100, CIFAR100_COARSE, CifarLayout
from ceteris.errors import DataError, did_you_mean

_NOT_STATED = "not stated by the authors"
_EMNIST_CITATION = (
    "G. Cohen, S. Afshar, J. Tapson and A. van Schaik, EMNIST: an extension of MNIST to handwritten letters, 2017"
)
_MNIST_CITATION = "Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits, 1998"
_FASHION_CITATION = "H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking, 2017"
_KMNIST_CITATION = "T. Clanuwat et al., Deep Learning for Classical Japanese Literature, 2018"
_CIFAR_CITATION = "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
_MEDMNIST_CITATION = "J. Yang et al., MedMNIST v2: a large-scale lightweight benchmark for biomedical images, 2023"
_EMNIST_FOLDERS = ("emnist", "EMNIST/raw", "EMNIST/raw/gzip", "EMNIST", "gzip", "emnist/gzip", "emnist/raw", "")
_IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _idx_files(mirrors: tuple[str, ...], sizes: tuple[int, ...], checksums: tuple[str, ...]) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(
            name=f"{name}.gz", urls=tuple(f"{mirror}{name}.gz" for mirror in mirrors), size=size, sha256=checksum
        )
        for name, size, checksum in zip(_IDX_FILES, sizes, checksums, strict=True)
    )


def _like_mnist(
    name: str, title: str, citation: str, licence: str, classes: tuple[str, ...], meaning: str, folders: tuple[str, ...],
    remote: tuple[RemoteFile, ...], aliases: tuple[str, ...] = (), tables: tuple[tuple[str, str], ...] = (),
) -> NamedSet:  # fmt: skip
    return NamedSet(
        name=name, aliases=aliases, title=title, citation=citation, licence=licence, classes=classes, train_count=60_000,
        test_count=10_000, image_shape=(1, 28, 28), layout=IdxLayout(prefix="", train="train", test="t10k", tables=tables),
        folders=folders, remote=remote, label_meaning=meaning,
    )  # fmt: skip


_MNIST = _like_mnist(
    "mnist", "MNIST", _MNIST_CITATION, "usually given as CC BY-SA 3.0", names.DIGITS, "the handwritten digit",
    ("mnist", "MNIST/raw", "MNIST", "mnist/raw", ""),
    _idx_files(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
        (9_912_422, 28_881, 1_648_877, 4_542),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    tables=(("mnist_train.csv", "mnist_test.csv"),),
)  # fmt: skip

_FASHION = _like_mnist(
    "fashion-mnist", "Fashion-MNIST", _FASHION_CITATION, "MIT", names.FASHION, "the article of clothing",
    ("fashion-mnist", "FashionMNIST/raw", "FashionMNIST", "fashion_mnist", "fashion"),
    _idx_files(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        (26_421_880, 29_515, 4_422_102, 5_148),
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    aliases=("fashionmnist",), tables=(("fashion-mnist_train.csv", "fashion-mnist_test.csv"),),
)  # fmt: skip

_KMNIST = _like_mnist(
    "kmnist", "Kuzushiji-MNIST", _KMNIST_CITATION, "CC BY-SA 4.0", names.KUZUSHIJI, "the character in old cursive script",
    ("kmnist", "KMNIST/raw", "KMNIST"),
    _idx_files(
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        (18_165_135, 29_497, 3_041_136, 5_120),
        (
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
)  # fmt: skip

_EMNIST_ARCHIVE = RemoteFile(
    name="gzip.zip",
    urls=(
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
    ),
    size=561_753_746,
    sha256="fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
)


def _emnist(part: str, classes: tuple[str, ...], train: int, test: int, *, first_label: int = 0) -> NamedSet:
    lower = part.lower()
    return NamedSet(
        name=f"emnist-{lower}",
        aliases=("emnist",) if part == "Balanced" else (),
        title=f"EMNIST {part}",
        citation=_EMNIST_CITATION,
        licence=f"{_NOT_STATED}; drawn from NIST Special Database 19, a work of the US government",
        classes=classes,
        train_count=train,
        test_count=test,
        image_shape=(1, 28, 28),
        layout=IdxLayout(
            prefix=f"emnist-{lower}-",
            train="train",
            test="test",
            mapping=f"emnist-{lower}-mapping.txt",
            transposed=True,
            first_label=first_label,
            tables=((f"emnist-{lower}-train.csv", f"emnist-{lower}-test.csv"),),
        ),
        folders=_EMNIST_FOLDERS,
        remote=(_EMNIST_ARCHIVE,),
        label_meaning="the handwritten character",
    )


_EMNIST_47 = NamedSet(
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
        prefix="emnist-bymerge47-", train="train", test="test", mapping="emnist-bymerge47-mapping.txt", transposed=True
    ),
    folders=_EMNIST_FOLDERS,
    label_meaning="the handwritten character; 15 letters share a class with their capital",
    note="47 classes made from EMNIST ByMerge and ByClass images; not the official EMNIST Balanced split, so accuracies "
    "cannot be compared with published ones.",
)


def _cifar(
    name: str, aliases: tuple[str, ...], title: str, classes: tuple[str, ...], layout: CifarLayout,
    remote: RemoteFile, meaning: str,
) -> NamedSet:  # fmt: skip
    stem = remote.name.removesuffix("-binary.tar.gz")
    joined = stem.replace("-", "")
    return NamedSet(
        name=name, aliases=aliases, title=title, citation=_CIFAR_CITATION, licence=_NOT_STATED, classes=classes,
        train_count=50_000, test_count=10_000, image_shape=(3, 32, 32), layout=layout,
        folders=(stem, joined, joined.upper(), ""), archives=(f"{stem}-binary", f"{stem}-python"), remote=(remote,),
        label_meaning=meaning,
    )  # fmt: skip


_CIFAR10_ARCHIVE = RemoteFile(
    name="cifar-10-binary.tar.gz",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    size=170_052_171,
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
_CIFAR100_ARCHIVE = RemoteFile(
    name="cifar-100-binary.tar.gz",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
    size=168_513_733,
    sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
)


def _medmnist(
    name: str, counts: tuple[int, int], channels: int, md5: str, classes: tuple[str, ...], licence: str = "CC BY 4.0"
) -> NamedSet:
    return NamedSet(
        name=f"medmnist-{name}",
        aliases=(name,),
        title=f"MedMNIST {name}",
        citation=_MEDMNIST_CITATION,
        licence=licence,
        classes=classes,
        train_count=counts[0],
        test_count=counts[1],
        image_shape=(channels, 28, 28),
        layout=NpzLayout(file=f"{name}.npz"),
        folders=("medmnist", "MedMNIST", f"medmnist-{name}", ".medmnist", ""),
        remote=(
            RemoteFile(
                name=f"{name}.npz", urls=(f"https://zenodo.org/record/6496656/files/{name}.npz?download=1",), md5=md5
            ),
        ),
        label_meaning="the class given by the set's authors",
    )


# Counts: training and validation images together, then test images. ChestMNIST has several labels per image and the
# sets named 3D have volumes; neither is image classification with one label, so they are not here.
_MEDMNIST = (
    _medmnist("pathmnist", (89_996 + 10_004, 7_180), 3, "a8b06965200029087d5bd730944a56c1", names.PATHMNIST),
    _medmnist(
        "dermamnist", (7_007 + 1_003, 2_005), 3, "0744692d530f8e62ec473284d019b0c7", names.DERMAMNIST, "CC BY-NC 4.0"
    ),
    _medmnist("octmnist", (97_477 + 10_832, 1_000), 1, "c68d92d5b585d8d81f7112f81e2d0842", names.OCTMNIST),
    _medmnist("pneumoniamnist", (4_708 + 524, 624), 1, "28209eda62fecd6e6a2d98b1501bb15f", names.PNEUMONIAMNIST),
    _medmnist("retinamnist", (1_080 + 120, 400), 3, "bd4c0672f1bba3e3a89f0e4e876791e4", names.RETINAMNIST),
    _medmnist("breastmnist", (546 + 78, 156), 1, "750601b1f35ba3300ea97c75c52ff8f6", names.BREASTMNIST),
    _medmnist("bloodmnist", (11_959 + 1_712, 3_421), 3, "7053d0359d879ad8a5505303e11de1dc", names.BLOODMNIST),
    _medmnist("tissuemnist", (165_466 + 23_640, 47_280), 1, "ebe78ee8b05294063de985d821c1c34b", names.TISSUEMNIST),
    _medmnist("organamnist", (34_581 + 6_491, 17_778), 1, "866b832ed4eeba67bfb9edee1d5544e6", names.ORGANMNIST),
    _medmnist("organcmnist", (13_000 + 2_392, 8_268), 1, "0afa5834fb105f7705a7d93372119a21", names.ORGANMNIST),
    _medmnist("organsmnist", (13_940 + 2_452, 8_829), 1, "e5c39f1af030238290b9557d9503af9d", names.ORGANMNIST),
)

SETS: tuple[NamedSet, ...] = (
    NamedSet(
        name="digits",
        title="scikit-learn digits",
        citation="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998",
        licence="CC BY 4.0",
        classes=names.DIGITS,
        train_count=1_438,
        test_count=359,
        image_shape=(1, 8, 8),
        layout=BuiltIn(),
        label_meaning="the digit that was written",
    ),
    NamedSet(
        name="synthetic",
        title="Synthetic digits",
        citation="drawn by ceteris from a dot font; no real data",
        licence="public domain",
        classes=names.DIGITS,
        train_count=2_000,
        test_count=500,
        image_shape=(1, 20, 20),
        layout=BuiltIn(),
        label_meaning="the digit that was drawn",
    ),
    _MNIST,
    _FASHION,
    _KMNIST,
    _emnist("Balanced", names.EMNIST_MERGED, 112_800, 18_800),
    _emnist("ByClass", names.EMNIST_BYCLASS, 697_932, 116_323),
    _emnist("ByMerge", names.EMNIST_MERGED, 697_932, 116_323),
    _emnist("Letters", names.EMNIST_LETTERS, 124_800, 20_800, first_label=1),
    _emnist("Digits", names.DIGITS, 240_000, 40_000),
    _emnist("MNIST", names.DIGITS, 60_000, 10_000),
    _EMNIST_47,
    _cifar("cifar-10", ("cifar10",), "CIFAR-10", names.CIFAR10, CIFAR10, _CIFAR10_ARCHIVE, "the object in the photograph"),
    _cifar(
        "cifar-100", ("cifar100", "cifar-100-fine"), "CIFAR-100", names.CIFAR100, CIFAR100, _CIFAR100_ARCHIVE,
        "the object in the photograph (one of 100 fine classes)",
    ),
    _cifar(
        "cifar-100-coarse", ("cifar100-coarse",), "CIFAR-100, 20 coarse classes", names.CIFAR100_COARSE, CIFAR100_COARSE,
        _CIFAR100_ARCHIVE, "the group of objects that the photograph belongs to (one of 20 coarse classes)",
    ),
    *_MEDMNIST,
)  # fmt: skip


def named_sets() -> tuple[NamedSet, ...]:
    """Return all sets that are known by name."""
    return SETS


def find_named(name: str) -> NamedSet | None:
    """Return the set of that name or alias (in any letter case), or None."""
    wanted = name.lower()
    return next((known for known in named_sets() if wanted == known.name or wanted in known.aliases), None)


def unknown_name(name: str) -> DataError:
    """Return the error for a name that is neither a known set nor a path."""
    known = [entry.name for entry in named_sets()]
    return DataError(
        f'"{name}" is neither a known data set nor an existing path.{did_you_mean(name.lower(), known)} '
        f"Known: {', '.join(known)}; or name a folder or file."
    )
