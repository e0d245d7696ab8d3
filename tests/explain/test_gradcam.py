import copy
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ceteris.errors import ConfigError
from ceteris.explain.gradcam import grad_cam, grad_cam_layer


def convolutional(*, in_place: bool = False) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            OrderedDict(
                first=nn.Conv2d(2, 4, 3, padding=1),
                norm=nn.BatchNorm2d(4),
                activation=nn.ReLU(inplace=in_place),
                pool=nn.MaxPool2d(2),
                second=nn.Conv2d(4, 6, 3),
                activation2=nn.ReLU(inplace=in_place),
                flatten=nn.Flatten(),
                out=nn.Linear(6 * 3 * 2, 3),
            )
        )


def images(count: int = 4) -> Tensor:
    return torch.randn(count, 2, 10, 9, generator=torch.Generator().manual_seed(1))


TARGETS = torch.tensor([0, 2, 1, 2])


@pytest.mark.parametrize("layer", ["first", "activation", "pool", "second"])
def test_agrees_with_captum(layer: str) -> None:
    model = convolutional().eval()
    ours = grad_cam(model, images(), TARGETS, layer)
    heat = LayerGradCam(model, model.get_submodule(layer)).attribute(images(), TARGETS, relu_attributions=True)
    theirs = LayerAttribution.interpolate(heat, (10, 9), interpolate_mode="bilinear")[:, 0].detach().numpy()
    peak = theirs.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(ours * np.where(peak > 0, peak, 1), theirs, rtol=1e-4, atol=1e-6)
    assert ours.dtype == np.float32
    assert ours.max() == 1
    assert ours.min() >= 0


def test_the_last_convolution_with_a_map_is_the_default() -> None:
    model = convolutional()
    assert grad_cam_layer(model, images()[0]) == "second"
    np.testing.assert_array_equal(grad_cam(model, images(), TARGETS), grad_cam(model, images(), TARGETS, "second"))


def test_a_convolution_with_a_single_value_per_map_is_passed_over() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 3, 1), nn.Flatten())
    assert grad_cam_layer(model, images()[0]) == "0"


def test_activations_in_place_do_not_disturb_it() -> None:
    in_place, usual = convolutional(in_place=True), convolutional()
    np.testing.assert_array_equal(grad_cam(in_place, images(), TARGETS), grad_cam(usual, images(), TARGETS))


def test_frozen_weights_do_not_disturb_it() -> None:
    frozen = convolutional().requires_grad_(False)
    np.testing.assert_array_equal(grad_cam(frozen, images(), TARGETS), grad_cam(convolutional(), images(), TARGETS))


def test_shows_what_speaks_for_the_class_and_nothing_else() -> None:
    # one filter passes the image, one its negative; each class is the mean of one of them
    model: Any = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        model[3].weight.copy_(torch.eye(2))
    image = images()[:1, :1]
    for target, sign in ((0, 1), (1, -1)):
        expected = (sign * image[0, 0]).clamp(min=0)
        heat = grad_cam(model, image, torch.tensor([target]))[0]
        np.testing.assert_allclose(heat, expected / expected.max(), rtol=1e-5)


def test_an_image_without_any_evidence_stays_dark() -> None:
    model = convolutional()
    with torch.no_grad():
        model.out.weight.zero_()  # type: ignore[union-attr, operator]
    assert not grad_cam(model, images(), TARGETS).any()


def test_finds_the_bar_that_a_trained_network_looks_at() -> None:
    generator = torch.Generator().manual_seed(5)
    model = nn.Sequential(
        *(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()),
        *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 2)),
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(120):
        batch, labels, _ = bars(64, generator)
        optimizer.zero_grad()
        cross_entropy(model(batch), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    batch, labels, places = bars(100, generator)
    heat = grad_cam(model, batch, labels)
    inside, outside = heat[places.numpy()].mean(), heat[~places.numpy()].mean()
    assert inside > 4 * outside


def bars(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Noise with a lying (class 0) or standing (class 1) bar of 5 pixels; images, labels and where the bars are."""
    pixels = 0.2 * torch.randn(count, 1, 14, 14, generator=generator)
    labels = torch.randint(2, (count,), generator=generator)
    places = torch.zeros(count, 14, 14, dtype=torch.bool)
    for index, (row, column) in enumerate(torch.randint(2, 8, (count, 2), generator=generator).tolist()):
        if labels[index]:
            places[index, row : row + 5, column] = True
        else:
            places[index, row, column : column + 5] = True
    pixels[:, 0][places] += 1.0
    return pixels, labels, places


@pytest.mark.parametrize("training", [True, False])
def test_leaves_the_model_as_it_was(training: bool) -> None:
    model = convolutional().train(training)
    before = copy.deepcopy(model.state_dict())
    batch = images()
    grad_cam(model, batch, TARGETS)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training is training and not module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not batch.requires_grad


def test_works_where_gradients_are_switched_off() -> None:
    with torch.no_grad():
        heat = grad_cam(convolutional(), images(), TARGETS)
    np.testing.assert_array_equal(heat, grad_cam(convolutional(), images(), TARGETS))


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r'no layer "secnd".*Did you mean "second"'):
        grad_cam(convolutional(), images(), TARGETS, "secnd")
    with pytest.raises(ConfigError, match=r'needs a layer with maps.*"flatten"'):
        grad_cam(convolutional(), images(), TARGETS, "flatten")
    with pytest.raises(ConfigError, match="name another layer with maps"):
        grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(180, 3)), images(), TARGETS)
