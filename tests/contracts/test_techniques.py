"""What every member of the recipe's lists of techniques promises, whoever adds one."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ceteris import recipe
from ceteris.training import build

FILL = torch.tensor([-0.4, -0.4, -0.4])
LABELS = torch.arange(12) % 4
BOUNDED_LOSSES = [choice for choice in recipe.CHOICES["loss"] if choice is not recipe.CustomLoss]

OPTIMIZER_RATES: dict[type[Any], float] = {
    recipe.SGD: 0.5, recipe.Adam: 0.01, recipe.AdamW: 0.01, recipe.NAdam: 0.01, recipe.RAdam: 0.05, recipe.RMSprop: 0.01,
    recipe.Adagrad: 0.05, recipe.Adadelta: 2.0, recipe.Adamax: 0.02, recipe.ASGD: 0.5, recipe.Muon: 0.1,
}  # fmt: skip
SCHEDULES: list[recipe.Schedule] = [
    *(choice() for choice in recipe.CHOICES["schedule"]),
    recipe.Constant(warmup=0.1),
    recipe.Cosine(warmup=0.2, final=0.1),
    recipe.CosineRestarts(cycles=3, growth=1.0, warmup=0.05),
    recipe.Linear(warmup=0.3, final=0.5),
]
FINAL_MULTIPLIERS: dict[str, float] = {
    "none": 1.0, "step": 0.01, "multi-step": 0.01, "exponential": 0.01, "cosine": 0.0, "cosine-restarts": 0.0,
    "one-cycle": 1 / 25e4, "plateau": 1.0, "linear": 0.0,
}  # fmt: skip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(channels: int = 3, height: int = 10, width: int = 8) -> Tensor:
    return torch.randn(12, channels, height, width, generator=seeded(1))


def loss_of(batch: Tensor, targets: Tensor) -> Tensor:
    pixels = batch.flatten(1)
    return functional.cross_entropy(pixels @ torch.randn(pixels.shape[1], 4, generator=seeded(4)), targets)


def augmented(
    operations: tuple[recipe.Augmentation, ...], given: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    augment = build.build_augmentation(operations, fill=FILL[: given.shape[1]])
    assert augment is not None
    return augment(given, LABELS, 4, generator, loss_of=loss_of)


def small_network(choice: recipe.Activation | None = None, *, seed: int = 0) -> nn.Module:
    model = recipe.MLP(hidden=(16, 16), activation=choice or recipe.Tanh())
    return build.build_model(model, input_shape=(1, 4, 4), classes=3, generator=seeded(seed))


# ---------------------------------------------------------------------------------------------------------------------
# Augmentation


@pytest.mark.parametrize("choice", recipe.CHOICES["augmentation"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 14)])
def test_augmentation_keeps_shape_and_type_and_leaves_its_input_alone(
    choice: type[Any], shape: tuple[int, int, int]
) -> None:
    given = images(*shape)
    kept = given.clone()

    changed, targets = augmented((choice(),), given, seeded())

    assert changed.shape == given.shape
    assert changed.dtype == torch.float32
    assert torch.isfinite(changed).all()
    assert not changed.requires_grad
    assert torch.equal(given, kept)
    if targets.is_floating_point():
        assert targets.shape == (12, 4)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(12))
    else:
        assert torch.equal(targets, LABELS)


@pytest.mark.parametrize("choice", recipe.CHOICES["augmentation"])
def test_augmentation_changes_something(choice: type[Any]) -> None:
    assert not torch.allclose(augmented((choice(),), images(3, 28, 28), seeded())[0], images(3, 28, 28), atol=1e-3)


@pytest.mark.parametrize("choice", recipe.CHOICES["augmentation"])
def test_augmentation_depends_on_its_generator_alone(choice: type[Any]) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = augmented((choice(),), images(), seeded(7))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)

    again, other = (augmented((choice(),), images(), seeded(seed)) for seed in (7, 8))

    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("choice", recipe.CHOICES["augmentation"])
def test_two_batches_of_one_generator_are_changed_differently(choice: type[Any]) -> None:
    generator = seeded()

    first, second = (augmented((choice(),), images(), generator)[0] for _ in range(2))

    assert not torch.equal(first, second)


@pytest.mark.parametrize("choice", recipe.CHOICES["augmentation"])
def test_every_augmentation_takes_the_same_part_of_the_stream(choice: type[Any]) -> None:
    taken, reference = seeded(), seeded()
    augmented((choice(),), images(), taken)
    augmented((recipe.Flip(), recipe.Noise(), recipe.Mixup()), images(), reference)

    assert torch.equal(taken.get_state(), reference.get_state())


@pytest.mark.parametrize("choice", recipe.CHOICES["augmentation"])
def test_augmentation_of_channels_last_images_has_the_same_values(choice: type[Any]) -> None:
    turned = images().contiguous(memory_format=torch.channels_last)

    expected, changed = (augmented((choice(),), given, seeded())[0] for given in (images(), turned))

    torch.testing.assert_close(changed, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "choice", [recipe.Shift, recipe.Rotate, recipe.Scale, recipe.Shear, recipe.Elastic, recipe.CropWithPadding,
               recipe.Flip, recipe.Cutout],
)  # fmt: skip
def test_an_empty_image_stays_empty(choice: type[Any]) -> None:
    background = FILL.view(1, 3, 1, 1).expand(12, 3, 9, 9)

    torch.testing.assert_close(augmented((choice(),), background, seeded())[0], background)


@pytest.mark.parametrize("added", [recipe.Flip(), recipe.Cutout(), recipe.Elastic(), recipe.Noise()])
def test_adding_an_operation_leaves_the_draws_of_the_others_alone(added: recipe.Augmentation) -> None:
    # Noise is added last, so what it added can be read off as a difference.
    def noise_after(*operations: recipe.Augmentation) -> Tensor:
        with_noise = augmented((*operations, recipe.Noise()), images(), seeded())[0]
        return with_noise - augmented(operations, images(), seeded())[0] if operations else with_noise - images()

    if isinstance(added, recipe.Noise):  # the second of two equal operations does not repeat the first one's draws
        assert not torch.allclose(noise_after(added), noise_after(), atol=1e-4)
    else:
        torch.testing.assert_close(noise_after(added), noise_after(), atol=1e-5, rtol=0)


def test_all_operations_can_follow_each_other() -> None:
    changed, shares = augmented(tuple(choice() for choice in recipe.CHOICES["augmentation"]), images(), seeded())

    assert torch.isfinite(changed).all()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(12))


# ---------------------------------------------------------------------------------------------------------------------
# Optimizers


def trained_loss(choice: recipe.Optimizer, *, steps: int = 30, seed: int = 0) -> list[float]:
    model = small_network(seed=seed)
    optimizer = build.build_optimizer(choice, model)
    labels = torch.arange(48) % 3
    inputs = torch.randn(48, 1, 4, 4, generator=seeded(2)) + torch.randn(3, 1, 4, 4, generator=seeded(3))[labels]
    losses = []
    for _ in range(steps):
        loss = functional.cross_entropy(model(inputs), labels)
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return losses


def test_every_optimizer_has_a_rate_for_these_tests() -> None:
    assert set(OPTIMIZER_RATES) == set(recipe.CHOICES["optimizer"])


@pytest.mark.parametrize("choice", recipe.CHOICES["optimizer"])
def test_optimizer_learns_a_separable_problem(choice: type[Any]) -> None:
    losses = trained_loss(choice(lr=OPTIMIZER_RATES[choice]))

    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("choice", recipe.CHOICES["optimizer"])
def test_optimizer_repeats_its_digits(choice: type[Any]) -> None:
    assert trained_loss(choice(), steps=5) == trained_loss(choice(), steps=5)


@pytest.mark.parametrize("choice", recipe.CHOICES["optimizer"])
def test_optimizer_obeys_the_rate_of_its_groups(choice: type[Any]) -> None:
    model = small_network()
    optimizer = build.build_optimizer(choice(), model)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for group in optimizer.param_groups:
        assert group["lr"] > 0
        group["lr"] = 0.0
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)

    optimizer.step()

    assert all(torch.equal(new, old) for new, old in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("choice", recipe.CHOICES["optimizer"])
def test_optimizer_steps_every_parameter(choice: type[Any]) -> None:
    model = small_network()
    optimizer = build.build_optimizer(choice(), model)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=seeded())

    for _ in range(6):  # rectified Adam begins late
        optimizer.step()

    assert all(not torch.equal(new, old) for new, old in zip(model.parameters(), before, strict=True))


# ---------------------------------------------------------------------------------------------------------------------
# Schedules


@pytest.mark.parametrize("choice", SCHEDULES, ids=repr)
def test_schedule_stays_between_zero_and_the_full_rate(choice: recipe.Schedule) -> None:
    multiplier = build.build_schedule(choice, 10)

    rates = [multiplier(step / 500, [1.0] * (step // 50)) for step in range(500)]

    assert all(0 < rate <= 1 for rate in rates)
    assert max(rates) > 0.99


@pytest.mark.parametrize("choice", recipe.CHOICES["schedule"])
def test_schedule_ends_where_it_says(choice: type[Any]) -> None:
    multiplier = build.build_schedule(choice(), 10)

    assert multiplier(1 - 1e-7, []) == pytest.approx(FINAL_MULTIPLIERS[choice().kind], abs=1e-6)


@pytest.mark.parametrize("choice", SCHEDULES, ids=repr)
def test_schedule_has_no_memory(choice: recipe.Schedule) -> None:
    multiplier = build.build_schedule(choice, 10)
    forwards = [multiplier(step / 20, []) for step in range(20)]

    assert [multiplier(step / 20, []) for step in reversed(range(20))] == forwards[::-1]


# ---------------------------------------------------------------------------------------------------------------------
# Losses, activations, initialisations, penalties, clipping, averaging


@pytest.mark.parametrize("choice", BOUNDED_LOSSES)
def test_loss_is_a_mean_that_is_smallest_for_the_right_answer(choice: type[Any]) -> None:
    loss = build.build_loss(choice())
    right = 20 * functional.one_hot(LABELS, 4).float()
    unsure = torch.zeros(12, 4)
    wrong = right.roll(1, dims=1)

    values = [float(loss(logits, LABELS)) for logits in (right, unsure, wrong)]

    assert 0 <= values[0] < 1e-6 < values[1] < values[2]
    assert float(loss(torch.cat([wrong, wrong]), LABELS.repeat(2))) == pytest.approx(values[2], rel=1e-6)


@pytest.mark.parametrize("choice", BOUNDED_LOSSES)
def test_loss_takes_labels_and_class_shares(choice: type[Any]) -> None:
    loss, logits = build.build_loss(choice()), torch.randn(12, 4, generator=seeded())

    torch.testing.assert_close(loss(logits, LABELS), loss(logits, functional.one_hot(LABELS, 4).float()))


@pytest.mark.parametrize("choice", recipe.CHOICES["activation"])
def test_activation_makes_a_new_smooth_enough_module_each_time(choice: type[Any]) -> None:
    make = build.build_activation(choice())
    values = torch.linspace(-4, 4, 33, requires_grad=True)

    outputs = make()(values)
    (gradient,) = torch.autograd.grad(outputs.sum(), values)

    assert make() is not make()
    assert outputs.shape == values.shape
    assert torch.isfinite(outputs).all()
    assert torch.isfinite(gradient).all()
    assert not torch.allclose(outputs, values)


@pytest.mark.parametrize(
    ("choice", "method"),
    [
        *((choice, "kaiming-normal") for choice in recipe.CHOICES["activation"]),
        *((recipe.PReLU, method) for method in recipe.INITIALISATIONS),
    ],
)
def test_model_with_any_activation_and_initialisation_starts_with_finite_logits(choice: type[Any], method: Any) -> None:
    start = recipe.Initialisation(kind=method)
    model = recipe.CNN(filters=(4, 8), head=(6,), activation=choice(), batch_norm=True, initialisation=start)

    built = [build.build_model(model, input_shape=(1, 8, 8), classes=3, generator=seeded(seed)) for seed in (0, 0, 1)]
    logits = [network.eval()(images(1, 8, 8)).detach() for network in built]

    assert torch.isfinite(logits[0]).all()
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])


@pytest.mark.parametrize("choice", recipe.CHOICES["penalty"])
def test_penalty_is_none_or_a_scalar_that_touches_no_bias(choice: type[Any]) -> None:
    model = small_network()

    penalty = build.build_penalty(choice(strength=0.1) if choice is not recipe.Nothing else choice(), model)

    assert (penalty is None) == (choice in (recipe.Nothing, recipe.DecoupledWeightDecay))
    if penalty:
        torch.autograd.backward(penalty())
        assert penalty().shape == ()
        assert all((parameter.grad is None) == (parameter.ndim < 2) for parameter in model.parameters())


@pytest.mark.parametrize("choice", recipe.CHOICES["clipping"])
def test_clipping_returns_the_norm_before_and_bounds_the_gradient(choice: type[Any]) -> None:
    model = small_network()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)

    clip = build.build_clipping(choice(), model)

    assert (clip is None) == (choice is recipe.Nothing)
    if clip:
        count = sum(parameter.numel() for parameter in model.parameters())
        assert float(clip()) == pytest.approx(3 * count**0.5, rel=1e-5)
        assert float(clip()) < 3 * count**0.5 / 2


@pytest.mark.parametrize("choice", recipe.CHOICES["averaging"])
def test_averaging_is_none_or_gives_the_model_back_its_own_weights(choice: type[Any]) -> None:
    model = small_network()
    own = [parameter.detach().clone() for parameter in model.parameters()]

    average = build.build_averaging(choice(), model)

    assert (average is None) == (choice is recipe.Nothing)
    if average:
        average.update()
        with average.applied():
            pass
        assert all(torch.equal(new, old) for new, old in zip(model.parameters(), own, strict=True))


def test_lists_of_choices_are_complete() -> None:
    def members(union: Any) -> set[type[Any]]:
        return set(get_args(get_args(union)[0]))

    assert members(recipe.Augmentation) == set(recipe.CHOICES["augmentation"])
    assert members(recipe.Optimizer) == set(recipe.CHOICES["optimizer"])
    assert members(recipe.Schedule) == set(recipe.CHOICES["schedule"])
    assert members(recipe.Loss) == set(recipe.CHOICES["loss"])
    assert members(recipe.Activation) == set(recipe.CHOICES["activation"])
    assert members(recipe.Penalty) == set(recipe.CHOICES["penalty"])
    assert members(recipe.Clipping) == set(recipe.CHOICES["clipping"])
    assert members(recipe.Averaging) == set(recipe.CHOICES["averaging"])
