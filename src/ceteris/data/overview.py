"""The sets that are known by name, as rows to print: what they are, how large, under which licence, and where they lie."""

from dataclasses import dataclass
from pathlib import Path

from ceteris.data.catalogue import BuiltIn, NamedSet
from ceteris.data.load import default_data_dir, search_roots
from ceteris.data.locate import find_files
from ceteris.data.named import named_sets
from ceteris.errors import DataError


@dataclass(frozen=True, kw_only=True)
class SetRow:
    """One named set; ``where`` is the file or folder it was found in, "built in", or "" when it is not on this machine.

    ``download_bytes`` is 0 where the size is not published or nothing has to be fetched. ``checksum`` tells by what a
    download is verified: "sha256", "md5", or "" when the set cannot be downloaded.
    """

    name: str
    title: str
    train_count: int
    test_count: int
    classes: int
    image_shape: tuple[int, int, int]
    image_bytes: int
    download_bytes: int
    checksum: str
    licence: str
    source: str
    where: str

    @property
    def present(self) -> bool:
        """Whether the set can be loaded without the network."""
        return bool(self.where)


def list_sets(data_dir: Path | None, *, cache_dir: Path) -> tuple[SetRow, ...]:
    """Return a row for every named set, found below ``data_dir`` (default: CETERIS_DATA) or among the downloads."""
    roots = search_roots(data_dir or default_data_dir(), cache_dir)
    return tuple(_row(known, roots) for known in named_sets())


def _row(known: NamedSet, roots: tuple[Path, ...]) -> SetRow:
    return SetRow(
        name=known.name,
        title=known.title,
        train_count=known.train_count,
        test_count=known.test_count,
        classes=len(known.classes),
        image_shape=known.image_shape,
        image_bytes=known.image_bytes,
        download_bytes=sum(remote.size for remote in known.remote),
        checksum=next(("sha256" if remote.sha256 else "md5" for remote in known.remote), ""),
        licence=known.licence,
        source=known.citation,
        where=_where(known, roots),
    )


def _where(known: NamedSet, roots: tuple[Path, ...]) -> str:
    if isinstance(known.layout, BuiltIn):
        return "built in"
    try:
        located = find_files(known, roots)
    except DataError as error:
        return f"damaged: {error}"
    return str(located.files[0].parent if len(located.files) > 1 else located.files[0]) if located else ""
