"""What lies in a folder of pictures, at every depth, without the files and folders that systems and tools leave there."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ceteris.data.formats.entries import read_errors
from ceteris.data.formats.pictures import SUFFIXES
from ceteris.errors import DataError

MAX_DEPTH = 32
_SYSTEM_FOLDERS = frozenset({
    "__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "recycler", "system volume information", "lost+found",
    "__pycache__", "cvs",
})  # fmt: skip
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})


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

    def all_pictures(self, without: frozenset[str] = frozenset()) -> Iterator[str]:
        """Yield the paths of all its pictures, folder by folder; those of folders whose path is in ``without`` are skipped."""
        for name in self.pictures:
            yield os.path.join(self.path, name)
        for folder in self.below:
            if folder.path not in without:
                yield from folder.all_pictures(without)

    def all_files(self) -> Iterator[str]:
        """Yield the paths of all its files, folder by folder."""
        for name in (*self.pictures, *self.others):
            yield os.path.join(self.path, name)
        for folder in self.below:
            yield from folder.all_files()

    def suffixes_left_out(self) -> Counter[str]:
        """Count the other files at any depth by their suffix."""
        found = Counter(os.path.splitext(name)[1].lower() or "no suffix" for name in self.others)
        for folder in self.below:
            found.update(folder.suffixes_left_out())
        return found


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
