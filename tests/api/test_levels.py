"""Every option on the test set after all choices, what was used, the logs, and looking into a model by layers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ceteris
from ceteris.analysis.results import results_of
from ceteris.api import embed_images, feature_visualization, test_model
from ceteris.errors import ConfigError
from ceteris.report.words import training_log
from tests.api.tiny import TINY

STUDY = {
    **TINY,
    "name": "levels",
    "exploration": {"folds": 2, "images": 120, "repetitions": 1, "all_models": True},
    "confirmation": {"seeds": 0},
    "final": {"seeds": 1, "patience": 2, "epochs": 2, "levels": True},
    "models": {
        "mlp": TINY["models"]["mlp"],
        "cnn": {
            "model": {"kind": "cnn", "filters": [4], "kernels": [3], "head": [], "batch_norm": True},
            "epochs": 1,
            "batch_size": 64,
            "embedding": "block1.conv1",
        },
        "near": {"model": {"kind": "estimator", "path": "sklearn.neighbors:KNeighborsClassifier"}},
    },
    "factors": [{"name": "width", "field": "model.hidden", "models": ["mlp"], "levels": [[16], [32]]}],
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ceteris.Result:
    folder = tmp_path_factory.mktemp("levels")
    return ceteris.run(STUDY, out=folder / "levels", workers=0, formats=("html",))


def test_every_option_is_tested_once_after_all_choices(result: ceteris.Result) -> None:
    mlp, *others = result.findings.models
    assert [(test.factor, test.label, test.status) for test in mlp.level_tests] == [
        ("width", "16", "finished"), ("width", "32", "finished"),
    ]  # fmt: skip
    assert all(not model.level_tests for model in others)
    finals = {final.digest: final for final in result.findings.finals if final.model == "mlp"}
    shared = [test for test in mlp.level_tests if test.digest in finals]
    assert shared, "an option that is the best recipe is that final training"
    labels = result.findings.test_labels
    for test in shared:
        assert test.accuracy == pytest.approx((finals[test.digest].probabilities.argmax(1) == labels).mean())
    assert len(result.findings.looks) == 1
    table = result.table("test_by_level")
    assert "not used for choosing" in table.title
    assert [row[4] for row in table.rows] == [level.mean for level in mlp.factors[0].levels]


def test_models_as_given_are_told_once_and_cross_validated_on_request(result: ceteris.Result) -> None:
    versions = [(version.model, version.version_title) for version in result.results.versions]
    assert versions == [("mlp", "baseline"), ("mlp", "best"), ("cnn", "as given"), ("near", "as given")]
    assert [row[0] for row in result.table("cross_validation").rows] == ["cnn", "near"]
    assert "layers_cnn_baseline" not in result.tables
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "cnn: the baseline stay" not in page


def test_what_was_used_is_that_of_the_final_trainings(result: ceteris.Result) -> None:
    used = {(row[0], row[1]): row[3] for row in result.table("recipes").rows}
    assert used["cnn", "epochs"] == "2", "not the one epoch of the recipe"
    assert used["MLP", "early stopping"] == "patience 2, by accuracy"
    assert used["cnn", "BatchNorm2d eps"] == "1e-05"
    assert used["MLP", "images fitted on"] == "1,295"
    assert str(used["MLP", "last mini-batch"]).startswith("15 images")
    assert ("near", "optimizer") not in used
    assert used["near", "model.path"] == "sklearn.neighbors:KNeighborsClassifier"


def test_the_log_has_training_and_test_of_every_epoch(result: ceteris.Result) -> None:
    final = next(final for final in result.findings.finals if (final.model, final.version) == ("cnn", "best"))
    log = (result.folder / "log.txt").read_text(encoding="utf-8")
    assert log == training_log(result.results)
    assert f"epoch 2 of 2: training loss {final.epochs.train_loss[1]:.4f}" in log  # type: ignore[union-attr]
    assert f"test loss {final.test_curve_loss[1]:.4f}" in log
    nothing_held_out = replace(
        final,
        epochs=replace(final.epochs, validation_loss=np.full(2, np.nan)),  # type: ignore[type-var]
    )
    told = training_log(results_of(replace(result.findings, finals=(nothing_held_out,))))
    assert "test loss" in told
    assert "validation" not in told
    head, *rows = (result.folder / "models/cnn-best/epochs.csv").read_text(encoding="utf-8").splitlines()
    assert head.split(",")[-2:] == ["test_loss", "test_accuracy"]
    assert float(rows[1].split(",")[-2]) == final.test_curve_loss[1]


def test_layers_are_drawn_and_embedded_by_name(result: ceteris.Result, tmp_path: Path) -> None:
    explained = {entry.model: entry.embedding_layer for entry in result.findings.explanations}
    assert explained == {"mlp": "classifier", "cnn": "block1.conv1"}
    model = ceteris.read_model(result.folder / "models/cnn-best")
    images = result.findings.test_images.images[:6]
    figure = feature_visualization(model, images[:2], "block1.conv1")
    assert len(figure.axes) == 2 * (1 + 4)
    maps = np.asarray(figure.axes[1].images[0].get_array())
    assert maps.shape == (8, 8)
    points = embed_images(model, images, layer="block1.conv1")
    assert points.shape == (6, 2)
    assert np.ptp(points) > 0
    for layers, told in (("block1.conv9", "Did you mean"), ("classifier", "not maps")):
        with pytest.raises(ConfigError, match=told):
            feature_visualization(model, images, layers)
    assert test_model(model, "digits", store=tmp_path).images == len(result.findings.test_labels)
    with pytest.raises(ConfigError, match="no pickle is written"):
        ceteris.read_model(result.folder / "models/near-best")


def test_a_layer_that_is_not_there_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'models.cnn.embedding: there is no layer "conv9"'):
        ceteris.run(STUDY, settings=["cnn.embedding=conv9"], out=tmp_path / "out", workers=0)
