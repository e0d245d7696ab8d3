"""How a network trains, and what its loss looks like around its weights: with and without shortcuts and normalisation.

Each function takes a network and images and leaves both as they were.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ceteris.explain.features import outputs_kept
from ceteris.models.resnet import ResidualBlock
from ceteris.models.summary import convolutions, evaluating, modes_kept
from ceteris.records import FloatArray

LossOf = Callable[[Sequence[Tensor]], Tensor]  # the loss of weights, ()
# Lengths of a step along the gradient in learning rates, as in figure 4 of Santurkar et al. 2018.
REACH = (0.5, 1.0, 2.0, 4.0)
_LAGS, _LINES = 16, 8


@dataclass(frozen=True)
class AlongGradient:
    """The loss along the gradient: its range, how far the gradient moves, and the largest of that per distance."""

    low: float
    high: float
    change: float
    smoothness: float


def along_gradient(loss_of: LossOf, weights: Sequence[Tensor], steps: Sequence[float]) -> AlongGradient:
    """Look along the gradient from some weights at steps of these lengths (Santurkar et al. 2018, section 3.1).

    ``smoothness`` is the largest ||g(w) - g(w - step * g(w))|| / ||step * g(w)||: the effective Lipschitz constant of
    the gradient in its own direction. Losses that are not finite count as the largest finite one.
    """
    first, gradient = _loss_and_gradient(loss_of, weights)
    losses, changes, ratios = [first], [0.0], [0.0]
    for step in steps:
        there = [weight - step * part for weight, part in zip(weights, gradient, strict=True)]
        loss, other = _loss_and_gradient(loss_of, there)
        moved = _norm([a - b for a, b in zip(gradient, other, strict=True)])
        losses.append(loss)
        changes.append(moved)
        ratios.append(moved / max(step * _norm(gradient), 1e-30))
    known = [loss for loss in losses if np.isfinite(loss)] or [float("nan")]
    return AlongGradient(
        low=min(known), high=max(known), change=float(np.nanmax(changes)), smoothness=float(np.nanmax(ratios))
    )


def _loss_and_gradient(loss_of: LossOf, weights: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
    with torch.enable_grad():
        given = [weight.detach().requires_grad_() for weight in weights]
        loss = loss_of(given)
        gradient = torch.autograd.grad(loss, given, materialize_grads=True)
    return float(loss.detach()), list(gradient)


def _norm(parts: Sequence[Tensor]) -> float:
    return float(torch.stack([part.double().square().sum() for part in parts]).sum().sqrt())


def batch_loss(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[LossOf, list[Tensor]]:
    """Return the cross-entropy of a batch as a function of the weights, and these; normalised by the batch's statistics."""
    names = [name for name, _ in model.named_parameters()]
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def loss_of(weights: Sequence[Tensor]) -> Tensor:
        given = dict(zip(names, weights, strict=True)) | {name: buffer.clone() for name, buffer in buffers.items()}
        with modes_kept(model):
            model.train()
            return cross_entropy(torch.func.functional_call(model, given, (images,)), labels)

    return loss_of, [parameter.detach() for _, parameter in model.named_parameters()]


def output_variances(model: nn.Module, images: Tensor) -> FloatArray:
    """Return the variance of every convolution's output over images, places and filters, (layers,), in training mode."""
    names, found = list(convolutions(model)), {}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.no_grad(), modes_kept(model), outputs_kept(model, names) as outputs:
        model.train()
        torch.func.functional_call(model, buffers, (images,))
        found = {name: float(outputs[name].double().var()) for name in names}
    return np.array([found[name] for name in names])


def gradient_autocorrelation(model: nn.Module, images: Tensor) -> FloatArray:
    """Return how alike the gradients at the input are along the line between two images, by distance, (lags + 1,).

    Entry k is the mean cosine between gradients of the first logit k sixteenths of the way apart (after Balduzzi et
    al. 2017: in deep plain networks they look like white noise); eight pairs of images. Gradients that vanish count
    as 0.
    """
    values = np.zeros(_LAGS + 1)
    pairs = min(_LINES, len(images) // 2)
    share = torch.linspace(0, 1, _LAGS + 1, device=images.device)[:, None, None, None]
    with evaluating(model), torch.enable_grad():
        for pair in range(pairs):
            start, end = images[2 * pair], images[2 * pair + 1]
            line = (start + share * (end - start)).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(model(line)[:, 0].sum(), line)
            flat = gradient.flatten(1).double()
            unit = flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-30)
            cosines = (unit @ unit.T).cpu().numpy()
            values += [np.diagonal(cosines, lag).mean() for lag in range(_LAGS + 1)]
    return np.asarray(values / max(pairs, 1))


def lesions(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Return the names of the blocks, the accuracy without each, and with each and the next one swapped (Veit et al. 2016).

    Without a block what its shortcut passes on is left, in a plain network its input. Both are nan where a shape changes.
    """
    blocks = {name: module for name, module in model.named_modules() if isinstance(module, ResidualBlock)}
    names = list(blocks)
    with torch.no_grad(), evaluating(model):
        keeps = {name: _keeps_shape(model, block, images[:2]) for name, block in blocks.items()}
        dropped = [
            _accuracy(model, images, labels, {blocks[name]: None})
            if keeps[name] or blocks[name].shortcut is not None
            else float("nan")
            for name in names
        ]
        swapped = [
            _accuracy(model, images, labels, {blocks[one]: blocks[other], blocks[other]: blocks[one]})
            if keeps[one] and keeps[other] and one.rpartition(".")[0] == other.rpartition(".")[0]
            else float("nan")
            for one, other in pairwise(names)
        ]
    return tuple(names), np.array(dropped), np.array([*swapped, float("nan")][: len(names)])


def _keeps_shape(model: nn.Module, block: ResidualBlock, images: Tensor) -> bool:
    shapes: list[bool] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        shapes.append(inputs[0].shape == output.shape)

    with block.register_forward_hook(note):
        model(images)
    return all(shapes)


def _accuracy(
    model: nn.Module, images: Tensor, labels: Tensor, instead: dict[ResidualBlock, ResidualBlock | None]
) -> float:
    """Return the accuracy with other blocks in the place of some; None leaves what the shortcut passes on."""

    def replaced(block: ResidualBlock) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        other = instead[block]

        def output(module: nn.Module, inputs: tuple[Tensor, ...], made: Tensor) -> Tensor:
            if other is not None:
                instead_of_it: Tensor = other.forward(inputs[0])  # not called: its own hook would answer
                return instead_of_it
            passed: Tensor = inputs[0] if block.shortcut is None else block.shortcut(inputs[0])
            left: Tensor = passed if block.activation is None else block.activation(passed)
            return left

        return output

    hooks = [block.register_forward_hook(replaced(block)) for block in instead]
    try:
        return float((model(images).argmax(1) == labels).double().mean())
    finally:
        for hook in hooks:
            hook.remove()


def loss_surface(
    model: nn.Module, images: Tensor, labels: Tensor, span: FloatArray, generator: torch.Generator
) -> FloatArray:
    """Return the loss (points, points) at the weights plus ``span`` (points,) times two random directions (Li et al. 2018).

    Every filter of a direction has the norm of the model's own filter; biases and normalisation stay. Evaluation mode.
    """
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    directions = [{name: _like_filters(weight, generator) for name, weight in weights.items()} for _ in range(2)]
    surface = np.zeros((len(span), len(span)))
    with torch.no_grad(), evaluating(model):
        for row, first in enumerate(span):
            for column, second in enumerate(span):
                there = {
                    name: weight + float(first) * directions[0][name] + float(second) * directions[1][name]
                    for name, weight in weights.items()
                }
                logits = torch.func.functional_call(model, there, (images,))
                surface[row, column] = float(cross_entropy(logits, labels))
    return surface


def _like_filters(weight: Tensor, generator: torch.Generator) -> Tensor:
    if weight.ndim < 2:
        return torch.zeros_like(weight)
    drawn = torch.randn(weight.shape, generator=generator).to(weight)
    scale = weight.flatten(1).norm(dim=1) / drawn.flatten(1).norm(dim=1).clamp_min(1e-12)
    direction: Tensor = drawn * scale.view(-1, *[1] * (weight.ndim - 1))
    return direction
