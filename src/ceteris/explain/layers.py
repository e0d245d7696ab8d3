"""What the layers of a model hold: classes apart or not, units that never fire, likeness of two layers; and what it costs."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from safetensors.torch import save
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import silhouette_score
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from ceteris.explain.features import outputs_kept
from ceteris.insights import InferenceCost, LayerSeparation, LayerSimilarity
from ceteris.models.summary import device_of, evaluating, linears, summarise
from ceteris.recipe import Name
from ceteris.records import Float32Array, FloatArray, IntArray

MOST_LAYERS = 12
_POOLED = 4  # maps are averaged to so many values on a side before layers are compared
_ACTIVATIONS = tuple(getattr(nn, name) for name in nn.modules.activation.__all__ if name != "MultiheadAttention")


def telling_layers(model: nn.Module, shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Return up to 12 layers in the order of execution: the activations, evenly spread, and the last linear layer."""
    kinds = dict(model.named_modules())
    rows = [row.name for row in summarise(model, shape).layers if isinstance(kinds.get(row.name), _ACTIVATIONS)]
    names = list(dict.fromkeys(rows)) + [name for name in [next(reversed(linears(model)), "")] if name]
    places = np.unique(np.linspace(0, len(names) - 1, min(MOST_LAYERS, len(names))).round().astype(int))
    return tuple(names[place] for place in places)


def layer_values(
    model: nn.Module, images: Tensor, layers: Sequence[str], *, batch_size: int = 250
) -> dict[str, Float32Array]:
    """Return the outputs of layers for images float (n, channels, height, width), each (n, values), maps averaged to 4x4."""
    found: dict[str, list[Tensor]] = {name: [] for name in layers}
    with torch.no_grad(), evaluating(model), outputs_kept(model, layers) as outputs:
        for start in range(0, len(images), batch_size):
            model(images[start : start + batch_size])
            for name in layers:
                maps = outputs[name]
                if maps.ndim == 4 and max(maps.shape[2:]) > _POOLED:
                    maps = adaptive_avg_pool2d(maps, _POOLED)
                found[name].append(maps.flatten(1).float().cpu())
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def separation_of(
    model: nn.Module, images: Tensor, labels: IntArray, layers: Sequence[str], *, name: Name
) -> LayerSeparation:
    """Return how layers hold the classes apart; the linear probe is ridge regression on standardised values.

    The first half of the images fits the probe, the second half judges it.
    """
    values, half = layer_values(model, images, layers), len(labels) // 2
    silhouettes, probes = [], []
    for layer in layers:
        known = values[layer].astype(np.float64)
        known = (known - known[:half].mean(0)) / np.maximum(known[:half].std(0), 1e-6)
        several = 1 < len(np.unique(labels)) < len(labels)
        silhouettes.append(float(silhouette_score(known, labels)) if several else float("nan"))
        probe = RidgeClassifier(alpha=known.shape[1] / 10).fit(known[:half], labels[:half])
        probes.append(float(probe.score(known[half:], labels[half:])))
    units, silent = _silent_units(model, images, layers)
    modules = dict(model.named_modules())
    return LayerSeparation(
        model=name, images=len(labels), layers=tuple(layers), kinds=tuple(type(modules[layer]).__name__ for layer in
        layers), silhouette=np.array(silhouettes), probe=np.array(probes), units=units, silent=silent,
    )  # fmt: skip


def _silent_units(
    model: nn.Module, images: Tensor, layers: Sequence[str], batch_size: int = 250
) -> tuple[IntArray, IntArray]:
    """Return the units of each layer, and how many of an activation's are nowhere above 0 for any image (-1: no activation)."""
    fired: dict[str, Tensor] = {}
    with torch.no_grad(), evaluating(model), outputs_kept(model, layers) as outputs:
        for start in range(0, len(images), batch_size):
            model(images[start : start + batch_size])
            for name in layers:
                here = (
                    (outputs[name] > 0).flatten(2).any(2).any(0)
                    if outputs[name].ndim > 2
                    else (outputs[name] > 0).any(0)
                )
                fired[name] = fired.get(name, torch.zeros_like(here)) | here
    modules = dict(model.named_modules())
    silent = [int((~fired[name]).sum()) if isinstance(modules[name], _ACTIVATIONS) else -1 for name in layers]
    return np.array([len(fired[name]) for name in layers], np.int64), np.array(silent, np.int64)


def linear_cka(first: FloatArray | Float32Array, second: FloatArray | Float32Array) -> float:
    """Return the linear centred kernel alignment of two sets of values (n, a) and (n, b) of the same images, in 0..1."""
    return float(_alignment(*(_centred_kernel(values) for values in (first, second))))


def _centred_kernel(values: FloatArray | Float32Array) -> FloatArray:
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    kernel = centred @ centred.T
    return np.asarray(kernel / max(float(np.linalg.norm(kernel)), 1e-300))


def _alignment(first: FloatArray, second: FloatArray) -> float:
    return float((first * second).sum())


def similarity_of(values: Mapping[Name, Mapping[str, Float32Array]]) -> LayerSimilarity:
    """Return the linear CKA of every layer of every model with every other; values are (n, d) of the same images."""
    kernels = [
        (model, layer, _centred_kernel(part)) for model, layers in values.items() for layer, part in layers.items()
    ]
    return LayerSimilarity(
        owners=tuple(model for model, _, _ in kernels),
        layers=tuple(layer for _, layer, _ in kernels),
        similarity=np.array([[_alignment(one, other) for _, _, other in kernels] for _, _, one in kernels]),
    )


def inference_cost(model: nn.Module, shape: tuple[int, int, int], *, name: Name, training_flops: int) -> InferenceCost:
    """Return what using a model takes; speeds are the best of five measurements of a tenth of a second each."""
    tensors = {key: part.detach().cpu().contiguous() for key, part in model.state_dict().items()}
    rows = summarise(model, shape).layers
    return InferenceCost(
        model=name,
        single_per_second=_speed(model, shape, 1),
        batch_per_second=_speed(model, shape, 128),
        disk_bytes=len(save(tensors)),
        memory_bytes=sum(part.numel() * part.element_size() for part in tensors.values()),
        activation_bytes=sum(4 * int(np.prod(row.output_shape)) for row in rows),
        training_flops=training_flops,
    )


def _speed(model: nn.Module, shape: tuple[int, int, int], count: int, seconds: float = 0.1) -> float:
    images, best = torch.zeros(count, *shape, device=device_of(model)), 0.0
    with torch.inference_mode(), evaluating(model):
        model(images)
        for _ in range(5):
            passes, began = 0, time.perf_counter()
            while (taken := time.perf_counter() - began) < seconds:
                model(images).argmax(1).cpu()  # waits for an accelerator
                passes += 1
            best = max(best, passes * count / taken)
    return best
