"""``predict`` and ``evaluate`` give the same answers for the same pictures: both read them as the study did."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ceteris.api import ModelCard, TrainedModel, predict_pictures
from ceteris.data import ReadOptions, load
from ceteris.recipe import MLP, Recipe
from ceteris.training.build import build_model
from ceteris.user_code import NO_IMPORTS
from tests.data.data_samples import no_look

Save = Callable[[Image.Image, Path], None]


def wide(picture: Image.Image, file: Path) -> None:
    """Save a picture three times as wide as high."""
    picture.resize((84, 28)).save(file)


def on_its_side(picture: Image.Image, file: Path) -> None:
    """Save a photograph that its metadata turns upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.transpose(Image.Transpose.ROTATE_90).save(file.with_suffix(".jpg"), exif=exif)


def ink(picture: Image.Image, file: Path) -> None:
    """Save black ink on a transparent ground whose hidden colour is black too."""
    drawn = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    drawn.putalpha(picture.convert("L"))
    drawn.save(file)


def sixteen_bits(picture: Image.Image, file: Path) -> None:
    """Save 16-bit grey."""
    Image.fromarray(np.asarray(picture.convert("L"), dtype=np.uint16) * 257).save(file)


def untrained(shape: tuple[int, int, int], classes: tuple[str, ...], reading: ReadOptions) -> TrainedModel:
    recipe = Recipe(model=MLP(hidden=(8,)))
    network = build_model(
        recipe.model,
        input_shape=shape,
        classes=len(classes),
        generator=torch.Generator().manual_seed(1),
        imports=NO_IMPORTS,
    )
    channels = shape[0]
    card = ModelCard(
        name="mlp", version="best", study="prediction", data="set", note="", recipe=recipe, reading=reading,
        input_shape=shape, classes=classes, mean=(100.0,) * channels, deviation=(60.0,) * channels, precision="float32",
        trial="0" * 64, seed=0, best_epoch=1, validation_accuracy=0.0,
    )  # fmt: skip
    return TrainedModel(card=card, network=network.eval())


@pytest.mark.parametrize(
    ("save", "reading"),
    [
        pytest.param(wide, ReadOptions(size=(28, 28)), id="predict-pad"),
        pytest.param(wide, ReadOptions(size=(28, 28), fit="crop"), id="predict-crop"),
        pytest.param(wide, ReadOptions(size=(28, 28), fit="stretch"), id="predict-stretch"),
        pytest.param(on_its_side, ReadOptions(), id="predict-exif"),
        pytest.param(ink, ReadOptions(), id="predict-transparency"),
        pytest.param(sixteen_bits, ReadOptions(), id="sixteen-bits"),
        pytest.param(ink, ReadOptions(channels=1), id="grey-transparency"),
    ],
)
def test_predict_answers_like_evaluate_for_the_same_pictures(tmp_path: Path, save: Save, reading: ReadOptions) -> None:
    random = np.random.default_rng(0)
    for part, name in (("train", "bird"), ("train", "cat"), ("test", "bird"), ("test", "cat")):
        folder = tmp_path / "set" / part / name
        folder.mkdir(parents=True)
        for place in range(4):
            pixels = random.integers(0, 256, (28, 28, 3), dtype=np.uint8)
            save(Image.fromarray(pixels), folder / f"{place}.png")
    data_set = load(str(tmp_path / "set"), cache_dir=tmp_path / "cache", options=reading)
    model = untrained(data_set.train.shape, data_set.train.classes, reading)
    files = sorted((tmp_path / "set" / "test").glob("*/*"))
    expected = model.probabilities(data_set.test.open(record_look=no_look).images)
    assert np.ptp(expected[:, 0]) > 0.001
    assert np.array_equal(predict_pictures(model, files), expected)
