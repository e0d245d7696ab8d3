"""Writing a report: figures, tables and the three documents, every file whole or not at all."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, get_args

from ceteris.errors import ConfigError, did_you_mean
from ceteris.findings import StudyFindings
from ceteris.report.content import Report, compose
from ceteris.report.html import html_report
from ceteris.report.notebook import notebook_report
from ceteris.report.pdf import pdf_report
from ceteris.store import write_bytes

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
    progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write ``figures/*.svg`` and ``*.png``, ``tables/*.csv`` and the report in each of ``formats`` into ``folder``.

    The notebook reads ``findings.safetensors`` beside it, which the caller has written.

    Args:
        findings: what the study found.
        folder: made when absent; files of the same names are replaced.
        formats: any of "html", "pdf", "ipynb".
        progress: told in a few words what is being done.

    Returns:
        The files that were written.

    Raises:
        ConfigError: an unknown format.
        StoreError: a file cannot be written, or the notebook cannot be executed.
    """
    check_formats(formats)
    tell = progress or (lambda _: None)
    with ThreadPoolExecutor(max_workers=1) as background:
        # The notebook's kernel is a process of its own: it works while the figures are drawn here.
        notebook = background.submit(notebook_report, findings, folder) if "ipynb" in formats else None
        report = compose(findings, tell)
        written = [*_write_figures(report, folder), *_write_tables(report, folder)]
        for kind in dict.fromkeys(formats):
            tell(f"writing report.{kind}")
            path = folder / f"report.{kind}"
            write_bytes(path, _document(report, kind) if notebook is None or kind != "ipynb" else notebook.result())
            written.append(path)
    return written


def _document(report: Report, kind: str) -> bytes:
    return html_report(report).encode("utf-8") if kind == "html" else pdf_report(report)


def _write_figures(report: Report, folder: Path) -> list[Path]:
    paths = []
    for drawn in report.drawn:
        for suffix, content in (("svg", drawn.svg.encode("utf-8")), ("png", drawn.png)):
            path = folder / "figures" / f"{drawn.figure.name}.{suffix}"
            write_bytes(path, content)
            paths.append(path)
    return paths


def _write_tables(report: Report, folder: Path) -> list[Path]:
    paths = []
    for table in report.tables:
        if table.exported:
            path = folder / "tables" / f"{table.name}.csv"
            write_bytes(path, table.csv().encode("utf-8"))
            paths.append(path)
    return paths
