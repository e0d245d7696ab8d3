"""Every field of every choice reaches what is built: changing the field alone changes what can be observed."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ceteris import recipe
from ceteris.models.dropout import set_dropout_generator
from ceteris.training import build

RESNET = recipe.ResNet(blocks=(1, 1), filters=(4, 6))
CNN = recipe.CNN(filters=(4, 6), head=(5,))

# A choice, and for each of its fields another value.
VARIED: list[tuple[Any, dict[str, Any]]] = [
    (recipe.LeakyReLU(), {"slope": 0.5}),
    (recipe.ELU(), {"alpha": 0.5}),
    (recipe.PReLU(), {"initial_slope": 0.5}),
    (recipe.Softplus(), {"beta": 2.0}),
    (recipe.SGD(momentum=0.5), {"lr": 0.02, "momentum": 0.9, "dampening": 0.5, "nesterov": True}),
    (recipe.Adam(), {"lr": 0.02, "beta1": 0.5, "beta2": 0.5, "epsilon": 0.1}),
    (recipe.Adam(beta2=0.5), {"amsgrad": True}),
    (recipe.AdamW(), {"lr": 0.02, "beta1": 0.5, "beta2": 0.5, "epsilon": 0.1, "weight_decay": 0.3}),
    (recipe.AdamW(beta2=0.5), {"amsgrad": True}),
    (recipe.NAdam(), {"lr": 0.02, "beta1": 0.5, "beta2": 0.5, "epsilon": 0.1, "momentum_decay": 0.5}),
    (recipe.RAdam(), {"lr": 0.02, "beta1": 0.5, "beta2": 0.5, "epsilon": 0.1}),
    (recipe.RMSprop(), {"lr": 0.02, "alpha": 0.5, "epsilon": 0.1, "momentum": 0.5, "centered": True}),
    (recipe.Adagrad(), {"lr": 0.02, "lr_decay": 0.5, "epsilon": 0.1}),
    (recipe.Adadelta(), {"lr": 0.02, "rho": 0.5, "epsilon": 0.1}),
    (recipe.Adamax(), {"lr": 0.02, "beta1": 0.5, "beta2": 0.5, "epsilon": 0.1}),
    (recipe.ASGD(), {"lr": 0.02, "decay": 0.5, "averaging_start": 2.0}),
    (recipe.ASGD(decay=0.5), {"power": 0.2}),
    (
        recipe.Muon(),
        {
            "lr": 0.1, "momentum": 0.5, "nesterov": False, "orthogonalisation_steps": 2, "weight_decay": 0.5,
            "adamw_lr": 0.1, "adamw_beta1": 0.5, "adamw_beta2": 0.5, "adamw_epsilon": 0.1,
        },
    ),
    (recipe.Constant(), {"warmup": 0.5}),
    (recipe.Step(), {"every": 0.5, "factor": 0.5}),
    (recipe.MultiStep(), {"milestones": (0.2,), "factor": 0.5}),
    (recipe.Exponential(), {"final": 0.5}),
    (recipe.Cosine(), {"warmup": 0.5, "final": 0.5}),
    (recipe.CosineRestarts(), {"cycles": 3, "growth": 1.0, "warmup": 0.5, "final": 0.5}),
    (recipe.OneCycle(), {"rise": 0.5, "start_divisor": 5.0, "final_divisor": 2.0}),
    (recipe.ReduceOnPlateau(), {"factor": 0.5, "patience": 0, "threshold": 0.0, "minimum": 0.05}),
    (recipe.Linear(), {"warmup": 0.5, "final": 0.5}),
    (recipe.CrossEntropy(), {"label_smoothing": 0.5, "class_weights": "inverse"}),
    (recipe.Focal(), {"gamma": 0.5, "class_weights": "sqrt"}),
    (recipe.MeanSquaredError(), {"class_weights": "effective"}),
    (recipe.L1(), {"strength": 0.5}),
    (recipe.L2(), {"strength": 0.5}),
    (recipe.DecoupledWeightDecay(), {"strength": 0.5}),
    (recipe.ClipNorm(), {"maximum": 0.1}),
    (recipe.ClipValue(), {"maximum": 0.1}),
    (recipe.ExponentialMovingAverage(), {"decay": 0.5}),
    (recipe.Shift(), {"fraction": 0.5}),
    (recipe.Rotate(), {"degrees": 60.0}),
    (recipe.Scale(), {"fraction": 0.5}),
    (recipe.Shear(), {"degrees": 45.0}),
    (recipe.Elastic(), {"pixels": 3.0, "smoothness": 2.0}),
    (recipe.Flip(), {"axis": "vertical", "probability": 1.0}),
    (recipe.CropWithPadding(), {"padding": 2}),
    (recipe.Cutout(), {"fraction": 0.5}),
    (recipe.Noise(), {"deviation": 0.5}),
    (recipe.BrightnessContrast(), {"brightness": 0.5, "contrast": 0.5}),
    (recipe.Mixup(), {"alpha": 2.0}),
    (recipe.CutMix(), {"alpha": 2.0}),
    (recipe.AdversarialNoise(), {"epsilon": 0.5, "share": 1.0}),
    (
        recipe.MLP(hidden=(5, 6)),
        {
            "hidden": (5,), "activation": recipe.Tanh(), "batch_norm": True, "dropout": 0.5,
            "initialisation": recipe.Initialisation(kind="orthogonal"),
            "normalisation": "layer", "image_size": 8,
        },
    ),
    (recipe.MLP(hidden=(6, 6)), {"width": 5, "depth": 3}),
    (
        CNN,
        {
            "filters": (4, 5), "kernels": (3, 5), "convolutions_per_block": 2, "pooling": "average", "pool_after": (1,),
            "order": "pooling-first", "global_average_pooling": True, "head": (), "activation": recipe.Tanh(),
            "batch_norm": True, "dropout": 0.5, "initialisation": recipe.Initialisation(kind="orthogonal"), "residual": 1,
            "normalisation": "group", "image_size": 8,
        },
    ),
    (replace(CNN, residual=1), {"shortcut": "projection"}),
    (
        RESNET,
        {
            "blocks": (2, 1), "filters": (4, 5), "kernel": 5, "block": "pre-activation", "convolutions_per_block": 3,
            "residual": False, "shortcut": "projection", "stem_stride": 2, "head": (7,), "activation": recipe.Tanh(),
            "batch_norm": False, "dropout": 0.5, "initialisation": recipe.Initialisation(kind="orthogonal"),
            "normalisation": "layer", "image_size": 8,
        },
    ),
]  # fmt: skip
CASES = [(choice, name, value) for choice, values in VARIED for name, value in values.items()]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images() -> Tensor:
    return torch.randn(8, 1, 16, 16, generator=seeded(1))


def labels() -> Tensor:
    return torch.arange(8) % 3


def network(model: recipe.Model) -> torch.nn.Module:
    return build.build_model(model, input_shape=(1, 16, 16), classes=3, generator=seeded())


def weights_and_settings_after_steps(choice: Any) -> object:
    model = network(recipe.MLP(hidden=(6, 6)))
    optimizer = build.build_optimizer(choice, model)
    for step in range(8):
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=seeded(step)) / (step + 1)
        optimizer.step()
    return [p.detach().tolist() for p in model.parameters()], [group.get("t0") for group in optimizer.param_groups]


def structure_and_logits(model: Any) -> object:
    built = network(model)
    set_dropout_generator(built, seeded())
    return str(built), built(images()).detach().tolist()


def penalty_and_decay(choice: Any) -> object:
    penalty = build.build_penalty(choice, network(recipe.MLP(hidden=(6,))))
    return float(penalty().detach()) if penalty else None, build.decay_of(choice)


def clipped_gradient(choice: Any) -> object:
    model = torch.nn.Linear(3, 1)
    model.weight.grad = torch.tensor([[1.0, 2.0, 3.0]])
    clip = build.build_clipping(choice, model)
    assert clip is not None
    clip()
    return model.weight.grad.tolist()


def average_of_two(choice: Any) -> object:
    model = torch.nn.BatchNorm1d(1)
    average = build.build_averaging(choice, model)
    assert average is not None
    for _ in range(2):
        average.update()
        model.weight.detach().add_(1)
    average.copy_to_model()
    return float(model.weight.detach())


def augmented(choice: Any) -> object:
    def loss_of(batch: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(batch.flatten(1)[:, :3], targets)

    augment = build.build_augmentation((choice,), fill=torch.tensor([-0.4]))
    assert augment is not None
    return augment(images(), labels(), 3, seeded(), loss_of=loss_of)[0].tolist()


def rates(choice: Any) -> object:
    multiplier = build.build_schedule(choice, 10)
    losses = [1 - epoch / 1000 for epoch in range(10)]
    return [multiplier(step / 20, losses[: step // 2]) for step in range(20)]


def observed(choice: Any) -> object:
    if isinstance(choice, recipe.CHOICES["optimizer"]):
        return weights_and_settings_after_steps(choice)
    if isinstance(choice, recipe.CHOICES["schedule"]):
        return rates(choice)
    if isinstance(choice, recipe.CHOICES["augmentation"]):
        return augmented(choice)
    if isinstance(choice, recipe.CHOICES["model"]):
        return structure_and_logits(choice)
    if isinstance(choice, recipe.CHOICES["loss"]):
        return float(build.build_loss(choice, np.bincount(labels()))(images().flatten(1)[:, :3], labels()))
    if isinstance(choice, recipe.CHOICES["activation"]):
        return build.build_activation(choice)()(images()).detach().tolist()
    if isinstance(choice, recipe.CHOICES["penalty"]):
        return penalty_and_decay(choice)
    return clipped_gradient(choice) if isinstance(choice, recipe.CHOICES["clipping"]) else average_of_two(choice)


@pytest.mark.parametrize(("choice", "name", "value"), CASES, ids=[f"{c.kind}-{name}" for c, name, _ in CASES])
def test_field_reaches_what_is_built(choice: Any, name: str, value: object) -> None:
    assert observed(replace(choice, **{name: value})) != observed(choice)
    assert observed(replace(choice)) == observed(choice)


def test_no_field_is_forgotten_here() -> None:
    every_choice = [choice for group in recipe.CHOICES.values() for choice in group]
    covered_elsewhere = {
        (recipe.CustomLoss, "path"), (recipe.CustomModel, "path"), (recipe.CustomModel, "arguments"),
        *((recipe.Estimator, name) for name in ("path", "arguments", "by_epochs")),  # test_estimator.py
        (recipe.ReduceOnPlateau, "watch"), (recipe.ReduceOnPlateau, "validation"),  # which images: test_trial.py
    }  # fmt: skip
    existing: set[tuple[Any, str]] = {
        (choice, field.name) for choice in every_choice for field in fields(choice) if field.name != "kind"
    }

    assert {(type(choice), name) for choice, name, _ in CASES} == existing - covered_elsewhere


def test_a_slant_leaves_rows_of_one_value_as_they_are() -> None:
    rows = torch.linspace(-1, 1, 16).view(1, 1, 16, 1).expand(8, 1, 16, 16)

    slanted, turned = (
        build_and_apply(choice, rows)[:, :, 4:12, 6:10]
        for choice in (recipe.Shear(degrees=20), recipe.Rotate(degrees=20))
    )

    torch.testing.assert_close(slanted, rows[:, :, 4:12, 6:10], atol=1e-5, rtol=0)
    assert not torch.allclose(turned, rows[:, :, 4:12, 6:10], atol=0.05)


def test_a_turn_leaves_a_round_image_as_it_is_and_a_zoom_does_not() -> None:
    line = torch.arange(16) - 7.5
    hill = torch.exp(-(line.square()[:, None] + line.square()) / 20).expand(8, 1, 16, 16)

    turned, zoomed = (
        build_and_apply(choice, hill) for choice in (recipe.Rotate(degrees=90), recipe.Scale(fraction=0.3))
    )

    torch.testing.assert_close(turned, hill, atol=0.04, rtol=0)
    assert not torch.allclose(zoomed, hill, atol=0.08)
    torch.testing.assert_close(zoomed, zoomed.flip(2, 3), atol=1e-5, rtol=0)


def test_pasting_keeps_every_pixel_whole_and_mixing_does_not() -> None:
    marks = (torch.arange(8) % 2).view(8, 1, 1, 1).expand(8, 1, 16, 16).float()

    def whole(choice: recipe.Augmentation) -> bool:
        mixed = build_and_apply(choice, marks)
        return bool(((mixed == 0) | (mixed == 1)).all())

    assert whole(recipe.CutMix(alpha=1.0))
    assert not whole(recipe.Mixup(alpha=1.0))


def build_and_apply(choice: recipe.Augmentation, given: Tensor) -> Tensor:
    augment = build.build_augmentation((choice,), fill=torch.zeros(1))
    assert augment is not None
    return augment(given, labels(), 3, seeded())[0]
