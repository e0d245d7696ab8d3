"""Results in a terminal: tables for people; the same as plain values for programs.

What the tables are about is imported for its types alone, so that a plan prints its own without loading reports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from ceteris.formats import clock
from ceteris.records import Float32Array

if TYPE_CHECKING:
    from ceteris.api import Evaluation, Missing, ModelCard, Result
    from ceteris.findings import StudyFindings
    from ceteris.report import Table


_MOST_FAILURES = 8


def rich_table(
    title: str,
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    whole: Sequence[int] = (),
) -> RichTable:
    """Return a plain table for the terminal; columns in ``right`` are right-aligned, those in ``whole`` never folded."""
    made = RichTable(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for place, name in enumerate(titles):
        justify: Literal["left", "right"] = "right" if place in right else "left"
        made.add_column(name, justify=justify, overflow="fold", no_wrap=place in whole)
    for row in rows:
        made.add_row(*row)
    return made


def print_table(console: Console, table: "Table") -> None:
    """Print a table of the report."""
    numbers = [place for place, column in enumerate(table.columns) if column.kind != "text"]
    console.print(rich_table(table.title, [column.title for column in table.columns], table.texts(), right=numbers))


def print_result(console: Console, result: "Result") -> None:
    """Print what helped, the test results and where everything lies."""
    from ceteris.api.result import LOG_FILE

    if result.results.explored:
        print_table(console, result.table("what_helped").brief())
    print_table(console, result.table("test_results").only("model", "version", "accuracy", "low", "high", "F1", "AUC"))
    print_first_images(console, result)
    findings, failures = result.findings, result.table("failures")
    if failures.rows:
        print_table(console, replace(failures, rows=failures.rows[:_MOST_FAILURES]))
    classes = zip(findings.data.classes, findings.data.test_class_counts, strict=True)
    print_lines(
        console,
        absent_line([name for name, count in classes if not count], len(findings.data.classes)),
        f"Note: {findings.data.note}" if findings.data.note else "",
        f"{findings.trials_total} trainings ({findings.trials_failed} did not finish), "
        f"{clock(findings.training_seconds)} of training; the test set was looked at {len(findings.looks)} time"
        f"{'s' if len(findings.looks) != 1 else ''}.",
        unwritten_line(findings),
    )
    for name, text in (
        ("report.html", "Report"),
        ("report.pdf", "PDF"),
        ("report.ipynb", "Notebook"),
        ("models", "Weights"),
        ("log.txt", "Epochs"),
        *([(LOG_FILE, "Log")] if findings.trials_failed else []),
    ):
        if (result.folder / name).exists():
            console.print(f"{text + ':':10}{result.folder / name}", highlight=False, soft_wrap=True, markup=False)


def print_side_by_side(console: Console, results: Mapping[str, "Result"], folder: Path) -> None:
    """Print the test accuracies of several data sets side by side, and where the report over all lies."""
    from ceteris.report.side_by_side import side_by_side

    table = side_by_side({name: result.results for name, result in results.items()})
    shown = [column.title for column in table.columns if not column.title.endswith((": low", ": high"))]
    print_table(console, table.only(*shown))
    for name in ("report.html", "report.pdf"):
        if (folder / name).exists():
            console.print(f"Side by side: {folder / name}", highlight=False, soft_wrap=True, markup=False)


def print_first_images(console: Console, result: "Result") -> None:
    """Print what the models say of the first six test images, and what they are."""
    shown, classes = result.results.images.first, result.findings.data.classes
    rows = [
        (str(index), classes[label], *(classes[said] for said in shown.predictions[:, place]))
        for place, (index, label) in enumerate(zip(shown.indices.tolist(), shown.labels.tolist(), strict=True))
    ]
    if rows and shown.models:
        title = f"The first {len(rows)} test images, true and predicted"
        console.print(rich_table(title, ("image", "true", *shown.models[:6]), rows))


def unwritten_line(findings: "StudyFindings") -> str:
    """Return which own words of the study, its models and its factors are still empty, '' where none is."""
    empty = [", ".join(findings.words.empty)] if findings.words.empty else []
    factors = {factor.name: factor.words for model in findings.models for factor in model.factors}
    for kind, words in (("model", {model.name: model.words for model in findings.models}), ("factor", factors)):
        silent = [name for name, own in words.items() if not (own.hypothesis and own.why and own.conclusion)]
        if silent:
            names = ", ".join(silent[:6]) + (f" and {len(silent) - 6} more" if len(silent) > 6 else "")
            empty.append(f"hypothesis, why or conclusion of the {kind}{'s' if len(silent) > 1 else ''} {names}")
    told = f"You still have to write: {'; '.join(empty)} (keys of the study file, or a Markdown file beside it)."
    return told if empty else ""


def missing_lines(missing: Sequence["Missing"], brief: str | None) -> list[str]:
    """Say what a bundle lacks, one line for each kind."""
    wants = f"For brief {brief} you still have to" if brief else "You still have to"
    words = [f"{entry.name}{f' of {entry.of}' if entry.of else ''}" for entry in missing if entry.what == "words"]
    files = [entry.name for entry in missing if entry.what == "file"]
    kinds = {entry.what for entry in missing}
    lines = {
        "words": f"write: {', '.join(words)} (in the study file or a Markdown file beside it; then `ceteris run` again).",
        "file": f"make: {', '.join(files)} (`ceteris report RESULT`).",
        "people": "name the author or the group, in the study file.",
        "code": "hand in code: --code FILES.",
    }
    return [f"{wants} {line}" for kind, line in lines.items() if kind in kinds]


def result_json(result: "Result") -> dict[str, Any]:
    """Return the main tables of a result and where its files lie; a number that is not finite becomes None."""
    values: dict[str, Any] = {"folder": str(result.folder), "report": str(result.report)}
    for name in ("what_helped", "test_results", "test_results_by_seed", "model_comparisons", "failures"):
        table = result.table(name)
        rows = [
            [None if isinstance(cell, float) and not np.isfinite(cell) else cell for cell in row] for row in table.rows
        ]
        values[name] = [dict(zip((column.title for column in table.columns), row, strict=True)) for row in rows]
    return values


def print_sets(console: Console, rows: Sequence[Any]) -> None:
    """Print the known data sets."""
    cells = [
        (
            row.name,
            f"{row.train_count:,}\n{row.test_count:,}",
            str(row.classes),
            "×".join(map(str, row.image_shape))
            + (f"\n{row.download_bytes / 2**20:,.0f} MiB" if row.download_bytes else ""),
            row.licence,
            row.where or "not here",
        )
        for row in rows
    ]
    titles = ("name", "training\ntest", "classes", "shape\ndownload", "licence", "where")
    console.print(rich_table("Data sets known by name", titles, cells, right=(1, 2), whole=(0, 1, 2, 3)))
    console.print("Sources:", style="bold")
    for source in dict.fromkeys(row.source for row in rows):
        names = ", ".join(row.name for row in rows if row.source == source)
        console.print(f"  {names}: {source}", highlight=False, markup=False)
    console.print("A folder of class folders, a CSV, npz or Parquet file, or a pair of IDX files is given by its path.")


def print_evaluation(console: Console, card: "ModelCard", evaluation: "Evaluation") -> None:
    """Print what a model reached on labelled images."""
    rows = [
        (name, *(f"{share:.4f}" if count else "–" for share in shares), f"{count:,}")
        for name, *shares, count in evaluation.per_class
    ]
    titles = ("class", "precision", "recall", "F1", "images")
    title = f"{card.name} ({card.version}) on {evaluation.title}"
    console.print(rich_table(title, titles, rows, right=(1, 2, 3, 4)))
    interval, absent = evaluation.accuracy, evaluation.absent
    print_lines(
        console,
        f"accuracy {100 * interval.estimate:.2f} % (95 % interval {100 * interval.low:.2f} to {100 * interval.high:.2f}), "
        f"macro precision {evaluation.precision:.4f}, recall {evaluation.recall:.4f}, F1 {evaluation.f1:.4f}, "
        f"ROC AUC {evaluation.auc:.4f}, loss {evaluation.loss:.4f} on {evaluation.images:,} images",
        absent_line(absent, len(evaluation.classes)),
        f"Note: {evaluation.note}" if evaluation.note else "",
        f"Looks at this test set so far: {evaluation.looks}.",
    )


def absent_line(absent: Sequence[str], classes: int) -> str:
    """Say over which classes averages are taken, '' when over all."""
    if not absent:
        return ""
    more = f" and {len(absent) - 10} more" if len(absent) > 10 else ""
    return (
        f"No image of {', '.join(absent[:10])}{more}: precision, recall, F1 and AUC are averages over the other "
        f"{classes - len(absent)} of {classes} classes."
    )


def print_lines(console: Console, *lines: str) -> None:
    """Print sentences, wrapped between words at the width of the terminal; empty ones are left out."""
    for line in filter(None, lines):
        console.print(line, highlight=False, markup=False)


def evaluation_json(evaluation: "Evaluation") -> dict[str, Any]:
    """Return an evaluation as plain values."""
    interval = evaluation.accuracy
    shares = {"accuracy": interval.estimate, "accuracy_low": interval.low, "accuracy_high": interval.high}
    as_it_is = ("images", "precision", "recall", "f1", "auc", "loss", "looks")
    titles = ("class", "precision", "recall", "f1", "images")
    return {
        **shares,
        **{name: getattr(evaluation, name) for name in as_it_is},
        "absent": list(evaluation.absent),
        "per_class": [dict(zip(titles, row, strict=True)) for row in evaluation.per_class],
        "confusion": evaluation.confusion.tolist(),
    }


def prediction_csv(classes: Sequence[str], files: Sequence[Path], probabilities: Float32Array) -> bytes:
    """Return a CSV file with a row per picture: its path, its class and the probability of every class."""
    from ceteris.report.table import columns, made

    best = probabilities.argmax(1)
    rows = [
        (str(file), classes[place], *map(float, shares))
        for file, place, shares in zip(files, best, probabilities, strict=True)
    ]
    return made("predictions", "", columns("file", "class", *classes), rows).csv().encode()


def prediction_rows(
    classes: Sequence[str], files: Sequence[Path], probabilities: Float32Array, top: int
) -> list[dict[str, Any]]:
    """Return, file by file, the most probable classes with their probabilities."""
    rows = []
    for file, shares in zip(files, probabilities, strict=True):
        best = np.argsort(-shares, kind="stable")[: max(1, top)]
        answers = [{"class": classes[place], "probability": round(float(shares[place]), 6)} for place in best]
        rows.append({"file": str(file), "answers": answers})
    return rows


def print_predictions(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    """Print the predictions for pictures."""
    cells = [
        (row["file"], "  ".join(f"{answer['class']} {100 * answer['probability']:.1f} %" for answer in row["answers"]))
        for row in rows
    ]
    console.print(rich_table("Predictions", ("picture", "classes"), cells))
