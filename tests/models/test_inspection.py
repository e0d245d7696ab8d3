import pytest
import torch
from torch import nn

from ceteris.errors import ConfigError
from ceteris.models.summary import convolutions, device_of, evaluating, layer_named, linears


def model() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten()), nn.Linear(48, 2))


def test_evaluating_restores_the_mode_of_every_module_even_after_an_error() -> None:
    net = model().train()
    net[1].eval()
    with evaluating(net):
        assert not any(module.training for module in net.modules())
    with pytest.raises(RuntimeError), evaluating(net):
        net(torch.zeros(1, 5, 5, 5))
    assert [module.training for module in net.modules()] == [True, True, False, False, False, True]


def test_finds_layers_by_type_in_their_order() -> None:
    assert list(convolutions(model())) == ["0", "1.0"]
    assert list(linears(model())) == ["2"]


def test_an_unknown_layer_is_an_error_that_lists_the_layers() -> None:
    assert isinstance(layer_named(model(), "1.0"), nn.Conv2d)
    with pytest.raises(ConfigError, match=r'no layer "1.2".*Did you mean "1.\d".*0, 1, 1.0, 1.1, 2'):
        layer_named(model(), "1.2")


def test_the_device_is_that_of_the_parameters() -> None:
    assert device_of(nn.Linear(2, 2, device="meta")) == torch.device("meta")
    assert device_of(nn.Flatten()) == torch.device("cpu")
