"""What a study gives back: its findings as tables and figures, and the folder with its report and its models."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from matplotlib.figure import Figure

from ceteris.analysis.results import Results, results_of
from ceteris.api.collect import FinalModel, TrainedStudy
from ceteris.api.model import ModelCard, write_model
from ceteris.errors import ConfigError, did_you_mean
from ceteris.figures import figures
from ceteris.findings import StudyFindings
from ceteris.report import Table, tables, write_report
from ceteris.report.table import columns, made
from ceteris.store import mark_own, read_findings, write_bytes, write_findings


@dataclass(frozen=True)
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
        return known[name].figure()

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
    write_findings(findings, folder / "findings.safetensors")
    mark_own(folder / "findings.safetensors")
    write_bytes(folder / "study.toml", findings.study_text.encode())
    if original:
        write_bytes(folder / "study-original.toml", original.encode())
    else:
        (folder / "study-original.toml").unlink(missing_ok=True)
    best: dict[str, FinalModel] = {}  # of every version the seed with the best validation accuracy, the first of equals
    for final in trained.finals:
        name = f"{final.card.name}-{final.card.version}"
        if name not in best or final.record.accuracy > best[name].record.accuracy:
            best[name] = final
    for name, final in best.items():
        _write_model_folder(folder / "models" / name, final, trained)
    tell("writing the report")
    write_report(findings, folder, formats=trained.options.formats, progress=tell)
    return Result(findings=findings, folder=folder)


def _write_model_folder(folder: Path, final: FinalModel, trained: TrainedStudy) -> None:
    """Write one model's weights, its training log per iteration and per epoch, and its README."""
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
    write_bytes(folder / "iterations.csv", _csv(iterations))
    history = {field.name: getattr(epochs, field.name).tolist() for field in fields(epochs)}
    write_bytes(folder / "epochs.csv", _csv({"epoch": range(1, len(epochs.seconds) + 1)} | history))
    write_bytes(folder / "README.md", _readme(final.card, folder.name).encode())


def _csv(titles: Mapping[str, Iterable[float]]) -> bytes:
    return made("log", "", columns(*titles), zip(*titles.values(), strict=True)).csv().encode()


def _readme(card: ModelCard, folder: str) -> str:
    channels, height, width = card.input_shape
    note = f"\n{card.note}\n" if card.note else ""
    return f"""# {card.name} ({card.version})

Trained by the study "{card.study}" on {card.data}: {len(card.classes)} classes, images of {height} x {width} pixels with
{channels} channel{"s" if channels > 1 else ""}. Weights of epoch {card.best_epoch}, seed {card.seed}; accuracy on the
validation images {card.validation_accuracy:.4f}.
{note}
`model.safetensors` holds the weights and, in its header, the recipe, the class names and how images are standardised.

    ceteris predict {folder}/model.safetensors picture.png
    ceteris evaluate {folder}/model.safetensors --data mnist
    ceteris summary {folder}/model.safetensors

In Python:

    import ceteris
    model = ceteris.read_model("{folder}/model.safetensors")
    probabilities = model.probabilities(images)   # images: uint8 (n, {channels}, {height}, {width})

`iterations.csv` is the log of the training, mini-batch by mini-batch; `epochs.csv` has one row per epoch.
Trial {card.trial}.
"""
