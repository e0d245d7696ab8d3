"""A trained model to hand on: one safetensors file that holds the weights and, in its header, the recipe that made them.

Reading one runs no code from the file. A recipe that names the user's own module by import path is built only when
that is allowed explicitly.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.numpy import save

from ceteris.data import Appearance, ReadOptions, read_images
from ceteris.digests import plain
from ceteris.errors import ConfigError, StoreError
from ceteris.findings import Version
from ceteris.models.dropout import set_dropout_generator
from ceteris.models.estimator import EstimatorNetwork
from ceteris.models.summary import device_of, summarise, summary_text
from ceteris.recipe import Estimator, Name, Number, Positive, Recipe
from ceteris.records import Digest, Float32Array
from ceteris.store import arrays_of, from_tree, header_of, open_tensors, write_bytes
from ceteris.study import Study
from ceteris.study.trials import RunOptions, open_data
from ceteris.training.batches import ResidentImages, resident
from ceteris.training.build import build_model, summary_of
from ceteris.training.device import full_float32
from ceteris.training.history import predict
from ceteris.user_code import NO_IMPORTS, ImportPolicy

_HEADER = "ceteris.model"
CODE_FOLDER = "code"  # beside the weights: the user's own code that builds the network
_CPU = torch.device("cpu")

Channels = Annotated[int, Field(ge=1, le=4)]
Side = Annotated[int, Field(ge=1, le=1 << 16)]


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What belongs to the weights: how the network is built and how its images are prepared.

    ``reading`` says how the study read its pictures. ``mean`` and ``deviation`` are per channel in 0..255; an image is
    standardised as (pixel - mean) / deviation. ``trained_on`` is the content digest of the training images and
    ``appearance`` how they look; models of an earlier version have neither.
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
    trained_on: str = ""
    appearance: Appearance | None = None

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.deviation) == self.input_shape[0]:
            raise ValueError(f"mean, deviation: one number per channel is needed, {self.input_shape[0]}")


@dataclass(frozen=True)
class TrainedModel:
    """A network ready to answer on the device where it lies, with its card."""

    card: ModelCard
    network: torch.nn.Module

    def probabilities(self, images: Any) -> Float32Array:
        """Return class probabilities float32 (n, classes) for images as :func:`ceteris.run` takes them.

        They are (n, height, width), (n, channels, height, width) or (n, height, width, channels), bytes or floats in 0..1,
        or Pillow's pictures; values have the meaning that those of the training images had.

        Raises:
            DataError: when they cannot be read, or have another size or other channels than the training images.
        """
        return self.answer(self.prepare(read_images(images, self.card.reading, shape=self.card.input_shape)))

    def classify(self, images: Any) -> list[str]:
        """Return the name of the most probable class of every image; see :meth:`probabilities`."""
        return [self.card.classes[place] for place in self.probabilities(images).argmax(1)]

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


def read_model(path: str | Path, *, allow_imports: bool = False) -> TrainedModel:
    """Read a trained model from its safetensors file, or from the folder that holds ``model.safetensors``.

    Code of the user's own that was handed over with the weights (``code/`` beside the file) is imported when it is allowed.

    Raises:
        StoreError: when the file is missing, damaged, or no model of ceteris.
        ConfigError: when it names the user's own module and imports are not allowed.
    """
    file = Path(path) / "model.safetensors" if Path(path).is_dir() else Path(path)
    code = file.parent / CODE_FOLDER
    allowed = ImportPolicy(paths=None, folder=code if code.is_dir() else None)
    imports = allowed if allow_imports else NO_IMPORTS
    with open_tensors(file, fix="A study writes models/<name>-best/model.safetensors.") as opened:
        card = from_tree(ModelCard, header_of(opened, _HEADER))
        shapes = {name: tuple(opened.get_slice(name).get_shape()) or (1,) for name in opened.keys()}  # noqa: SIM118
        if isinstance(card.recipe.model, Estimator) and not shapes:
            raise ConfigError(
                f'{file}: an estimator ("{card.recipe.model.path}") that hands out no state is kept as what fits it again: its '
                "recipe, seed and data; no pickle is written. Its answers are in the result; `ceteris run` on the study fits "
                "it again."
            )
        try:
            network = _network(card, imports, most_parameters=sum(map(math.prod, shapes.values())))
        except ConfigError as error:
            raise ConfigError(f"{file}: {error}") from None
        # a single number, as the batches that batch normalisation counts, is written as an array of one
        if not isinstance(network, EstimatorNetwork) and shapes != {
            name: tuple(part.shape) or (1,) for name, part in network.state_dict().items()
        }:
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
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise StoreError(f"{card.name} ({card.trial}): the weights do not fit the recipe ({reason}).") from None
    return TrainedModel(card=card, network=network.to(device).eval())


# ---------------------------------------------------------------------------------------------------------------------
# Layers, output shapes, parameters and FLOPs


def study_summaries(study: Study, options: RunOptions) -> list[tuple[str, str]]:
    """Return (title, table) for the baseline of every model of a study."""
    train = open_data(study, options).train
    return [
        (model.title, summary_text(summary_of(model.recipe, train, imports=options.imports))) for model in study.models
    ]


def model_summaries(model: TrainedModel) -> list[tuple[str, str]]:
    """Return (title, table) of a trained model."""
    text = summary_text(summarise(model.network, model.card.input_shape))
    return [(f"{model.card.name} ({model.card.version}) of the study {model.card.study}", text)]
