"""A study on several data sets: one result for each, in a folder of its name, and one report over all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from ceteris.api.result import Result
from ceteris.api.runs import run
from ceteris.report.side_by_side import side_by_side, side_by_side_page, side_by_side_pdf
from ceteris.store import write_bytes
from ceteris.study import Study
from ceteris.study.files import parse_studies, study_text


def run_each(
    study: str | Path | Mapping[str, Any], *, out: str | Path | None = None, **options: Any
) -> dict[str, Result]:
    """Run a study on each of its data sets (``data = ["mnist", "cifar-100"]``); return the results by the sets' names.

    Args:
        study: name of a shipped study, path of a TOML file, or the same as a dictionary.
        out: folder for a folder of every set, and the report over all; ceteris-results/<name> without it.
        options: those of :func:`ceteris.run`.

    Raises:
        ConfigError, DataError, StoreError: as :func:`ceteris.run`.
    """
    text = study_text(str(study)) if isinstance(study, str | Path) else tomli_w.dumps(dict(study))
    origin = str(study) if isinstance(study, str | Path) else "study"
    studies = parse_studies(text, options.pop("settings", ()), origin=origin)
    folder = Path(out) if out else Path("ceteris-results") / common_name(studies)
    store = Path(options.pop("store", None) or folder.parent / "store")
    results = {}
    for name, asked in studies.items():
        results[name] = run(asked, out=folder / name if name else folder, store=store, **options)
    report_all(results, folder)
    return results


def report_all(results: Mapping[str, Result], folder: Path) -> None:
    """Report the results of one study on several data sets over all of them in ``folder``; a single one is reported already."""
    if len(results) > 1:
        name, first = next(iter(results.items()))
        write_several(first.findings.label.removesuffix(f" · {name}"), results, folder)


def common_name(studies: Mapping[str, Study]) -> str:
    """Return the name of the study that was asked on all of these data sets."""
    part, study = next(iter(studies.items()))
    return study.name.removesuffix(f"-{part}") if part else study.name


def write_several(title: str, results: Mapping[str, Result], folder: Path) -> list[Path]:
    """Write the page, the PDF (where every set has one) and the table over all data sets.

    Raises:
        StoreError: when a file cannot be written.
    """
    found = {name: result.results for name, result in results.items()}
    files = {
        "report.html": side_by_side_page(title, found).encode(),
        "side_by_side.csv": side_by_side(found).csv().encode(),
    }
    pdfs = {name: result.folder / "report.pdf" for name, result in results.items()}
    if all(pdf.is_file() for pdf in pdfs.values()):
        files["report.pdf"] = side_by_side_pdf(title, found, {name: pdf.read_bytes() for name, pdf in pdfs.items()})
    for name, content in files.items():
        write_bytes(folder / name, content)
    return [folder / name for name in files]
