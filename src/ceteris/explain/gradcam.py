"""Which parts of an image a prediction rests on."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from ceteris.errors import ConfigError
from ceteris.explain.features import convolution_outputs, outputs_kept
from ceteris.models.summary import evaluating
from ceteris.records import Float32Array


def grad_cam(
    model: nn.Module, images: Tensor, targets: Tensor, layer: str | None = None, *, plus: bool = False
) -> Float32Array:
    """Return Grad-CAM heat maps (n, height, width), each scaled to a maximum of 1 (0 where nothing speaks for the class).

    The maps of a layer are weighted by the mean gradient of the class's logit, summed, cut off below 0 and enlarged
    bilinearly to the image's size (Selvaraju et al. 2017). With ``plus`` the weights are those of Grad-CAM++
    (Chattopadhay et al. 2018): positive gradients alone, each in the share that explains the logit's exponential.

    Args:
        model: returns logits; it is used in evaluation mode and left as it was.
        images: standardised, float (n, channels, height, width).
        targets: the class to explain for each image, int64 (n,).
        layer: name of a layer that puts out (n, filters, h, w); by default :func:`grad_cam_layer`.

    Raises:
        ConfigError: no such layer, or a layer without maps.
    """
    name = layer if layer is not None else grad_cam_layer(model, images[0])
    with evaluating(model), torch.enable_grad(), outputs_kept(model, [name]) as outputs:
        # the images ask for a gradient so that layers whose weights are frozen have one too
        logits = model(images.detach().requires_grad_())
        maps = outputs[name]  # (n, filters, h, w)
        if maps.ndim != 4:
            raise ConfigError(
                f'Grad-CAM needs a layer with maps (n, filters, h, w); "{name}" gives {tuple(maps.shape)}'
            )
        (gradients,) = torch.autograd.grad(logits.gather(1, targets.to(logits.device)[:, None]).sum(), maps)
    weights = (_plus_shares(gradients, maps.detach()) * relu(gradients) if plus else gradients).mean(
        dim=(2, 3), keepdim=True
    )  # (n, filters, 1, 1)
    heat = relu((weights * maps.detach()).sum(dim=1, keepdim=True))  # (n, 1, h, w)
    heat = interpolate(heat, size=images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    maximum = heat.amax(dim=(1, 2), keepdim=True)
    scaled: Float32Array = torch.where(maximum > 0, heat / maximum, 0).float().cpu().numpy()
    return scaled


def _plus_shares(gradients: Tensor, maps: Tensor) -> Tensor:
    """Return equation 19 of Chattopadhay et al., in which all derivatives of an exponential are powers of the gradient."""
    squares = gradients**2
    below = 2 * squares + maps.sum(dim=(2, 3), keepdim=True) * gradients**3
    return torch.where(below != 0, squares / torch.where(below != 0, below, 1), 0)


def grad_cam_layer(model: nn.Module, image: Tensor) -> str:
    """Return the name of the last convolution whose map is larger than 1x1 for the image (channels, height, width).

    Raises:
        ConfigError: the model has no such convolution.
    """
    names = [name for name, maps in convolution_outputs(model, image).items() if maps[0].numel() > 1]
    if not names:
        raise ConfigError(
            "Grad-CAM needs a convolution whose map is larger than 1x1, and this model has none; "
            "name another layer with maps, as in the model's summary"
        )
    return names[-1]
