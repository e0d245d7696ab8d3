import math

import pytest
import torch
import torchinfo
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ceteris.models.cnn import CNN
from ceteris.models.mlp import MLP
from ceteris.models.resnet import ResNet
from ceteris.models.summary import summarise, summary_text

SHAPE = (3, 12, 12)


def small_resnet() -> nn.Module:
    return ResNet(
        input_shape=SHAPE,
        classes=5,
        blocks=(1, 2),
        filters=(4, 8),
        kernel=3,
        block="basic",
        convolutions_per_block=2,
        residual=True,
        shortcut="projection",
        stem_stride=1,
        head=(9,),
        activation=nn.ReLU,
        batch_norm=True,
        dropout=0.5,
    )


def small_cnn() -> nn.Module:
    return CNN(
        input_shape=SHAPE,
        classes=5,
        filters=(4, 8),
        kernels=(5, 3),
        convolutions_per_block=1,
        pooling="max",
        pool_after=None,
        order="activation-first",
        global_average_pooling=False,
        head=(11,),
        activation=nn.ReLU,
        batch_norm=False,
        dropout=0.0,
    )


def small_mlp() -> nn.Module:
    return MLP(input_shape=SHAPE, classes=5, hidden=(8, 7), activation=nn.Tanh, batch_norm=True, dropout=0.1)


class Functional(nn.Module):
    """Products outside of layers, a parameter of its own, a layer used twice, several outputs, a changing buffer."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.ones(432, 6))
        self.twice = nn.Linear(6, 6, bias=False)
        self.recurrent = nn.GRU(6, 4, batch_first=True)
        self.unused = nn.Linear(2, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        hidden = self.twice(self.twice(x.flatten(1) @ self.own))
        output: Tensor = self.recurrent(hidden[:, None])[0][:, 0] + torch.rand(4)
        return output


BUILDERS = {"mlp": small_mlp, "cnn": small_cnn, "resnet": small_resnet, "a user's own": Functional}
every_model = pytest.mark.parametrize("model", [build() for build in BUILDERS.values()], ids=BUILDERS.keys())


@every_model
def test_the_totals_are_those_of_the_flop_counter_and_of_the_parameters(model: nn.Module) -> None:
    model.eval()
    with torch.random.fork_rng(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *SHAPE))
    summary = summarise(model, SHAPE)
    assert summary.flops == counter.get_total_flops()
    assert summary.flops == sum(row.flops for row in summary.layers)
    assert summary.parameters == sum(parameter.numel() for parameter in model.parameters())


@every_model
def test_layers_shapes_and_parameters_are_those_of_torchinfo(model: nn.Module) -> None:
    model.eval()
    with torch.random.fork_rng():
        theirs = torchinfo.summary(model, input_data=torch.zeros(2, *SHAPE), verbose=0)
    expected = [
        (layer.class_name, tuple(layer.output_size[1:]))
        for layer in theirs.summary_list
        if layer.is_leaf_layer and layer.output_size
    ]
    summary = summarise(model, SHAPE)
    leaves = [row for row in summary.layers if row.kind != "Functional"]
    assert [(row.kind, row.output_shape) for row in leaves] == expected
    assert summary.parameters == theirs.total_params


@pytest.mark.parametrize("build", [small_mlp, small_cnn, small_resnet])
def test_every_layer_counts_the_flops_of_its_formula(build: object) -> None:
    model = build()  # type: ignore[operator]
    modules = dict(model.named_modules())
    for row in summarise(model, SHAPE).layers:
        match modules[row.name]:
            case nn.Conv2d() as layer:
                per_value = 2 * layer.in_channels * math.prod(layer.kernel_size)
                assert row.flops == per_value * math.prod(row.output_shape)
            case nn.Linear() as layer:
                assert row.flops == 2 * layer.in_features * layer.out_features
            case _:
                assert row.flops == 0
        assert row.parameters == sum(p.numel() for p in modules[row.name].parameters())


def test_a_users_model_keeps_its_own_products_and_a_repeated_layer_counts_its_parameters_once() -> None:
    rows = summarise(Functional(), SHAPE).layers
    assert [(row.name, row.parameters) for row in rows] == [
        *(("Functional", 432 * 6), ("twice", 36), ("twice", 0)),
        ("recurrent", 3 * 4 * (6 + 4) + 2 * 3 * 4),
    ]
    assert rows[0].flops == 2 * 432 * 6
    assert rows[1].flops == rows[2].flops == 2 * 6 * 6


@every_model
@pytest.mark.parametrize("training", [True, False])
def test_leaves_the_model_and_the_global_generator_as_they_were(model: nn.Module, training: bool) -> None:
    model.train(training)
    next(iter(model.modules())).train(training)
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    state = torch.random.get_rng_state()
    summarise(model, SHAPE)
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_model_that_fails_is_left_as_it_was() -> None:
    model = small_cnn().train()
    with pytest.raises(RuntimeError):
        summarise(model, (2, 5, 5))
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_text_has_a_line_per_layer_and_the_totals() -> None:
    summary = summarise(small_cnn(), SHAPE)
    lines = summary_text(summary).splitlines()
    assert len(lines) == len(summary.layers) + 4  # heading, two rules, totals
    assert len({len(line) for line in lines}) == 1
    assert lines[2].split() == ["block1.conv1", "Conv2d", "4x12x12", "304", "86,400"]
    assert lines[-1].split() == ["total", f"{summary.parameters:,}", f"{summary.flops:,}"]
