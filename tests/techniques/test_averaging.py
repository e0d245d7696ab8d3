import pytest
import torch
from torch import nn

from ceteris.techniques.averaging import ExponentialMovingAverage


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def with_weights(network: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)


def test_average_has_its_closed_form() -> None:
    network, decay = model(), 0.8
    average = ExponentialMovingAverage(network, decay=decay)
    weights = [2.0, -1.0, 0.5, 4.0]
    for weight in weights:
        with_weights(network, weight)
        average.update()

    average.copy_to_model()

    later = sum((1 - decay) * decay ** (3 - step) * weights[step] for step in range(1, 4))
    expected = decay**3 * weights[0] + later
    for parameter in network.parameters():
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, expected))


def test_statistics_of_batch_normalisation_are_averaged_with_the_weights() -> None:
    network = model()
    average = ExponentialMovingAverage(network, decay=0.5)
    for mean in (1.0, 3.0):
        network.get_buffer("1.running_mean").fill_(mean)
        average.update()

    with average.applied():
        inside = network.get_buffer("1.running_mean").clone()

    torch.testing.assert_close(inside, torch.full((4,), 2.0))


def test_own_weights_come_back_after_the_average_was_applied() -> None:
    network = model()
    average = ExponentialMovingAverage(network, decay=0.5)
    average.update()
    with_weights(network, 7.0)
    average.update()
    own = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def fail_under_the_average() -> None:
        with average.applied():
            assert not torch.equal(network.get_parameter("0.weight"), own["0.weight"])
            raise KeyError

    with pytest.raises(KeyError):
        fail_under_the_average()

    assert all(torch.equal(tensor, own[name]) for name, tensor in network.state_dict().items())


def test_the_random_initial_weights_have_no_share() -> None:
    network = model()
    with_weights(network, 1000.0)
    average = ExponentialMovingAverage(network, decay=0.99)
    with_weights(network, 1.0)
    average.update()

    average.copy_to_model()

    assert torch.equal(network.get_parameter("0.weight"), torch.ones(4, 3))
