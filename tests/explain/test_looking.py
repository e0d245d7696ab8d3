"""Smoothness on a quadratic, autocorrelation, lesions, corruptions, attacks, layers: each against a known answer."""

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score
from tests.explain.test_explanation import LABELS, MEAN, PIXELS, STD, build
from torch import Tensor, nn

from ceteris.explain.dynamics import along_gradient, gradient_autocorrelation, lesions, loss_surface, output_variances
from ceteris.explain.layers import inference_cost, linear_cka, separation_of, telling_layers
from ceteris.explain.robustness import ATTACKS, CONDITIONS, Subject, attacked, corrupted, robustness_of


def test_smoothness_of_a_quadratic_is_that_of_its_matrix() -> None:
    matrix = torch.diag(torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64))
    start = torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
    found = along_gradient(lambda w: 0.5 * w[0] @ matrix @ w[0], [start], [0.05, 0.1])
    gradient = matrix @ start
    assert found.smoothness == pytest.approx(float((matrix @ gradient).norm() / gradient.norm()), rel=1e-9)
    assert found.change == pytest.approx(0.1 * float((matrix @ gradient).norm()), rel=1e-9)
    losses = [0.5 * w @ matrix @ w for w in (start, start - 0.05 * gradient, start - 0.1 * gradient)]
    assert (found.low, found.high) == pytest.approx((float(min(losses)), float(max(losses))), rel=1e-9)


def test_a_linear_network_has_the_same_input_gradient_everywhere() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    np.testing.assert_allclose(gradient_autocorrelation(model, torch.randn(4, 1, 4, 4)), 1, atol=1e-6)


def test_lesions_and_surfaces_leave_the_network_alone() -> None:
    model = build("resnet").eval()
    images, labels = torch.randn(20, 1, 8, 8), torch.randint(10, (20,))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    names, dropped, swapped = lesions(model, images, labels)
    assert names == ("stage1.block1", "stage2.block1")
    assert np.isfinite(dropped).all()
    assert np.isnan(swapped).all()  # no two blocks of one stage
    surface = loss_surface(model, images, labels, np.array([-0.5, 0.0, 0.5]), torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert surface[1, 1] == pytest.approx(float(nn.functional.cross_entropy(model(images), labels)), rel=1e-5)
    assert len(output_variances(model, images)) == 5
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_block_without_effect_can_be_left_out() -> None:
    model = build("resnet").eval()
    with torch.no_grad():
        model.get_submodule("stage1.block1.branch.norm2").weight.zero_()  # type: ignore[operator]
        model.get_submodule("stage1.block1.branch.norm2").bias.zero_()  # type: ignore[operator]
        images = torch.randn(50, 1, 8, 8)
        labels = model(images).argmax(1)
    assert lesions(model, images, labels)[1][0] == 1.0


def test_corruptions_are_fixed_and_grow() -> None:
    for condition in CONDITIONS:
        if condition.kind not in ATTACKS:
            first, second = corrupted(PIXELS[:12], condition), corrupted(PIXELS[:12], condition)
            np.testing.assert_array_equal(first, second)
            assert first.shape == PIXELS[:12].shape
    distances = [np.abs(corrupted(PIXELS, c).astype(float) - PIXELS).mean() for c in CONDITIONS if c.kind == "noise"]
    assert distances == sorted(distances)


@pytest.mark.parametrize("kind", ATTACKS)
def test_attacks_stay_within_their_strength_and_raise_the_loss(kind: str) -> None:
    subject = Subject(build("cnn").eval(), MEAN, STD)
    condition = next(c for c in CONDITIONS if c.kind == kind and c.severity == 3)
    given = attacked(subject, PIXELS[:20], LABELS[:20], condition)
    clean = subject.prepare(PIXELS[:20])
    change = (given - clean).abs().max() * float(STD[0]) / 255
    assert float(change) <= condition.strength + 1e-5
    loss = nn.CrossEntropyLoss()
    targets = torch.from_numpy(LABELS[:20])
    with torch.no_grad():
        assert loss(subject.network(given), targets) > loss(subject.network(clean), targets)


def test_robustness_counts_what_each_training_names_right() -> None:
    subjects = {
        "cnn": [Subject(build("cnn").eval(), MEAN, STD)] * 2,
        "mlp": [Subject(build("mlp").eval(), MEAN, STD)] * 2,
    }
    found = robustness_of(subjects, PIXELS[:17], LABELS[:17])
    right = np.unpackbits(found.right, axis=-1, count=17)
    assert right.shape == (2, len(CONDITIONS) + 1, 2, 17)
    subject = subjects["mlp"][0]
    with torch.no_grad():
        expected = subject.network(subject.prepare(PIXELS[:17])).argmax(1).numpy() == LABELS[:17]
    np.testing.assert_array_equal(right[1, 0, 1], expected)


def test_layers_agree_with_scikit_learn_and_cka_has_its_known_values() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(30, 5))
    turn = np.linalg.qr(random.normal(size=(5, 5)))[0]
    assert linear_cka(values, 3 * values @ turn + 1) == pytest.approx(1)
    centred = values - values.mean(0)
    other = random.normal(size=(30, 4))
    expected = np.linalg.norm((other - other.mean(0)).T @ centred) ** 2 / (
        np.linalg.norm(centred.T @ centred) * np.linalg.norm((other - other.mean(0)).T @ (other - other.mean(0)))
    )
    assert linear_cka(values, other) == pytest.approx(expected)
    model = build("mlp").eval()
    pixels: Tensor = Subject(model, MEAN, STD).prepare(PIXELS)
    layers = telling_layers(model, (1, 8, 8))
    found = separation_of(model, pixels, LABELS, layers, name="mlp")
    with torch.no_grad():
        logits = model(pixels).double().numpy()
    half = len(LABELS) // 2
    scaled = (logits - logits[:half].mean(0)) / np.maximum(logits[:half].std(0), 1e-6)
    assert found.silhouette[-1] == pytest.approx(silhouette_score(scaled, LABELS), abs=1e-5)
    assert found.silent[-1] == -1
    assert (found.silent[:-1] <= found.units[:-1]).all()


def test_costs_of_use_are_measured() -> None:
    found = inference_cost(build("mlp"), (1, 8, 8), name="mlp", training_flops=7)
    assert found.batch_per_second > found.single_per_second > 0
    assert found.disk_bytes > found.memory_bytes > 0
