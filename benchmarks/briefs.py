"""Look up in results what docs/results.md promises of them, id by id: python benchmarks/briefs.py RESULT ..."""

import re
import sys
from collections.abc import Collection, Mapping
from fnmatch import fnmatch
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "results.md"
KINDS = ("table", "figure", "section", "file")


def promised(page: str) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Return by id the study and what its report shows there, as pairs of kind and name with * for a model."""
    rows = re.findall(r"^\| ([A-E]\d+) \| (\S+) \| (.*) \|$", page, flags=re.M)
    place = re.compile(rf"`({'|'.join(KINDS)}) (\S+?)`")
    return {
        name: (study, [(kind, there.replace("NAME", "*")) for kind, there in place.findall(where)])
        for name, study, where in rows
    }


def missing(places: Collection[tuple[str, str]], shown: Mapping[str, Collection[str]]) -> list[str]:
    """Return the places that are not among what is shown, by kind."""
    return [f"{kind} {name}" for kind, name in places if not any(fnmatch(there, name) for there in shown[kind])]


def shown_in(folder: Path) -> dict[str, set[str]]:
    """Return what a result shows, by kind, from its files."""
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    names = {kind: {Path(file).stem for file in files if file.startswith(f"{kind}s/")} for kind in ("table", "figure")}
    page = (folder / "report.html").read_text(encoding="utf-8")
    return {**names, "section": set(re.findall(r'id="([a-z-]+)"', page)), "file": files}


def main() -> None:
    """Print what is missing, result by result; exit with 1 where anything is."""
    found, lacking = promised(PAGE.read_text(encoding="utf-8")), 0
    for folder in map(Path, sys.argv[1:]):
        study, shown = re.search(r'^name = "(.*)"$', (folder / "study.toml").read_text(), flags=re.M), shown_in(folder)
        name = study[1] if study else ""  # with the form and the data set after the study's own
        asked = {requirement: places for requirement, (of, places) in found.items() if name.startswith(of)}
        for requirement, places in asked.items():
            gone = missing(places, shown)
            lacking += len(gone)
            print(f"{folder.name}: {requirement}: {'missing ' + ', '.join(gone) if gone else 'there'}")
    sys.exit(1 if lacking else 0)


if __name__ == "__main__":
    main()
