"""Trained models at work: on a test set, whose ledger notes the look, and on single pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ceteris.api.bundle import TrainedModel
from ceteris.data import DataSet, read_pictures_of_shape
from ceteris.errors import DataError
from ceteris.evaluation import confusion_matrix, log_loss, precision_recall_f1, roc_one_vs_rest
from ceteris.findings import Look
from ceteris.records import Float32Array, IntArray
from ceteris.stats import Interval, wilson_interval
from ceteris.store import looks_at, record_look


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model reached on a test set; everything lies in 0..1 except ``loss`` (nats)."""

    images: int
    accuracy: Interval
    precision: float
    recall: float
    f1: float
    auc: float
    loss: float
    per_class: tuple[tuple[str, float, float, float, int], ...]
    confusion: IntArray  # (classes, classes), rows true
    looks: int


def evaluate_model(model: TrainedModel, data_set: DataSet, store: Path, *, reason: str) -> Evaluation:
    """Evaluate a model on the test part of a data set; the look is written into the ledger first.

    Raises:
        DataError: when images or classes do not fit the model.
        StoreError: when the ledger cannot be written; the test set stays shut.
    """
    _check_fit(model, data_set)
    look = Look(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        study=model.card.study,
        reason=reason,
        models=(model.card.trial[:16],),
    )
    test = data_set.test.open(record_look=lambda fingerprint: record_look(store, fingerprint, look))
    probabilities = model.probabilities(test.images)
    confusion = confusion_matrix(test.labels, probabilities.argmax(1), len(test.classes))
    scores = precision_recall_f1(confusion)
    return Evaluation(
        images=len(test),
        accuracy=wilson_interval(int(np.trace(confusion)), len(test)),
        precision=scores.macro.precision,
        recall=scores.macro.recall,
        f1=scores.macro.f1,
        auc=float(roc_one_vs_rest(probabilities, test.labels).macro.auc),
        loss=log_loss(probabilities, test.labels),
        per_class=tuple(
            (name, float(scores.precision[k]), float(scores.recall[k]), float(scores.f1[k]), int(scores.support[k]))
            for k, name in enumerate(test.classes)
        ),
        confusion=confusion,
        looks=len(looks_at(store, data_set.test.fingerprint)),
    )


def _check_fit(model: TrainedModel, data_set: DataSet) -> None:
    card = model.card
    if data_set.test.image_shape != card.input_shape:
        raise DataError(
            f"data: the model takes images of {card.input_shape} (channels, height, width); {data_set.title} has "
            f"{data_set.test.image_shape}. Choose the data that the model was trained for."
        )
    if data_set.test.classes != card.classes:
        raise DataError(
            f"data: the model knows the classes {', '.join(card.classes[:10])} …; {data_set.title} has "
            f"{', '.join(data_set.test.classes[:10])} …. Their names and their order must agree."
        )


def predict_pictures(model: TrainedModel, files: Sequence[Path], *, invert: bool = False) -> Float32Array:
    """Return class probabilities float32 (files, classes) for picture files, read as the model's training pictures were.

    A picture of another size is brought to the model's size by the ``fit`` of the study (pad, crop or stretch).

    Args:
        model: a trained model.
        files: PNG, JPEG or any format that Pillow reads.
        invert: turn dark on light (ink on paper) into light on dark, as MNIST and EMNIST have it.

    Raises:
        DataError: when a file is missing or no picture.
    """
    reading = model.card.reading
    return model.probabilities(read_pictures_of_shape(list(files), model.card.input_shape, reading, invert=invert))
