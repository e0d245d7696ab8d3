"""Models that somebody sent: the weights and what belongs to them, forged."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ceteris.api import ModelCard, write_model
from ceteris.data import ReadOptions
from ceteris.recipe import MLP, Recipe
from ceteris.training.build import build_model
from ceteris.user_code import NO_IMPORTS
from tests.attacks.conftest import Attack
from tests.attacks.forged import FILES, TEXTS, Header, forge, forge_tree, put
from tests.attacks.test_data_sets import picture
from tests.attacks.test_studies import ODD_FILES

KEY = "ceteris.model"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An untrained model for pictures of 8 x 8 pixels, and a picture beside it."""
    recipe = Recipe(model=MLP(hidden=(8,)))
    network = build_model(
        recipe.model, input_shape=(1, 8, 8), classes=2, generator=torch.Generator().manual_seed(1), imports=NO_IMPORTS
    )
    card = ModelCard(
        name="mlp",
        version="best",
        study="attack",
        data="set",
        note="",
        recipe=recipe,
        reading=ReadOptions(),
        input_shape=(1, 8, 8),
        classes=("a", "b"),
        mean=(100.0,),
        deviation=(60.0,),
        precision="float32",
        trial="0" * 64,
        seed=0,
        best_epoch=1,
        validation_accuracy=0.5,
    )
    weights = {name: np.asarray(value) for name, value in network.state_dict().items()}
    write_model(tmp_path / "model.safetensors", card, weights)
    picture(tmp_path / "a.png")
    return tmp_path / "model.safetensors"


def predict(victim: Attack, model: Path) -> None:
    """Both commands that read a model say in words what is wrong with it, and write nothing."""
    victim("predict", model, "a.png", folder=model.parent).assert_refused(words=model.name)
    victim("summary", model, folder=model.parent).assert_refused(words=model.name)
    assert not (model.parent / "executed").exists()


def test_the_model_itself_is_read(victim: Attack, model: Path) -> None:
    outcome = victim("predict", model, "a.png", folder=model.parent)
    outcome.assert_harmless()
    assert outcome.status == 0


@pytest.mark.parametrize("make", ODD_FILES)
def test_odd_files_are_no_models(victim: Attack, model: Path, make: Callable[[Path], None]) -> None:
    model.unlink()
    make(model)
    predict(victim, model)


@pytest.mark.parametrize("name", FILES)
def test_forged_files_are_refused(victim: Attack, model: Path, name: str) -> None:
    FILES[name](model)
    predict(victim, model)


@pytest.mark.parametrize("name", TEXTS)
def test_forged_cards_are_refused(victim: Attack, model: Path, name: str) -> None:
    forge_tree(model, KEY, lambda tree: TEXTS[name])
    predict(victim, model)


VALUES: dict[str, tuple[str, Any]] = {
    "a name that is a path": ("name", "x/../../elsewhere"),
    "a name that is a number": ("name", 7),
    "a name that is an array": ("name", {"$array": "layers.0.weight"}),
    "a version that is a path": ("version", "../x"),
    "a study that is a path": ("study", "/etc"),
    "a trial that is a path": ("trial", "../../elsewhere/evil"),
    "classes that are numbers": ("classes", [1, 2]),
    "classes that are a text": ("classes", "ab"),
    "more classes than weights": ("classes", ["a", "b", "c"]),
    "a class for every grain of sand": ("classes", [str(number) for number in range(300_000)]),
    "one class": ("classes", ["a"]),
    "a shape beyond memory": ("input_shape", [1, 10**6, 10**6]),
    "a shape beyond numbers": ("input_shape", [10**30, 8, 8]),
    "a shape below zero": ("input_shape", [1, -8, 8]),
    "a shape of two": ("input_shape", [8, 8]),
    "a shape of texts": ("input_shape", ["1", "8", "x"]),
    "layers beyond memory": ("recipe.model.hidden", [10**6, 10**6, 10**6]),
    "layers beyond numbers": ("recipe.model.hidden", [10**30]),
    "layers below zero": ("recipe.model.hidden", [-1]),
    "layers that are a table": ("recipe.model.hidden", {"a": 1}),
    "a model of no kind": ("recipe.model", {"kind": "__import__"}),
    "a model of two kinds": ("recipe.model", {"kind": ["mlp"]}),
    "a field that nobody has": ("recipe.model.evil", 1),
    "code of the standard library": ("recipe.model", {"kind": "custom", "path": "os:system"}),
    "code beside the model": ("recipe.model", {"kind": "custom", "path": "planted:Model"}),
    "a mean that is none": ("mean", ["x"]),
    "more means than channels": ("mean", [1.0, 2.0, 3.0]),
    "a deviation of nothing": ("deviation", [0.0]),
    "a deviation that is no number": ("deviation", [float("nan")]),
    "a reading that is none": ("reading.fit", "explode"),
    "a reading of a size beyond memory": ("reading.size", [10**9, 10**9]),
    "a precision that is none": ("precision", "float1024"),
}


@pytest.mark.parametrize("name", VALUES)
def test_forged_values_are_refused(victim: Attack, model: Path, name: str) -> None:
    place, value = VALUES[name]
    (model.parent / "planted.py").write_text('open("executed", "w")\n')
    forge_tree(model, KEY, lambda tree: put(tree, place, value))
    outcome = victim("predict", model, "a.png", folder=model.parent)
    outcome.assert_refused(words="")
    assert not (model.parent / "executed").exists()


@pytest.mark.parametrize("place", ["name", "version", "study", "data", "note", "recipe.model.hidden"])
def test_a_missing_value_is_named(victim: Attack, model: Path, place: str) -> None:
    def without(tree: Any) -> Any:
        *path, last = place.split(".")
        branch = tree
        for part in path:
            branch = branch[part]
        del branch[last]
        return tree

    forge_tree(model, KEY, without)
    outcome = victim("predict", model, "a.png", folder=model.parent)
    outcome.assert_harmless()
    assert outcome.status == 0 or "model.safetensors" in outcome.output


def test_weights_of_many_zeros_are_not_read(victim: Attack, model: Path) -> None:
    def larger(header: Header, data: bytes) -> tuple[Header, bytes]:
        end = max(part["data_offsets"][1] for name, part in header.items() if name != "__metadata__")
        return header | {"evil": {"dtype": "F32", "shape": [10 << 30], "data_offsets": [end, end + (40 << 30)]}}, data

    forge(model, larger)
    (length,) = struct.unpack("<Q", model.read_bytes()[:8])
    os.truncate(model, 8 + length + os.path.getsize(model) - 8 - length + (40 << 30))
    predict(victim, model)


def test_hostile_words_of_a_model_are_shown_as_they_are(victim: Attack, model: Path) -> None:
    words = "\x1b]0;owned\x07\x1b[31m[red]\u202e"
    forge_tree(model, KEY, lambda tree: put(put(put(tree, "classes", [words, "=1+1"]), "data", words), "note", words))
    for arguments in (["predict", model, "a.png"], ["summary", model], ["predict", model, "a.png", "--json"]):
        outcome = victim(*arguments, folder=model.parent)
        outcome.assert_harmless()
        assert not set(outcome.output) & {"\x1b", "\x07", "\u202e"}, outcome.output


@pytest.mark.parametrize("make", ODD_FILES)
def test_odd_files_are_not_predicted(victim: Attack, model: Path, make: Callable[[Path], None]) -> None:
    make(model.parent / "odd.png")
    victim("predict", model, "odd.png", folder=model.parent).assert_refused(words="odd.png")
