"""The report of a study: figures and tables as files, an HTML page, a paper with a supplement, an executed notebook."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Literal, get_args

from ceteris.analysis.results import results_of
from ceteris.errors import ConfigError, did_you_mean
from ceteris.files import check_links, file_name
from ceteris.findings import StudyFindings
from ceteris.report.html import html_report
from ceteris.report.latex import latex_table, macros, markdown_report
from ceteris.report.notebook import notebook_report
from ceteris.report.paper_tables import paper_tables
from ceteris.report.pdf import MOST_PAGES, pdf_report
from ceteris.report.sections import DrawnFigure, Report, compose
from ceteris.report.table import Column, Table
from ceteris.report.tables import tables
from ceteris.report.words import missing_sentence
from ceteris.store import write_bytes

__all__ = [
    "FORMATS",
    "Column",
    "DrawnFigure",
    "Format",
    "Report",
    "Table",
    "check_formats",
    "compose",
    "html_report",
    "notebook_report",
    "pdf_report",
    "tables",
    "write_report",
]

Format = Literal["html", "pdf", "ipynb"]
FORMATS: tuple[Format, ...] = get_args(Format)


def check_formats(formats: Sequence[str]) -> None:
    """Refuse a format that is not known.

    Raises:
        ConfigError: naming the format and what is allowed.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ConfigError(
            f'formats: allowed are {", ".join(FORMATS)}; received "{unknown[0]}".{did_you_mean(unknown[0], FORMATS)}'
        )


def write_report(
    findings: StudyFindings,
    folder: Path,
    *,
    formats: Sequence[str] = FORMATS,
    execute: bool = True,
    pages: int = MOST_PAGES,
    train: bool = False,
    data_dir: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write figures, tables (CSV, LaTeX), ``report.md`` and the report in each of ``formats`` into ``folder``.

    The notebook takes weights from ``folder``/models, which the caller has written. A figure or a document that cannot be
    made is left out, and the page says so.

    Args:
        findings: what the study found.
        folder: made when absent; files of the same names are replaced.
        formats: any of "html", "pdf", "ipynb".
        execute: whether the notebook is executed; without it its cells have no outputs.
        pages: at most so many pages of content has the PDF; the rest is in ``supplement.pdf``.
        train: whether the notebook is the variant that trains everything again, which is not executed here.
        data_dir: where named data sets are looked for while the notebook is executed.
        progress: is given a few words on what is being done.

    Returns:
        The files that were written.

    Raises:
        ConfigError: an unknown format.
        StoreError: a file cannot be written, or a link in the folder leads elsewhere.
    """
    check_formats(formats)
    check_links(folder)
    tell = progress or (lambda _: None)
    with ThreadPoolExecutor(max_workers=1) as background:
        # The notebook's kernel is a process of its own: it works while the figures are drawn here.
        results, written = results_of(findings), []
        make = partial(notebook_report, results, folder, execute=execute, train=train, data_dir=data_dir)
        notebook = background.submit(make) if "ipynb" in formats else None
        report = compose(results, tell)
        for name, content in _files(report, formats, notebook, pages, tell):
            write_bytes(folder / name, content)
            written.append(folder / name)
    return written


def _files(
    report: Report, formats: Sequence[str], notebook: Future[bytes] | None, pages: int, tell: Callable[[str], None]
) -> Iterator[tuple[str, bytes]]:
    """Yield the name inside the folder and the content of every file: figures, tables, documents, the page last."""
    for drawn in report.drawn:
        yield f"figures/{file_name(drawn.figure.name)}.svg", drawn.svg.encode("utf-8")
        yield f"figures/{file_name(drawn.figure.name)}.png", drawn.png
    for table in report.tables:
        if table.exported:
            yield f"tables/{file_name(table.name)}.csv", table.csv().encode("utf-8")
    for table in paper_tables(report.results):
        yield f"tables/{table.name}.tex", latex_table(table).encode("utf-8")
    yield "tables/numbers.tex", macros(report.results).encode("utf-8")
    yield "report.md", markdown_report(report).encode("utf-8")
    missing: list[str] = []
    documents: dict[str, Callable[[], bytes]] = {}
    if "pdf" in formats:
        papers = cache(lambda: pdf_report(report, pages))
        documents |= {"report.pdf": lambda: papers().paper, "supplement.pdf": lambda: papers().supplement}
    if notebook is not None:
        documents["report.ipynb"] = notebook.result
    for name, make in documents.items():
        tell(f"writing {name}")
        try:
            yield name, make()
        except Exception as error:  # one document that fails does not cost the others
            logging.getLogger("ceteris").warning("%s could not be written", name, exc_info=error)
            missing.append(missing_sentence(name, error))
            tell(missing[-1])
    if "html" in formats:
        tell("writing report.html")
        complete = replace(report, notes=(*report.notes, *missing))
        yield "report.html", html_report(complete).encode("utf-8")
