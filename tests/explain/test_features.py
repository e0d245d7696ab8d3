from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn

from ceteris.errors import ConfigError
from ceteris.explain.features import feature_maps, first_features
from ceteris.records import ByteArray, FloatArray

MEAN, STD = np.array([100.0, 90.0]), np.array([60.0, 50.0])


def image() -> ByteArray:
    return np.random.default_rng(0).integers(0, 256, size=(2, 8, 7), dtype=np.uint8)


def standardised() -> FloatArray:
    pixels: FloatArray = (image() - MEAN[:, None, None]) / STD[:, None, None]
    return pixels


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 20, 3, padding=1), nn.BatchNorm2d(20), nn.ReLU(inplace=True), nn.Conv2d(20, 5, 5), nn.ReLU()
    )


def test_a_convolution_shows_its_mean_weights_over_other_than_colours_and_its_own_output() -> None:
    model: Any = convolutional()
    maps = feature_maps(model, image(), "0", mean=MEAN, std=STD)
    weights, bias = model[0].weight.detach().numpy(), model[0].bias.detach().numpy()
    np.testing.assert_allclose(maps.filters, weights[:16].mean(axis=1, keepdims=True), rtol=1e-5, atol=1e-7)
    expected = [
        bias[unit] + sum(correlate2d(standardised()[c], weights[unit, c], mode="same") for c in range(2))
        for unit in range(16)
    ]
    np.testing.assert_allclose(maps.maps, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(maps.image, image())


def test_the_first_two_convolutions_are_shown_at_most_sixteen_filters_each() -> None:
    model = nn.Sequential(convolutional(), nn.Conv2d(5, 3, 3))
    first, second = first_features(model, image(), mean=MEAN, std=STD)
    assert (first.layer, first.filters.shape, first.maps.shape) == ("0.0", (16, 1, 3, 3), (16, 8, 7))
    assert (second.layer, second.filters.shape, second.maps.shape) == ("0.3", (5, 1, 5, 5), (5, 4, 3))
    assert first.maps.dtype == first.filters.dtype == np.float32


def test_a_fully_connected_network_shows_the_weights_of_each_unit_and_its_one_response() -> None:
    model: Any = nn.Sequential(nn.Flatten(), nn.Linear(2 * 8 * 7, 20), nn.ReLU(), nn.Linear(20, 3))
    (features,) = first_features(model, image(), mean=MEAN, std=STD)
    assert (features.layer, features.filters.shape, features.maps.shape) == ("1", (16, 1, 8, 7), (16, 1, 1))
    weights = model[1].weight.detach().view(20, 2, 8, 7)
    np.testing.assert_allclose(features.filters, weights.mean(dim=1, keepdim=True)[:16], rtol=1e-5, atol=1e-7)
    pixels = torch.tensor(standardised(), dtype=torch.float32)
    responses = model[:2](pixels[None])[0, :16, None, None]
    np.testing.assert_allclose(features.maps, responses.detach(), rtol=1e-4, atol=1e-5)


def test_a_model_without_such_layers_shows_nothing() -> None:
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    assert first_features(model, image(), mean=MEAN, std=STD) == ()


def test_later_changes_of_the_weights_do_not_reach_the_pictures() -> None:
    model: Any = convolutional()
    (first, _) = first_features(model, image(), mean=MEAN, std=STD)
    before = first.filters.copy()
    nn.init.zeros_(model[0].weight)
    np.testing.assert_array_equal(first.filters, before)


class Idle(nn.Module):
    """A convolution that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = nn.Conv2d(2, 2, 3)
        self.waits = nn.Conv2d(2, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.runs(x)
        return output


def test_errors_name_the_layer_and_the_choice() -> None:
    with pytest.raises(ConfigError, match='"2" is a ReLU'):
        feature_maps(convolutional(), image(), "2", mean=MEAN, std=STD)
    with pytest.raises(ConfigError, match=r'"waits" does not run.*runs'):
        feature_maps(Idle(), image(), "waits", mean=MEAN, std=STD)
    assert [maps.layer for maps in first_features(Idle(), image(), mean=MEAN, std=STD)] == ["runs"]
