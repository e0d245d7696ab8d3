"""What a study gives back: its findings as tables and figures, and the folder with its report and its models."""

import math
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path

from matplotlib.figure import Figure

from ceteris.analysis.results import Results, results_of
from ceteris.api.collect import TrainedStudy
from ceteris.api.insights import FinalModel
from ceteris.api.model import CODE_FOLDER, ModelCard, write_model
from ceteris.data import find_named
from ceteris.errors import ConfigError, did_you_mean
from ceteris.figures import figures
from ceteris.figures.report_figure import to_png
from ceteris.files import open_regular
from ceteris.findings import FinalFinding, StudyFindings
from ceteris.report import FORMATS, Table, tables, write_report
from ceteris.report.table import columns, made
from ceteris.report.words import training_log
from ceteris.store import mark_own, read_findings, write_bytes, write_findings
from ceteris.study import study_text, toml_tree
from ceteris.study.trials import own_code
from ceteris.user_code import ALLOWED_UNASKED, code_files

LOG_FILE = "ceteris.log"
TRAINING_LOG = "log.txt"  # every epoch of every final training, for people
_MANIFEST = "files.txt"  # in a result folder: the files of the result, so that a later one leaves nothing of it behind


@dataclass(frozen=True, repr=False)
class Result:
    """The findings of a study and the folder that holds its report; a notebook shows its main tables."""

    findings: StudyFindings
    folder: Path

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @cached_property
    def results(self) -> Results:
        """What follows from the findings: what was explored and chosen, and what the finals answer on the test set."""
        return results_of(self.findings)

    @cached_property
    def tables(self) -> dict[str, Table]:
        """All tables of the report by name; each has ``.frame()`` (pandas), ``.rows`` and ``.csv()``."""
        return {table.name: table for table in tables(self.results)}

    def table(self, name: str) -> Table:
        """Return one table by its name.

        Raises:
            ConfigError: when there is no table of that name.
        """
        if name not in self.tables:
            raise ConfigError(
                f'table: "{name}" is not known.{did_you_mean(name, self.tables)} Known: {", ".join(self.tables)}.'
            )
        return self.tables[name]

    def figure(self, name: str) -> Figure:
        """Draw one figure of the report by its name.

        Raises:
            ConfigError: when there is no figure of that name.
        """
        known = {entry.name: entry for entry in figures(self.results)}
        if name not in known:
            raise ConfigError(f'figure: "{name}" is not known.{did_you_mean(name, known)} Known: {", ".join(known)}.')
        figure = known[name].figure()
        vars(figure)["_repr_png_"] = partial(to_png, figure, dpi=110)  # notebooks show it, without any magic
        return figure

    def __repr__(self) -> str:
        findings = self.findings
        models = ", ".join(model.title for model in findings.models)
        return (
            f'<Result of the study "{findings.name}" in {self.folder}: {models}; {findings.trials_total} trainings, '
            f"{len(self.tables)} tables in .tables, report in .report>"
        )

    def _repr_html_(self) -> str:
        return "".join(self.table(name)._repr_html_() for name in ("what_helped", "test_results"))


def open_result(folder: str | Path) -> Result:
    """Return the result that lies in a folder written by a study.

    Raises:
        StoreError: when there is none, or it is damaged.
    """
    place = Path(folder)
    return Result(findings=read_findings(place), folder=place)


# ---------------------------------------------------------------------------------------------------------------------
# The folder of a result


def write_result(
    findings: StudyFindings, trained: TrainedStudy, tell: Callable[[str], None], *, original: str
) -> Result:
    """Write findings, study, models and report into the result folder.

    ``original`` is the user's own study file with its comments, '' where there is none.

    Raises:
        StoreError: when something cannot be written.
    """
    folder = trained.options.out
    tell("writing the weights")
    _remove_result(folder)
    write_findings(findings, folder / "findings.safetensors")
    mark_own(folder / "findings.safetensors")
    write_bytes(folder / "study.toml", findings.study_text.encode())
    written = [folder / "findings.safetensors", folder / "study.toml"]
    (folder / "study-original.toml").unlink(missing_ok=True)  # of a study whose result was never finished
    if original:
        written.append(folder / "study-original.toml")
        write_bytes(written[-1], original.encode())
    best: dict[str, FinalModel] = {}  # of every version the seed with the best validation accuracy, the first of equals
    for final in trained.finals:
        name = f"{final.card.name}-{final.card.version}"
        if name not in best or final.record.accuracy > best[name].record.accuracy:
            best[name] = final
    for name, final in best.items():
        tested = next(found for found in findings.finals if found.digest == final.card.trial)
        written += _write_model_folder(folder / "models" / name, final, trained, tested)
    tell("writing the report")
    options = trained.options
    written += write_report(
        findings,
        folder,
        formats=options.formats,
        train=options.notebook_train,
        data_dir=options.data_dir or options.store / "data" / "downloads",
        progress=tell,
    )
    result = Result(findings=findings, folder=folder)
    written.append(folder / TRAINING_LOG)
    write_bytes(written[-1], training_log(result.results).encode())
    add_to_manifest(folder, written)
    return result


def add_to_manifest(folder: Path, written: Iterable[Path]) -> None:
    """Note files as those of the result, beside those that are noted already."""
    names = {file.relative_to(folder).as_posix() for file in written} | set(written_files(folder))
    write_bytes(folder / _MANIFEST, "".join(f"{name}\n" for name in sorted(names)).encode())


def claim_folder(folder: Path, study: str, *, overwrite: bool) -> None:
    """Make sure, before anything is trained, that the result of a study can be written into a folder at the end.

    An earlier result of the same study is replaced then, that of another one only to ``overwrite`` it.

    Raises:
        ConfigError: when the result of another study lies there.
        StoreError: when the folder cannot be written.
    """
    trial = folder / f".ceteris-{os.getpid()}"
    write_bytes(trial, b"")
    trial.unlink()
    if (folder / "findings.safetensors").exists():
        try:
            other = str(toml_tree(study_text(str(folder / "study.toml")))["name"])
        except (OSError, ValueError, KeyError):
            other = "unknown"
        if other != study and not overwrite:
            raise ConfigError(
                f'out: the result of another study ("{other}") lies in {folder}. Name another folder for "{study}" with --out, '
                "or add --overwrite (in Python: overwrite=True), which leaves nothing of the old result behind."
            )
        if other != study:
            (folder / LOG_FILE).unlink(missing_ok=True)


def written_files(folder: Path) -> list[str]:
    """Return the names of the files that a result consists of, inside its folder; none where no result is finished."""
    try:
        with open_regular(folder / _MANIFEST, 1 << 24) as manifest:
            names = manifest.read().decode("utf-8").splitlines()
    except (OSError, ValueError):
        return []
    root = folder.resolve()
    return [name for name in names if (folder / name).resolve().is_relative_to(root)]


def _remove_result(folder: Path) -> None:
    """Remove the files of an earlier result, and the folders that are empty then; other files are left alone."""
    names = written_files(folder)
    if not names:
        return
    names += [f"report.{suffix}" for suffix in FORMATS]  # `ceteris report` may have added one
    files = [folder / name for name in names]
    for file in files:
        with suppress(OSError):  # somebody else has removed it
            file.unlink()
    (folder / _MANIFEST).unlink(missing_ok=True)
    for place in sorted({place for file in files for place in file.parents if place != folder}, reverse=True):
        with suppress(OSError):  # not empty, or above the folder
            if place.is_relative_to(folder):
                place.rmdir()


def _write_model_folder(folder: Path, final: FinalModel, trained: TrainedStudy, tested: FinalFinding) -> list[Path]:
    """Write one model's weights, the code that they need, its training log per iteration and epoch, and its README."""
    epochs, log = final.record.epochs, final.record.iterations
    assert epochs is not None
    assert log is not None
    write_model(folder / "model.safetensors", final.card, trained.store.weights(final.record.digest))
    per_epoch = len(log.loss) // len(epochs.seconds)
    numbers = range(1, len(log.loss) + 1)
    iterations = {
        "iteration": numbers,
        "epoch": [(number - 1) // per_epoch + 1 for number in numbers],
        "train_loss": log.loss.tolist(),
        "train_accuracy": log.accuracy.tolist(),
        "learning_rate": log.learning_rate.tolist(),
    }
    history = {field.name: getattr(epochs, field.name).tolist() for field in fields(epochs)}
    if len(tested.test_curve_loss):
        history |= {"test_loss": tested.test_curve_loss.tolist(), "test_accuracy": tested.test_curve_accuracy.tolist()}
    code = code_files(own_code(final.card.recipe).values())
    files = {
        "iterations.csv": _csv(iterations),
        "epochs.csv": _csv({"epoch": range(1, len(epochs.seconds) + 1)} | history),
        "README.md": _readme(final.card, folder.name, _data_options(trained)).encode(),
        **{f"{CODE_FOLDER}/{name}": content for name, content in code.items()},
    }
    for name, content in files.items():
        write_bytes(folder / name, content)
    return [folder / name for name in ("model.safetensors", *files)]


def _csv(titles: Mapping[str, Iterable[float]]) -> bytes:
    return made("log", "", columns(*titles), zip(*titles.values(), strict=True)).csv().encode()


def _data_options(trained: TrainedStudy) -> str:
    """Return how a command names the data of a study: seen from anywhere where they are files."""
    data, data_dir = trained.study.data, trained.options.data_dir
    place = str(Path(data).resolve()) if Path(data).exists() and not find_named(data) else data
    return f"--data {shlex.quote(place)}" + (f" --data-dir {shlex.quote(str(data_dir.resolve()))}" if data_dir else "")


def _readme(card: ModelCard, folder: str, data: str) -> str:
    channels, height, width = card.input_shape
    note = f"\n{card.note}\n" if card.note else ""
    nothing = math.isnan(card.validation_accuracy)
    judged = "nothing held out" if nothing else f"accuracy on the\nvalidation images {card.validation_accuracy:.4f}"
    own = set(own_code(card.recipe).values()) - ALLOWED_UNASKED
    allow = " --allow-imports" if own else ""
    if own:
        note += f"\n`{CODE_FOLDER}/` holds the own code that it needs; reading the model runs it, so that has to be allowed.\n"
    return f"""# {card.name} ({card.version})

Trained by the study "{card.study}" on {card.data}: {len(card.classes)} classes, images of {height} x {width} pixels with
{channels} channel{"s" if channels > 1 else ""}. Weights of epoch {card.best_epoch}, seed {card.seed}; {judged}.
{note}
`model.safetensors` holds the weights and, in its header, the recipe, the class names and how images are standardised.
In the folder that holds this one:

    ceteris predict {folder} picture.png{allow}
    ceteris evaluate {folder} {data}{allow}
    ceteris summary {folder}{allow}

In Python:

    import ceteris
    model = ceteris.read_model("{folder}"{", allow_imports=True" if own else ""})
    probabilities = model.probabilities(images)   # images: (n, {channels}, {height}, {width}), bytes or floats in 0..1

`iterations.csv` is the log of the training, mini-batch by mini-batch; `epochs.csv` has one row per epoch.
`../../tables/costs_epochs.csv` and `../../log.txt` have every seed, and the test images after every epoch of the first one.
Trial {card.trial}.
"""
