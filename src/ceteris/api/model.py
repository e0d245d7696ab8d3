"""A trained model to hand on: one safetensors file that holds the weights and, in its header, the recipe that made them.

Reading one runs no code from the file. A recipe that names the user's own module by import path is built only when
that is allowed explicitly.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ceteris.data import Appearance, ReadOptions, read_images
from ceteris.digests import plain
from ceteris.errors import StoreError
from ceteris.models.dropout import set_dropout_generator
from ceteris.models.summary import device_of, summarise, summary_text
from ceteris.recipe import Recipe
from ceteris.records import Float32Array
from ceteris.store import from_tree, write_bytes
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


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What belongs to the weights: how the network is built and how its images are prepared.

    ``reading`` says how the study read its pictures. ``mean`` and ``deviation`` are per channel in 0..255; an image is
    standardised as (pixel - mean) / deviation. ``trained_on`` is the content digest of the training images and
    ``appearance`` how they look; models of an earlier version have neither.
    """

    name: str
    version: str
    study: str
    data: str
    note: str
    recipe: Recipe
    reading: ReadOptions
    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    precision: str
    trial: str
    seed: int
    best_epoch: int
    validation_accuracy: float
    trained_on: str = ""
    appearance: Appearance | None = None


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
    try:
        with safe_open(file, framework="numpy") as opened:
            header = (opened.metadata() or {}).get(_HEADER)
            weights = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - safe_open is no mapping
        if header is None:
            raise StoreError(f"{file} is a safetensors file, but no model written by ceteris: its recipe is missing.")
        card = from_tree(ModelCard, json.loads(header))
    except FileNotFoundError:
        raise StoreError(
            f"model: {file} does not exist. A study writes models/<name>-best/model.safetensors."
        ) from None
    except (SafetensorError, TypeError, ValueError, KeyError, OSError) as error:
        raise StoreError(f"model: {file} is damaged or no model written by ceteris ({error}).") from None
    code = file.parent / CODE_FOLDER
    allowed = ImportPolicy(paths=None, folder=code if code.is_dir() else None)
    return restore_model(card, weights, imports=allowed if allow_imports else NO_IMPORTS, origin=file)


def restore_model(
    card: ModelCard,
    weights: Mapping[str, NDArray[Any]],
    *,
    imports: ImportPolicy,
    device: torch.device = _CPU,
    origin: Path | None = None,
) -> TrainedModel:
    """Build the network of a card, give it its weights, and bring it to the device; ``origin`` is named in messages.

    Raises:
        StoreError: when the weights do not fit the recipe.
    """
    generator = torch.Generator().manual_seed(0)  # the initial weights are overwritten
    network = build_model(
        card.recipe.model, input_shape=card.input_shape, classes=len(card.classes), generator=generator, imports=imports
    )
    try:
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    except RuntimeError as error:
        raise StoreError(
            f"{origin or card.trial}: the weights do not fit the recipe ({str(error).splitlines()[-1].strip()})."
        ) from None
    set_dropout_generator(network, generator)
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
