import copy
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from ceteris.explain.explanation import explain
from ceteris.explain.features import standardise
from ceteris.explain.gradcam import grad_cam
from ceteris.findings import Explanation
from ceteris.models.cnn import CNN
from ceteris.models.mlp import MLP
from ceteris.models.resnet import ResNet

PIXELS = np.round(load_digits().images[:60] * 255 / 16).astype(np.uint8)[:, None]  # (60, 1, 8, 8)
LABELS = load_digits().target[:60].astype(np.int64)
MEAN, STD = np.array([78.0]), np.array([96.0])
SHOWN, EMBEDDED = np.array([7, 3, 9]), np.arange(40)


def cnn() -> nn.Module:
    return CNN(
        input_shape=(1, 8, 8),
        classes=10,
        filters=(4, 6),
        kernels=(3, 3),
        convolutions_per_block=1,
        pooling="max",
        pool_after=None,
        order="activation-first",
        global_average_pooling=False,
        head=(12,),
        activation=nn.ReLU,
        batch_norm=True,
        dropout=0.2,
    )


def mlp() -> nn.Module:
    return MLP(input_shape=(1, 8, 8), classes=10, hidden=(12, 9), activation=nn.ReLU, batch_norm=True, dropout=0.5)


def resnet() -> nn.Module:
    return ResNet(
        input_shape=(1, 8, 8),
        classes=10,
        blocks=(1, 1),
        filters=(4, 6),
        kernel=3,
        block="basic",
        convolutions_per_block=2,
        residual=True,
        shortcut="padding",
        stem_stride=1,
        head=(),
        activation=nn.ReLU,
        batch_norm=True,
        dropout=0.0,
    )


def users_own() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 10, 3, stride=2), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())


MODELS = {"cnn": cnn, "mlp": mlp, "resnet": resnet, "a user's own": users_own}
every_model = pytest.mark.parametrize("kind", MODELS)


def build(kind: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MODELS[kind]()


def explained(model: nn.Module, **changes: Any) -> Explanation:
    arguments: dict[str, Any] = {"shown": SHOWN, "embedded": EMBEDDED, "seed": 0} | changes
    return explain(model, name="m", images=PIXELS, labels=LABELS, mean=MEAN, std=STD, **arguments)


@every_model
def test_describes_the_images_asked_for(kind: str) -> None:
    model = build(kind)
    result = explained(model)
    pixels = standardise(PIXELS[SHOWN], mean=MEAN, std=STD, model=model)
    np.testing.assert_array_equal(result.images, PIXELS[SHOWN])
    np.testing.assert_array_equal(result.labels, LABELS[SHOWN])
    np.testing.assert_array_equal(result.predictions, model.eval()(pixels).argmax(dim=1))
    np.testing.assert_array_equal(result.embedding_labels, LABELS[: len(result.embedding)])
    assert np.isfinite(result.embedding).all()


@pytest.mark.parametrize(
    ("kind", "layer", "features", "embedding"),
    [
        ("cnn", "block2.conv1", ["block1.conv1", "block2.conv1"], "classifier"),
        ("mlp", "", ["linear1"], "classifier"),
        ("resnet", "stage2.block1.branch.conv2", ["stem.conv", "stage1.block1.branch.conv1"], "classifier"),
        ("a user's own", "0", ["0"], ""),
    ],
)
def test_names_the_layers_it_looked_at(kind: str, layer: str, features: list[str], embedding: str) -> None:
    result = explained(build(kind))
    assert result.layer == layer
    assert result.heat.shape == (3 if layer else 0, 8, 8)
    assert [maps.layer for maps in result.features] == features
    assert result.embedding_layer == embedding
    assert result.embedding.shape == (40 if embedding else 0, 2)


def test_the_heat_speaks_for_the_predicted_class() -> None:
    model = build("cnn")
    result = explained(model)
    pixels = standardise(PIXELS[SHOWN], mean=MEAN, std=STD, model=model)
    np.testing.assert_array_equal(result.heat, grad_cam(model, pixels, torch.tensor(result.predictions)))


@every_model
def test_repeats_itself_and_leaves_the_model_and_the_global_generator_as_they_were(kind: str) -> None:
    model = build(kind).train()
    before, state = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    first, second = explained(model), explained(model)
    for field in fields(Explanation):
        if field.name != "features":
            np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(m.training and not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


def test_too_few_images_for_tsne_give_an_empty_embedding() -> None:
    result = explained(build("cnn"), embedded=np.arange(4))
    assert result.embedding.shape == (0, 2)
    assert result.embedding_labels.shape == (0,)


def test_images_are_standardised_channel_by_channel() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(2, 3, 4, 4), dtype=np.uint8)
    mean, std = np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 30.0])
    expected = np.stack([(images[:, c] - mean[c]) / std[c] for c in range(3)], axis=1)
    pixels = standardise(images, mean=mean, std=std, model=nn.Flatten())
    assert pixels.dtype == torch.float32
    np.testing.assert_allclose(pixels, expected, rtol=1e-6)
