"""The report as an executed notebook: it reads the findings beside it and shows tables and figures with comments."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import v4

from ceteris.analysis.results import Results
from ceteris.errors import StoreError
from ceteris.figures import figures
from ceteris.report.sections import Block, Bullets, DrawnFigure, Heading, Picture, Report, Rows, Terms, Text
from ceteris.report.tables import tables

START_SECONDS = 180  # a kernel on a busy machine may take long to answer
CELL_SECONDS = 300
SET_UP = """\
import warnings
from pathlib import Path

from ceteris.analysis.results import results_of
from ceteris.figures import figures
from ceteris.report import tables
from ceteris.store import read_findings

warnings.filterwarnings("ignore")
results = results_of(read_findings(Path("findings.safetensors")))  # the finals are evaluated on the test labels
table = {entry.name: entry for entry in tables(results)}
figure = {entry.name: entry for entry in figures(results)}
print(f"{results.title}: {len(table)} tables and {len(figure)} figures")"""


def notebook_report(results: Results, folder: Path, *, execute: bool = True) -> bytes:
    """Return the notebook, executed unless ``execute`` is off; it reads ``findings.safetensors``, which lies in ``folder``.

    It is executed on a copy of that file in a folder of its own, where nothing else lies that Python or its kernel could load.
    That needs a thread without a running event loop, so within a notebook of your own call it from another thread.

    Raises:
        StoreError: the findings are not there, the kernel does not start or a cell fails.
    """
    if not (folder / "findings.safetensors").is_file():
        raise StoreError(
            f"The notebook reads findings.safetensors in {folder}, and there is none. Write it first with "
            "ceteris.store.write_findings, or leave the format ipynb out."
        )
    notebook = unexecuted(results)
    if execute:
        with tempfile.TemporaryDirectory(prefix="ceteris-notebook-") as scratch:
            work = Path(scratch) / "work"
            work.mkdir()
            shutil.copyfile(folder / "findings.safetensors", work / "findings.safetensors")
            _execute(notebook, work, Path(scratch))
    return (json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode("utf-8")


def unexecuted(results: Results) -> Any:
    """Return the notebook before it is executed."""
    make: Any = v4  # nbformat has no types
    notebook = make.new_notebook()
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    kinds = {"words": make.new_markdown_cell, "code": make.new_code_cell}
    notebook.cells = [kinds[kind](source) for kind, source in _cells(results)]
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:03d}"
    return notebook


def _execute(notebook: Any, work: Path, scratch: Path) -> None:
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        startup_timeout=START_SECONDS,
        record_timing=False,
        extra_arguments=["--log-level=40"],
        resources={"metadata": {"path": str(work)}},
    )
    # Made by the client, so that the client also ends it; and only with this interpreter's own kernel, because a
    # kernel "python3" that the user installed may be another Python.
    manager = client.create_kernel_manager()
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
    manager.connection_file = str(scratch / "kernel.json")
    settings = {
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "IPYTHONDIR": str(scratch / "ipython"),
        "MPLBACKEND": "agg",
        "PYTHONSAFEPATH": "1",  # modules are not looked for in the working folder
    }
    try:
        asyncio.run(client.async_execute(env=os.environ | settings))
    except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise StoreError(
            f"The notebook could not be executed ({reason}). Run `python -m ipykernel --version` to see whether the "
            "kernel works, or leave the format ipynb out."
        ) from error


def _cells(results: Results) -> Iterator[tuple[str, str]]:
    """Yield kind and source of every cell; words gather in one cell until a table or a figure follows."""
    report = Report(
        results, tables(results), tuple(DrawnFigure(figure=figure, svg="", png=b"") for figure in figures(results))
    )
    known = {table.name for table in report.tables}
    people = " · ".join(part for part in (results.people, results.date) if part)
    yield "words", f"# {_plain(results.label)}\n\n{_plain(results.question)}\n\n{_plain(people)}"
    yield "code", SET_UP
    for section in report.sections:
        blocks = [block for block in section.blocks if "notebook" in block.where]
        words = [f"## {_plain(section.title)}"] if blocks else []
        for block in blocks:
            if not isinstance(block, Rows | Picture):
                words += _markdown(block)
                continue
            if isinstance(block, Picture):
                words.append(_plain(block.drawn.figure.caption))
            if words:
                yield "words", "\n\n".join(words)
            words = []
            if isinstance(block, Picture):
                yield "code", f"figure[{block.drawn.figure.name!r}]"
            elif block.table.name in known:
                yield "code", f"table[{block.table.name!r}]"
        if words:
            yield "words", "\n\n".join(words)


def _markdown(block: Block) -> list[str]:
    match block:
        case Heading(title=title, level=level):
            return [f"{'#' * level} {_plain(title)}"]
        case Text(text=text, style="code"):
            return [f"`{text.replace('`', chr(39))}`"]
        case Text(text=text):
            return [_plain(text)]
        case Bullets(texts=texts):
            return ["\n".join(f"- {_plain(text)}" for text in texts)]
        case Terms(title=title, terms=terms):
            return [f"**{title}**", "\n".join(f"- *{_plain(term)}*: {_plain(meaning)}" for term, meaning in terms)]
        case _:
            return []


def _plain(text: str) -> str:
    """Escape what Markdown would read as markup."""
    for mark in "\\`*_{}[]<>$#|":
        text = text.replace(mark, f"\\{mark}") if mark != "<" else text.replace("<", "&lt;")
    return text
