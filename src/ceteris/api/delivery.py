"""What is handed over: findings, report, and for every final model its weights, log and a page that says how to use it."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ceteris.api.bundle import ModelCard, write_model
from ceteris.api.gathering import Run, finished_finals
from ceteris.api.questions import FinalModel, card_of
from ceteris.execution.progress import Progress
from ceteris.findings import StudyFindings
from ceteris.records import Record
from ceteris.report import write_report
from ceteris.store import write_bytes, write_findings
from ceteris.study.model_experiment import ModelResult


def write_delivery(
    findings: StudyFindings,
    outcomes: Sequence[ModelResult],
    run: Run,
    folder: Path,
    formats: Sequence[str],
    progress: Progress,
    *,
    original: str,
) -> None:
    """Write everything into the result folder; ``original`` is the user's own study file, '' where there is none.

    Raises:
        StoreError: when something cannot be written.
    """
    progress.phase("writing the weights")
    write_findings(findings, folder / "findings.safetensors")
    write_bytes(folder / "study.toml", run.study_text.encode())
    if original:
        write_bytes(folder / "study-original.toml", original.encode())
    else:
        (folder / "study-original.toml").unlink(missing_ok=True)
    for final in best_of_each_version(finished_finals(outcomes)):
        write_model_folder(folder / "models" / f"{final.model}-{final.version}", final, run)
    progress.phase("writing the report")
    write_report(findings, folder, formats=tuple(formats), progress=progress.phase)


def best_of_each_version(finals: Sequence[FinalModel]) -> list[FinalModel]:
    """Return, for every model and version, the seed with the highest validation accuracy (the first of equals)."""
    chosen: dict[tuple[str, str], FinalModel] = {}
    for final in finals:
        key = (final.model, final.version)
        if key not in chosen or final.record.accuracy > chosen[key].record.accuracy:
            chosen[key] = final
    return list(chosen.values())


def write_model_folder(folder: Path, final: FinalModel, run: Run) -> None:
    """Write one model's weights, its training log per iteration and per epoch, and its README."""
    card = card_of(final, run.data_set, run.study)
    write_model(folder / "model.safetensors", card, run.store.weights(final.record.digest))
    write_bytes(folder / "iterations.csv", _iterations_csv(final.record).encode())
    write_bytes(folder / "epochs.csv", _epochs_csv(final.record).encode())
    write_bytes(folder / "README.md", _readme(card, folder.name).encode())


def _iterations_csv(record: Record) -> str:
    assert record.iterations is not None
    assert record.epochs is not None
    log = record.iterations
    per_epoch = len(log.loss) // len(record.epochs.seconds)
    rows = (
        (number, (number - 1) // per_epoch + 1, *values)
        for number, values in enumerate(zip(log.loss, log.accuracy, log.learning_rate, strict=True), start=1)
    )
    return _csv(("iteration", "epoch", "train_loss", "train_accuracy", "learning_rate"), rows)


def _epochs_csv(record: Record) -> str:
    assert record.epochs is not None
    names = tuple(record.epochs.__dataclass_fields__)
    columns = [getattr(record.epochs, name) for name in names]
    return _csv(
        ("epoch", *names), ((epoch, *values) for epoch, values in enumerate(zip(*columns, strict=True), start=1))
    )


def _csv(header: Sequence[str], rows: object) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([value.item() if hasattr(value, "item") else value for value in row] for row in rows)  # type: ignore[attr-defined]
    return text.getvalue()


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
