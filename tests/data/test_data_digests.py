"""The content digests of data sets stay what the first version of the code computed: trials are stored under them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.data_samples import even_labels, random_images, write_class_folders, write_idx, write_mnist

from ceteris.data import DataSet, ReadOptions, from_arrays, load

NAMES = ("ant", "bee", "cat")
GREY, COLOUR = random_images(30, (1, 6, 6), 1), random_images(30, (3, 6, 6), 2)
LABELS = even_labels(30, 3)
Make = Callable[[Path], DataSet]


def read(path: Path, options: ReadOptions | None = None) -> DataSet:
    return load(str(path), cache_dir=path.parent / "cache", options=options, offline=True)


def folders_with_parts(folder: Path) -> DataSet:
    for part, images in (("train", COLOUR), ("val", GREY[:6]), ("test", GREY[6:12])):
        write_class_folders(folder / "set" / part, images, LABELS[: len(images)], NAMES)
    return read(folder / "set")


def folders_without_test(folder: Path) -> DataSet:
    write_class_folders(folder / "set", GREY, LABELS, ("10", "9", "1"))
    return read(folder / "set")


def folders_of_two_sizes(folder: Path) -> DataSet:
    write_class_folders(folder / "set", COLOUR, LABELS, NAMES)
    write_class_folders(folder / "set" / "ant" / "more", random_images(3, (4, 9, 5), 4), LABELS[:3], ("x", "y", "z"))
    return read(folder / "set", ReadOptions(size=(8, 7), fit="crop", channels=1))


def sixteen_bits_and_palettes(folder: Path) -> DataSet:
    for part in ("train", "test"):
        for kind in ("deep", "palette"):
            (folder / "set" / part / kind).mkdir(parents=True)
        for place, values in enumerate(GREY[:4, 0]):
            deep = Image.fromarray(values.astype(np.uint16) * 200)
            deep.save(folder / "set" / part / "deep" / f"{place}.png")
            Image.fromarray(values).convert("P").save(folder / "set" / part / "palette" / f"{place}.png")
    return read(folder / "set", ReadOptions(size=(9, 9)))


def idx(folder: Path) -> DataSet:
    write_mnist(folder / "set", GREY[:, 0], LABELS, GREY[:9, 0], LABELS[:9])
    return read(folder / "set")


def emnist_with_mapping(folder: Path) -> DataSet:
    prefix = "emnist-letters-"
    write_mnist(folder, GREY[:, 0, :, :5], LABELS + 1, GREY[:9, 0, :, :5], LABELS[:9] + 1, prefix=prefix, suffix="")
    (folder / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")
    return read(folder / "emnist-letters-train-images-idx3-ubyte")


def named_mnist(folder: Path) -> DataSet:
    images, labels = random_images(40, (1, 28, 28)), even_labels(40, 10)
    write_mnist(folder / "mnist", images[:, 0], labels, images[:20, 0], labels[:20])
    return load("mnist", data_dir=folder, cache_dir=folder / "cache", offline=True)


def colour_idx(folder: Path) -> DataSet:
    write_idx(folder / "set" / "train-images-idx3-ubyte", COLOUR)
    write_idx(folder / "set" / "train-labels-idx1-ubyte", LABELS.astype(np.uint8))
    return read(folder / "set")


def cifar(folder: Path) -> DataSet:
    images, labels = random_images(100, (3, 32, 32)), even_labels(100, 100).astype(np.uint8)
    records = np.concatenate([labels[:, None] % 20, labels[:, None], images.reshape(100, -1)], axis=1)
    (folder / "set").mkdir()
    for name in ("train.bin", "test.bin"):
        (folder / "set" / name).write_bytes(records.tobytes())
    return read(folder / "set")


def npz(folder: Path) -> DataSet:
    np.savez(
        folder / "set.npz", x_train=GREY[:, 0], y_train=LABELS, x_val=GREY[:6, 0], y_val=LABELS[:6],
        x_test=GREY[6:12, 0], y_test=LABELS[6:12], classes=np.array(NAMES),
    )  # fmt: skip
    return read(folder / "set.npz")


def npz_of_texts_and_floats(folder: Path) -> DataSet:
    images = COLOUR.transpose(0, 2, 3, 1).astype(np.float32) / 255
    np.savez_compressed(folder / "set.npz", images=images, labels=np.array(NAMES)[LABELS])
    return read(folder / "set.npz")


def pixel_table(folder: Path) -> DataSet:
    rows = [",".join(map(str, [label + 3, *image.ravel()])) for label, image in zip(LABELS, GREY, strict=True)]
    header = ",".join(["label", *(f"pixel{number}" for number in range(36))])
    (folder / "set.csv").write_text("\n".join([header, *rows]) + "\n")
    return read(folder / "set.csv")


def path_table_with_groups(folder: Path) -> DataSet:
    write_class_folders(folder, COLOUR, LABELS, NAMES)
    rows = [f"{NAMES[LABELS[n]]}/{n:05d}.png,{NAMES[LABELS[n]]},w{n // 3}" for n in range(30)]
    (folder / "set.csv").write_text("\n".join(["path,class,writer", *rows]))
    return read(folder / "set.csv", ReadOptions(group_column="writer"))


def path_table_with_split(folder: Path) -> DataSet:
    write_class_folders(folder, GREY, LABELS, NAMES)
    rows = [f"{(n % 2 and 'test') or 'train'},{NAMES[LABELS[n]]}/{n:05d}.png,{NAMES[LABELS[n]]}" for n in range(30)]
    (folder / "set.csv").write_text("\n".join(["split,filename,label", *rows]))
    return read(folder / "set.csv")


def arrays(folder: Path) -> DataSet:
    sixteen = GREY[:, 0].astype(np.uint16) * 250
    return from_arrays(sixteen, np.array(NAMES)[LABELS], sixteen[:9], np.array(NAMES)[LABELS[:9]],
                       name="mine", cache_dir=folder)  # fmt: skip


def one_hot_arrays(folder: Path) -> DataSet:
    return from_arrays(COLOUR / 255.0, np.eye(3)[LABELS], name="mine", cache_dir=folder)


def synthetic(folder: Path) -> DataSet:
    return load("synthetic", cache_dir=folder)


def digits(folder: Path) -> DataSet:
    return load("digits", cache_dir=folder)


DIGESTS: dict[Make, tuple[str, str]] = {
    folders_with_parts: ("ae9e2c68aa96953ae8f90675", "725a622d7a90610607d50911"),
    folders_without_test: ("1b4f69ae2ae3a88242eac90a", "ede2a74cca63202d9c52282f"),
    folders_of_two_sizes: ("f2c699267c0787e56c80d876", "892383cd0290343bbe673bd1"),
    sixteen_bits_and_palettes: ("8fa5fce743db028ff13cf873", "8fa5fce743db028ff13cf873"),
    idx: ("a0ade8ece6ba3f9719f813ec", "a5bee685457a8be5f6a0ab0c"),
    emnist_with_mapping: ("5cae0f038a0ea37174411f4c", "54636c5b63409dcda313ed4f"),
    named_mnist: ("50eed2177ac382ee490f5da3", "153c012064de574d19cb40ef"),
    colour_idx: ("d6eb3597dc994d1b4fe2eab5", "3985862c8d6c53225eb60720"),
    cifar: ("c44947905dc2aa2dcd729c1c", "c44947905dc2aa2dcd729c1c"),
    npz: ("d1e322557c723f1c4a160932", "a796b69c786fca289f2ff9e5"),
    npz_of_texts_and_floats: ("a44815eebbe432a5d66a7f1e", "9288bffa7d7583147ae19193"),
    pixel_table: ("bffd7dfbcea2a987950de7b9", "c52179fad0374b709350e3c0"),
    path_table_with_groups: ("3311caa909bb7b0f67b75c97", "c46d631494cab0e53051585b"),
    path_table_with_split: ("5515f63529e5f3bd23cac3b6", "489155029768f25ddb0cf906"),
    arrays: ("2f65a02837a794ff74dbf028", "0a377dbdf19f1ee6bf542df0"),
    one_hot_arrays: ("d6eb3597dc994d1b4fe2eab5", "3985862c8d6c53225eb60720"),
    synthetic: ("b2f2123e67715f72036f40eb", "adee368d3a4ae05371121ebf"),
    digits: ("5eae67dd162e8d485ffe48ed", "cc56962771026541c77764af"),
}


@pytest.mark.parametrize("make", DIGESTS, ids=lambda make: make.__name__)
def test_training_and_test_part_keep_their_digests(tmp_path: Path, make: Make) -> None:
    data_set = make(tmp_path)
    assert (data_set.train.digest[:24], data_set.test.fingerprint[:24]) == DIGESTS[make]
