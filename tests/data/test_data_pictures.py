"""A picture is prepared in one way: what a model is asked about equals, byte for byte, what it would have been trained on."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.data_samples import no_look

from ceteris.data import ReadOptions, load, read_pictures_of_shape
from ceteris.data.formats.pictures import picture_header, read_picture
from ceteris.errors import DataError
from ceteris.records import ByteArray

HEIGHT, WIDTH = 12, 20
GREY_FILES = {
    "1": ("png", "tif", "bmp"),
    "L": ("png", "tif", "jpg", "bmp"),
    "LA": ("png", "tif"),
    "I": ("tif",),
    "I;16": ("png", "tif"),
    "I;16B": ("tif",),
    "F": ("tif",),
}
COLOUR_FILES = {
    "P": ("png", "tif", "gif"),
    "PA": ("tif",),
    "RGB": ("png", "tif", "jpg", "webp"),
    "RGBA": ("png", "tif", "webp"),
    "CMYK": ("jpg", "tif"),
    "YCbCr": ("jpg", "tif"),
    "LAB": ("tif",),
}
READINGS = [
    ReadOptions(size=size, fit=fit, channels=channels)  # type: ignore[arg-type]
    for size, fit in [(None, "pad"), *itertools.product([(8, 8), (30, 17)], ["pad", "crop", "stretch"])]
    for channels in (None, 1, 3)
]
READING_IDS = [f"{reading.size}-{reading.fit}-{reading.channels}" for reading in READINGS]


def picture(mode: str, seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    if mode in ("I", "I;16", "I;16B"):
        values = random.integers(0, 65536, (HEIGHT, WIDTH))
        return Image.fromarray(values.astype({"I": "<i4", "I;16": "<u2", "I;16B": ">u2"}[mode]))
    if mode == "F":
        return Image.fromarray(random.uniform(0, 255, (HEIGHT, WIDTH)).astype(np.float32))
    coloured = Image.fromarray(random.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8))
    if mode == "PA":
        palette = coloured.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE)
        palette.putalpha(coloured.getchannel("A"))
        return palette
    if mode == "P":
        palette = coloured.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE)
        palette.info["transparency"] = 3
        return palette
    if mode == "LAB":
        return Image.frombytes("LAB", (WIDTH, HEIGHT), coloured.convert("RGB").tobytes())
    return coloured if mode == "RGBA" else coloured.convert("RGB" if mode == "YCbCr" else mode).convert(mode)


def saved(folder: Path, name: str, image: Image.Image, orientation: int) -> None:
    exif = Image.Exif()
    if orientation > 1:
        exif[0x0112] = orientation
        upright = {5, 6, 7, 8}.isdisjoint({orientation})
        image = image if upright else image.resize((HEIGHT, WIDTH), Image.Resampling.NEAREST)
    folder.mkdir(parents=True, exist_ok=True)
    image.save(folder / name, exif=exif)


@pytest.fixture(scope="module", params=["grey", "colour"])
def files_of_all_modes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp(request.param) / "set"
    files = GREY_FILES if request.param == "grey" else COLOUR_FILES
    for seed, (mode, suffixes) in enumerate(files.items()):
        for suffix in suffixes:
            # A bitmap and a GIF file have no place for an orientation.
            for orientation in (1,) if suffix in ("bmp", "gif") else range(1, 9):
                image = picture(mode, seed)
                saved(root / "train" / "only", f"{mode.replace(';', '')}-{orientation}.{suffix}", image, orientation)
    saved(root / "train" / "other", "one.png", picture("L", 98), 1)
    saved(root / "test" / "only", "one.png", picture("L", 99), 1)
    return root


@pytest.mark.parametrize("reading", READINGS, ids=READING_IDS)
def test_prediction_sees_what_training_saw(files_of_all_modes: Path, tmp_path: Path, reading: ReadOptions) -> None:
    data_set = load(str(files_of_all_modes), cache_dir=tmp_path, options=reading)
    train, reading = data_set.train, data_set.reading
    files = sorted((files_of_all_modes / "train").glob("*/*"))
    assert len(files) == len(train) > 50
    assert train.shape[1:] == (reading.size or (HEIGHT, WIDTH))  # also those that lie on their side in the file
    for invert in (False, True):
        seen = read_pictures_of_shape(files, train.shape, reading, invert=invert)
        one_by_one = [read_pictures_of_shape([file], train.shape, reading, invert=invert)[0] for file in files]
        assert np.array_equal(seen, np.stack(one_by_one))
        if not invert:
            assert np.array_equal(seen, train.images)
        elif reading.size is None:
            assert np.array_equal(seen, 255 - train.images)


@pytest.mark.parametrize("mode", ["La", "RGBa", "HSV"])
def test_modes_that_no_file_holds_are_read_like_their_relatives(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    relative = {"La": "LA", "RGBa": "RGBA", "HSV": "RGB"}[mode]
    image = picture("RGBA", 1).convert(relative)
    if mode != "HSV":
        image.putalpha(255)  # otherwise the detour rounds
    expected = _pixels_of(image, monkeypatch)
    assert np.abs(expected - _pixels_of(image.convert(mode), monkeypatch)).max() <= (12 if mode == "HSV" else 0)


def _pixels_of(image: Image.Image, monkeypatch: pytest.MonkeyPatch) -> ByteArray:
    monkeypatch.setattr("ceteris.data.formats.pictures.open_picture", lambda name, content: image.copy())
    return read_picture("picture", b"", 3, ReadOptions()).astype(int)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.kron(np.array([[0, 255], [90, 160], [40, 220]]), np.ones((16, 16))).astype(np.uint8)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T,
        6: upright.T[::-1], 7: upright.T[::-1, ::-1], 8: upright.T[:, ::-1],
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"picture.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).convert("RGB").save(file, exif=exif, quality=95)
    header = picture_header("picture", file.read_bytes())
    assert (header.height, header.width) == upright.shape
    pixels = read_pictures_of_shape([file], (1, *upright.shape), ReadOptions())[0, 0]
    assert np.abs(pixels.astype(int) - upright)[4::8, 4::8].max() < 12


def test_invert_leaves_the_padding_black_and_the_ground_of_transparency_dark(tmp_path: Path) -> None:
    ink = Image.new("LA", (4, 2), (0, 0))
    ink.putpixel((1, 1), (0, 255))
    ink.save(tmp_path / "ink.png")
    pixels = read_pictures_of_shape([tmp_path / "ink.png"], (1, 4, 4), ReadOptions(), invert=True)[0, 0]
    assert pixels.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 255, 0, 0], [0, 0, 0, 0]]


def test_a_photograph_on_its_side_fits_beside_an_upright_one(tmp_path: Path) -> None:
    for orientation, suffix in itertools.product((1, 6, 8), ("jpg", "png")):
        saved(tmp_path / "set" / f"as {suffix}", f"{orientation}.{suffix}", picture("RGB", 3), orientation)
    loaded = load(str(tmp_path / "set"), cache_dir=tmp_path / "cache")
    assert loaded.train.shape == loaded.test.open(record_look=no_look).shape == (3, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("values", "high"),
    [
        (np.array([[0, 255]], dtype=np.uint16), None),
        (np.array([[0, 4095]], dtype=np.uint16), None),
        (np.array([[0, 1]], dtype=np.uint8), 1),
        (np.array([[250, 255]], dtype=np.uint8), 255),
        (np.array([[0, 65535]], dtype=np.uint16), None),
        (np.array([[0, 1]], dtype=np.float32), None),
        (np.array([[0, 255]], dtype=np.float32), None),
    ],
)
def test_deep_values_are_scaled_and_a_nearly_black_set_is_warned_of(
    tmp_path: Path, values: ByteArray, high: int | None
) -> None:
    for name in ("a/0.tif", "a/1.tif", "b/0.tif", "b/1.tif"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(tmp_path / "set" / name)
    loaded = load(str(tmp_path / "set"), cache_dir=tmp_path / "cache")
    warned = [text for text in loaded.warnings if "nearly" in text]
    assert len(warned) == (high is not None)
    assert loaded.train.images.max() == (high or 255)
    if high is not None:
        assert f"to {high} of 0 to 255" in warned[0]


@pytest.mark.parametrize("row", [[-1, 1], [-1000, 900], [np.nan, 1], [np.inf, 1]])
def test_values_below_0_and_no_numbers_are_refused_in_words(tmp_path: Path, row: list[float]) -> None:
    values = np.array([row], np.int32 if row[0] == -1000 else np.float32)
    for name in ("a/0.tif", "a/1.tif", "b/0.tif", "b/1.tif"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(tmp_path / "set" / name)
    with pytest.raises(DataError, match=r"pictures cannot be read(.|\n)*0\.tif: its values lie in .*not read"):
        load(str(tmp_path / "set"), cache_dir=tmp_path / "cache")


def test_one_bright_pixel_does_not_hide_that_a_set_of_12_bits_is_nearly_black(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (4, 60, 60)).astype(np.uint16)
    values[0, 0, 0] = 65535
    for number, image in enumerate(values):
        (tmp_path / "set" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "set" / "ab"[number % 2] / f"{number}.png")
    warned = load(str(tmp_path / "set"), cache_dir=tmp_path / "cache").warnings
    assert any("nearly black" in text and "reading.white" in text for text in warned)
    again = load(str(tmp_path / "set"), cache_dir=tmp_path / "cache", options=ReadOptions(white=4095.0))
    assert not any("nearly black" in text for text in again.warnings)
    assert again.train.images.mean() > 100
