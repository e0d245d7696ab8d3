import math
from typing import get_args

import pytest
import torch
from scipy import integrate
from torch import Tensor, nn
from torch.nn import init

from ceteris.techniques.initialisation import Method, gain_of, initialise_

METHODS: tuple[Method, ...] = get_args(Method)


def initialised(model: nn.Module, method: Method, *, gain: float = 1.0, seed: int = 0) -> nn.Module:
    model.to_empty(device="cpu")
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.detach().fill_(torch.nan if tensor.is_floating_point() else 99)
    initialise_(model, method=method, gain=gain, generator=torch.Generator().manual_seed(seed))
    return model


def network(*, bias: bool = True) -> nn.Sequential:
    with torch.device("meta"):
        return nn.Sequential(
            nn.Conv2d(2, 6, 3, bias=bias), nn.BatchNorm2d(6), nn.PReLU(), nn.Flatten(), nn.Linear(6, 5)
        )


def weight_of(layer: nn.Module) -> Tensor:
    return layer.get_parameter("weight").detach()


def wide_linear(method: Method, gain: float) -> Tensor:
    with torch.device("meta"):
        layer = nn.Linear(300, 500)
    return weight_of(initialised(layer, method, gain=gain))


@pytest.mark.parametrize(
    ("method", "deviation"),
    [
        ("default", math.sqrt(1 / 3) / math.sqrt(300)),
        ("kaiming-normal", 1.5 / math.sqrt(300)),
        ("kaiming-uniform", 1.5 / math.sqrt(300)),
        ("xavier-normal", math.sqrt(2 / 800)),
        ("xavier-uniform", math.sqrt(2 / 800)),
        ("dirac", 1.5 / math.sqrt(300)),
    ],
)
def test_weights_have_the_deviation_of_their_method(method: Method, deviation: float) -> None:
    weight = wide_linear(method, gain=1.5)

    assert float(weight.std()) == pytest.approx(deviation, rel=0.01)
    assert abs(float(weight.mean())) < 4 * deviation / math.sqrt(weight.numel())


def test_uniform_weights_stay_within_their_bound_and_normal_ones_do_not() -> None:
    def farthest(method: Method) -> float:
        weight = wide_linear(method, gain=1.0)
        return float(weight.abs().max() / weight.std())

    assert farthest("default") == pytest.approx(math.sqrt(3), rel=0.01)
    assert farthest("kaiming-uniform") == pytest.approx(math.sqrt(3), rel=0.01)
    assert farthest("xavier-uniform") == pytest.approx(math.sqrt(3), rel=0.01)
    assert farthest("kaiming-normal") > 4
    assert farthest("xavier-normal") > 4


def test_orthogonal_filters_are_orthogonal_and_scaled_by_the_gain() -> None:
    with torch.device("meta"):
        layer = nn.Conv2d(4, 8, 3)
    matrix = weight_of(initialised(layer, "orthogonal", gain=2.0)).flatten(1)  # (8, 36)

    torch.testing.assert_close(matrix @ matrix.T, 4 * torch.eye(8), atol=1e-5, rtol=0)


def test_dirac_filters_pass_their_channel_and_the_others_are_random() -> None:
    with torch.device("meta"):
        layer = nn.Conv2d(3, 5, 3, padding=1)
    conv = initialised(layer, "dirac")
    images = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))

    passed = conv(images)

    torch.testing.assert_close(passed[:, :3], images)
    assert float(weight_of(conv)[3:].abs().min()) > 0


def test_biases_are_zero_except_in_the_frameworks_default() -> None:
    for method in METHODS:
        bias = initialised(network(), method).get_parameter("4.bias").detach()
        bound = 1 / math.sqrt(6)
        assert (bias == 0).all() == (method != "default")
        assert float(bias.abs().max()) <= bound


@pytest.mark.parametrize("method", METHODS)
def test_every_parameter_and_buffer_is_set(method: Method) -> None:
    state = initialised(network(), method).state_dict()

    assert all(torch.isfinite(tensor).all() for tensor in state.values())
    assert int(state["1.num_batches_tracked"]) == 0
    assert torch.equal(state["1.running_var"], torch.ones(6))
    assert float(state["2.weight"]) == 0.25


@pytest.mark.parametrize("method", METHODS)
def test_a_layers_weights_do_not_depend_on_biases_or_widths_of_other_layers(method: Method) -> None:
    with torch.device("meta"):
        other = nn.Sequential(nn.Conv2d(2, 40, 5), nn.Linear(6, 5))

    weight = initialised(network(), method).get_parameter("4.weight")

    assert torch.equal(weight, initialised(network(bias=False), method).get_parameter("4.weight"))
    assert torch.equal(weight, initialised(other, method).get_parameter("1.weight"))


@pytest.mark.parametrize("method", METHODS)
def test_draws_come_from_the_generator_alone(method: Method) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = initialised(network(), method, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)

    again, other = (initialised(network(), method, seed=seed).state_dict() for seed in (5, 6))

    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["4.weight"], other["4.weight"])


def test_layers_of_equal_shape_get_different_weights() -> None:
    with torch.device("meta"):
        layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))

    twins = initialised(layers, "kaiming-normal")

    assert not torch.equal(weight_of(twins.get_submodule("0")), weight_of(twins.get_submodule("1")))


def test_a_module_that_nobody_knows_is_not_left_empty() -> None:
    with torch.device("meta"):
        unknown = nn.Embedding(3, 4)

    with pytest.raises(AssertionError, match="Embedding"):
        initialised(unknown, "default")


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (nn.ReLU(), "relu"),
        (nn.LeakyReLU(0.2), "leaky_relu"),
        (nn.Tanh(), "tanh"),
        (nn.Sigmoid(), "sigmoid"),
        (nn.SELU(), "selu"),
    ],
)
def test_gain_is_torchs_where_torch_has_one(activation: nn.Module, name: str) -> None:
    slope = getattr(activation, "negative_slope", None)
    assert gain_of(activation) == pytest.approx(init.calculate_gain(name, slope))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "activation",
    [nn.ReLU(), nn.LeakyReLU(0.25), nn.ELU(0.7), nn.GELU(), nn.SiLU(), nn.Mish(), nn.Softplus(2.0)],
)
def test_gain_keeps_the_second_moment_of_a_normal_input(activation: nn.Module) -> None:
    def weighted_square(z: float) -> float:
        response = float(activation(torch.tensor(z, dtype=torch.float64)))
        return response**2 * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)

    moment = sum(integrate.quad(weighted_square, *span)[0] for span in ((-9, 0), (0, 9)))

    assert gain_of(activation) ** 2 * moment == pytest.approx(1, rel=1e-4)


def test_gain_of_a_learned_slope_is_that_of_its_start() -> None:
    assert gain_of(nn.PReLU(init=0.25)) == gain_of(nn.LeakyReLU(0.25))
