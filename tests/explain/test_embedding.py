import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from ceteris.errors import ConfigError, DataError
from ceteris.explain.embedding import embed, embedding_layer, tsne


def model() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 7), nn.Tanh(), nn.Linear(7, 2)
    )


def images(count: int = 9) -> Tensor:
    return torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(1))


class Crossed(nn.Module):
    """Its last linear layer is defined first."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 2)
        self.hidden = nn.Linear(36, 4)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.out(self.hidden(x.flatten(1)))
        return output


def test_the_default_is_the_input_of_the_last_linear_layer() -> None:
    net = model()
    expected = net.eval()[:5](images())
    np.testing.assert_allclose(embed(net, images()), expected.detach(), rtol=1e-5, atol=1e-6)
    assert embedding_layer(net, images()[0]) == "5"


def test_the_layer_that_runs_last_counts_not_the_one_defined_last() -> None:
    net = Crossed()
    assert embedding_layer(net, images()[0]) == "out"
    np.testing.assert_allclose(embed(net, images()), net.hidden(images().flatten(1)).detach(), rtol=1e-5, atol=1e-6)


def test_any_layer_can_be_named_and_is_flattened() -> None:
    net = model().eval()
    expected = net[:2](images()).flatten(1).detach()
    np.testing.assert_allclose(embed(net, images(), layer="1"), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 9, 100])
def test_the_batch_size_does_not_matter(batch_size: int) -> None:
    net = model()
    values = embed(net, images(), batch_size=batch_size)
    np.testing.assert_allclose(values, embed(net, images()), rtol=1e-5, atol=1e-6)
    assert values.dtype == np.float32


def test_leaves_the_model_as_it_was() -> None:
    net = model().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    embed(net, images())
    embed(net, images(), layer="1")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(m.training and not m._forward_hooks and not m._forward_pre_hooks for m in net.modules())


def test_a_model_without_linear_layers_needs_a_name() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 6), nn.Flatten())
    assert embedding_layer(net, images()[0]) == ""
    with pytest.raises(ConfigError, match="name the layer"):
        embed(net, images())
    assert embed(net, images(), layer="0").shape == (9, 2)


def test_tsne_keeps_the_ten_digits_apart() -> None:
    pixels, labels = load_digits(return_X_y=True)
    points = tsne(pixels[:400].astype(np.float32), seed=0)
    assert points.shape == (400, 2)
    assert points.dtype == np.float32
    neighbours = KNeighborsClassifier(n_neighbors=5).fit(points[:300], labels[:300])
    assert neighbours.score(points[300:], labels[300:400]) > 0.9


def test_tsne_repeats_itself_and_leaves_the_global_generator_alone() -> None:
    values = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    state = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    np.testing.assert_array_equal(tsne(values, seed=3), tsne(values, seed=3))
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index]  # noqa: NPY002


@pytest.mark.parametrize("shape", [(5, 3), (5, 1), (7, 2), (12, 400), (95, 3)])
def test_tsne_takes_few_images_and_few_or_many_values(shape: tuple[int, int]) -> None:
    points = tsne(np.random.default_rng(0).normal(size=shape).astype(np.float32), seed=0)
    assert points.shape == (shape[0], 2)
    assert np.isfinite(points).all()


def test_tsne_of_equal_images_is_one_point() -> None:
    assert not tsne(np.ones((8, 3), dtype=np.float32), seed=0).any()


def test_tsne_of_too_few_images_is_an_error() -> None:
    with pytest.raises(DataError, match="at least 5 images, received 4"):
        tsne(np.ones((4, 3), dtype=np.float32), seed=0)
