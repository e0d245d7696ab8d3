import pytest
import torch
from torch import Tensor

from ceteris.techniques.regularisation import clip_by_norm_, clip_by_value_, gradient_norm


def gradients() -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(shape, generator=generator) for shape in [(7, 3), (5,), (2, 2, 3, 3)]]


def test_norm_is_that_of_all_gradients_in_one_row() -> None:
    row = torch.cat([gradient.flatten() for gradient in gradients()])

    assert float(gradient_norm(gradients())) == pytest.approx(float(row.norm()), rel=1e-6)


def test_a_long_gradient_is_scaled_to_the_maximum_and_keeps_its_direction() -> None:
    clipped = gradients()

    before = clip_by_norm_(clipped, 0.5)

    assert float(before) == pytest.approx(float(gradient_norm(gradients())))
    assert float(gradient_norm(clipped)) == pytest.approx(0.5, rel=1e-5)
    for new, old in zip(clipped, gradients(), strict=True):
        torch.testing.assert_close(new, old * (0.5 / before))


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_a_short_gradient_is_left_alone(scale: float) -> None:
    short = [gradient * scale for gradient in gradients()]
    kept = [gradient.clone() for gradient in short]

    clip_by_norm_(short, 100.0)

    assert all(torch.equal(new, old) for new, old in zip(short, kept, strict=True))


def test_values_are_limited_on_both_sides() -> None:
    clipped = gradients()

    before = clip_by_value_(clipped, 0.5)

    assert float(before) == pytest.approx(float(gradient_norm(gradients())))
    for new, old in zip(clipped, gradients(), strict=True):
        assert torch.equal(new, old.clamp(-0.5, 0.5))
