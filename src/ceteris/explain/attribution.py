"""Maps of an image: what speaks for a class and what against it, by gradients or by covering parts; and checks of such maps."""

import copy
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from ceteris.explain.gradcam import grad_cam
from ceteris.insights import MapCheck, MapMethod
from ceteris.models.summary import evaluating, layer_named
from ceteris.records import Float32Array, FloatArray

MapMaker = Callable[[nn.Module, Tensor, Tensor], Float32Array]  # (model, images, classes) -> (n, height, width)
DELETED = np.linspace(0, 1, 11)  # the shares of the pixels at which deletion and insertion are measured
_STEPS = 32  # of the path of integrated gradients
_PATCHES_A_SIDE = 7  # of occlusion


def integrated_gradients(
    model: nn.Module, images: Tensor, targets: Tensor, *, baseline: Tensor | None = None, steps: int = _STEPS
) -> Float32Array:
    """Return what each pixel adds to the class's logit between the baseline and the image, (n, height, width).

    The mean gradient on the straight way between the two, by Gauss-Legendre points, times the difference, summed over the
    channels (Sundararajan et al. 2017): a map sums up to the difference of the two logits.

    Args:
        model: returns logits; it is used in evaluation mode and left as it was.
        images: standardised, float (n, channels, height, width).
        targets: the class to explain for each image, int64 (n,).
        baseline: an image without content (channels, height, width) or one value per channel (channels, 1, 1); 0
            without it.
        steps: points of the way.
    """
    start = torch.zeros_like(images) if baseline is None else baseline.expand_as(images)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(images)
    for share, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        total += float(weight) * _gradient(model, start + float(share) * (images - start), targets)
    values: Float32Array = ((images - start) * total).sum(1).float().cpu().numpy()
    return values


def occlusion(
    model: nn.Module, images: Tensor, targets: Tensor, *, baseline: Tensor | None = None, patch: int | None = None
) -> Float32Array:
    """Return by how much the class's probability falls where a square is covered, (n, height, width) (Zeiler & Fergus
    2014).

    Squares of ``patch`` pixels, an eighth of the image or more, lie half over each other; a pixel has the mean of its
    squares. Arguments as in :func:`integrated_gradients`; covered is what the baseline shows.
    """
    height, width = images.shape[2:]
    side = patch or max(1, -(-min(height, width) // _PATCHES_A_SIDE))
    covered = torch.zeros_like(images) if baseline is None else baseline.expand_as(images)
    falls = torch.zeros(len(images), height, width, device=images.device)
    times = torch.zeros(height, width, device=images.device)
    with torch.no_grad(), evaluating(model):
        own = _probability(model, images, targets)
        for top in range(0, height, max(1, side // 2)):
            for left in range(0, width, max(1, side // 2)):
                place = (..., slice(top, top + side), slice(left, left + side))
                hidden = images.clone()
                hidden[place] = covered[place]
                falls[place] += (own - _probability(model, hidden, targets))[:, None, None]
                times[place] += 1
    values: Float32Array = (falls / times).cpu().numpy()
    return values


def map_makers(layer: str, baseline: Tensor | None = None) -> dict[MapMethod, MapMaker]:
    """Return every way to make a map; Grad-CAM looks at ``layer`` and is left out where that is ''."""
    ways: dict[MapMethod, MapMaker] = {}
    if layer:
        ways["grad-cam"] = partial(grad_cam, layer=layer)
        ways["grad-cam++"] = partial(grad_cam, layer=layer, plus=True)
    ways["integrated-gradients"] = partial(integrated_gradients, baseline=baseline)
    ways["occlusion"] = partial(occlusion, baseline=baseline)
    return ways


def scaled(maps: Float32Array) -> Float32Array:
    """Return maps (n, height, width) with the largest size of each at 1, of 0 where a map is."""
    largest = np.abs(maps).max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0))


def _gradient(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    with evaluating(model), torch.enable_grad():
        inputs = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(model(inputs).gather(1, targets.to(inputs.device)[:, None]).sum(), inputs)
    return gradient


def _probability(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Return (n,)."""
    logits: Tensor = model(images)
    return logits.softmax(1).gather(1, targets.to(logits.device)[:, None])[:, 0].float()


# ---------------------------------------------------------------------------------------------------------------------
# Do the maps tell anything?


def check_maps(
    model: nn.Module, images: Tensor, makers: dict[MapMethod, MapMaker], *, name: str, blank: Tensor, seed: int
) -> MapCheck:
    """Return how maps of the predicted classes react to random weights, and what removing the pixels they rank
    highest does.

    Args:
        model: returns logits; it is left as it was.
        images: standardised, float (n, channels, height, width).
        makers: the ways to make a map.
        name: of the model in the study.
        blank: an image without content, one value per channel (channels, 1, 1).
        seed: of the random weights and of the random order of pixels.
    """
    random = np.random.default_rng(seed)
    with torch.no_grad(), evaluating(model):
        targets = model(images).argmax(1)
    intact = {method: make(model, images, targets) for method, make in makers.items()}
    layers, similarity = _randomised(model, images, targets, makers, intact, seed)
    orders = [*intact.values(), random.random((len(images), *images.shape[2:])).astype(np.float32)]
    deletion = [_curve(model, images, blank.expand_as(images), targets, order) for order in orders]
    insertion = [_curve(model, blank.expand_as(images), images, targets, order) for order in orders]
    return MapCheck(
        model=name, methods=tuple(makers), images=len(images), layers=layers, similarity=similarity,
        shares=DELETED.copy(), deletion=np.array(deletion), insertion=np.array(insertion),
    )  # fmt: skip


def _randomised(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    makers: dict[MapMethod, MapMaker],
    intact: dict[MapMethod, Float32Array],
    seed: int,
) -> tuple[tuple[str, ...], FloatArray]:
    """Permute the weights of a copy, layer after layer from the output down, and compare its maps with the intact ones.

    A permutation keeps the size of the weights; it is the "random" of Adebayo et al. without a choice of distribution.
    """
    other, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    names = [name for name, part in other.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)][::-1]
    values = [[1.0] * len(makers)]
    for name in names:
        with torch.no_grad():
            weight: Tensor = layer_named(other, name).weight  # type: ignore[assignment]
            order = torch.randperm(weight.numel(), generator=generator)
            weight.copy_(weight.flatten()[order.to(weight.device)].view_as(weight))
        values.append([_rank_correlation(intact[way], make(other, images, targets)) for way, make in makers.items()])
    return tuple(names), np.array(values).T


def _rank_correlation(first: Float32Array, second: Float32Array) -> float:
    """Return the mean Spearman correlation of the maps; a map without any contrast counts as 0."""
    pairs = zip(first.reshape(len(first), -1), second.reshape(len(second), -1), strict=True)
    found = [stats.spearmanr(*pair).statistic if np.ptp(pair[0]) and np.ptp(pair[1]) else 0.0 for pair in pairs]
    return float(np.mean(found))


@torch.no_grad()
def _curve(model: nn.Module, start: Tensor, end: Tensor, targets: Tensor, ranks: Float32Array) -> FloatArray:
    """Return the mean probability of the class as pixels go from ``start`` to ``end``, the highest ranked first."""
    pixels = ranks[0].size
    place = torch.from_numpy(np.argsort(np.argsort(-ranks.reshape(len(ranks), -1), axis=1), axis=1))
    place = place.view(len(ranks), 1, *ranks.shape[1:]).to(start.device)
    with evaluating(model):
        means = [
            float(_probability(model, torch.where(place < round(share * pixels), end, start), targets).mean())
            for share in DELETED
        ]
    return np.array(means)
