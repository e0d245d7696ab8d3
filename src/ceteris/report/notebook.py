"""The report as an executed notebook that is the work itself: data, split, layers, training, cross-validation, test, in code.

It runs alone in an empty folder: tables, curves and, where they are small, weights are packed into it.
"""

import asyncio
import base64
import json
import logging
import os
import tempfile
import textwrap
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import v4

from ceteris.analysis.results import ModelResults, Results, VersionResults
from ceteris.data import ReadOptions
from ceteris.errors import CeterisError, StoreError
from ceteris.files import open_regular
from ceteris.formats import duration
from ceteris.recipe import L1, L2, ReduceOnPlateau
from ceteris.report import words
from ceteris.report.html import template
from ceteris.report.search_words import search_text
from ceteris.report.tables import described, tables

if TYPE_CHECKING:
    from ceteris.study import Study
    from ceteris.training.source import ModelCode

START_SECONDS = 180  # a kernel on a busy machine may take long to answer
CELL_SECONDS = 300
EMBEDDED_BYTES = 2_000_000  # of all weights together, up to which they are packed into the notebook
ANSWERS = 50  # first test images whose recorded answers are compared with those of the written-out network
SAMPLE = 600  # training images of what is trained in the notebook
_TABLES = ("models", "what_helped", "fit", "costs", "test_results", "model_comparisons")
_MOST_EPOCHS, _FEW_EPOCHS = 5, 3


def notebook_report(
    results: Results, folder: Path, *, execute: bool = True, train: bool = False, data_dir: Path | None = None
) -> bytes:
    """Return the notebook, executed in an empty folder unless ``execute`` is off or it is to ``train`` everything again.

    Weights are taken from ``folder``/models. Executing it needs a thread without a running event loop, so within a notebook
    of your own call it from another thread.

    Args:
        results: of the study.
        folder: of the study's result.
        execute: whether the cells are run; where that fails the notebook has no outputs, and the log says why.
        train: whether it runs the whole study again instead of reading what was stored.
        data_dir: where named data sets are looked for while it is executed.
    """
    notebook = unexecuted(results, folder, train=train)
    if execute and not train:
        try:
            with tempfile.TemporaryDirectory(prefix="ceteris-notebook-") as scratch:
                work = Path(scratch) / "work"
                work.mkdir()
                embedded = bool(_weights(results, folder))
                _execute(notebook, work, Path(scratch), folder, data_dir, embedded=embedded)
        except StoreError as error:
            logging.getLogger("ceteris").warning("%s", error)
            notebook = unexecuted(results, folder, train=train)
            make: Any = v4
            told = f"**It was not executed here.** {_plain(str(error))}"
            notebook.cells.insert(1, make.new_markdown_cell(told, id="not-executed"))
    return (json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode("utf-8")


def unexecuted(results: Results, folder: Path, *, train: bool = False) -> Any:
    """Return the notebook before it is executed."""
    make: Any = v4  # nbformat has no types
    notebook = make.new_notebook()
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for number, (kind, source) in enumerate(_cells(results, folder, train=train), start=1):
        cell = make.new_markdown_cell(source) if kind == "text" else make.new_code_cell(source)
        cell["id"] = f"cell-{number:03d}"
        if kind == "hidden":
            cell["metadata"] = {"jupyter": {"source_hidden": True}, "cellView": "form", "tags": ["hide-input"]}
        notebook.cells.append(cell)
    return notebook


def _execute(notebook: Any, work: Path, scratch: Path, folder: Path, data_dir: Path | None, *, embedded: bool) -> None:
    """Run the cells in the empty folder ``work``; ``embedded`` says that the weights are in the notebook."""
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
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "CETERIS_OFFLINE": "1",  # writing a report downloads nothing
        "PYTHONSAFEPATH": "1",  # modules are not looked for in the working folder
    }
    downloads = folder.parent / "store" / "data" / "downloads"  # of a study that ran without a name for its store
    if data_dir is not None or ("CETERIS_DATA" not in os.environ and downloads.is_dir()):
        settings["CETERIS_DATA"] = str((data_dir or downloads).resolve())
    if not embedded and (folder / "models").is_dir():  # they are found as on the reader's machine
        (work / "models").symlink_to((folder / "models").resolve(), target_is_directory=True)
    try:
        asyncio.run(client.async_execute(env=os.environ | settings))
    except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise StoreError(
            f"The notebook could not be executed ({reason}). It has no outputs; run it where its data can be found. "
            "`python -m ipykernel --version` says whether the kernel works."
        ) from error


# ---------------------------------------------------------------------------------------------------------------------
# The cells


def _cells(results: Results, folder: Path, *, train: bool) -> Iterator[tuple[str, str]]:
    """Yield kind ("text", "code", "hidden") and source of every cell, as the template separates them."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(template), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"plain": _plain, "literal": _literal, "duration": duration}
    text = environment.get_template("notebook.jinja").render(_content(results, folder) | {"train": train})
    for part in text.removeprefix("%% ").split("\n%% "):
        kind, _, source = part.partition("\n")
        yield kind, source.strip("\n")


def _content(results: Results, folder: Path) -> dict[str, Any]:
    """Return what the template fills in."""
    study, codes = _study(results.study_text), _codes(results)
    weights = _weights(results, folder)
    convolutional = [model.name for model in results.models if model.best.model.kind in ("cnn", "resnet")]
    data, own = results.data, results.words
    sentences = [
        f"{data.title or data.name}: {data.problem.rstrip('.')}.",
        f"The label is {data.label_meaning.rstrip('.')}.",
        f"{data.train_count:,} training and {data.test_count:,} test images, {len(data.classes)} classes.",
        f"{data.note.rstrip('.')}." if data.note else "",
    ]
    reading = asdict(study.reading) if study else {}
    return {
        "results": results,
        "embedded": bool(weights),
        "packed": _packed(results, folder, weights),
        "data": study.data if study else data.name,
        "reading": {name: value for name, value in reading.items() if value != getattr(ReadOptions(), name)},
        "data_text": " ".join(filter(None, sentences)),
        "seed": study.seed if study else 0,
        "validation": (study.final.validation if study else 0.0) or 0.1,
        "sample": SAMPLE,
        "models": [_model(model, codes[model.name]) for model in results.models],
        "training": _training(results, codes),
        "exploration": " ".join([words.exploration_text(results), *(search_text(model) for model in results.models)]),
        "fit": words.fit_sentences(results),
        "mistakes": words.mistakes_sentences(results),
        "residual": words.residual_sentences(results),
        "convolutional": convolutional,
        "conclusions": words.conclusions(results),
        "own": [
            (title, text)
            for title in ("conclusion", "reflection", "contributions", "statement")
            if (text := getattr(own, title))
        ],
    }


def _study(text: str) -> "Study | None":
    """Return the study that ran, None where its text is none of this version."""
    from ceteris.study import parse_study  # the rest of a report is written without torch

    with suppress(CeterisError):
        return parse_study(text)
    return None


def _codes(results: Results) -> dict[str, "ModelCode"]:
    """Return the best recipe of every model as source, made of the recipe alone: nothing that was received becomes code."""
    from ceteris.study.arms import arms_of
    from ceteris.training.source import code_of

    study, codes = _study(results.study_text), {}
    for model in results.models:
        compared = (
            factor
            for factor in (study.factors if study else ())
            if (not factor.models or model.name in factor.models)
            and all(field.split(".")[0] == "optimizer" for field in factor.fields)
        )
        factor = next(compared, None)
        codes[model.name] = code_of(
            model.name,
            model.best,
            arms_of(factor, model.baseline).recipes if factor else {},
            input_shape=results.data.image_shape,
            classes=len(results.data.classes),
            about=f"The best {model.name} of the study {results.name}.",
        )
    return codes


def _model(model: ModelResults, code: "ModelCode") -> dict[str, Any]:
    return {
        "name": model.name,
        "label": model.label,
        "words": model.words,
        "code": code,
        "text": f"Its structure: {described(model.best.model)}. {words.improvement_sentence(model)}".strip(),
        "levels": f"factors_{model.name}" if model.factors else "models",
    }


def _training(results: Results, codes: dict[str, "ModelCode"]) -> dict[str, Any]:
    """Return what is trained in the notebook: the best recipe of the smallest model that can be written out."""
    models = [model for model in results.models if codes[model.name].layers and codes[model.name].optimizer]
    if not models:
        return {"name": "", "text": "", "schedule": "1.0", "schedule_import": "", "penalty": ""}
    model = min(models, key=lambda entry: entry.best_summary.flops)
    recipe, code = model.best, codes[model.name]
    scaled = [
        (f"learning rate x {factor:g}", f"torch.optim.SGD(model.parameters(), lr={0.05 * factor:g}, momentum=0.9)")
        for factor in (0.1, 1, 10)
    ]
    notes = [
        f"It is shown for the best {model.label}: {described(recipe.optimizer)}, mini-batches of {recipe.batch_size}."
    ]
    if recipe.augmentation:
        shown = ", ".join(described(entry) for entry in recipe.augmentation)
        notes.append(f"The study's training also changed the images ({shown}); that is left out here.")
    if recipe.loss.kind != "cross-entropy":
        notes.append(f"The study's loss was {described(recipe.loss)}; here it is the cross-entropy.")
    imported, schedule = _schedule(recipe.schedule)
    return {
        "name": model.name,
        "model_label": model.label,
        "text": " ".join(notes),
        "class_name": code.name,
        "optimizer": code.optimizer,
        "schedule_import": imported,
        "schedule": schedule,
        "penalty": _penalty(recipe.penalty),
        "batch_size": recipe.batch_size,
        "epochs": min(recipe.epochs, _MOST_EPOCHS),
        "few_epochs": min(recipe.epochs, _FEW_EPOCHS),
        "all_epochs": results.final_epochs or recipe.epochs,
        "options": code.options if len(code.options) > 1 else scaled,
        "compared": len(code.options) > 1,
    }


def _schedule(choice: Any) -> tuple[str, str]:
    """Return the import and the expression of a schedule as a function of progress."""
    if choice.kind == "none" and not getattr(choice, "warmup", 0.0):
        return "", "1.0  # it stays the same"
    if isinstance(choice, ReduceOnPlateau):
        return (
            "",
            "1.0  # the study lowered it when the loss stopped falling, which takes more epochs than are trained here",
        )
    function = "constant" if choice.kind == "none" else choice.kind.replace("-", "_")
    given = ", ".join(f"{name}={value!r}" for name, value in vars(choice).items() if name != "kind")
    return f"from ceteris.techniques.schedules import {function}", f"{function}(progress, {given})"


def _penalty(choice: Any) -> str:
    """Return the term that a penalty adds to the loss, '' for none; see ceteris.techniques.regularisation."""
    of = "for weight in model.parameters() if weight.ndim >= 2)"
    match choice:
        case L1(strength=strength):
            return f"{strength!r} * sum(weight.abs().sum() {of}  # L1: many weights become 0"
        case L2(strength=strength):
            return f"{strength!r} * sum(weight.square().sum() {of}  # L2: all weights stay small"
        case _:
            return ""


# ---------------------------------------------------------------------------------------------------------------------
# What is packed into it


def _packed(results: Results, folder: Path, weights: dict[str, bytes]) -> list[str]:
    """Return tables, curves, recorded answers and weights as lines of base64."""
    wanted = {*_TABLES, *(f"factors_{model.name}" for model in results.models)}
    stored = {
        "study": results.study_text,
        "tables": {
            table.name: {
                "title": table.title,
                "columns": [column.title for column in table.brief().columns],
                "rows": table.brief().texts(),
            }
            for table in tables(results)
            if table.name in wanted
        },
        "curves": {model.name: _curves(model) for model in results.models if model.version()},
        "answers": _answers(results, folder),
        "weights": {name: base64.b64encode(raw).decode() for name, raw in weights.items()},
    }
    packed = base64.b64encode(zlib.compress(json.dumps(stored).encode(), 9)).decode()
    return textwrap.wrap(packed, 120)


def _curves(model: ModelResults) -> dict[str, Any]:
    """Return the learning curves of a model's best and plain version at the first seed that kept them."""
    return {
        version.version: curves
        for version in model.versions
        if version.version != "baseline" and (curves := _curve(version))
    }


def _curve(version: VersionResults) -> dict[str, Any]:
    final = next((final for final in version.finals if final.epochs is not None), None)
    if final is None or final.epochs is None:
        return {}
    kept = {
        "train_loss": final.epochs.train_loss,
        "train_accuracy": final.epochs.train_accuracy,
        "validation_loss": final.epochs.validation_loss,
        "validation_accuracy": final.epochs.validation_accuracy,
        "test_loss": final.test_curve_loss,
        "test_accuracy": final.test_curve_accuracy,
    }
    numbers = {name: np.round(values, 5).tolist() for name, values in kept.items()}
    return {"title": version.title, "best_epoch": final.best_epoch} | numbers


def _weights(results: Results, folder: Path) -> dict[str, bytes]:
    """Return the files of the best versions' weights, none where they are too large together or one is missing."""
    found: dict[str, bytes] = {}
    for model in results.models:
        if model.best.model.kind == "custom" or not model.version():
            continue
        try:
            with open_regular(folder / "models" / f"{model.name}-best" / "model.safetensors", EMBEDDED_BYTES) as file:
                found[model.name] = file.read()
        except (OSError, ValueError, StoreError):
            return {}
    return found if sum(map(len, found.values())) <= EMBEDDED_BYTES else {}


def _answers(results: Results, folder: Path) -> dict[str, list[list[float]]]:
    """Return what the networks whose weights lie in the folder said to the first test images, by model."""
    answers = {}
    for best in results.best:
        digest = _digest(folder / "models" / f"{best.model}-best" / "model.safetensors")
        for final in best.finals:
            if final.digest == digest:
                answers[best.model] = np.round(final.probabilities[:ANSWERS].astype(float), 5).tolist()
    return answers


def _digest(file: Path) -> str:
    """Return the digest of the training that a file of weights names in its header, '' where there is none."""
    try:
        with open_regular(file, 1 << 34) as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(min(length, 1 << 24)))
        return str(json.loads(header["__metadata__"]["ceteris.model"])["trial"])
    except (OSError, ValueError, KeyError, TypeError, StoreError):
        return ""


# ---------------------------------------------------------------------------------------------------------------------
# Names and sentences, which only ever become text


def _plain(text: str) -> str:
    """Escape what Markdown would read as markup, and what would begin a cell."""
    for mark in "\\`*_{}[]<>$#|":
        text = text.replace(mark, f"\\{mark}") if mark != "<" else text.replace("<", "&lt;")
    return text.replace("%%", "%&#37;")


def _literal(value: Any) -> str:
    """Write a value as Python, on one line."""
    return ascii(list(value) if isinstance(value, tuple) else value)
