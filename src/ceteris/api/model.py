"""A trained model to hand on: one safetensors file that holds the weights and, in its header, the recipe that made them.

Reading one runs no code from the file. A recipe that names the user's own module by import path is built only when
that is allowed explicitly.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.numpy import save

from ceteris.analysis.metrics import scores
from ceteris.data import DataSet, ImageSet, ReadOptions, read_pictures_of_shape
from ceteris.digests import plain
from ceteris.errors import ConfigError, DataError, StoreError
from ceteris.findings import Look, Version
from ceteris.models.dropout import set_dropout_generator
from ceteris.models.summary import device_of, summarise, summary_text
from ceteris.recipe import Name, Number, Positive, Recipe
from ceteris.records import Digest, Float32Array, IntArray
from ceteris.stats import Interval, wilson_interval
from ceteris.store import arrays_of, from_tree, header_of, looks_at, open_tensors, record_look, write_bytes
from ceteris.study import Study
from ceteris.study.trials import RunOptions, open_data
from ceteris.training.batches import ResidentImages, resident
from ceteris.training.build import build_model, summary_of
from ceteris.training.device import full_float32
from ceteris.training.history import predict
from ceteris.user_code import ALL_IMPORTS, NO_IMPORTS, ImportPolicy

_HEADER = "ceteris.model"
_CPU = torch.device("cpu")

Channels = Annotated[int, Field(ge=1, le=4)]
Side = Annotated[int, Field(ge=1, le=1 << 16)]


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What belongs to the weights: how the network is built and how its images are prepared.

    ``reading`` says how the study read its pictures. ``mean`` and ``deviation`` are per channel in 0..255; an image is
    standardised as (pixel - mean) / deviation.
    """

    name: Name
    version: Version
    study: Name
    data: str
    note: str
    recipe: Recipe
    reading: ReadOptions
    input_shape: tuple[Channels, Side, Side]
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    mean: tuple[Number, ...]
    deviation: tuple[Positive, ...]
    precision: Literal["float32", "bfloat16"]
    trial: Digest
    seed: int
    best_epoch: int
    validation_accuracy: float

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.deviation) == self.input_shape[0]:
            raise ValueError(f"mean, deviation: one number per channel is needed, {self.input_shape[0]}")


@dataclass(frozen=True)
class TrainedModel:
    """A network ready to answer on the device where it lies, with its card."""

    card: ModelCard
    network: torch.nn.Module

    def probabilities(self, images: NDArray[np.uint8]) -> Float32Array:
        """Return class probabilities float32 (n, classes) for images uint8 (n, channels, height, width)."""
        return self.answer(self.prepare(images))

    def prepare(self, images: NDArray[np.uint8]) -> ResidentImages:
        """Bring images uint8 (n, channels, height, width) to the network's device, for :meth:`answer`."""
        count = len(images)
        return resident(
            images,
            np.zeros(count, np.int64),
            np.arange(count),
            mean=np.array(self.card.mean),
            std=np.array(self.card.deviation),
            device=str(device_of(self.network)),
            channels_last=self.card.recipe.model.kind != "mlp",
        )

    def answer(self, images: ResidentImages) -> Float32Array:
        """Return class probabilities float32 (n, classes) for images that :meth:`prepare` brought to the device."""
        with full_float32(str(images.device)):
            logits = predict(self.network, images, autocast=self.card.precision == "bfloat16")
        answers: Float32Array = logits.softmax(1).cpu().numpy()
        return answers


def write_model(path: Path, card: ModelCard, weights: Mapping[str, NDArray[Any]]) -> None:
    """Write weights and card to one safetensors file, atomically.

    Raises:
        StoreError: when it cannot be written.
    """
    tensors = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    write_bytes(path, save(tensors, metadata={_HEADER: json.dumps(plain(card))}))


def read_model(path: Path, *, allow_imports: bool = False) -> TrainedModel:
    """Read a trained model from its safetensors file, or from the folder that holds ``model.safetensors``.

    Raises:
        StoreError: when the file is missing, damaged, or no model of ceteris.
        ConfigError: when it names the user's own module and imports are not allowed.
    """
    file = path / "model.safetensors" if path.is_dir() else path
    imports = ALL_IMPORTS if allow_imports else NO_IMPORTS
    with open_tensors(file, fix="A study writes models/<name>-best/model.safetensors.") as opened:
        card = from_tree(ModelCard, header_of(opened, _HEADER))
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118 - no mapping
        try:
            network = _network(card, imports, most_parameters=sum(map(math.prod, shapes.values())))
        except ConfigError as error:
            raise ConfigError(f"{file}: {error}") from None
        if shapes != {name: tuple(part.shape) for name, part in network.state_dict().items()}:
            raise StoreError(f"{file}: the weights do not fit the recipe.")  # before they are read, however large
        return _with_weights(card, network, arrays_of(opened))


def restore_model(
    card: ModelCard, weights: Mapping[str, NDArray[Any]], *, imports: ImportPolicy, device: torch.device = _CPU
) -> TrainedModel:
    """Build the network of a card, give it its weights, and bring it to the device.

    Raises:
        StoreError: when the weights do not fit the recipe.
    """
    network = _network(card, imports, most_parameters=sum(array.size for array in weights.values()))
    return _with_weights(card, network, weights, device)


def _network(card: ModelCard, imports: ImportPolicy, most_parameters: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)  # the initial weights are overwritten
    network = build_model(
        card.recipe.model, input_shape=card.input_shape, classes=len(card.classes), generator=generator, imports=imports,
        most_parameters=most_parameters,
    )  # fmt: skip
    set_dropout_generator(network, generator)
    return network


def _with_weights(
    card: ModelCard, network: torch.nn.Module, weights: Mapping[str, NDArray[Any]], device: torch.device = _CPU
) -> TrainedModel:
    try:
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise StoreError(f"{card.name} ({card.trial}): the weights do not fit the recipe ({reason}).") from None
    return TrainedModel(card=card, network=network.to(device).eval())


# ---------------------------------------------------------------------------------------------------------------------
# A test set, whose ledger notes the look, and single pictures


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


def open_test(data_set: DataSet, store: Path, *, study: str, reason: str, trials: Iterable[str]) -> ImageSet:
    """Open a test set for the models of these trials; the look is in the ledger before the first image is read.

    Raises:
        StoreError: when the ledger cannot be written; the test set stays shut.
    """
    date = datetime.now(UTC).isoformat(timespec="seconds")
    models = tuple(sorted({trial[:16] for trial in trials}))
    look = Look(date=date, study=study, reason=reason, models=models)
    return data_set.test.open(record_look=lambda fingerprint: record_look(store, fingerprint, look))


def evaluate_model(model: TrainedModel, data_set: DataSet, store: Path, *, reason: str) -> Evaluation:
    """Evaluate a model on the test part of a data set; the look is written into the ledger first.

    Raises:
        DataError: when images or classes do not fit the model.
        StoreError: when the ledger cannot be written; the test set stays shut.
    """
    _check_fit(model, data_set)
    test = open_test(data_set, store, study=model.card.study, reason=reason, trials=[model.card.trial])
    probabilities = model.probabilities(test.images)
    found = scores(probabilities, test.labels)
    per_class = found.per_class
    return Evaluation(
        images=len(test),
        accuracy=wilson_interval(int(np.trace(found.confusion)), len(test)),
        precision=found.precision,
        recall=found.recall,
        f1=found.f1,
        auc=found.auc,
        loss=found.loss,
        per_class=tuple(
            (name, float(precision), float(recall), float(f1), int(support))
            for name, precision, recall, f1, support in zip(
                test.classes, per_class.precision, per_class.recall, per_class.f1, per_class.support, strict=True
            )
        ),
        confusion=found.confusion,
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
    pictures = read_pictures_of_shape(list(files), model.card.input_shape, model.card.reading, invert=invert)
    return model.probabilities(pictures)


# ---------------------------------------------------------------------------------------------------------------------
# Layers, output shapes, parameters and FLOPs


def study_summaries(study: Study, options: RunOptions) -> list[tuple[str, str]]:
    """Return (title, table) for the baseline of every model of a study."""
    train = open_data(study, options).train
    return [
        (model.title, summary_text(summary_of(model.recipe, train, imports=options.imports))) for model in study.models
    ]


def model_summaries(path: Path, *, allow_imports: bool = False) -> list[tuple[str, str]]:
    """Return (title, table) of a trained model."""
    model = read_model(path, allow_imports=allow_imports)
    text = summary_text(summarise(model.network, model.card.input_shape))
    return [(f"{model.card.name} ({model.card.version}) of the study {model.card.study}", text)]
