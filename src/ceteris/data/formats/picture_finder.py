"""The picture that a cell of a table names, as people write such names: without suffix, with backslashes, from elsewhere."""

import os
import unicodedata
from collections import defaultdict
from functools import cached_property
from pathlib import Path

from ceteris.data.formats.csv_file import is_picture_name
from ceteris.data.formats.entries import Entry
from ceteris.data.formats.folder_layout import part_of
from ceteris.data.formats.folder_tree import read_tree
from ceteris.errors import DataError


class PictureFinder:
    """Finds pictures beside and below the folder of a table."""

    def __init__(self, table: Path) -> None:
        self._table = table
        self._folder = str(table.parent)

    def exists(self, cell: str) -> bool:
        """Tell whether a cell names a picture that is there."""
        try:
            return os.path.isfile(self.find(cell))
        except (DataError, ValueError):
            return False

    def find(self, cell: str) -> str:
        """Return the path of the picture; where there is none, the path at which it should be.

        Leading folders that are not here are left out one by one until what is left names a picture; letter case, the
        Unicode form and a missing suffix make no difference.

        Raises:
            DataError: several pictures of that name.
        """
        direct = os.path.join(self._folder, cell.strip())
        if "\0" in cell or os.path.isfile(direct):
            return direct
        target = _plain(cell.strip().replace("\\", "/"))
        stem = os.path.splitext(target)[0] if is_picture_name(target) else target
        parts = [part for part in stem.split("/") if part not in ("", ".", "..")]
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            found = [path for path in self._pictures.get(parts[-1], ()) if _ends(path, tail)]
            same_suffix = [path for path in found if _plain(path).endswith(f"{tail}{target[len(stem) :]}")]
            found = same_suffix or found
            if len(found) > 1:
                found = [path for path in found if part_of(path.partition("/")[0]) == self._part] or found
            if len(found) > 1:
                raise DataError(
                    f"{self._table}: {cell!r} can mean {found[0]} or {found[1]}. Write the path from the table's folder."
                )
            if found:
                return os.path.join(self._folder, found[0])
            if parts[start] in self._folders:  # another picture of the same name in another folder is not meant
                break
        return direct

    @cached_property
    def _part(self) -> str | None:
        return part_of(Entry(self._table).name.partition(".")[0])

    @cached_property
    def _folders(self) -> set[str]:
        paths = (path for paths in self._pictures.values() for path in paths)
        return {_plain(folder) for path in paths for folder in path.split("/")[:-1]}

    @cached_property
    def _pictures(self) -> dict[str, list[str]]:
        """Paths of all pictures relative to the folder, by their plain name without suffix."""
        by_name: dict[str, list[str]] = defaultdict(list)
        for path in read_tree(self._folder).all_pictures():
            relative = os.path.relpath(path, self._folder).replace(os.sep, "/")
            by_name[_plain(os.path.splitext(os.path.basename(path))[0])].append(relative)
        return by_name


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _ends(path: str, tail: str) -> bool:
    return f"/{_plain(os.path.splitext(path)[0])}".endswith(f"/{tail}")
