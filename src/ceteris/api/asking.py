"""Trained models at work: on a test set, whose ledger notes the look, and on single pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ceteris.api.model import TrainedModel
from ceteris.data import DataSet
from ceteris.errors import DataError
from ceteris.evaluation import confusion_matrix, log_loss, precision_recall_f1, roc_one_vs_rest
from ceteris.findings import Look
from ceteris.records import Float32Array, IntArray
from ceteris.stats import Interval, wilson_interval
from ceteris.store import looks_at, record_look

_MOST_PIXELS = 64_000_000


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
    """Return class probabilities float32 (files, classes) for picture files, resized to what the model takes.

    Args:
        model: a trained model.
        files: PNG, JPEG or any format that Pillow reads.
        invert: turn dark on light (ink on paper) into light on dark, as MNIST and EMNIST have it.

    Raises:
        DataError: when a file is missing or no picture.
    """
    pictures = np.stack([_picture(file, model.card.input_shape, invert) for file in files])
    return model.probabilities(pictures)


def _picture(file: Path, shape: tuple[int, int, int], invert: bool) -> NDArray[np.uint8]:
    channels, height, width = shape
    try:
        with Image.open(file) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise DataError(f"{file}: {opened.width} x {opened.height} pixels are more than {_MOST_PIXELS:,}.")
            picture = opened.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.BILINEAR)
    except FileNotFoundError:
        raise DataError(f"picture: there is no file {file}.") from None
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"picture: {file} is damaged or no picture that can be read ({error}).") from None
    pixels = np.asarray(picture, dtype=np.uint8).reshape(height, width, channels).transpose(2, 0, 1)
    return np.ascontiguousarray(255 - pixels if invert else pixels)
