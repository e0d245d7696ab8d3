import numpy as np
import torch
from torch import nn

from ceteris.models.dropout import Dropout
from ceteris.models.mlp import MLP


def test_computes_what_numpy_computes() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MLP(input_shape=(2, 3, 3), classes=4, hidden=(6, 5), activation=nn.ReLU, batch_norm=False, dropout=0.0)
    images = np.random.default_rng(1).normal(size=(3, 2, 3, 3)).astype(np.float32)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    x = images.reshape(3, 18)
    for name in ("linear1", "linear2"):
        x = np.maximum(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"], 0)
    expected = x @ weights["classifier.weight"].T + weights["classifier.bias"]
    with torch.no_grad():
        np.testing.assert_allclose(model(torch.from_numpy(images)).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_orders_the_layers_linear_normalisation_activation_dropout() -> None:
    model = MLP(input_shape=(1, 4, 4), classes=3, hidden=(8, 7), activation=nn.ELU, batch_norm=True, dropout=0.5)
    kinds = [type(layer) for layer in model]
    hidden = [nn.Linear, nn.BatchNorm1d, nn.ELU, Dropout]
    assert kinds == [nn.Flatten, *hidden, *hidden, nn.Linear]


def test_has_the_parameters_of_the_arithmetic() -> None:
    plain = MLP(input_shape=(1, 28, 28), classes=47, hidden=(128,) * 3, activation=nn.ReLU, batch_norm=False, dropout=0)
    assert sum(p.numel() for p in plain.parameters()) == 785 * 128 + 2 * 129 * 128 + 129 * 47
    normalised = MLP(
        input_shape=(1, 28, 28), classes=47, hidden=(128,) * 3, activation=nn.ReLU, batch_norm=True, dropout=0
    )
    # no bias before normalisation, which brings a scale and a shift of its own
    assert sum(p.numel() for p in normalised.parameters()) == 784 * 128 + 2 * 128 * 128 + 3 * 2 * 128 + 129 * 47


def test_without_hidden_layers_is_a_linear_classifier() -> None:
    model = MLP(input_shape=(1, 2, 2), classes=3, hidden=(), activation=nn.ReLU, batch_norm=True, dropout=0.5)
    assert [type(layer) for layer in model] == [nn.Flatten, nn.Linear]
