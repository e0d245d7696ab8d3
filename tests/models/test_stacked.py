"""A stacked model computes what its members compute, each for itself."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ceteris.models.cnn import CNN
from ceteris.models.dropout import set_dropout_generator
from ceteris.models.mlp import MLP
from ceteris.models.resnet import ResNet
from ceteris.models.stacked import StackedModel

SHAPE = (2, 8, 8)
IMAGES = 6


def mlp(**other: Any) -> nn.Module:
    settings: dict[str, Any] = {"hidden": (7, 5), "activation": nn.ReLU, "batch_norm": True, "dropout": 0.0}
    return MLP(input_shape=SHAPE, classes=3, **(settings | other))


def cnn(**other: Any) -> nn.Module:
    settings: dict[str, Any] = {
        "filters": (4, 6),
        "kernels": (3, 5),
        "convolutions_per_block": 2,
        "pooling": "max",
        "pool_after": None,
        "order": "activation-first",
        "global_average_pooling": False,
        "head": (5,),
        "activation": nn.ReLU,
        "batch_norm": False,
        "dropout": 0.0,
    }
    return CNN(input_shape=SHAPE, classes=3, **(settings | other))


def resnet(**other: Any) -> nn.Module:
    settings: dict[str, Any] = {
        "blocks": (1, 2),
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
    return ResNet(input_shape=SHAPE, classes=3, **(settings | other))


MODELS = {
    "mlp": mlp,
    "mlp without normalisation": lambda: mlp(batch_norm=False),
    "mlp, layer normalisation": lambda: mlp(normalisation="layer"),
    "cnn, group normalisation": lambda: cnn(normalisation="group"),
    "mlp, linear": lambda: mlp(hidden=()),
    "mlp, prelu": lambda: mlp(activation=nn.PReLU),
    "mlp, dropout": lambda: mlp(dropout=0.4),
    "mlp, dropout by layer": lambda: mlp(dropout=(0.0, 0.4)),
    "cnn": cnn,
    "cnn, gelu, average": lambda: cnn(activation=nn.GELU, pooling="average"),
    "cnn, pooling first": lambda: cnn(order="pooling-first", batch_norm=True),
    "cnn, global": lambda: cnn(global_average_pooling=True, head=(), dropout=0.3),
    "cnn, residual": lambda: cnn(residual=3, batch_norm=True),
    "cnn, residual, projection, pooling first": lambda: cnn(residual=1, shortcut="projection", order="pooling-first"),
    "resnet": resnet,
    "resnet, pre-activation": lambda: resnet(block="pre-activation", batch_norm=False),
    "resnet, projection": lambda: resnet(shortcut="projection", activation=nn.PReLU, stem_stride=2),
    "resnet, plain": lambda: resnet(residual=False, head=(5,), dropout=0.5),
}


def twins(make: Any, members: int = 3) -> tuple[list[nn.Module], list[nn.Module]]:
    """The same models twice, with equal weights and equal generators; images in the memory order of training."""
    pairs = []
    for member in range(members):
        torch.manual_seed(member)
        one, other = make(), make()
        other.load_state_dict(one.state_dict())
        for model in (one, other):
            set_dropout_generator(model, torch.Generator().manual_seed(member))
        pairs.append((one.to(memory_format=torch.channels_last), other.to(memory_format=torch.channels_last)))
    return [one for one, _ in pairs], [other for _, other in pairs]


def pictures(members: int = 3) -> Tensor:
    merged = torch.randn(members * IMAGES, *SHAPE, generator=torch.Generator().manual_seed(9))
    return merged.contiguous(memory_format=torch.channels_last).view(members, IMAGES, *SHAPE)


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.fixture(autouse=True)
def _own_randomness() -> Any:
    with torch.random.fork_rng():
        yield


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_logits_gradients_and_statistics_are_those_of_the_members(make: Any, *, shared: bool) -> None:
    together, alone = twins(make)
    images = pictures()
    stacked = StackedModel(together)
    logits = stacked(images[0] if shared else images)
    logits.square().mean((1, 2)).sum().backward()
    stacked.hand_out_gradients()
    for place, (member, single) in enumerate(zip(stacked.members, alone, strict=True)):
        expected = single(images[0 if shared else place])
        close(logits[place], expected)
        expected.square().mean().backward()
        for ours, theirs in zip(member.parameters(), single.parameters(), strict=True):
            assert ours.grad is not None
            assert theirs.grad is not None
            close(ours.grad, theirs.grad)
        for statistics, expected_ones in zip(member.buffers(), single.buffers(), strict=True):
            close(statistics, expected_ones)


def test_the_parameters_of_the_members_are_views_of_the_stacked_ones() -> None:
    together, _ = twins(cnn)
    before = [{name: tensor.clone() for name, tensor in member.state_dict().items()} for member in together]
    stacked = StackedModel(together)
    for member, own in zip(stacked.members, before, strict=True):
        for name, tensor in member.state_dict().items():
            assert torch.equal(tensor, own[name])
    with torch.no_grad():
        for parameter in stacked.parameters():
            parameter[1].add_(1.0)
    for name, moved in stacked.members[1].named_parameters():
        close(moved, before[1][name] + 1)
    for name, still in stacked.members[0].named_parameters():
        assert torch.equal(still, before[0][name])


def test_members_may_differ_in_their_dropout_also_in_having_none() -> None:
    together: list[nn.Module] = []
    alone: list[nn.Module] = []
    for member, rate in enumerate((0.5, 0.0, 0.2)):
        for models in (together, alone):
            torch.manual_seed(7)
            models.append(mlp(dropout=rate))
            set_dropout_generator(models[-1], torch.Generator().manual_seed(member))
    images = pictures()
    logits = StackedModel(together)(images)
    for ours, single, own in zip(logits, alone, images, strict=True):
        close(ours, single(own))


def test_a_member_with_numbers_that_are_not_finite_disturbs_no_other() -> None:
    for make in (mlp, cnn, resnet):
        together, alone = twins(make)
        with torch.no_grad():
            next(together[1].parameters()).fill_(float("nan"))
        stacked = StackedModel(together)
        logits = stacked(pictures())
        assert logits[1].isnan().all()
        close(logits[2], alone[2](pictures()[2]))
        logits.sum().backward()
        for parameter in stacked.parameters():
            assert parameter.grad is not None
            assert parameter.grad[[0, 2]].isfinite().all()


def test_members_leave_with_weights_of_their_own_and_the_others_go_on() -> None:
    together, alone = twins(lambda: resnet(head=(5,), dropout=0.3), members=4)
    stacked = StackedModel(together)
    stacked.keep([0, 3])
    assert stacked.members == [together[0], together[3]]
    with torch.no_grad():
        for parameter in stacked.parameters():
            parameter.mul_(2)
    for name, tensor in together[1].state_dict().items():
        assert torch.equal(tensor, alone[1].state_dict()[name])
    with torch.no_grad():
        for single in (alone[0], alone[3]):
            for parameter in single.parameters():
                parameter.mul_(2)
    logits = stacked(pictures(2))
    close(logits[1], alone[3](pictures(2)[1]))


def test_the_memory_order_of_filters_is_kept() -> None:
    together, _ = twins(cnn)
    stacked = StackedModel(together)
    for member in stacked.members:
        for tensor in member.parameters():
            assert tensor.ndim != 4 or tensor.is_contiguous(memory_format=torch.channels_last)
