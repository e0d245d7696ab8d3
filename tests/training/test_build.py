import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from scipy import stats
from torch import nn

from ceteris import recipe
from ceteris.errors import ConfigError
from ceteris.models.cnn import CNN
from ceteris.models.mlp import MLP
from ceteris.models.resnet import ResNet
from ceteris.training import build
from ceteris.user_code import ALL_IMPORTS, NO_IMPORTS, ImportPolicy

Vector = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Rule = Callable[[Vector, list[Vector]], Vector]

START = np.array([1.0, -2.0, 0.5])
GRADIENTS = [
    np.array(row) for row in ([0.3, -1.0, 2.0], [-0.2, 0.5, 1.0], [1.0, 1.0, -3.0], [0.1, 0.0, 0.2], [2, 1, 1])
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(
    model: recipe.Model, shape: tuple[int, int, int] = (1, 8, 8), seed: int = 0, *, imports: ImportPolicy = NO_IMPORTS
) -> nn.Module:
    return build.build_model(model, input_shape=shape, classes=5, generator=seeded(seed), imports=imports)


# ---------------------------------------------------------------------------------------------------------------------
# Optimizers against the rules of their papers, written in NumPy


def momentum_rule(momentum: float, dampening: float, *, nesterov: bool) -> Rule:
    def run(weight: Vector, gradients: list[Vector]) -> Vector:
        velocity: Vector | None = None
        for gradient in gradients:
            velocity = gradient if velocity is None else momentum * velocity + (1 - dampening) * gradient
            weight = weight - 0.1 * (gradient + momentum * velocity if nesterov else velocity)
        return weight

    return run


def adam_rule(*, decay: float = 0.0, amsgrad: bool = False) -> Rule:
    def run(weight: Vector, gradients: list[Vector]) -> Vector:
        mean, square, largest = np.zeros(3), np.zeros(3), np.zeros(3)
        for step, gradient in enumerate(gradients, start=1):
            weight = weight * (1 - 0.1 * decay)
            mean = 0.8 * mean + 0.2 * gradient
            square = 0.95 * square + 0.05 * gradient**2
            largest = np.maximum(largest, square)
            scale = np.sqrt((largest if amsgrad else square) / (1 - 0.95**step)) + 1e-3
            weight = weight - 0.1 * mean / (1 - 0.8**step) / scale
        return weight

    return run


def rmsprop_rule(*, momentum: float, centered: bool) -> Rule:
    def run(weight: Vector, gradients: list[Vector]) -> Vector:
        square, mean, velocity = np.zeros(3), np.zeros(3), np.zeros(3)
        for gradient in gradients:
            square = 0.9 * square + 0.1 * gradient**2
            mean = 0.9 * mean + 0.1 * gradient
            scale = np.sqrt(square - mean**2 if centered else square) + 1e-3
            velocity = momentum * velocity + gradient / scale
            weight = weight - 0.1 * velocity
        return weight

    return run


def adagrad_rule(weight: Vector, gradients: list[Vector]) -> Vector:
    total = np.zeros(3)
    for step, gradient in enumerate(gradients):
        total = total + gradient**2
        weight = weight - 0.1 / (1 + 0.5 * step) * gradient / (np.sqrt(total) + 1e-3)
    return weight


def adadelta_rule(weight: Vector, gradients: list[Vector]) -> Vector:
    square, moved = np.zeros(3), np.zeros(3)
    for gradient in gradients:
        square = 0.7 * square + 0.3 * gradient**2
        step = np.sqrt(moved + 1e-3) / np.sqrt(square + 1e-3) * gradient
        moved = 0.7 * moved + 0.3 * step**2
        weight = weight - 0.1 * step
    return weight


def adamax_rule(weight: Vector, gradients: list[Vector]) -> Vector:
    mean, largest = np.zeros(3), np.zeros(3)
    for step, gradient in enumerate(gradients, start=1):
        mean = 0.8 * mean + 0.2 * gradient
        largest = np.maximum(0.95 * largest, np.abs(gradient) + 1e-3)
        weight = weight - 0.1 / (1 - 0.8**step) * mean / largest
    return weight


def asgd_rule(weight: Vector, gradients: list[Vector]) -> Vector:
    for step, gradient in enumerate(gradients):
        rate = 0.1 / (1 + 0.5 * 0.1 * step) ** 0.6
        weight = weight * (1 - 0.5 * rate) - rate * gradient
    return weight


RULES: list[tuple[recipe.Optimizer, Rule]] = [
    (recipe.SGD(lr=0.1), momentum_rule(0.0, 0.0, nesterov=False)),
    (recipe.SGD(lr=0.1, momentum=0.7, dampening=0.2), momentum_rule(0.7, 0.2, nesterov=False)),
    (recipe.SGD(lr=0.1, momentum=0.7, nesterov=True), momentum_rule(0.7, 0.0, nesterov=True)),
    (recipe.Adam(lr=0.1, beta1=0.8, beta2=0.95, epsilon=1e-3), adam_rule()),
    (recipe.Adam(lr=0.1, beta1=0.8, beta2=0.95, epsilon=1e-3, amsgrad=True), adam_rule(amsgrad=True)),
    (recipe.AdamW(lr=0.1, beta1=0.8, beta2=0.95, epsilon=1e-3, weight_decay=0.3), adam_rule(decay=0.3)),
    (recipe.RMSprop(lr=0.1, alpha=0.9, epsilon=1e-3), rmsprop_rule(momentum=0.0, centered=False)),
    (
        recipe.RMSprop(lr=0.1, alpha=0.9, epsilon=1e-3, momentum=0.5, centered=True),
        rmsprop_rule(momentum=0.5, centered=True),
    ),
    (recipe.Adagrad(lr=0.1, lr_decay=0.5, epsilon=1e-3), adagrad_rule),
    (recipe.Adadelta(lr=0.1, rho=0.7, epsilon=1e-3), adadelta_rule),
    (recipe.Adamax(lr=0.1, beta1=0.8, beta2=0.95, epsilon=1e-3), adamax_rule),
    (recipe.ASGD(lr=0.1, decay=0.5, power=0.6), asgd_rule),
]


class ThreeWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(START, dtype=torch.float64))


@pytest.mark.parametrize(("choice", "rule"), RULES, ids=lambda part: part.kind if hasattr(part, "kind") else "")
def test_optimizer_follows_its_rule_for_five_steps(choice: recipe.Optimizer, rule: Rule) -> None:
    model = ThreeWeights()
    optimizer = build.build_optimizer(choice, model)
    for gradient in GRADIENTS:
        model.weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()

    np.testing.assert_allclose(model.weight.detach().numpy(), rule(START, GRADIENTS), rtol=1e-6)


@pytest.mark.parametrize("choice", [recipe.NAdam(momentum_decay=0.1, beta1=0.7), recipe.RAdam(beta1=0.7, beta2=0.9)])
def test_optimizers_without_a_short_rule_get_their_own_fields(choice: recipe.NAdam | recipe.RAdam) -> None:
    (group,) = build.build_optimizer(choice, ThreeWeights()).param_groups

    assert group["betas"] == (choice.beta1, choice.beta2)
    assert group["eps"] == choice.epsilon
    assert group["lr"] == choice.lr
    if isinstance(choice, recipe.NAdam):
        assert group["momentum_decay"] == choice.momentum_decay


@pytest.mark.parametrize("wrong", [recipe.SGD(nesterov=True), recipe.SGD(nesterov=True, momentum=0.9, dampening=0.1)])
def test_nesterov_without_momentum_is_refused_with_the_fix(wrong: recipe.SGD) -> None:
    with pytest.raises(
        ConfigError, match=r"nesterov needs momentum > 0 and dampening = 0.*received.*Set momentum = 0\.9"
    ):
        build.build_optimizer(wrong, ThreeWeights())


def test_muon_leaves_vectors_and_the_first_and_last_layer_to_adamw() -> None:
    model = made(recipe.CNN(filters=(4, 6, 8), kernels=(3, 3, 3), head=(10,), batch_norm=True))
    names = {id(parameter): name for name, parameter in model.named_parameters()}

    matrices, others = build.build_optimizer(recipe.Muon(lr=0.3, adamw_lr=0.007), model).param_groups

    shapes = [tuple(parameter.shape) for parameter in matrices["params"]]
    assert shapes == [(6, 4, 3, 3), (8, 6, 3, 3), (10, 8)]
    assert len(matrices["params"]) + len(others["params"]) == len(names)
    assert {id(p) for p in matrices["params"]}.isdisjoint({id(p) for p in others["params"]})
    assert (matrices["lr"], others["lr"]) == (0.3, 0.007)


# ---------------------------------------------------------------------------------------------------------------------
# Models


@pytest.mark.parametrize(
    ("description", "kind"),
    [(recipe.MLP(), MLP), (recipe.CNN(), CNN), (recipe.ResNet(blocks=(1, 1), filters=(4, 8)), ResNet)],
)
def test_model_is_built_complete_and_from_its_generator_alone(description: recipe.Model, kind: type[nn.Module]) -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()

    model, again = made(description), made(description)

    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(model, kind)
    assert model.training
    for tensor, other in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert tensor.device.type == "cpu"
        assert torch.isfinite(tensor).all()
        assert torch.equal(tensor, other)


def test_network_without_its_shortcuts_starts_with_the_same_weights() -> None:
    def state(*, residual: bool) -> dict[str, torch.Tensor]:
        return made(recipe.ResNet(blocks=(1, 1), filters=(4, 8), residual=residual)).state_dict()

    plain, residual = state(residual=False), state(residual=True)

    assert plain.keys() == residual.keys()
    assert all(torch.equal(plain[name], residual[name]) for name in plain)


def test_batch_normalisation_leaves_the_initial_weights_alone() -> None:
    def weights(*, batch_norm: bool) -> list[torch.Tensor]:
        model = made(recipe.MLP(hidden=(7, 6), batch_norm=batch_norm))
        return [layer.weight.detach() for layer in model.modules() if isinstance(layer, nn.Linear)]

    assert all(torch.equal(*pair) for pair in zip(weights(batch_norm=True), weights(batch_norm=False), strict=True))


def test_kaiming_weights_have_the_gain_of_the_models_activation() -> None:
    def deviation(activation: recipe.Activation) -> float:
        model = recipe.MLP(
            hidden=(400,), activation=activation, initialisation=recipe.Initialisation(kind="kaiming-normal")
        )
        return float(next(made(model).parameters()).detach().std())

    leaky, relu = recipe.LeakyReLU(slope=0.5), recipe.ReLU()

    assert deviation(relu) == pytest.approx((2 / 64) ** 0.5, rel=0.03)
    assert deviation(leaky) / deviation(relu) == pytest.approx((1 / 1.25) ** 0.5, rel=1e-4)


def logistic(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (recipe.ReLU(), [0.0, 2.0]),
        (recipe.LeakyReLU(slope=0.3), [-0.6, 2.0]),
        (recipe.ELU(alpha=2.0), [2 * (np.exp(-2) - 1), 2.0]),
        (recipe.SELU(), [1.0507010 * 1.6732632 * (np.exp(-2) - 1), 1.0507010 * 2]),
        (recipe.GELU(), [-2 * stats.norm.cdf(-2), 2 * stats.norm.cdf(2)]),
        (recipe.SiLU(), [-2 * logistic(-2), 2 * logistic(2)]),
        (recipe.Mish(), [-2 * np.tanh(np.log1p(np.exp(-2))), 2 * np.tanh(np.log1p(np.exp(2)))]),
        (recipe.PReLU(initial_slope=0.4), [-0.8, 2.0]),
        (recipe.Tanh(), [np.tanh(-2), np.tanh(2)]),
        (recipe.Sigmoid(), [logistic(-2), logistic(2)]),
        (recipe.Softplus(beta=3.0), [np.log1p(np.exp(-6)) / 3, np.log1p(np.exp(6)) / 3]),
    ],
)
def test_activation_follows_its_formula(choice: recipe.Activation, expected: list[float]) -> None:
    outputs = build.build_activation(choice)()(torch.tensor([-2.0, 2.0])).detach()

    assert outputs.tolist() == pytest.approx(expected, rel=1e-5)


# ---------------------------------------------------------------------------------------------------------------------
# Code of the user


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    source = """
    import torch

    class Net(torch.nn.Sequential):
        def __init__(self, input_shape, classes, width=3):
            pixels = input_shape[0] * input_shape[1] * input_shape[2]
            super().__init__(torch.nn.Flatten(), torch.nn.Linear(pixels, width), torch.nn.Linear(width, classes))

    def not_a_model(input_shape, classes):
        return 3

    def squared(logits, targets):
        return logits.square().mean()

    number = 4
    """
    (tmp_path / "my_own_code.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_own_code", None)


@pytest.mark.usefixtures("own_code")
def test_own_model_gets_its_arguments_and_starts_the_same_every_time() -> None:
    description = recipe.CustomModel(path="my_own_code:Net", arguments={"width": 7})
    torch.manual_seed(11)
    state = torch.get_rng_state()
    first = made(description, imports=ALL_IMPORTS)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(12)

    again, other = made(description, imports=ALL_IMPORTS), made(description, seed=1, imports=ALL_IMPORTS)

    assert first.get_parameter("1.weight").shape == (7, 64)
    assert torch.equal(first.get_parameter("1.weight"), again.get_parameter("1.weight"))
    assert not torch.equal(first.get_parameter("1.weight"), other.get_parameter("1.weight"))


@pytest.mark.usefixtures("own_code")
def test_own_loss_is_called() -> None:
    loss = build.build_loss(recipe.CustomLoss(path="my_own_code:squared"), imports=ALL_IMPORTS)

    assert float(loss(torch.full((2, 3), 2.0), torch.tensor([0, 1]))) == 4.0


@pytest.mark.usefixtures("own_code")
def test_own_code_is_not_run_unasked() -> None:
    with pytest.raises(ConfigError, match=r'model: "my_own_code:Net".*--allow-imports'):
        made(recipe.CustomModel(path="my_own_code:Net"))
    with pytest.raises(ConfigError, match=r'loss: "my_own_code:squared".*--allow-imports'):
        build.build_loss(recipe.CustomLoss(path="my_own_code:squared"))

    assert "my_own_code" not in sys.modules


@pytest.mark.usefixtures("own_code")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module:Net", "could not be imported.*PYTHONPATH"),
        ("my_own_code:Nett", 'has no "Nett".*Did you mean "Net"'),
        ("my_own_code:number", "must be a class or a function, received int"),
        ("my_own_code:not_a_model", "must return a torch.nn.Module, received int"),
        ("my_own_code:squared", "could not be called with input_shape, classes"),
    ],
)
def test_own_model_that_cannot_be_made_is_told_with_the_fix(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(recipe.CustomModel(path=path), imports=ALL_IMPORTS)


# ---------------------------------------------------------------------------------------------------------------------
# The rest


def test_penalties_have_their_strength() -> None:
    model = made(recipe.MLP(hidden=(4,)))
    weights = torch.cat([parameter.detach().flatten() for parameter in build.penalised_weights(model)])

    l1, l2 = (build.build_penalty(choice, model) for choice in (recipe.L1(strength=0.5), recipe.L2(strength=0.25)))

    assert l1 is not None
    assert l2 is not None
    assert float(l1().detach()) == pytest.approx(0.5 * float(weights.abs().sum()), rel=1e-5)
    assert float(l2().detach()) == pytest.approx(0.25 * float(weights.square().sum()), rel=1e-5)


def test_only_decoupled_decay_shrinks_weights() -> None:
    choices: list[recipe.Penalty] = [recipe.Nothing(), recipe.L1(), recipe.L2()]

    assert [build.decay_of(choice) for choice in choices] == [0, 0, 0]
    assert build.decay_of(recipe.DecoupledWeightDecay(strength=0.3)) == 0.3


def test_matrices_and_filters_are_penalised_and_nothing_else() -> None:
    model = made(recipe.CNN(filters=(4, 6), head=(3,), batch_norm=True, activation=recipe.PReLU()))

    shapes = [tuple(parameter.shape) for parameter in build.penalised_weights(model)]

    assert shapes == [(4, 1, 3, 3), (6, 4, 3, 3), (3, 24), (5, 3)]


def test_no_augmentation_is_none_and_shift_moves_by_the_asked_share() -> None:
    assert build.build_augmentation((), fill=torch.zeros(1)) is None

    augment = build.build_augmentation((recipe.Shift(fraction=0.25),), fill=torch.zeros(1))
    assert augment is not None
    dots = torch.zeros(500, 1, 8, 8)
    dots[:, :, 4, 4] = 1.0
    moved, labels = augment(dots, torch.zeros(500, dtype=torch.int64), 2, seeded())

    reached = moved.sum(dim=(0, 1)) > 0
    assert torch.equal(reached.nonzero().amin(dim=0), torch.tensor([2, 2]))
    assert torch.equal(reached.nonzero().amax(dim=0), torch.tensor([6, 6]))
    assert labels.dtype == torch.int64


def test_plateau_schedule_listens_to_the_losses_and_the_others_to_progress() -> None:
    plateau = build.build_schedule(recipe.ReduceOnPlateau(patience=0, factor=0.5), 10)
    linear = build.build_schedule(recipe.Linear(), 10)

    assert [plateau(progress, [1.0, 1.0]) for progress in (0.1, 0.9)] == [0.5, 0.5]
    assert [linear(0.25, losses) for losses in ([], [1.0, 1.0])] == [0.75, 0.75]


def test_a_schedule_in_epochs_keeps_to_them_however_long_the_training_is() -> None:
    written = TypeAdapter(recipe.Schedule).validate_python({"kind": "step", "epochs": 10, "factor": 0.5})
    assert written == recipe.Step(every="10 epochs", factor=0.5)
    several = TypeAdapter(recipe.Schedule).validate_python({"kind": "multi-step", "epochs": [2, 4]})
    assert several == recipe.MultiStep(milestones=("2 epochs", "4 epochs"))
    for epochs in (5, 25, 40):
        multiplier = build.build_schedule(written, epochs)
        assert [multiplier((epoch + 0.5) / epochs, []) for epoch in range(epochs)] == [
            0.5 ** (epoch // 10) for epoch in range(epochs)
        ]
    warming = build.build_schedule(recipe.Cosine(warmup="5 epochs"), 3)  # stopped before it is warm
    assert warming(0.0, []) < warming(0.99, []) < 1
    curve = build.build_schedule(recipe.Linear(warmup="1 epochs"), 4)
    assert curve(0.25, []) == 1
    assert curve(0.625, []) == pytest.approx(0.5)


# ---------------------------------------------------------------------------------------------------------------------
# Normalisation, size of the images, presets


@pytest.mark.parametrize(
    "model", [recipe.MLP(hidden=(8, 6)), recipe.CNN(filters=(4, 8)), recipe.ResNet(blocks=(1,), filters=(4, 8))]
)
def test_normalisation_has_one_spelling(model: Any) -> None:
    for kind, flag in (("none", False), ("batch", True)):
        named = replace(model, normalisation=kind)
        assert named.written_out() == replace(model, batch_norm=flag).written_out()
        assert str(made(named)) == str(made(replace(model, batch_norm=flag)))
    for kind in ("layer", "group"):
        norms = [
            m for m in made(replace(model, normalisation=kind)).modules() if isinstance(m, nn.GroupNorm | nn.LayerNorm)
        ]
        assert len(norms) >= 2
        assert replace(model, normalisation=kind, batch_norm=True).written_out().batch_norm is False


@pytest.mark.parametrize(("kind", "groups"), [("layer", 1), ("group", 4)])
def test_layer_and_group_normalisation_look_at_one_image_alone(kind: Any, groups: int) -> None:
    images = torch.randn(4, 1, 8, 8, generator=seeded(2))
    network = made(recipe.CNN(filters=(12,), kernels=(3,), normalisation=kind, head=()), (1, 8, 8))
    torch.testing.assert_close(network(images)[:1], network(images[:1]))
    maps = network.get_submodule("block1.conv1")(images)
    values = maps.view(4, groups, -1)
    expected = (values - values.mean(-1, keepdim=True)) / (values.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(network.get_submodule("block1.norm1")(maps), expected.view_as(maps))


@pytest.mark.parametrize(
    "model", [recipe.MLP(hidden=(5,)), recipe.CNN(filters=(4, 4)), recipe.ResNet(blocks=(1, 1), filters=(4, 4))]
)
def test_a_model_takes_images_of_any_size_and_works_on_the_one_that_it_is_told(model: Any) -> None:
    small = made(replace(model, image_size=8), (3, 16, 32))
    direct = made(model, (3, 8, 16))
    assert all(torch.equal(*pair) for pair in zip(small.parameters(), direct.parameters(), strict=True))
    images = torch.randn(2, 3, 16, 32, generator=seeded(1))
    smaller = nn.functional.interpolate(images, size=(8, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(small(images), direct(smaller))
    assert [name for name, _ in small.named_children()] == ["resize", *(name for name, _ in direct.named_children())]
    assert str(made(replace(model, image_size=16), (3, 16, 32))) == str(made(model, (3, 16, 32)))  # nothing to do


@pytest.mark.parametrize(
    ("name", "shape", "convolutions", "linears", "parameters"),
    [
        # 156 + 2,416 of the convolutions; the rest on 16 maps of 7 x 7, where LeCun's, without padding, were 5 x 5
        ("lenet-5", (1, 28, 28), 2, 3, 156 + 2_416 + 785 * 120 + 121 * 84 + 85 * 5),
        ("vgg-a", (3, 32, 32), 8, 3, 9_220_480 + 2_049 * 512 + 513 * 512 + 513 * 5),
        ("vgg-a", (1, 28, 28), 8, 3, 9_219_328 + 513 * 512 + 513 * 512 + 513 * 5),
    ],
)
def test_the_presets_are_the_networks_of_their_papers(
    name: str, shape: Any, convolutions: int, linears: int, parameters: int
) -> None:
    network = made(TypeAdapter(recipe.Model).validate_python(name), shape)
    kinds = [type(module) for module in network.modules()]
    assert (kinds.count(nn.Conv2d), kinds.count(nn.Linear)) == (convolutions, linears)
    assert sum(weight.numel() for weight in network.parameters()) == parameters


def test_the_passes_of_an_attack_are_counted() -> None:
    attack = recipe.AdversarialNoise(share=0.5)
    assert build.passes_per_image(recipe.Recipe(model=recipe.MLP())) == 3
    assert build.passes_per_image(recipe.Recipe(model=recipe.MLP(), augmentation=(recipe.Shift(), attack, attack))) == 5
