"""What residual connections do to the gradients that reach each layer."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ceteris.findings import ResidualFinding
from ceteris.models.dropout import Dropout
from ceteris.models.resnet import shortcut_modules
from ceteris.models.summary import convolutions, modes_kept
from ceteris.records import FloatArray

_DROPOUTS = (Dropout, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def gradient_norms(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[tuple[str, ...], FloatArray]:
    """Return the names of the convolutions and the Euclidean norm of each one's gradient, (layers,), first layer first.

    It is the gradient of the mean cross-entropy with respect to the weights, as the first step of a training meets it:
    batch normalisation uses the batch's statistics; dropout is left out. Weights, buffers, gradients and modes stay.

    Args:
        model: returns logits.
        images: standardised, float (n, channels, height, width).
        labels: int64 (n,).
    """
    names = tuple(convolutions(model))
    if not names:
        return names, np.zeros(0)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    weights = {
        f"{name}.weight": module.weight.detach().requires_grad_() for name, module in convolutions(model).items()
    }
    with modes_kept(model), torch.enable_grad():
        model.train()
        for module in model.modules():
            if isinstance(module, _DROPOUTS):
                module.eval()
        logits = torch.func.functional_call(model, buffers | weights, (images,))
        loss = cross_entropy(logits, labels.to(logits.device))
        gradients = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
    norms: FloatArray = torch.stack([gradient.norm() for gradient in gradients]).cpu().double().numpy()
    return names, norms


def residual_finding(with_shortcuts: nn.Module, without: nn.Module, images: Tensor, labels: Tensor) -> ResidualFinding:
    """Compare the same network with and without residual connections, at weights that should be equal.

    Projections, which only one of the two has, are left out; the layers are called as in the one without shortcuts.
    Arguments as in :func:`gradient_norms`.
    """
    shortcuts = shortcut_modules(with_shortcuts)
    common = np.array([module not in shortcuts for module in convolutions(with_shortcuts).values()], dtype=bool)
    _, norms_with = gradient_norms(with_shortcuts, images, labels)
    layers, norms_without = gradient_norms(without, images, labels)
    return ResidualFinding(
        layers=layers,
        gradient_norms_with=norms_with[common],
        gradient_norms_without=norms_without,
        parameters_with=sum(parameter.numel() for parameter in with_shortcuts.parameters()),
        parameters_without=sum(parameter.numel() for parameter in without.parameters()),
    )
