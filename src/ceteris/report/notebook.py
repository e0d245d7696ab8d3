"""The report as an executed notebook: it reads the findings beside it and shows tables and figures with comments."""

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import v4

from ceteris.analysis.finals import model_titles
from ceteris.analysis.results import results_info
from ceteris.errors import StoreError
from ceteris.figures import figures
from ceteris.findings import StudyFindings
from ceteris.report import sentences
from ceteris.report.budgets import budget_sentences, saved_sentence
from ceteris.report.improvement import improvement_sentences
from ceteris.report.outlook import command, outlook_sentences
from ceteris.report.search_tables import search_tables
from ceteris.report.search_words import decision_text, search_text, strategy_words

START_SECONDS = 180  # a kernel on a busy machine may take long to answer
CELL_SECONDS = 300
SET_UP = """\
import warnings
from pathlib import Path

from ceteris.analysis.results import results_info
from ceteris.figures import figures
from ceteris.report import tables
from ceteris.store import read_findings

warnings.filterwarnings("ignore")
findings = read_findings(Path("findings.safetensors"))
results = results_info(findings)  # the finals, evaluated on the test labels
table = {entry.name: entry for entry in tables(findings, results)}
figure = {entry.name: entry for entry in figures(findings, results)}
print(f"{findings.title}: {len(table)} tables and {len(figure)} figures")"""


def notebook_report(findings: StudyFindings, folder: Path) -> bytes:
    """Return the executed notebook; it is executed in ``folder``, where ``findings.safetensors`` must lie.

    It needs a thread without a running event loop, so within a notebook of your own call it from another thread.

    Raises:
        StoreError: the findings are not there, the kernel does not start or a cell fails.
    """
    if not (folder / "findings.safetensors").is_file():
        raise StoreError(
            f"The notebook reads findings.safetensors in {folder}, and there is none. Write it first with "
            "ceteris.store.write_findings, or leave the format ipynb out."
        )
    notebook = _with_fixed_ids(unexecuted(findings))
    _execute(notebook, folder)
    return (json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode("utf-8")


def unexecuted(findings: StudyFindings) -> Any:
    """Return the notebook before it is executed."""
    notebook = _made("notebook")
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.cells = [
        _made("markdown_cell" if kind == "words" else "code_cell", source) for kind, source in _cells(findings)
    ]
    return notebook


def _made(part: str, *source: str) -> Any:
    make: Callable[..., Any] = getattr(v4, f"new_{part}")  # nbformat has no types
    return make(*source)


def _with_fixed_ids(notebook: Any) -> Any:
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:03d}"
    return notebook


def _execute(notebook: Any, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ceteris-notebook-") as scratch:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            startup_timeout=START_SECONDS,
            record_timing=False,
            extra_arguments=["--log-level=40"],
            resources={"metadata": {"path": str(folder)}},
        )
        # Made by the client, so that the client also ends it; and only with this interpreter's own kernel, because a
        # kernel "python3" that the user installed may be another Python.
        manager = client.create_kernel_manager()
        manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
        manager.connection_file = str(Path(scratch) / "kernel.json")
        try:
            asyncio.run(client.async_execute(env=_environment(Path(scratch))))
        except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError, OSError) as error:
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise StoreError(
                f"The notebook could not be executed ({reason}). Run `python -m ipykernel --version` to see whether the "
                "kernel works, or leave the format ipynb out."
            ) from error


def _environment(scratch: Path) -> dict[str, str]:
    quiet = {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "IPYTHONDIR": str(scratch / "ipython"), "MPLBACKEND": "agg"}
    return os.environ | quiet


def _cells(findings: StudyFindings) -> Iterator[tuple[str, str]]:
    results = results_info(findings)
    names = {entry.name: entry for entry in figures(findings, results)}
    yield "words", _heading(findings)
    yield "code", SET_UP
    yield "words", f"## The answer\n\n{_plain(sentences.answer(findings, results))}"
    gains = "\n".join(f"- {_plain(sentence)}" for sentence in improvement_sentences(findings))
    yield "words", f"### Improvement over the baseline, measured on fresh seeds\n\n{gains}"
    yield "code", 'table["improvement"]'
    yield "words", f"### What helped\n\n{_plain(strategy_words(findings).how)}"
    yield "code", 'table["what_helped"]'
    yield "code", 'table["test_results"]'
    yield "words", "## The data\n\nWhat is in the data set, and what the images look like."
    yield "code", 'table["data"]'
    yield from _figures(names, "data")
    yield "words", "## The models\n\nStructure and training of every model, baseline and best, side by side."
    yield "code", 'table["models"]'
    yield "words", _exploration_words(findings)
    yield from _figures(names, "exploration", model="")
    for name, title in model_titles(findings).items():
        yield from _model_cells(findings, names, name, title)
    yield from _search_cells(findings)
    yield "words", "## Final training\n\nThe baseline and the best setting of every model on the whole training set."
    yield from _figures(names, "training")
    fits = "\n".join(f"- {_plain(sentences.fit_sentence(findings, results, model))}" for model in findings.models)
    yield "words", f"### Over- and underfitting\n\n{fits}"
    yield "code", 'table["fit"]'
    yield "code", 'table["costs"]'
    yield "words", f"## Test results\n\n{sentences.looks_sentence(findings)}"
    yield from _figures(names, "results")
    yield "code", 'table["model_comparisons"]'
    yield "code", 'table["class_results"]'
    for section, title in (
        ("residual", "Residual connections"),
        ("explanations", "Explanations"),
        ("errors", "Single images"),
    ):
        cells = list(_figures(names, section))
        if cells:
            yield "words", f"## {title}"
            yield from cells
    listed = "\n".join(f"- {_plain(sentence)}" for sentence in sentences.conclusions(findings, results))
    yield "words", f"## Conclusions\n\n{listed}"
    yield "words", "## To repeat it\n\nEvery hyperparameter, the framework's defaults included, and the packages."
    yield "code", 'table["recipes"]'
    yield "code", 'table["packages"]'


def _heading(findings: StudyFindings) -> str:
    people = " · ".join(part for part in (findings.group, findings.author, findings.date) if part)
    note = f"\n\n**About the data:** {_plain(findings.data.note)}" if findings.data.note else ""
    return f"# {_plain(findings.title or findings.name)}\n\n{_plain(findings.question)}\n\n{_plain(people)}{note}"


def _exploration_words(findings: StudyFindings) -> str:
    words = strategy_words(findings)
    return f"## The exploration\n\nStrategy: {words.name}. {_plain(words.how)}"


def _model_cells(findings: StudyFindings, names: dict[str, Any], name: str, title: str) -> Iterator[tuple[str, str]]:
    model = next(entry for entry in findings.models if entry.name == name)
    told = [text for text in (search_text(model), saved_sentence(model), *budget_sentences(model)) if text]
    decisions = "\n".join(
        f"- **{_plain(factor.title or factor.name)}**: {_plain(decision_text(factor))}" for factor in model.factors
    )
    yield "words", f"### {_plain(title)}\n\n{_plain(' '.join(told))}\n\n{decisions}"
    yield from _figures(names, "exploration", model=name)
    if model.factors:
        yield "code", f"table[{f'factors_{name}'!r}]"
    if model.candidates:
        yield "code", f"table[{f'candidates_{name}'!r}]"


def _search_cells(findings: StudyFindings) -> Iterator[tuple[str, str]]:
    """Show the tables of the whole search: those that the strategy gives rise to, the budgets, and what is open."""
    for table in search_tables(findings):
        if not table.name.startswith("candidates_"):
            yield "code", f"table[{table.name!r}]"
    if any(model.factors for model in findings.models):
        yield "code", 'table["costs_effort"]'
    open_questions = outlook_sentences(findings)
    if open_questions:
        go_on = command(findings)
        code = f"\n\n`{go_on}`" if go_on else ""
        yield "words", f"## What would decide it\n\n{_plain(' '.join(open_questions))}{code}"
        yield "code", 'table["costs_to_decide"]'


def _figures(names: dict[str, Any], section: str, model: str | None = None) -> Iterator[tuple[str, str]]:
    for name, entry in names.items():
        if entry.section == section and model in (None, entry.model):
            yield "words", _plain(entry.caption)
            yield "code", f"figure[{name!r}]"


def _plain(text: str) -> str:
    """Escape what Markdown would read as markup."""
    for mark in "\\`*_{}[]<>$#|":
        text = text.replace(mark, f"\\{mark}") if mark != "<" else text.replace("<", "&lt;")
    return text
