import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ceteris.errors import ConfigError
from ceteris.models.dropout import Dropout, dropped, set_dropout_generator


def dropout(p: float, seed: int = 0) -> Dropout:
    layer = Dropout(p)
    set_dropout_generator(layer, torch.Generator().manual_seed(seed))
    return layer


@settings(max_examples=60, deadline=None)
@given(p=st.floats(0, 0.99), shape=st.lists(st.integers(0, 9), min_size=1, max_size=4), seed=st.integers(0, 2**62))
def test_each_value_is_dropped_or_scaled(p: float, shape: list[int], seed: int) -> None:
    output = dropout(p, seed)(torch.ones(shape))
    assert output.shape == tuple(shape)
    kept = output[output != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), rtol=2e-3, atol=0)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
def test_drops_the_share_asked_for_and_keeps_the_mean(p: float) -> None:
    n = 400_000
    output = dropout(p)(torch.ones(n))
    five_sigma = 5 * (p * (1 - p) / n) ** 0.5
    assert abs((output == 0).double().mean().item() - p) < five_sigma
    assert abs(output.double().mean().item() - 1) < five_sigma / (1 - p)


def test_neighbours_and_consecutive_masks_are_independent() -> None:
    layer = dropout(0.5)
    first, second = (layer(torch.ones(400_000)) - 1 for _ in range(2))
    limit = 5 / 400_000**0.5  # five standard deviations of a correlation
    assert abs((first * second).mean()) < limit
    for distance in range(1, 9):
        assert abs((first[distance:] * first[:-distance]).mean()) < limit


def test_the_gradient_goes_where_the_values_went() -> None:
    x = torch.randn(64, 33, generator=torch.Generator().manual_seed(2)).requires_grad_()
    output = dropout(0.4)(x)
    output.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, output)
    assert ((x.grad == 0) == (output == 0)).all()


@pytest.mark.parametrize("layer", [Dropout(0.5).eval(), Dropout(0.0)], ids=["evaluation", "p = 0"])
def test_needs_no_generator_and_changes_nothing_where_it_does_not_act(layer: Dropout) -> None:
    x = torch.ones(3, 4)
    assert layer(x) is x


def test_training_without_a_generator_is_an_error_with_its_cure() -> None:
    with pytest.raises(ConfigError, match="set_dropout_generator"):
        Dropout(0.5)(torch.ones(3))


@pytest.mark.parametrize("p", [-0.1, 1.0, 50.0, float("nan")])
def test_a_probability_outside_its_range_is_an_error(p: float) -> None:
    with pytest.raises(ConfigError, match=f"received {p}"):
        Dropout(p)


def test_all_layers_of_a_model_share_the_generator_and_draw_different_masks() -> None:
    model = nn.Sequential(Dropout(0.5), nn.Flatten(), Dropout(0.5))
    set_dropout_generator(model, torch.Generator().manual_seed(0))
    masks: list[Tensor] = [layer(torch.ones(500)) for layer in (model[0], model[2])]
    assert not torch.equal(*masks)


def test_keeps_bfloat16() -> None:
    assert dropout(0.5)(torch.ones(5, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_a_copied_model_draws_on_its_own() -> None:
    layer = dropout(0.5)
    twin = copy.deepcopy(layer)
    assert torch.equal(layer(torch.ones(99)), twin(torch.ones(99)))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@settings(max_examples=40, deadline=None)
@given(p=st.floats(0.01, 0.98), seed=st.integers(0, 2**62))
def test_values_and_gradients_are_those_of_a_mask_that_is_multiplied(kind: torch.dtype, p: float, seed: int) -> None:
    layer = Dropout(p)
    numbers = torch.randint(-(2**15), 2**15, (7, 31), generator=torch.Generator().manual_seed(seed), dtype=torch.int16)
    numbers[0, :3] = torch.tensor([layer.threshold - 1, layer.threshold, -(2**15)])  # both sides of the border
    x = torch.randn(7, 31, generator=torch.Generator().manual_seed(seed + 1)).to(kind).requires_grad_()
    above = torch.randn(7, 31, generator=torch.Generator().manual_seed(seed + 2)).to(kind)
    mask = (numbers >= layer.threshold).to(kind) * layer.scale
    outputs = dropped(x, numbers, layer.threshold, layer.scale), x * mask
    gradients = [torch.autograd.grad(output, x, above)[0] for output in outputs]
    assert torch.equal(*outputs)
    assert torch.equal(*gradients)
