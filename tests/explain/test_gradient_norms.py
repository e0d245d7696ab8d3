import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ceteris.explain.residual import gradient_norms, residual_finding
from ceteris.models.dropout import Dropout
from ceteris.models.resnet import ResNet

LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def resnet(**changes: Any) -> ResNet:
    arguments: dict[str, Any] = {
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
        return ResNet(input_shape=(1, 8, 8), classes=3, **(arguments | changes))


def images() -> Tensor:
    return torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [True, False])
def test_are_those_of_the_first_training_step(training: bool) -> None:
    model = resnet().train(training)
    reference = copy.deepcopy(model).train()
    cross_entropy(reference(images()), LABELS).backward()  # type: ignore[no-untyped-call]
    expected = {
        name: module.weight.grad.norm().item()
        for name, module in reference.named_modules()
        if isinstance(module, nn.Conv2d) and module.weight.grad is not None
    }
    names, norms = gradient_norms(model, images(), LABELS)
    assert names == tuple(expected)
    assert names[:2] == ("stem.conv", "stage1.block1.branch.conv1")
    np.testing.assert_allclose(norms, list(expected.values()), rtol=1e-5)


def test_leaves_the_model_as_it_was() -> None:
    model = resnet(dropout=0.5).train()
    model.stage1.eval()  # type: ignore[union-attr]
    modes = [module.training for module in model.modules()]
    before = copy.deepcopy(model.state_dict())
    gradient_norms(model, images(), LABELS)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())


def test_leave_dropout_out() -> None:
    without, with_dropout = resnet(), resnet(dropout=0.9)
    assert any(isinstance(module, Dropout) for module in with_dropout.modules())
    np.testing.assert_array_equal(
        gradient_norms(with_dropout, images(), LABELS)[1], gradient_norms(without, images(), LABELS)[1]
    )


def test_a_model_without_convolutions_has_none() -> None:
    names, norms = gradient_norms(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), images(), LABELS)
    assert names == ()
    assert norms.shape == (0,)


def test_the_finding_sets_both_networks_side_by_side() -> None:
    connected, plain = resnet(), resnet(residual=False)
    finding = residual_finding(connected, plain, images(), LABELS)
    assert finding.layers == gradient_norms(connected, images(), LABELS)[0]
    np.testing.assert_array_equal(finding.gradient_norms_with, gradient_norms(connected, images(), LABELS)[1])
    np.testing.assert_array_equal(finding.gradient_norms_without, gradient_norms(plain, images(), LABELS)[1])
    assert finding.parameters_with == finding.parameters_without


def test_projections_which_only_one_network_has_are_left_out() -> None:
    connected, plain = resnet(shortcut="projection"), resnet(residual=False)
    finding = residual_finding(connected, plain, images(), LABELS)
    assert finding.layers == gradient_norms(plain, images(), LABELS)[0]
    assert finding.parameters_with > finding.parameters_without
