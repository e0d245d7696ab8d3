"""What lies in a folder of pictures: which level of folders are the parts of the set, which are its classes, which neither.

:func:`understand` is the only place that decides it. What the names do not make sure is refused, or read and warned of.
"""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ceteris.data.formats.entries import Entry, read_errors, read_text
from ceteris.data.formats.pictures import SUFFIXES
from ceteris.errors import DataError
from ceteris.formats import some

PartName = Literal["train", "validation", "test"]

MAX_DEPTH = 32
_SYSTEM_FOLDERS = frozenset({
    "__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "recycler", "system volume information", "lost+found",
    "__pycache__", "cvs",
})  # fmt: skip
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})

_PART_WORDS: dict[str, PartName] = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_FILLERS = "set|sets|data|dataset|images|image|imgs|img|pictures|pics|photos|split|part|samples|folder"
_PART = re.compile(rf"(?:{_FILLERS})*({'|'.join(_PART_WORDS)})(?:{_FILLERS})*")
_NUMBERED = re.compile(r"(?:fold|split|part|batch|set|chunk|shard)\d+")
_ANNOTATIONS = re.compile(r".*annotations\.(?:txt|tsv)")
_PICTURE_KINDS = frozenset(
    {"images", "image", "imgs", "img", "pictures", "pics", "photos", "jpegimages", "jpg", "jpeg", "png", "data", "raw"}
)
_OTHER_KINDS = frozenset({
    "mask", "masks", "annotation", "annotations", "segmentation", "segmentations", "labels", "gt", "groundtruth",
    "groundtruths", "bbox", "bboxes", "boxes", "edges", "depth", "thumbs", "thumbnails", "trimaps", "overlays", "heatmaps",
})  # fmt: skip
_LIKE_MASKS = "lie beside the pictures and are named like something else"


@dataclass(kw_only=True)
class Folder:
    """A folder, its pictures and the folders in it; hidden ones and those of the system are left out.

    Attributes:
        path: where it lies.
        pictures: names of the picture files that lie directly in it, sorted.
        others: names of its other files.
        below: its folders, sorted by name.
        count: pictures in it at any depth.
    """

    path: str
    pictures: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    below: list["Folder"] = field(default_factory=list)
    count: int = 0

    @property
    def name(self) -> str:
        """Its name in the composed Unicode form, so that names written on a Mac equal those written elsewhere."""
        return unicodedata.normalize("NFC", os.path.basename(self.path))

    @property
    def folders(self) -> list["Folder"]:
        """Folders directly in it that hold pictures at some depth."""
        return [folder for folder in self.below if folder.count]

    def walk(self, without: frozenset[str] = frozenset()) -> Iterator["Folder"]:
        """Yield the folder and those in it at any depth, but none below a folder whose path is in ``without``."""
        yield self
        for folder in self.below:
            if folder.path not in without:
                yield from folder.walk(without)

    def all_pictures(self, without: frozenset[str] = frozenset()) -> Iterator[str]:
        """Yield the paths of all pictures that lie in the folders of :meth:`walk`."""
        return (os.path.join(folder.path, name) for folder in self.walk(without) for name in folder.pictures)

    def all_files(self) -> Iterator[str]:
        """Yield the paths of all its files, folder by folder."""
        return (os.path.join(folder.path, name) for folder in self.walk() for name in folder.pictures + folder.others)

    def suffixes_left_out(self) -> Counter[str]:
        """Count the other files at any depth by their suffix."""
        others = (name for folder in self.walk() for name in folder.others)
        return Counter(os.path.splitext(name)[1].lower() or "no suffix" for name in others)


def read_tree(root: str, above: frozenset[tuple[int, int]] = frozenset()) -> Folder:
    """Return what lies below ``root``; symbolic links are followed, but never back to one of the folders ``above``.

    Raises:
        DataError: a folder that cannot be read, or folders nested deeper than MAX_DEPTH.
    """
    if len(above) > MAX_DEPTH:
        raise DataError(f"{root}: folders nested more than {MAX_DEPTH} deep are not read.")
    folder, below = Folder(path=root), []
    with read_errors(root), os.scandir(root) as items:
        state = os.stat(root)
        identity = (state.st_dev, state.st_ino)
        for item in items:
            name = item.name.lower()
            if name.startswith(".") or name in _SYSTEM_FILES or name in _SYSTEM_FOLDERS or identity in above:
                continue
            if item.is_dir():
                below.append(item.name)
            elif item.is_file():
                picture = os.path.splitext(name)[1] in SUFFIXES
                (folder.pictures if picture else folder.others).append(item.name)
    folder.pictures.sort()
    folder.others.sort()
    folder.below = [read_tree(os.path.join(root, name), above | {identity}) for name in sorted(below)]
    folder.count = len(folder.pictures) + sum(inner.count for inner in folder.below)
    return folder


class NoClassFoldersError(DataError):
    """The folders do not say which classes there are."""


@dataclass(kw_only=True)
class Layout:
    """What the folders below ``root`` mean.

    Attributes:
        root: all that lies there.
        pictures: for every part the classes with the paths of their pictures.
        folders: the folder of every part, relative to the root ("" for the root itself).
        empty: classes whose folders in the training part hold no picture.
        left_out: number of pictures left out, by the folder that they lie in.
        warnings: what was left out or may have been meant otherwise, one sentence each.
    """

    root: Folder
    pictures: dict[PartName, dict[str, list[str]]] = field(default_factory=dict)
    folders: dict[PartName, list[str]] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    left_out: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def name(self, folder: Folder) -> str:
        """Return the path of a folder relative to the root, as messages write it."""
        below = os.path.relpath(folder.path, self.root.path).replace(os.sep, "/")
        return f"{os.path.basename(self.root.path) if below == '.' else below}/"

    def names(self, folders: Sequence[Folder]) -> str:
        """Return the names of some folders, the first five of many."""
        return some([self.name(folder) for folder in folders], 5)

    def add(self, part: PartName, label: str, paths: list[str]) -> None:
        """Add the pictures of a class to a part."""
        self.pictures.setdefault(part, {}).setdefault(label, []).extend(paths)

    def leave_out(self, folders: Sequence[Folder], reason: str) -> None:
        """Leave the pictures of some folders out and say why."""
        self.left_out |= {self.name(folder): folder.count for folder in folders}
        count = sum(folder.count for folder in folders)
        self.warnings.append(f"{self.names(folders)} {reason}: {count:,} pictures left out.")


def understand(root: Folder, *, to_evaluate: bool = False) -> Layout:
    """Return what the folders below ``root`` mean.

    Folders that hold nothing but one folder of folders are stepped through. Parts go by their usual names (train,
    training_set, val, dev, test …, in any letter case); a folder with such a name is a class where its neighbours are no
    parts. A test part alone is enough ``to_evaluate``, and takes the place of the training part.

    Raises:
        NoClassFoldersError: no pictures, pictures without class folders, or a test part without a training part.
        DataError: folders that can be parts as well as classes.
    """
    layout = Layout(root=root)
    level, below = _decisive(layout, root, through_parts=False)
    parts = _parts_among(layout, below)
    for part, folder in parts:
        _add_part(layout, part, folder)
    if not parts and not _add_parts_of_classes(layout, below):
        _add_classes(layout, "train", level, below)
    alone: PartName = "test" if "test" in layout.pictures else "validation"
    if to_evaluate and "train" not in layout.pictures and alone in layout.pictures:
        layout.pictures["train"], layout.folders["train"] = layout.pictures.pop(alone), layout.folders.pop(alone)
    if "train" not in layout.pictures:
        raise NoClassFoldersError(
            f"{root.path}: has {layout.names([folder for _, folder in parts])} but no training folder (train/) beside it."
        )
    return layout


def pictures_in(folder: Path) -> list[Path]:
    """Return all pictures in a folder and below, sorted; system and hidden folders are left out."""
    return [Path(path) for path in sorted(read_tree(str(folder)).all_pictures())]


def part_of(name: str) -> PartName | None:
    """Return the part that a folder or a cell of a table with this name means, or None."""
    found = _PART.fullmatch(_letters(name))
    return _PART_WORDS[found[1]] if found else None


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", name.lower())


def _letters(name: str) -> str:
    return re.sub(r"[\W\d_]", "", name.lower())


def _decisive(layout: Layout, folder: Folder, *, through_parts: bool) -> tuple[Folder, list[Folder]]:
    """Step through folders that hold nothing but one folder of folders; return where that ends, and the folders there."""
    while True:
        others = _masks(folder)
        if others:
            layout.leave_out(others, _LIKE_MASKS)
        below = _without_copies(layout, [inner for inner in folder.folders if inner not in others])
        single = not folder.pictures and len(below) == 1 and bool(below[0].folders)
        if not single or (part_of(below[0].name) and not through_parts):
            return folder, below
        folder = below[0]


def _masks(folder: Folder) -> list[Folder]:
    """Return the folders of masks, boxes or thumbnails that lie beside the pictures, a folder of them, or the classes."""
    others = [inner for inner in folder.folders if _letters(inner.name) in _OTHER_KINDS]
    if any(_letters(inner.name) in _PICTURE_KINDS for inner in folder.folders):
        return others
    names = {inner.name for beside in folder.folders if beside not in others for inner in beside.walk()}
    mirrored = [inner for inner in others if inner.folders and {below.name for below in inner.folders} <= names]
    return mirrored + [inner for inner in others if inner not in mirrored and inner.count <= len(folder.pictures)]


def _without_copies(layout: Layout, below: list[Folder]) -> list[Folder]:
    """Leave out a folder that holds the same folders as lie beside it, as in archives that were packed twice."""
    copies = []
    for folder in below:
        beside = {other.name for other in below if other is not folder}
        if not folder.pictures and len(beside & {inner.name for inner in folder.folders}) >= 2:
            copies.append(folder)
    if not copies or len(copies) == len(below):
        return below
    layout.leave_out(copies, "hold the same folders again")
    return [folder for folder in below if folder not in copies]


def _parts_among(layout: Layout, below: list[Folder]) -> list[tuple[PartName, Folder]]:
    """Return the folders that are parts; none where such a name is rather that of a class.

    A folder with the name of a part is a class when there is no other part and its neighbours are none.
    """
    parts = [(part, folder) for folder in below if (part := part_of(folder.name))]
    parts = parts or _parts_with_a_common_word(layout, below)
    named = [folder for _, folder in parts]
    others = [folder for folder in below if folder not in named]
    if len({part for part, _ in parts}) >= 2 or not others:
        if others:
            layout.leave_out(others, "beside the parts are none")
        return parts
    if parts and any(folder.folders for folder in named) and not all(folder.folders for folder in others):
        raise DataError(
            f"{layout.root.path}: is {layout.names(named)} a part or a class? It holds folders, and {layout.names(others)} "
            "beside it is no part. Rename a folder, or name the folder that is meant."
        )
    if parts:
        layout.warnings.append(
            f"{layout.names(named)} is read as a class, since the folders beside it ({layout.names(others)}) are no parts."
        )
    return []


def _parts_with_a_common_word(layout: Layout, below: list[Folder]) -> list[tuple[PartName, Folder]]:
    """Return parts whose names share a word that means nothing else, such as seg_train and seg_test."""
    found: dict[str, list[tuple[PartName, Folder]]] = defaultdict(list)
    for folder in below:
        words = _words(folder.name)
        for word in set(words) & _PART_WORDS.keys():
            found[" ".join(other for other in words if other != word)].append((_PART_WORDS[word], folder))
    groups = [parts for parts in found.values() if len({part for part, _ in parts}) >= 2]
    if len(groups) > 1:
        folders = [folder for parts in groups for _, folder in parts]
        raise DataError(
            f"{layout.root.path}: the names of its folders hold parts and classes at once ({layout.names(folders)}). "
            "Make one folder per part, with one folder per class in it."
        )
    return groups[0] if groups else []


def _add_part(layout: Layout, part: PartName, folder: Folder) -> None:
    level, below = _decisive(layout, folder, through_parts=True)
    again = [inner for inner in below if not _PART_WORDS.keys().isdisjoint(_words(inner.name))]
    if len(again) > 1 and (len(again) == len(below) or all(part_of(inner.name) for inner in again)):
        raise DataError(
            f"{layout.root.path}: {layout.name(folder)} holds parts itself ({layout.names(again)}). Name the folder meant."
        )
    if any(_letters(inner.name) not in _PICTURE_KINDS or inner.folders for inner in below):
        _add_classes(layout, part, level, below)
    elif not _add_annotated(layout, part, folder):
        message = f"{layout.name(level)} has {level.count:,} pictures but no class folders"
        if part == "train":
            raise NoClassFoldersError(
                f"{layout.root.path}: {message}. Expected one folder per class, each with its pictures."
            )
        layout.leave_out([level], f"has {level.count:,} pictures but no class folders, so that they have no labels")


def _add_annotated(layout: Layout, part: PartName, folder: Folder) -> bool:
    """Add a part whose pictures are labelled by a file of lines (name, class), as Tiny ImageNet's validation part is."""
    name = next((name for name in folder.others if _ANNOTATIONS.fullmatch(name.lower())), None)
    if name is None:
        return False
    rows = [line.split("\t") for line in read_text(Entry(Path(folder.path, name)), limit=1 << 26).splitlines()]
    labels = {row[0].strip(): row[1].strip() for row in rows if len(row) > 1}
    paths = [path for path in folder.all_pictures() if os.path.basename(path) in labels]
    for path in paths:
        layout.add(part, labels[os.path.basename(path)], [path])
    if paths:
        layout.folders.setdefault(part, []).append(f"{layout.name(folder)} (labels in {name})")
    if 0 < len(paths) < folder.count:
        layout.left_out[layout.name(folder)] = folder.count - len(paths)
        layout.warnings.append(
            f"{layout.name(folder)}: {folder.count - len(paths):,} pictures are not named in {name}."
        )
    return bool(paths)


def _add_classes(layout: Layout, part: PartName, level: Folder, below: list[Folder]) -> None:
    """Add every folder of a level as a class; pictures beside them and folders inside them are warned of."""
    kinds = _PICTURE_KINDS | _OTHER_KINDS
    if all(_letters(folder.name) in kinds and not folder.folders for folder in below):
        count = len(level.pictures) + sum(folder.count for folder in below)
        found = f"{count:,} pictures" + (f" in {layout.names(below)}" if below else "")
        raise NoClassFoldersError(
            f"{level.path}: no class folders in it, {found if count else 'and no pictures found'}. "
            "Expected one folder per class, each with its pictures."
        )
    if all(_NUMBERED.fullmatch(re.sub(r"[\W_]", "", folder.name.lower())) and folder.folders for folder in below):
        raise DataError(
            f"{level.path}: {layout.names(below)} look like pieces of the set, not like classes. Put them together."
        )
    layout.folders.setdefault(part, []).append(layout.name(level))
    if level.pictures:
        layout.left_out[layout.name(level)] = len(level.pictures)
        layout.warnings.append(
            f"{layout.name(level)}: pictures beside the class folders left out: {len(level.pictures):,}."
        )
    if part == "train":
        layout.empty |= {folder.name for folder in level.below if not folder.count}
    _add_pictures(layout, [(part, folder.name, folder) for folder in below])


def _add_pictures(layout: Layout, found: Sequence[tuple[PartName, str, Folder]]) -> None:
    """Add the pictures of class folders (part, class, folder) without their masks; folders inside them are warned of."""
    divided, others = [], []
    for part, label, folder in found:
        masks = _masks(folder)
        others += masks
        inside = [inner for inner in folder.folders if inner not in masks]
        if len(inside) + bool(folder.pictures) > 1:
            divided.append(inside[0])
        layout.add(part, label, list(folder.all_pictures(frozenset(mask.path for mask in masks))))
    if others:
        layout.leave_out(others, _LIKE_MASKS)
    if divided:
        layout.warnings.append(
            f"Class folders with folders of their own ({layout.names(divided)}): all pictures in them are read as pictures "
            "of the class."
        )


def _add_parts_of_classes(layout: Layout, below: list[Folder]) -> bool:
    """Add classes that hold one folder per part; return False where the folders are not like that."""
    inner = [(folder.name, part) for folder in below for part in folder.folders]
    found = [(part, label, folder) for label, folder in inner if (part := part_of(folder.name))]
    several = len({part for part, _, _ in found}) >= 2
    if not several or len(found) < len(inner) or any(folder.pictures or not folder.folders for folder in below):
        return False
    _add_pictures(layout, found)
    for part, _, folder in found:
        layout.folders.setdefault(part, [f"*/{folder.name}/"])
    return True
