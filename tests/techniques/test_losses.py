from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ceteris.techniques.losses import cross_entropy, focal, mean_squared_error

LOGITS = torch.randn(16, 5, generator=torch.Generator().manual_seed(0)) * 3
LABELS = torch.randint(0, 5, (16,), generator=torch.Generator().manual_seed(1))
SHARES = torch.softmax(torch.randn(16, 5, generator=torch.Generator().manual_seed(2)), dim=1)


def softmax_of(logits: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    exponents = np.exp(logits.double().numpy() - logits.double().numpy().max(axis=1, keepdims=True))
    result: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = exponents / exponents.sum(axis=1, keepdims=True)
    return result


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_with_smoothing_moves_the_target_towards_even_shares(smoothing: float) -> None:
    shares = (1 - smoothing) * np.eye(5)[LABELS.numpy()] + smoothing / 5
    expected = -(shares * np.log(softmax_of(LOGITS))).sum(axis=1).mean()

    assert float(cross_entropy(LOGITS, LABELS, label_smoothing=smoothing)) == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_of_class_shares_follows_the_formula() -> None:
    expected = -(SHARES.numpy() * np.log(softmax_of(LOGITS))).sum(axis=1).mean()

    assert float(cross_entropy(LOGITS, SHARES)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_loss_follows_its_formula(gamma: float) -> None:
    p = softmax_of(LOGITS)
    terms = -((1 - p) ** gamma) * np.log(p)

    labelled = terms[np.arange(16), LABELS.numpy()].mean()
    shared = (terms * SHARES.numpy()).sum(axis=1).mean()

    assert float(focal(LOGITS, LABELS, gamma=gamma)) == pytest.approx(labelled, rel=1e-4)
    assert float(focal(LOGITS, SHARES, gamma=gamma)) == pytest.approx(shared, rel=1e-4)


def test_focal_loss_without_weighting_is_cross_entropy() -> None:
    assert float(focal(LOGITS, LABELS, gamma=0.0)) == pytest.approx(float(functional.cross_entropy(LOGITS, LABELS)))


def test_squared_error_follows_its_formula() -> None:
    distance = ((softmax_of(LOGITS) - np.eye(5)[LABELS.numpy()]) ** 2).sum(axis=1)

    assert float(mean_squared_error(LOGITS, LABELS)) == pytest.approx(distance.mean(), rel=1e-5)


LOSSES: list[Callable[[Tensor, Tensor], Tensor]] = [
    cross_entropy,
    lambda logits, targets: cross_entropy(logits, targets, label_smoothing=0.2),
    lambda logits, targets: focal(logits, targets, gamma=0.5),
    lambda logits, targets: focal(logits, targets, gamma=2.0),
    mean_squared_error,
]


@pytest.mark.parametrize("loss", LOSSES)
def test_labels_and_their_one_hot_shares_give_the_same_loss(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    one_hot = functional.one_hot(LABELS, 5).float()

    torch.testing.assert_close(loss(LOGITS, LABELS), loss(LOGITS, one_hot))


@pytest.mark.parametrize("loss", LOSSES)
def test_certain_predictions_have_finite_loss_and_gradient(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]], requires_grad=True)

    value = loss(logits, torch.tensor([0, 0]))
    (gradient,) = torch.autograd.grad(value, logits)

    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_logits_give_a_loss_in_full_precision(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    assert loss(LOGITS.bfloat16(), LABELS).dtype == torch.float32
