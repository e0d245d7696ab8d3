"""What every model keeps to, those of ceteris and a user's own."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ceteris.models.cnn import CNN
from ceteris.models.dropout import Dropout, set_dropout_generator
from ceteris.models.mlp import MLP
from ceteris.models.resnet import ResNet
from ceteris.models.summary import summarise

Shape = tuple[int, int, int]
Builder = Callable[[Shape, int], nn.Module]


def mlp(shape: Shape, classes: int, **changes: object) -> nn.Module:
    arguments: dict[str, object] = {"hidden": (24, 16), "activation": nn.ReLU, "batch_norm": False, "dropout": 0.0}
    return MLP(input_shape=shape, classes=classes, **(arguments | changes))  # type: ignore[arg-type]


def cnn(shape: Shape, classes: int, **changes: object) -> nn.Module:
    arguments: dict[str, object] = {
        "filters": (4, 6),
        "kernels": (5, 3),
        "convolutions_per_block": 1,
        "pooling": "max",
        "pool_after": None,
        "order": "activation-first",
        "global_average_pooling": False,
        "head": (12,),
        "activation": nn.ReLU,
        "batch_norm": False,
        "dropout": 0.0,
    }
    return CNN(input_shape=shape, classes=classes, **(arguments | changes))  # type: ignore[arg-type]


def resnet(shape: Shape, classes: int, **changes: object) -> nn.Module:
    arguments: dict[str, object] = {
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
    return ResNet(input_shape=shape, classes=classes, **(arguments | changes))  # type: ignore[arg-type]


class UsersOwn(nn.Module):
    """Branches, a functional activation and a layer that is used twice: nothing that ceteris could foresee."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(shape[0], 5, 3, padding=1)
        self.twice = nn.Conv2d(5, 5, 3, padding=1)
        self.out = nn.Linear(5, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.convolution(x))
        x = torch.tanh(self.twice(x)) + torch.tanh(self.twice(x.flip(2)))
        logits: Tensor = self.out(x.mean(dim=(2, 3)))
        return logits


BUILDERS: dict[str, Builder] = {
    "mlp": mlp,
    "mlp with batch norm and dropout": partial(mlp, batch_norm=True, dropout=0.3),
    "mlp with prelu": lambda shape, classes: MLP(
        input_shape=shape, classes=classes, hidden=(8,), activation=nn.PReLU, batch_norm=False, dropout=0.0
    ),
    "cnn": cnn,
    "cnn with batch norm and dropout": partial(cnn, batch_norm=True, dropout=0.4),
    "mlp with group norm": partial(mlp, normalisation="group"),
    "cnn with layer norm": partial(cnn, normalisation="layer"),
    "resnet with group norm": partial(resnet, normalisation="group", block="pre-activation"),
    "cnn with pooling first": partial(cnn, order="pooling-first", activation=nn.Tanh),
    "cnn with average pooling": partial(cnn, pooling="average"),
    "cnn without pooling": partial(cnn, pooling="none", global_average_pooling=True, head=()),
    "cnn with two convolutions per block": partial(cnn, convolutions_per_block=2, pool_after=(2,), batch_norm=True),
    "cnn with shortcuts over poolings": partial(cnn, residual=2),
    "cnn with projections": partial(cnn, residual=3, shortcut="projection", convolutions_per_block=2, batch_norm=True),
    "resnet": resnet,
    "resnet without residuals": partial(resnet, residual=False),
    "resnet with projections": partial(resnet, shortcut="projection"),
    "resnet with pre-activation": partial(resnet, block="pre-activation"),
    "resnet with pre-activation and projections": partial(resnet, block="pre-activation", shortcut="projection"),
    "resnet with three convolutions": partial(resnet, convolutions_per_block=3, kernel=5),
    "resnet without batch norm": partial(resnet, batch_norm=False, head=(7,), dropout=0.2),
    "resnet with a stride in the stem": partial(resnet, stem_stride=2),
    "a user's own": UsersOwn,
}
SHAPES: list[Shape] = [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32)]
CLASSES = 7

every_model = pytest.mark.parametrize("builder", BUILDERS.values(), ids=BUILDERS.keys())


def images(shape: Shape = (1, 8, 8), count: int = 5) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(3))


def build(builder: Builder, shape: Shape = (1, 8, 8)) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = builder(shape, CLASSES)
    set_dropout_generator(model, torch.Generator().manual_seed(1))
    return model


@every_model
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_returns_one_logit_per_class_for_every_kind_of_image(builder: Builder, shape: Shape) -> None:
    model = build(builder, shape).eval()
    assert model(images(shape, 3)).shape == (3, CLASSES)


@every_model
def test_answers_a_single_image_as_it_does_within_a_batch(builder: Builder) -> None:
    model = build(builder).eval()
    batch = images()
    alone = torch.cat([model(image[None]) for image in batch])
    torch.testing.assert_close(alone, model(batch), rtol=1e-4, atol=1e-5)


@every_model
def test_evaluation_is_deterministic_and_leaves_everything_as_it_was(builder: Builder) -> None:
    model = build(builder).eval()
    before = copy.deepcopy(model.state_dict())
    first, second = model(images()), model(images())
    assert torch.equal(first, second)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@every_model
def test_training_neither_reads_nor_moves_the_global_generator(builder: Builder) -> None:
    outputs = []
    for seed in (1, 2):
        model = build(builder).train()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            state = torch.random.get_rng_state()
            outputs.append(model(images()))
            assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(*outputs)


@every_model
def test_the_gradient_reaches_every_parameter(builder: Builder) -> None:
    model = build(builder).train()
    loss = nn.functional.cross_entropy(model(images(count=16)), torch.arange(16) % CLASSES)
    loss.backward()  # type: ignore[no-untyped-call]
    dead = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert dead == []


@every_model
def test_the_weights_survive_a_round_trip_through_safetensors(builder: Builder, tmp_path: Path) -> None:
    model = build(builder)
    model(images())  # moves the statistics of batch normalisation away from their start
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    with torch.random.fork_rng():
        torch.manual_seed(99)
        other = builder((1, 8, 8), CLASSES)
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(model.eval()(images()), other.eval()(images()))


@every_model
def test_channels_last_gives_the_same_answers(builder: Builder) -> None:
    model = build(builder, (3, 8, 8)).eval()
    expected = model(images((3, 8, 8)))
    last = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    answers = last(images((3, 8, 8)).contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(answers, expected, rtol=1e-4, atol=1e-5)


@every_model
def test_trains_under_bfloat16_autocast_close_to_float32(builder: Builder) -> None:
    model = build(builder).eval()
    expected = model(images())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answers = model(images())
    assert answers.dtype == torch.bfloat16
    torch.testing.assert_close(answers.float(), expected, rtol=0.05, atol=0.05)
    model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nn.functional.cross_entropy(model(images()), torch.arange(5))
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@every_model
def test_keeps_no_state_outside_standard_layers(builder: Builder) -> None:
    standard = (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.PReLU)
    for module in build(builder).modules():
        owned = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        assert not owned or isinstance(module, standard)


@every_model
def test_can_be_built_without_memory_and_described(builder: Builder) -> None:
    with torch.device("meta"):
        blank = builder((1, 8, 8), CLASSES)
    assert all(value.is_meta for value in blank.state_dict().values())
    assert summarise(blank, (1, 8, 8)) == summarise(build(builder), (1, 8, 8))


@every_model
def test_learns_a_batch_by_heart(builder: Builder) -> None:
    model = build(builder).train()
    for module in model.modules():
        if isinstance(module, Dropout):
            module.eval()
    batch, labels = images(count=14), torch.arange(14) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(50):
        loss = nn.functional.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@every_model
def test_dropout_is_the_same_under_the_same_seed_and_another_under_another(builder: Builder) -> None:
    model = build(builder).train()
    drops = any(isinstance(module, Dropout) for module in model.modules())

    def answers(seed: int) -> Tensor:
        set_dropout_generator(model, torch.Generator().manual_seed(seed))
        output: Tensor = model(images())
        return output

    assert torch.equal(answers(4), answers(4))
    assert torch.equal(answers(4), answers(5)) is not drops
