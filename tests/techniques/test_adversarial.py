import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ceteris.techniques.pixels import add_adversarial_noise

WEIGHT = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))


def images() -> Tensor:
    return torch.randn(10, 3, 2, 2, generator=torch.Generator().manual_seed(1))


def labels() -> Tensor:
    return torch.arange(10) % 3


def loss_of(batch: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(batch.flatten(1) @ WEIGHT.T, targets)


def attacked(share: float, *, epsilon: float = 0.1, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return add_adversarial_noise(images(), labels(), loss_of=loss_of, epsilon=epsilon, share=share, generator=generator)


def test_images_move_along_the_sign_of_the_gradient() -> None:
    probabilities = torch.softmax(images().flatten(1) @ WEIGHT.T, dim=1)
    gradient = (probabilities - functional.one_hot(labels(), 3)) @ WEIGHT  # of each image's own loss

    torch.testing.assert_close(attacked(1.0), images() + 0.1 * gradient.sign().view(10, 3, 2, 2))


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.3, 3), (0.55, 6), (1.0, 10)])
def test_the_asked_share_of_the_batch_is_moved(share: float, count: int) -> None:
    moved = (attacked(share) != images()).flatten(1).any(dim=1)

    assert int(moved.sum()) == count


def test_the_loss_rises() -> None:
    assert float(loss_of(attacked(0.5), labels())) > float(loss_of(images(), labels()))


def test_which_images_are_moved_does_not_depend_on_the_step_size() -> None:
    small, large = ((attacked(0.5, epsilon=e) != images()).flatten(1).any(dim=1) for e in (0.01, 1.0))

    assert torch.equal(small, large)
    assert not torch.equal(small, (attacked(0.5, seed=1) != images()).flatten(1).any(dim=1))


def test_the_weights_get_no_gradient_from_it() -> None:
    layer = nn.Linear(12, 3)

    add_adversarial_noise(
        images(),
        labels(),
        loss_of=lambda batch, targets: functional.cross_entropy(layer(batch.flatten(1)), targets),
        epsilon=0.1,
        share=1.0,
        generator=torch.Generator(),
    )

    assert layer.weight.grad is None
