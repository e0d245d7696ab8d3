"""Build random trees of folders with a known meaning: each must be read as it is meant, refused, or warned of.

    python benchmarks/fuzz_folders.py --trees 10000

A tree is made from a truth (classes, parts, pictures) by what people and their tools do to it: other names for the
parts, folders around and in between, folders of systems, masks, copies, stray and unlabelled pictures. The files are empty;
only names count.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ceteris.data.formats.folder_layout import Layout, read_tree, understand
from ceteris.errors import DataError

CLASSES = (
    "bird", "cat", "dog", "bus", "car", "0", "1", "10", "Ä ö", "手", "train", "test", "valid", "invalid", "dev", "mask",
    "no mask", "images", "data", "raw", "png", "positive", "negative", "training shoe", "test tube", "n01443537", "set",
    "labels", "depth", "validation", "img",
)  # fmt: skip
PARTS = {
    "train": ("train", "Train", "TRAINING", "training_set", "train-images", "train2017", "seg_train", "Training Data"),
    "validation": (
        "val",
        "Valid",
        "VALIDATION",
        "validation_set",
        "dev-images",
        "val2017",
        "seg_val",
        "Validation Data",
    ),
    "test": ("test", "Test", "TESTING", "test_set", "test-images", "test2017", "seg_test", "Testing Data"),
}
AROUND = ("data", "archive", "images", "dataset", "animals", "my set", "jpg", "v1", "train")
SYSTEM = ("__MACOSX", ".ipynb_checkpoints", "@eaDir", ".git", "$RECYCLE.BIN")
MASKS = ("masks", "Annotations", "ground_truth", "thumbs")
Truth = dict[str, dict[str, set[str]]]


@dataclass(kw_only=True)
class Tree:
    """A tree of folders on disk: what it means, and what was done to it."""

    root: Path
    random: np.random.Generator
    truth: Truth = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def chance(self, share: float, what: str) -> bool:
        """Say whether something is done, and write it down."""
        if self.random.random() >= share:
            return False
        self.done.append(what)
        return True

    def pick(self, names: tuple[str, ...]) -> str:
        """Return one of the names."""
        return names[int(self.random.integers(len(names)))]

    def files(self, folder: Path, count: int, suffix: str = ".png") -> set[str]:
        """Make empty files and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{number}{suffix}" for number in range(count)]
        for path in paths:
            path.touch()
        return {str(path) for path in paths}


def build(root: Path, random: np.random.Generator) -> Tree:
    """Make a random tree below ``root``."""
    tree = Tree(root=root, random=random)
    base = root
    while len(tree.done) < 2 and tree.chance(0.3, "a folder around"):
        base /= tree.pick(AROUND)
    names = [str(name) for name in random.choice(CLASSES, int(random.integers(2, 6)), replace=False)]
    parts = (("train",), ("train",), ("train", "test"), ("train", "validation"), ("train", "validation", "test"))
    chosen = parts[int(random.integers(len(parts)))]
    style = int(random.integers(len(PARTS["train"])))
    inside = len(chosen) > 1 and tree.chance(0.15, "parts inside classes")
    named = len(chosen) > 1 or tree.chance(0.3, "a training folder alone")
    mixed = tree.chance(0.1, "mixed names of parts")
    folders = {}
    for part in chosen:
        folder = PARTS[part][int(random.integers(8)) if mixed else style]
        twice = not inside and named and tree.chance(0.1, "a part inside itself")
        folders[part] = (f"{folder}/{folder}" if twice else folder) if named else ""
    for part, folder in folders.items():
        for name in names:
            place = base / name / folder if inside else base / folder / name
            add_class(tree, part, name, place)
    add_noise(tree, base, [base / folder for folder in folders.values() if not inside])
    return tree


def add_class(tree: Tree, part: str, name: str, place: Path) -> None:
    """Make the pictures of a class in a part."""
    count = int(tree.random.integers(1, 4))
    pictures = tree.truth.setdefault(part, {}).setdefault(name, set())
    if tree.chance(0.04, "images inside a class"):
        pictures |= tree.files(place / "images", count)
        if tree.chance(0.5, "masks inside a class"):
            tree.files(place / tree.pick(MASKS), count)
    elif tree.chance(0.03, "folders inside a class"):
        for inner in ("front", "back"):
            pictures |= tree.files(place / inner, count)
    else:
        pictures |= tree.files(place, count)
    if tree.chance(0.05, "a system folder inside a class"):
        tree.files(place / tree.pick(SYSTEM), 2)


def add_noise(tree: Tree, base: Path, levels: list[Path]) -> None:
    """Add what does not belong to any class."""
    if tree.chance(0.1, "a system folder"):
        tree.files(tree.root / tree.pick(SYSTEM) / "cat", 2)
    if tree.chance(0.1, "a text file"):
        tree.files(base, 1, ".txt")
    if tree.chance(0.05, "a folder of text files"):
        tree.files(base / "labels of all", 2, ".txt")
    if tree.chance(0.05, "an empty folder"):
        (base / "empty").mkdir()
    for level in levels:
        if tree.chance(0.05, "a stray picture"):
            tree.files(level, 1, ".jpg")
    if len(levels) > 1 and tree.chance(0.05, "examples beside the parts"):
        tree.files(base / "examples", 2)
    if len(levels) > 1 and "test" not in tree.truth and tree.chance(0.2, "an unlabelled part"):
        tree.files(base / "test", 3)
    if tree.chance(0.04, "masks above the classes"):
        for name in next(iter(tree.truth.values())):
            tree.files(base / tree.pick(MASKS) / name, 1)
    if tree.chance(0.04, "a copy of the classes inside"):
        for name in tree.truth["train"]:
            tree.files(levels[0] / "copy" / name if levels else base / "copy" / name, 2)


def judged(tree: Tree) -> str:
    """Read a tree and say how that went."""
    try:
        layout: Layout = understand(read_tree(str(tree.root)))
    except DataError:
        return "refused"
    found = {part: {name: set(paths) for name, paths in classes.items()} for part, classes in layout.pictures.items()}
    if found == tree.truth:
        return "right"
    return "warned of" if layout.warnings else "SILENTLY WRONG"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random, outcomes = np.random.default_rng(arguments.seed), Counter[str]()
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None
    for number in range(arguments.trees):
        with tempfile.TemporaryDirectory(dir=shared) as folder:
            tree = build(Path(folder) / "set", random)
            outcome = judged(tree)
            outcomes[outcome] += 1
            if outcome.isupper() and outcomes[outcome] <= 10:
                names = sorted({os.path.relpath(place, folder) for place, _, files in os.walk(folder) if files})
                print(f"tree {number}: {', '.join(tree.done)}\n  " + "\n  ".join(names))
    print(", ".join(f"{outcome} {count}" for outcome, count in sorted(outcomes.items())))
    return 1 if outcomes["SILENTLY WRONG"] else 0


if __name__ == "__main__":
    sys.exit(main())
