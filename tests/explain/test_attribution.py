"""Maps against captum, their sums, and that the checks of maps tell a map that means something from one that does not."""

from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from tests.explain.test_explanation import MODELS, build
from torch import Tensor, nn

from ceteris.explain.attribution import check_maps, integrated_gradients, map_makers, occlusion
from ceteris.explain.gradcam import grad_cam

TARGETS = torch.tensor([3, 0, 7])


def images() -> Tensor:
    return torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("kind", MODELS)
def test_integrated_gradients_agree_with_captum_and_add_up(kind: str) -> None:
    model, base = build(kind).eval(), torch.full((1, 1, 1), -0.7)
    found = integrated_gradients(model, images(), TARGETS, baseline=base)
    captums: Any = captum.attr.IntegratedGradients(model)
    start = base.expand(3, 1, 8, 8)
    theirs = captums.attribute(images(), start, TARGETS, n_steps=32, method="gausslegendre")
    np.testing.assert_allclose(found, theirs.sum(1).detach(), atol=1e-5)
    fine = integrated_gradients(model, images(), TARGETS, baseline=base, steps=300)
    with torch.no_grad():
        risen = (model(images()) - model(start)).gather(1, TARGETS[:, None])[:, 0]
    np.testing.assert_allclose(fine.sum((1, 2)), risen, atol=0.02)


@pytest.mark.parametrize(("kind", "layer"), [("cnn", "block1.conv1"), ("resnet", "stage1.block1"), ("cnn", "block2")])
def test_any_layers_grad_cam_agrees_with_captum(kind: str, layer: str) -> None:
    model = build(kind).eval()
    captums: Any = captum.attr.LayerGradCam(model, model.get_submodule(layer))
    raw = captums.attribute(images(), TARGETS, relu_attributions=True)
    theirs = captum.attr.LayerAttribution.interpolate(raw, (8, 8), "bilinear")[:, 0].detach().numpy()
    largest = theirs.max(axis=(1, 2), keepdims=True)
    expected = np.divide(theirs, largest, out=np.zeros_like(theirs), where=largest > 0)
    np.testing.assert_allclose(grad_cam(model, images(), TARGETS, layer), expected, atol=1e-5)


def test_grad_cam_plus_takes_derivatives_of_the_exponential() -> None:
    """By its definition: with Y = exp(logit) the weights need the second and third derivative of Y by one activation."""
    features = nn.Conv2d(1, 3, 3, padding=1)
    head = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16, 2))
    model = nn.Sequential(features, head).double()
    image = torch.randn(1, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    maps = features(image).detach()
    shift = torch.zeros_like(maps, requires_grad=True)
    derivatives = []
    value = head(maps + shift)[0, 1].exp()
    for _ in range(3):
        (value,) = torch.autograd.grad(value.sum(), shift, create_graph=True)
        derivatives.append(value.detach())
    logit = head(maps)[0, 1].exp().detach()
    first, second, third = (
        derivatives  # mixed derivatives are in the sums; of the diagonal these are powers of the slope
    )
    slope = first / logit
    second, third = logit * slope**2, logit * slope**3
    shares = second / (2 * second + maps.sum((2, 3), keepdim=True) * third)
    weights = (shares * slope.relu()).mean((2, 3), keepdim=True)
    expected = (weights * maps).sum(1).relu()
    found = grad_cam(model, image, torch.tensor([1]), "0", plus=True)
    np.testing.assert_allclose(found, (expected / expected.max()).detach(), atol=1e-5)


def test_occlusion_finds_the_only_pixels_that_count() -> None:
    class Corner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            strength = x[:, 0, :2, :2].sum((1, 2))
            return torch.stack((strength, -strength), 1)

    maps = occlusion(Corner(), torch.ones(1, 1, 8, 8), torch.tensor([0]))
    assert (maps[0, :2, :2] > 0.01).all()
    assert np.abs(maps[0, 4:, 4:]).max() == 0


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_maps_leave_models_and_images_alone(kind: str) -> None:
    model, pixels = build(kind).train(), images()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    makers = map_makers("block2.conv1" if kind == "cnn" else "")
    assert len(makers) == (4 if kind == "cnn" else 2)
    check_maps(model, pixels, makers, name="m", blank=torch.zeros(1, 1, 1), seed=0)
    assert torch.equal(pixels, images())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(m.training and not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_checks_tell_a_true_map_from_one_that_ignores_the_model() -> None:
    """A linear model over a corner: its gradients break with its weights and name the pixels; brightness does neither."""
    linear = nn.Linear(64, 2)
    model = nn.Sequential(nn.Flatten(), linear)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight.view(2, 8, 8)[0, :3, :3] = torch.arange(9.0).view(3, 3) / 4
    pixels = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1)) + 0.1
    makers = map_makers("")
    makers["grad-cam"] = lambda model, images, targets: images[:, 0].numpy()  # an edge detector
    found = check_maps(model, pixels, makers, name="m", blank=torch.zeros(1, 1, 1), seed=0)
    place = {method: number for number, method in enumerate(found.methods)}
    assert found.similarity[place["grad-cam"], -1] == pytest.approx(1)
    assert found.similarity[place["integrated-gradients"], -1] < 0.5
    area = found.deletion.mean(axis=1)
    assert area[place["integrated-gradients"]] < area[place["grad-cam"]]
    assert area[place["integrated-gradients"]] < area[-1]
    assert found.insertion.mean(axis=1)[place["integrated-gradients"]] > found.insertion.mean(axis=1)[-1]
