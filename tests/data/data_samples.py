"""Small files of every format, made by the tests themselves."""

import gzip
import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ceteris.records import ByteArray, IntArray


def random_images(count: int, shape: tuple[int, int, int] = (1, 6, 6), seed: int = 0) -> ByteArray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def even_labels(count: int, classes: int) -> IntArray:
    return (np.arange(count) % classes).astype(np.int64)


def idx_bytes(array: ByteArray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(path: Path, array: ByteArray) -> Path:
    content = idx_bytes(array)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def write_mnist(
    folder: Path,
    train: ByteArray,
    train_labels: IntArray,
    test: ByteArray,
    test_labels: IntArray,
    *,
    suffix: str = ".gz",
    prefix: str = "",
    test_word: str = "t10k",
) -> None:
    """Write (n, h, w) images in the official names."""
    for word, images, labels in (("train", train, train_labels), (test_word, test, test_labels)):
        write_idx(folder / f"{prefix}{word}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{prefix}{word}-labels-idx1-ubyte{suffix}", labels.astype(np.uint8))


def png(pixels: ByteArray, picture_format: str = "PNG") -> bytes:
    """Encode (c, h, w) with 1, 3 or 4 channels."""
    array = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(stream, picture_format)
    return stream.getvalue()


def write_class_folders(root: Path, images: ByteArray, labels: IntArray, names: tuple[str, ...]) -> None:
    for place, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        folder = root / names[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{place:05d}.png").write_bytes(png(pixels))


def no_look(fingerprint: str) -> None:
    """A look that nobody writes down."""


def official_folder() -> Path:
    """The folder of official data, from CETERIS_DATA or beside the repository; the test is skipped where it is absent."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "datasets"
    folder = Path(os.environ.get("CETERIS_DATA") or beside)
    if not folder.is_dir():
        pytest.skip("the official data sets are not on this machine")
    return folder
