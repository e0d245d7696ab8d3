"""One picture file (PNG, JPEG, BMP, TIFF, WebP, GIF) to an array uint8 (channels, height, width)."""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from ceteris.data.options import ReadOptions
from ceteris.errors import DataError
from ceteris.records import ByteArray

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
MAX_PIXELS = 50_000_000
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_GREY = (0, 4)  # colour types: grey, grey with alpha


@dataclass(frozen=True)
class PictureHeader:
    """Size and number of colour channels (1 or 3, transparency not counted) of a picture."""

    height: int
    width: int
    channels: Literal[1, 3]


def picture_header(content: bytes, name: str) -> PictureHeader:
    """Return what the first bytes of a PNG file, or the whole content of another picture file, say about it.

    Raises:
        DataError: no picture, or more than MAX_PIXELS pixels.
    """
    if content[:8] == _PNG_START and content[12:16] == b"IHDR" and len(content) >= 26:
        width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
        header = PictureHeader(height, width, 1 if content[25] in _PNG_GREY else 3)
    else:
        image = _opened(content, name)
        header = PictureHeader(image.height, image.width, 1 if image.mode in _GREY_MODES else 3)
    _check_size(header.height, header.width, name)
    return header


def read_picture(content: bytes, name: str, channels: int, options: ReadOptions) -> ByteArray:
    """Return the pixels uint8 (channels, height, width) of a picture.

    16-bit values are divided by 257, transparent pixels are laid on white, frames after the first are left out. The
    orientation in the metadata of a photograph is applied.

    Raises:
        DataError: the picture cannot be decoded, or has more than MAX_PIXELS pixels.
    """
    image = _opened(content, name)
    _check_size(image.height, image.width, name)
    try:
        pixels = _pixels(image, "L" if channels == 1 else "RGB", options)
    except Exception as error:
        raise _unreadable(name, error) from error
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _opened(content: bytes, name: str) -> Image.Image:
    # Pillow's decoders raise almost any type of exception on damaged files, so all of them are caught here.
    try:
        return Image.open(io.BytesIO(content), formats=_FORMATS)
    except Exception as error:
        raise _unreadable(name, error) from error


def _pixels(image: Image.Image, mode: str, options: ReadOptions) -> ByteArray:
    if image.mode != mode or image.format in ("JPEG", "TIFF") or "transparency" in image.info:
        image = _in_mode(ImageOps.exif_transpose(image), mode)
    if options.size is not None:
        image = _fitted(image, options.size, options.fit)
    return np.asarray(image, dtype=np.uint8)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image).convert(mode)
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, coloured).convert(mode)
    return image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    scale = 1.0 if image.mode == "F" and values.max(initial=0) <= 255 else 257.0
    return Image.fromarray(np.clip(np.round(values / scale), 0, 255).astype(np.uint8))


def _fitted(image: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    target = (size[1], size[0])
    if image.size == target:
        return image
    if fit == "crop":
        return ImageOps.fit(image, target, Image.Resampling.BILINEAR)
    if fit == "pad":
        return ImageOps.pad(image, target, Image.Resampling.BILINEAR, color=0)
    return image.resize(target, Image.Resampling.BILINEAR)


def _check_size(height: int, width: int, name: str) -> None:
    if not 0 < height * width <= MAX_PIXELS:
        raise DataError(f"{name}: claims {height} x {width} pixels; 1 to {MAX_PIXELS} are read.")


def _unreadable(name: str, error: Exception) -> DataError:
    reason = str(error).replace("<_io.BytesIO object at ", "<")[:200] or type(error).__name__
    return DataError(f"{name}: the image cannot be read ({reason}). Replace or remove the file.")
