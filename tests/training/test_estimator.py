"""Estimators as arms: the same split and record as a network's, answers as scikit-learn gives them, nothing pickled."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from tests.tiny_training import train
from tests.tiny_trials import MLP, tiny_images, tiny_trial

from ceteris import recipe as r
from ceteris.data import split_indices, standardisation
from ceteris.errors import ConfigError
from ceteris.models.estimator import EstimatorNetwork
from ceteris.records import Failed, HoldoutSplit, finished
from ceteris.study.trials import own_code
from ceteris.training.trial import run_trial
from ceteris.user_code import ALL_IMPORTS, ALLOWED_UNASKED, NO_IMPORTS

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
numpy_mlp = importlib.import_module("numpy_mlp")
sys.path.pop(0)

NEIGHBOURS = r.Estimator(path="sklearn.neighbors:KNeighborsClassifier", arguments={"n_neighbors": 3})
BY_HAND = r.Estimator(path="numpy_mlp:NumpyMLP", arguments={"hidden": [8], "batch_size": 4}, by_epochs=True)


class OneClass:
    """Knows the first class alone."""

    classes_ = (0,)

    def fit(self, rows: Any, labels: Any) -> None:
        """Learn nothing."""

    def predict_proba(self, rows: Any) -> Any:
        """Be sure."""
        return np.ones((len(rows), 1))


class Fits:
    """Cannot answer."""

    def fit(self, rows: Any, labels: Any) -> None:
        """Learn nothing."""


def test_the_hand_written_gradients_are_those_of_autograd() -> None:
    random = np.random.default_rng(1)
    images, labels = random.normal(size=(7, 5)), np.array([0, 1, 2, 2, 1, 0, 1])
    network = numpy_mlp.NumpyMLP(hidden=[6, 4], random_state=2)
    network.initialise(5, 3)
    network.biases = [random.normal(size=len(bias)) for bias in network.biases]
    loss, weight_gradients, bias_gradients = network.loss_and_gradients(images, labels)
    weights = [torch.tensor(part, requires_grad=True) for part in network.weights]
    biases = [torch.tensor(part, requires_grad=True) for part in network.biases]
    values = torch.tensor(images)
    for place, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        values = values @ weight + bias
        values = values.relu() if place < 2 else values
    expected = torch.nn.functional.cross_entropy(values, torch.tensor(labels))
    expected.backward()  # type: ignore[no-untyped-call]
    assert loss == pytest.approx(float(expected.detach()))
    for own, tensor in zip([*weight_gradients, *bias_gradients], [*weights, *biases], strict=True):
        np.testing.assert_allclose(own, np.asarray(tensor.grad), atol=1e-12)
    np.testing.assert_allclose(network.predict_proba(images), values.softmax(1).detach().numpy())


def test_an_estimator_answers_the_held_out_images_as_scikit_learn_does() -> None:
    images, trial = tiny_images(60), tiny_trial(replace(MLP, model=NEIGHBOURS, epochs=5), keep_weights=True)
    result = train(trial, images)
    record = finished(result.record)
    fitted, held_out = split_indices(trial.split, images.labels)
    mean, deviation = standardisation(images.images, fitted)
    rows = ((images.images - mean[:, None, None]) / deviation[:, None, None]).reshape(60, -1).astype(np.float32)
    oracle = KNeighborsClassifier(n_neighbors=3).fit(rows[fitted], images.labels[fitted])
    assert record.predictions is not None
    np.testing.assert_allclose(record.predictions.probabilities, oracle.predict_proba(rows[held_out]), atol=1e-5)
    assert (record.epoch_count, record.cost.training_flops, result.weights) == (1, 0, {})


def test_by_epochs_the_best_epoch_is_restored_and_kept_as_arrays() -> None:
    split = HoldoutSplit(fraction=0.25, seed=0)
    trial = tiny_trial(
        replace(MLP, model=BY_HAND, epochs=12), split=split, patience=2, keep_weights=True, keep_snapshots=True
    )
    result = train(trial, tiny_images(60), imports=ALL_IMPORTS)
    record = finished(result.record)
    assert record.epochs is not None
    assert record.best_epoch == int(np.argmax(record.epochs.validation_accuracy)) + 1 or record.epoch_count == 12
    assert record.accuracy == record.epochs.validation_accuracy[record.best_epoch - 1]
    assert record.cost.parameters == 64 * 8 + 8 + 8 * 3 + 3
    assert result.weights is not None
    assert result.snapshots is not None
    for name, array in result.weights.items():
        np.testing.assert_array_equal(array, result.snapshots[f"{record.best_epoch}/{name}"])
    again = train(trial, tiny_images(60), imports=ALL_IMPORTS).weights
    assert again is not None
    assert all(np.array_equal(again[name], array) for name, array in result.weights.items())


def test_classes_that_an_estimator_does_not_know_get_nothing() -> None:
    network = EstimatorNetwork(OneClass(), 3)
    network.fit(torch.zeros(2, 1, 2, 2), np.zeros(2, np.int64))
    np.testing.assert_allclose(network(torch.zeros(2, 1, 2, 2)).exp().numpy(), [[1, 0, 0]] * 2, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "allowed", "told"),
    [
        (BY_HAND, False, "--allow-imports"),
        (r.Estimator(path="sklearn.svm:SVC"), False, "--allow-imports"),
        (r.Estimator(path=f"{__name__}:Fits"), True, "has no predict_proba"),
        (replace(NEIGHBOURS, by_epochs=True), False, "has no partial_fit"),
        (replace(NEIGHBOURS, arguments={"neighbours": 3}), False, "could not be called with"),
    ],
)
def test_an_estimator_that_cannot_take_part_is_told_with_the_fix(model: r.Estimator, allowed: bool, told: str) -> None:
    imports = ALL_IMPORTS if allowed else NO_IMPORTS
    record = run_trial(tiny_trial(replace(MLP, model=model)), tiny_images(), imports=imports).record
    assert isinstance(record, Failed)
    assert told in record.error


def test_every_estimator_that_is_allowed_unasked_exists_and_depends_on_the_installed_version() -> None:
    for path in ALLOWED_UNASKED:
        made = NO_IMPORTS.resolve(path, "model")
        assert hasattr(made, "predict_proba") or path.endswith("SGDClassifier") or "own_code" in path
    code = own_code(replace(MLP, model=NEIGHBOURS))
    assert len(NO_IMPORTS.digest(code)) == 64


def test_code_of_the_shipped_studies_is_imported_unasked_and_nothing_that_it_imports() -> None:
    assert NO_IMPORTS.digest({"model": "ceteris.studies.own_code:Inception"})
    for path in (
        "ceteris.studies.own_code:torch.load",
        "ceteris.studies.numpy_mlp:np.load",
        "ceteris.studies.own_code:nn",
    ):
        with pytest.raises(ConfigError, match="--allow-imports"):
            NO_IMPORTS.resolve(path, "model")
    model = r.CustomModel(path="ceteris.studies.own_code:Inception", arguments={"width": 2})
    loss = r.CustomLoss(path="ceteris.studies.own_code:cross_entropy")
    record = finished(run_trial(tiny_trial(replace(MLP, model=model, loss=loss)), tiny_images()).record)
    plain = finished(run_trial(tiny_trial(replace(MLP, model=model, loss=r.CrossEntropy())), tiny_images()).record)
    assert record.loss == pytest.approx(plain.loss, rel=1e-4)


def test_an_estimator_computes_in_double_precision() -> None:
    network = EstimatorNetwork(KNeighborsClassifier(1), 2)
    network.fit(torch.zeros(2, 1, 2, 2), np.array([0, 1]))
    assert network.estimator._fit_X.dtype == np.float64
