from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.tiny_training import record_of
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, linear, max_pool2d

from ceteris import recipe
from ceteris.errors import ConfigError
from ceteris.models.cnn import CNN
from ceteris.models.layers import Flatten, GlobalAveragePooling
from ceteris.models.resnet import ResidualBlock, shortcut_modules
from ceteris.training.build import build_model


def cnn(shape: tuple[int, int, int] = (1, 8, 8), **changes: Any) -> CNN:
    arguments: dict[str, Any] = {
        "classes": 3,
        "filters": (4, 6),
        "kernels": (3, 5),
        "convolutions_per_block": 1,
        "pooling": "max",
        "pool_after": None,
        "order": "activation-first",
        "global_average_pooling": False,
        "head": (),
        "activation": nn.ReLU,
        "batch_norm": False,
        "dropout": 0.0,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CNN(input_shape=shape, **(arguments | changes))


def images(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def poolings(model: nn.Module) -> int:
    return sum(isinstance(module, nn.MaxPool2d) for module in model.modules())


def test_the_small_cnn_is_the_one_of_the_brief() -> None:
    choice = TypeAdapter(recipe.Model).validate_python("small-cnn")
    assert isinstance(choice, recipe.CNN)
    built_otherwise = ("kind", "activation", "initialisation", "image_size")
    fields = {name: value for name, value in asdict(choice).items() if name not in built_otherwise}
    assert choice.activation == recipe.ReLU()
    model = CNN(input_shape=(1, 28, 28), classes=10, activation=nn.ReLU, **fields)
    # conv 8 3x3, conv 16 3x3, conv 32 3x3, fully connected 10 on 32 maps of 7x7 (28 halved twice)
    by_hand = [8 * (1 * 9 + 1), 16 * (8 * 9 + 1), 32 * (16 * 9 + 1), 10 * (32 * 7 * 7 + 1)]
    assert by_hand == [80, 1168, 4640, 15690]
    layers = [module for module in model.modules() if not list(module.children())]
    assert [sum(p.numel() for p in layer.parameters()) for layer in layers if list(layer.parameters())] == by_hand
    convolve, activate, pool = nn.Conv2d, nn.ReLU, nn.MaxPool2d
    assert [type(layer) for layer in layers] == [
        *(convolve, activate, pool, convolve, activate, pool, convolve, activate),
        *(Flatten, nn.Linear),
    ]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            assert (layer.stride, layer.padding, layer.kernel_size) == ((1, 1), (1, 1), (3, 3))
        if isinstance(layer, nn.MaxPool2d):
            assert (layer.stride, layer.kernel_size, layer.padding) == (2, 2, 0)


@pytest.mark.parametrize("order", ["activation-first", "pooling-first"])
@pytest.mark.parametrize(("pooling", "pool"), [("max", max_pool2d), ("average", avg_pool2d)])
def test_computes_the_blocks_in_the_order_asked_for(order: str, pooling: str, pool: Callable[..., Tensor]) -> None:
    model = cnn((2, 9, 8), order=order, pooling=pooling, activation=nn.Tanh, head=(7,))
    weights = model.state_dict()
    x = images((2, 2, 9, 8))
    for block, padding in (("block1", 1), ("block2", 2)):
        x = conv2d(x, weights[f"{block}.conv1.weight"], weights[f"{block}.conv1.bias"], padding=padding)
        x = pool(x.tanh(), 2) if order == "activation-first" else pool(x, 2).tanh()
    x = linear(x.flatten(1), weights["linear1.weight"], weights["linear1.bias"]).tanh()
    expected = linear(x, weights["classifier.weight"], weights["classifier.bias"])
    torch.testing.assert_close(model(images((2, 2, 9, 8))), expected, rtol=1e-5, atol=1e-6)


def test_the_order_matters_exactly_where_theory_says() -> None:
    # a maximum and a rising function can be exchanged, an average and a curved function cannot
    def answers(order: str, pooling: str) -> Tensor:
        answer: Tensor = cnn(order=order, pooling=pooling)(images((2, 1, 8, 8)))
        return answer

    assert torch.equal(answers("activation-first", "max"), answers("pooling-first", "max"))
    assert not torch.allclose(answers("activation-first", "average"), answers("pooling-first", "average"), atol=1e-3)


def test_normalises_after_every_convolution_and_drops_its_bias() -> None:
    model = cnn(convolutions_per_block=2, batch_norm=True, order="pooling-first")
    kinds = [type(layer) for layer in model[0].children()]
    once = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert kinds == [*once, nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.ReLU]
    assert all(module.bias is None for module in model.modules() if isinstance(module, nn.Conv2d))


def test_pools_after_every_block_while_the_image_lasts() -> None:
    assert poolings(cnn((1, 8, 8), filters=(2,) * 5, kernels=(3,) * 5)) == 3
    assert poolings(cnn((1, 28, 28), filters=(2,) * 3, kernels=(3,) * 3)) == 3
    assert poolings(cnn((1, 1, 9))) == 0
    assert poolings(cnn((1, 28, 28), pool_after=())) == 0


def test_an_image_too_small_for_the_poolings_is_an_error_with_its_cure() -> None:
    with pytest.raises(ConfigError, match=r"pool_after = \(1, 2, 3\).*3x3 pixels can be halved 1 times.*at most 1"):
        cnn((1, 3, 3), filters=(2,) * 3, kernels=(3,) * 3, pool_after=(1, 2, 3))


def test_global_average_pooling_frees_the_head_from_the_images_size() -> None:
    model = cnn((1, 8, 8), global_average_pooling=True)
    assert model.classifier.in_features == 6  # type: ignore[union-attr]
    assert model(images((2, 1, 19, 23))).shape == (2, 3)
    x = images((2, 6, 4, 3))
    torch.testing.assert_close(GlobalAveragePooling()(x), x.mean(dim=(2, 3), keepdim=True))


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 17),
    width=st.integers(1, 17),
    blocks=st.integers(1, 4),
    convolutions=st.integers(1, 2),
    pooling=st.sampled_from(["max", "average", "none"]),
    order=st.sampled_from(["activation-first", "pooling-first"]),
)
def test_works_for_every_size_of_image(
    height: int, width: int, blocks: int, convolutions: int, pooling: str, order: str
) -> None:
    model = cnn(
        (1, height, width),
        filters=(2,) * blocks,
        kernels=(3,) * blocks,
        convolutions_per_block=convolutions,
        pooling=pooling,
        order=order,
    )
    assert model(images((2, 1, height, width))).shape == (2, 3)


# ---------------------------------------------------------------------------------------------------------------------
# Residual connections


def built(model: recipe.CNN, shape: tuple[int, int, int] = (1, 28, 28)) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    return build_model(model, input_shape=shape, classes=10, generator=generator)


SMALL = recipe.CNN(filters=(8, 16, 32), kernels=(3, 3, 3), pool_after=(1, 2), head=())  # 21,578 weights


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("residual", [1, 2, 3])
@pytest.mark.parametrize("order", ["activation-first", "pooling-first"])
def test_shortcuts_leave_everything_else_as_it_is(depth: int, residual: int, order: Any) -> None:
    plain = replace(SMALL, convolutions_per_block=depth, order=order, activation=recipe.Tanh())
    connected = built(replace(plain, residual=residual))
    without = built(plain)
    assert [tuple(p.shape) for p in connected.parameters()] == [tuple(p.shape) for p in without.parameters()]
    assert all(torch.equal(*pair) for pair in zip(connected.parameters(), without.parameters(), strict=True))
    assert depth > 1 or sum(p.numel() for p in connected.parameters()) == 21_578

    blocks = [module for module in connected.modules() if isinstance(module, ResidualBlock)]
    assert len(blocks) == -(-3 * depth // residual)
    for block in blocks:  # all that the shortcuts do: without them the network is the plain one
        block.shortcut = None
    batch = images((5, 1, 28, 28))
    torch.testing.assert_close(connected(batch), without(batch))


def test_a_shortcut_is_added_before_the_activation_and_passes_the_poolings_on_its_way() -> None:
    model = cnn(residual=2, activation=nn.Tanh, pool_after=(1, 2))  # (1, 8, 8): 4 filters, pooling, 6 filters, pooling
    (first, first_bias), (second, second_bias) = [
        (layer.weight, layer.bias) for layer in model.modules() if isinstance(layer, nn.Conv2d)
    ]
    batch = images((2, 1, 8, 8))
    inner = max_pool2d(torch.tanh(conv2d(batch, first, first_bias, padding=1)), 2)
    short = torch.cat([max_pool2d(batch, 2), torch.zeros(2, 5, 4, 4)], dim=1)  # one channel becomes six
    total = max_pool2d(torch.tanh(conv2d(inner, second, second_bias, padding=2) + short), 2)
    torch.testing.assert_close(model[0](batch), total)


def test_a_projection_has_weights_of_its_own_and_changes_no_others() -> None:
    plain = replace(SMALL, convolutions_per_block=2)
    connected, without = built(replace(plain, residual=2, shortcut="projection")), built(plain)
    projections = {id(p) for module in shortcut_modules(connected) for p in module.parameters()}
    others = [p for p in connected.parameters() if id(p) not in projections]
    assert all(torch.equal(*pair) for pair in zip(others, without.parameters(), strict=True))
    added = sum(p.numel() for p in connected.parameters()) - sum(p.numel() for p in without.parameters())
    assert added == (1 + 1) * 8 + (8 + 1) * 16 + (16 + 1) * 32  # 1x1, where the channels change


def test_padding_cannot_remove_channels_and_says_so() -> None:
    with pytest.raises(ConfigError, match=r"from 8 to 4\..*projection"):
        cnn(filters=(8, 4), residual=1)
    assert cnn(filters=(8, 4), residual=1, shortcut="projection")(images((2, 1, 8, 8))).shape == (2, 3)


def test_with_shortcuts_a_deep_network_learns_what_it_does_not_learn_without() -> None:
    """30 convolutions of the framework's default weights: without shortcuts nothing of the image reaches the end."""
    accuracies = []
    for residual in (0, 2):
        model = recipe.CNN(filters=(8, 8), kernels=(3, 3), convolutions_per_block=15, head=(), residual=residual)
        record = record_of(recipe.Recipe(model=model, optimizer=recipe.Adam(lr=3e-3), epochs=6, batch_size=8))
        accuracies.append(record.accuracy)
    assert accuracies[1] - accuracies[0] > 0.4
