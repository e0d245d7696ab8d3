from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d

from ceteris.errors import ConfigError
from ceteris.models.resnet import PaddingShortcut, ResidualBlock, ResNet

BLOCK_KINDS = ["basic", "pre-activation"]


def resnet(shape: tuple[int, int, int] = (1, 8, 8), **changes: Any) -> ResNet:
    arguments: dict[str, Any] = {
        "classes": 3,
        "blocks": (2, 1),
        "filters": (4, 6),
        "kernel": 3,
        "block": "basic",
        "convolutions_per_block": 2,
        "residual": True,
        "shortcut": "padding",
        "stem_stride": 1,
        "head": (),
        "activation": nn.ReLU,
        "batch_norm": True,
        "dropout": 0.0,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ResNet(input_shape=shape, **(arguments | changes))


def values(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))  # not negative, so ReLU passes them


def blocks_of(model: nn.Module) -> list[ResidualBlock]:
    return [module for module in model.modules() if isinstance(module, ResidualBlock)]


def silence_convolutions(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@pytest.mark.parametrize("block", BLOCK_KINDS)
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("convolutions", [2, 3])
def test_with_and_without_residual_connections_the_parameters_are_the_same(
    block: str, batch_norm: bool, convolutions: int
) -> None:
    changes: dict[str, Any] = {"block": block, "batch_norm": batch_norm, "convolutions_per_block": convolutions}
    connected, plain = resnet(**changes), resnet(**changes, residual=False)
    shapes = {name: value.shape for name, value in connected.state_dict().items()}
    assert list(shapes.items()) == [(name, value.shape) for name, value in plain.state_dict().items()]
    plain.load_state_dict(connected.state_dict())
    assert not torch.allclose(connected(values(2, 1, 8, 8)), plain(values(2, 1, 8, 8)))


@pytest.mark.parametrize("block", BLOCK_KINDS)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_silent_residual_block_passes_its_input(block: str, batch_norm: bool) -> None:
    model = resnet(block=block, batch_norm=batch_norm).eval()
    silence_convolutions(model)
    first, second, third = blocks_of(model)
    x = values(2, 4, 8, 8)
    assert torch.equal(first(x), x)
    assert torch.equal(second(x), x)
    halved = torch.cat([x[:, :, ::2, ::2], torch.zeros(2, 2, 4, 4)], dim=1)
    assert torch.equal(third(x), halved)


@pytest.mark.parametrize("block", BLOCK_KINDS)
def test_a_silent_block_without_residual_connection_passes_nothing(block: str) -> None:
    model = resnet(block=block, residual=False).eval()
    silence_convolutions(model)
    assert all(not block(values(2, 4, 8, 8)).any() for block in blocks_of(model))


def test_a_basic_block_computes_the_formula_of_the_paper() -> None:
    model = resnet(batch_norm=False, shortcut="projection")
    block, weights = model.stage2.block1, model.stage2.block1.state_dict()  # type: ignore[union-attr]
    x = values(2, 4, 7, 7)
    inner = conv2d(x, weights["branch.conv1.weight"], weights["branch.conv1.bias"], stride=2, padding=1).relu()
    branch = conv2d(inner, weights["branch.conv2.weight"], weights["branch.conv2.bias"], padding=1)
    shortcut = conv2d(x, weights["shortcut.conv.weight"], weights["shortcut.conv.bias"], stride=2)
    torch.testing.assert_close(block(x), (branch + shortcut).relu())  # type: ignore[operator]


def test_a_pre_activation_block_computes_the_formula_of_the_paper() -> None:
    block = resnet(block="pre-activation", activation=nn.Tanh).stage1.block1  # type: ignore[union-attr]
    weights = block.state_dict()  # type: ignore[union-attr]
    x = values(3, 4, 8, 8)
    inner = conv2d(batch_norm(x, None, None, training=True).tanh(), weights["branch.conv1.weight"], padding=1)
    inner = conv2d(batch_norm(inner, None, None, training=True).tanh(), weights["branch.conv2.weight"], padding=1)
    torch.testing.assert_close(block(x), x + inner, rtol=1e-4, atol=1e-5)  # type: ignore[operator]


def test_only_the_stages_after_the_first_halve_the_image() -> None:
    model = resnet((1, 28, 28), blocks=(1, 2, 1), filters=(4, 4, 8), stem_stride=2)
    x = model.stem(values(1, 1, 28, 28))  # type: ignore[operator]
    sizes = [x.shape[2:]]
    for stage in (model.stage1, model.stage2, model.stage3):
        x = stage(x)  # type: ignore[operator]
        sizes.append(x.shape[2:])
    assert sizes == [(14, 14), (14, 14), (7, 7), (4, 4)]


def test_has_the_parameters_of_the_arithmetic() -> None:
    stem = 4 * 9 + 2 * 4
    first_stage = 2 * 2 * (4 * 4 * 9 + 2 * 4)
    second_stage = 6 * 4 * 9 + 2 * 6 + 6 * 6 * 9 + 2 * 6
    classifier = 3 * (6 + 1)
    assert sum(p.numel() for p in resnet().parameters()) == stem + first_stage + second_stage + classifier
    projection = 6 * 4 + 2 * 6
    projected = sum(p.numel() for p in resnet(shortcut="projection").parameters())
    assert projected == stem + first_stage + second_stage + classifier + projection


@pytest.mark.parametrize("size", [(4, 4), (5, 5), (6, 7), (7, 3), (28, 28)])
@pytest.mark.parametrize("shortcut", ["padding", "projection"])
def test_odd_sizes_are_halved_alike_by_branch_and_shortcut(size: tuple[int, int], shortcut: str) -> None:
    model = resnet((1, *size), blocks=(1, 1, 1), filters=(2, 3, 4), shortcut=shortcut).eval()
    assert model(values(2, 1, *size)).shape == (2, 3)


def test_padding_adds_channels_behind_the_existing_ones() -> None:
    x = values(1, 2, 5, 5)
    padded = PaddingShortcut(stride=2, channels=3)(x)
    assert padded.shape == (1, 5, 3, 3)
    assert torch.equal(padded[:, :2], x[:, :, ::2, ::2])
    assert not padded[:, 2:].any()


def test_the_gradient_of_the_padding_goes_back_to_the_pixels_taken() -> None:
    x = values(1, 2, 5, 5).requires_grad_()
    weights = values(1, 5, 3, 3)
    (PaddingShortcut(stride=2, channels=3)(x) * weights).sum().backward()
    expected = torch.zeros(1, 2, 5, 5)
    expected[:, :, ::2, ::2] = weights[:, :2]
    assert x.grad is not None
    assert torch.equal(x.grad, expected)


def test_the_gradients_within_keep_the_fast_memory_order() -> None:
    model = resnet(blocks=(1, 1)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    orders: list[bool] = []

    def note(gradient: Tensor) -> None:
        orders.append(gradient.is_contiguous(memory_format=torch.channels_last))

    def watch(module: nn.Module, inputs: object, output: Tensor) -> None:
        output.register_hook(note)  # type: ignore[no-untyped-call]

    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(watch)
    model(values(2, 1, 8, 8)).sum().backward()
    assert orders == [True] * 5


def test_an_image_too_small_for_the_stages_is_an_error_with_its_cure() -> None:
    resnet((1, 8, 8), blocks=(1,) * 4, filters=(2,) * 4)
    with pytest.raises(ConfigError, match=r"5 stages halve.*8x8 pixels.*can be halved 3 times. Use at most 4 entries"):
        resnet((1, 8, 8), blocks=(1,) * 5, filters=(2,) * 5)
    with pytest.raises(ConfigError, match="smaller stem_stride"):
        resnet((1, 8, 8), blocks=(1,) * 4, filters=(2,) * 4, stem_stride=2)


def test_padding_cannot_remove_channels_but_projection_can() -> None:
    with pytest.raises(ConfigError, match=r'filters must not decrease.*\(6, 4\).*shortcut = "projection"'):
        resnet(filters=(6, 4))
    assert resnet(filters=(6, 4), shortcut="projection")(values(2, 1, 8, 8)).shape == (2, 3)
    assert resnet(filters=(6, 4), residual=False)(values(2, 1, 8, 8)).shape == (2, 3)


def test_a_shortcut_lets_the_gradient_through_a_deep_network() -> None:
    def share_at_the_stem(residual: bool) -> float:
        model = resnet(blocks=(12,), filters=(4,), batch_norm=False, activation=nn.Tanh, residual=residual)
        model(values(4, 1, 8, 8)).square().sum().backward()
        gradient: Tensor = model.stem.conv.weight.grad  # type: ignore[union-attr, assignment]
        return float(gradient.norm())

    assert share_at_the_stem(residual=True) > 1000 * share_at_the_stem(residual=False)
