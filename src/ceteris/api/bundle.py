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

from ceteris.data import ReadOptions
from ceteris.digests import plain
from ceteris.errors import StoreError
from ceteris.models import set_dropout_generator
from ceteris.recipe import Recipe
from ceteris.records import Float32Array
from ceteris.store import from_tree, write_bytes
from ceteris.training.build import build_model
from ceteris.training.images import resident
from ceteris.training.loop import predict
from ceteris.user_code import ALL_IMPORTS, NO_IMPORTS, ImportPolicy

_HEADER = "ceteris.model"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What belongs to the weights: how the network is built and how its images are prepared.

    ``reading`` says how the study read its pictures. ``mean`` and ``deviation`` are per channel in 0..255; an image is
    standardised as (pixel - mean) / deviation.
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


@dataclass(frozen=True)
class TrainedModel:
    """A network ready to answer, with its card."""

    card: ModelCard
    network: torch.nn.Module

    def probabilities(self, images: NDArray[np.uint8]) -> Float32Array:
        """Return class probabilities float32 (n, classes) for images uint8 (n, channels, height, width)."""
        count = len(images)
        batch = resident(
            images,
            np.zeros(count, np.int64),
            np.arange(count),
            mean=np.array(self.card.mean),
            deviation=np.array(self.card.deviation),
            device="cpu",
            channels_last=self.card.recipe.model.kind != "mlp",
        )
        logits = predict(self.network, batch, autocast=self.card.precision == "bfloat16")
        answers: Float32Array = logits.softmax(1).numpy()
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
    card, weights = _read(file)
    imports = ALL_IMPORTS if allow_imports else NO_IMPORTS
    return TrainedModel(card=card, network=restore_network(card, weights, file, imports=imports))


def restore_network(
    card: ModelCard, weights: Mapping[str, NDArray[Any]], origin: Path | str, *, imports: ImportPolicy
) -> torch.nn.Module:
    """Build the network of a card and give it its weights.

    Raises:
        StoreError: when the weights do not fit the recipe.
    """
    generator = torch.Generator().manual_seed(0)  # the initial weights are overwritten
    network = build_model(
        card.recipe.model,
        input_shape=card.input_shape,
        classes=len(card.classes),
        generator=generator,
        imports=imports,
    )
    try:
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    except RuntimeError as error:
        raise StoreError(
            f"{origin}: the weights do not fit the recipe ({str(error).splitlines()[-1].strip()})."
        ) from None
    set_dropout_generator(network, generator)
    return network.eval()


def _read(path: Path) -> tuple[ModelCard, dict[str, NDArray[Any]]]:
    try:
        with safe_open(path, framework="numpy") as file:
            header = (file.metadata() or {}).get(_HEADER)
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - safe_open is no mapping
        if header is None:
            raise StoreError(f"{path} is a safetensors file, but no model written by ceteris: its recipe is missing.")
        return from_tree(ModelCard, json.loads(header)), weights
    except FileNotFoundError:
        raise StoreError(
            f"model: {path} does not exist. A study writes models/<name>-best/model.safetensors."
        ) from None
    except (SafetensorError, TypeError, ValueError, KeyError, OSError) as error:
        raise StoreError(f"model: {path} is damaged or no model written by ceteris ({error}).") from None
