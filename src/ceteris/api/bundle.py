"""What is handed in: report, notebook and one archive with code, weights, logs and study, named after a group or person."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ceteris.api.result import Result, open_result, written_files
from ceteris.errors import ConfigError
from ceteris.files import file_name, open_regular
from ceteris.report.appendix import with_appendix
from ceteris.store import write_bytes

Brief = Literal["A", "B", "C", "D", "E"]
FOLDER = "hand-in"  # in the result, for what is handed in
_DOCUMENTS = ("report.pdf", "report.ipynb")
_ARCHIVED = ("study.toml", "study-original.toml", "findings.safetensors", "log.txt", "ceteris.log", "report.html")
_FOLDERS = ("models", "tables", "figures")
_CODE = (".py", ".ipynb", ".toml", ".md")
_MOST_BYTES = 1 << 32  # of one file of the result
_MOST_CODE = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a brief wants of the authors: their words for the study, for each model, for each factor; whether code and names."""

    study: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    code: bool = False
    people: bool = True


WANTED: dict[Brief, Wanted] = {
    "A": Wanted(study=("reflection", "conclusion"), models=("why",), factors=("why",)),
    "B": Wanted(study=("contributions", "conclusion"), models=("why",), factors=("why", "conclusion")),
    "C": Wanted(study=("conclusion",), models=("why",), code=True),
    "D": Wanted(study=("why", "conclusion"), models=("conclusion",), code=True),
    "E": Wanted(study=("statement",), models=("question", "hypothesis", "conclusion"), code=True),
}


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Something that a brief wants and the result lacks: a file, names, code, or own words of a study, model or factor."""

    what: Literal["file", "people", "code", "words"]
    name: str
    of: str = ""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The files that were written, and what is still missing in them."""

    files: tuple[Path, ...]
    missing: tuple[Missing, ...]


def bundle_result(
    folder: str | Path,
    name: str,
    *,
    code: Iterable[str | Path] = (),
    appendix: bool = False,
    brief: Brief | None = None,
    out: str | Path | None = None,
) -> Bundle:
    """Write ``name.pdf``, ``name.ipynb`` and ``name.zip`` from a result.

    The archive holds the report, the notebook with the findings that it reads, the weights with a README for every model, the
    logs, tables and figures, the study file and the code: what the study used of the user's own, and ``code``.

    Args:
        folder: of a result.
        name: of the files, such as Group_07: letters, digits, ``_``, ``-`` and dots.
        code: files, and folders of which the Python, notebook, TOML and Markdown files are taken.
        appendix: whether the PDF shows the code behind the report.
        brief: whose demands are checked; without it only whether the report is whole.
        out: where to write; the folder hand-in of the result without it.

    Raises:
        ConfigError: a name that is none for a file, a brief that is not known, code that is not there.
        StoreError: no result lies in the folder, or something cannot be written.
    """
    try:
        file_name(name)
    except ValueError as error:
        raise ConfigError(f"name: {error}.") from None
    if brief is not None and brief not in WANTED:
        raise ConfigError(f'brief: allowed are {", ".join(get_args(Brief))}; received "{brief}".')
    result = open_result(folder)
    texts = dict(_code_files(result, code))
    target = Path(out) if out else result.folder / FOLDER
    documents = {place: _read(result.folder / place) for place in _DOCUMENTS if (result.folder / place).is_file()}
    if appendix and texts and "report.pdf" in documents:
        documents["report.pdf"] = with_appendix(documents["report.pdf"], texts, result.findings.label)
    supplement = result.folder / "supplement.pdf"
    written = {f"{name}{Path(place).suffix}": content for place, content in documents.items()}
    if supplement.is_file():
        written[f"{name}_supplement.pdf"] = _read(supplement)
    written[f"{name}.zip"] = _archive(result, name, written, texts)
    for place, content in written.items():
        write_bytes(target / place, content)
    missing = tuple(_missing(result, brief, texts, documents))
    return Bundle(files=tuple(target / place for place in written), missing=missing)


def _code_files(result: Result, code: Iterable[str | Path]) -> Iterator[tuple[str, str]]:
    """Yield the name and text of every file of code: first what the study used, then what was handed in."""
    yield from result.findings.code.items()
    for given in map(Path, code):
        files = sorted(path for path in given.rglob("*") if path.is_file()) if given.is_dir() else [given]
        chosen = [path for path in files if path.suffix in _CODE or not given.is_dir()]
        if not chosen or not given.exists():
            raise ConfigError(
                f'code: there is no file of code at "{given}". Name files, or a folder with {", ".join(_CODE)}.'
            )
        for path in chosen:
            place = path.relative_to(given.parent if given.is_dir() else path.parent).as_posix()
            if "__pycache__" not in path.parts and not any(part.startswith(".") for part in Path(place).parts):
                yield place, _read(path, _MOST_CODE).decode("utf-8", "replace")


def _read(path: Path, limit: int = _MOST_BYTES) -> bytes:
    try:
        with open_regular(path, limit) as file:
            return file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f'"{path}" cannot be put into the bundle ({reason}).') from None


def _archive(result: Result, name: str, documents: dict[str, bytes], code: dict[str, str]) -> bytes:
    """Return a zip archive; the same result gives the same bytes."""
    files = dict(documents)
    for place in _ARCHIVED:
        if (result.folder / place).is_file():
            files[place] = _read(result.folder / place)
    for place in written_files(result.folder):
        path = result.folder / place
        if place.partition("/")[0] in _FOLDERS and path.is_file() and not path.is_symlink() and path.suffix != ".svg":
            files[place] = _read(path)
    files |= {f"code/{place}": text.encode() for place, text in code.items()}
    files["README.md"] = _readme(result, name, files).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{name}/{place}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def _readme(result: Result, name: str, files: Iterable[str]) -> str:
    findings = result.findings
    present = set(files)
    parts = {
        f"{name}.pdf": "the report",
        f"{name}.ipynb": "the work as a notebook; it reads findings.safetensors beside it",
        "report.html": "the report as a page",
        "study.toml": "the study: `ceteris run study.toml` trains everything again",
        "log.txt": "training, validation and test loss of every epoch of the final trainings",
    }
    folders = {
        "models": "weights and logs of every model, each with a README.md that says how to run it",
        "tables": "every table as CSV",
        "figures": "every figure",
        "code": "code of our own",
    }
    rows = [f"- `{place}`: {meaning}" for place, meaning in parts.items() if place in present]
    rows += [
        f"- `{place}/`: {meaning}"
        for place, meaning in folders.items()
        if any(file.startswith(f"{place}/") for file in present)
    ]
    people = f"{findings.people}\n\n" if findings.people else ""
    contributions = f"\n## Who did what\n\n{findings.words.contributions}\n" if findings.words.contributions else ""
    return f"# {name}: {findings.label}\n\n{people}{findings.date}\n\n" + "\n".join(rows) + f"\n{contributions}"


def _missing(
    result: Result, brief: Brief | None, code: dict[str, str], documents: dict[str, bytes]
) -> Iterator[Missing]:
    findings = result.findings
    for place in _DOCUMENTS:
        if place not in documents:
            yield Missing(what="file", name=place)
    if brief is None:
        return
    wanted = WANTED[brief]
    if wanted.people and not findings.people:
        yield Missing(what="people", name="author or group")
    if wanted.code and not code:
        yield Missing(what="code", name="code")
    yield from _unwritten("", wanted.study, findings.words.empty)
    for model in findings.models:
        yield from _unwritten(model.label, wanted.models, model.words.empty)
    factors = {factor.label: factor.words for model in findings.models for factor in model.factors}
    for label, words in factors.items():
        yield from _unwritten(label, wanted.factors, words.empty)


def _unwritten(of: str, wanted: Sequence[str], empty: Sequence[str]) -> Iterator[Missing]:
    return (Missing(what="words", name=place, of=of) for place in wanted if place in empty)
