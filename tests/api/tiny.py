"""A study so small that a whole run takes seconds: two models, two factors, real digits."""

from pathlib import Path
from typing import Any

import pytest

import ceteris

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": "digits",
    "exploration": {"folds": 2, "images": 200},
    "final": {"seeds": 2, "patience": 2, "epochs": 2},
    "models": {
        "mlp": {
            "title": "MLP",
            "model": {"kind": "mlp", "hidden": [16]},
            "optimizer": {"kind": "sgd", "lr": 0.1},
            "epochs": 2,
            "batch_size": 32,
        },
        "resnet": {
            "title": "ResNet",
            "model": {"kind": "resnet", "blocks": [1], "filters": [4]},
            "optimizer": "adam",
            "epochs": 1,
            "batch_size": 32,
        },
    },
    "factors": [
        {"name": "optimizer", "field": "optimizer", "levels": [{"kind": "sgd", "lr": 0.1}, "adam"]},
        {"name": "width", "field": "model.hidden", "models": ["mlp"], "levels": [[16], [32]]},
    ],
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> ceteris.Result:
    """The tiny study, run once in this process, with its HTML report."""
    folder: Path = tmp_path_factory.mktemp("results")
    return ceteris.run(TINY, out=folder / "tiny", workers=0, formats=("html",))
