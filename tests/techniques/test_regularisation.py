import pytest
import torch

from ceteris.techniques.regularisation import l1, l2, shrink_weights_


def weights() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = [(4, 3), (2, 4, 3, 3)]
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def test_l1_sums_magnitudes_and_pulls_with_their_sign() -> None:
    filters = weights()
    with torch.no_grad():
        filters[0][0, 0] = 0.0

    gradients = torch.autograd.grad(l1(filters), filters)

    plain = [weight.detach() for weight in filters]
    assert float(l1(plain)) == pytest.approx(sum(float(weight.abs().sum()) for weight in plain), rel=1e-6)
    for gradient, weight in zip(gradients, plain, strict=True):
        assert torch.equal(gradient, weight.sign())


def test_l2_sums_squares_and_pulls_with_twice_the_weight() -> None:
    filters = weights()

    gradients = torch.autograd.grad(l2(filters), filters)

    plain = [weight.detach() for weight in filters]
    assert float(l2(plain)) == pytest.approx(sum(float((weight**2).sum()) for weight in plain), rel=1e-6)
    for gradient, weight in zip(gradients, plain, strict=True):
        torch.testing.assert_close(gradient, 2 * weight)


def test_l2_of_filters_in_channels_last_order_is_the_same() -> None:
    filters = weights()[1].detach()

    turned = filters.contiguous(memory_format=torch.channels_last)

    assert float(l2([turned])) == pytest.approx(float(l2([filters])), rel=1e-6)


def test_shrinking_multiplies_all_weights_in_place() -> None:
    filters = weights()
    before = [weight.detach().clone() for weight in filters]

    shrink_weights_(filters, 0.9)

    for weight, old in zip(filters, before, strict=True):
        torch.testing.assert_close(weight.detach(), 0.9 * old)
