"""One picture file (PNG, JPEG, TIFF and what else Pillow reads) to an array uint8 (channels, height, width).

Training, evaluation and prediction all read pictures by :func:`read_picture`, so that a model never meets a picture
that was prepared in another way than those it was trained on.
"""

import io
import os
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ceteris.data.formats.entries import open_file
from ceteris.data.source import ReadOptions
from ceteris.errors import DataError
from ceteris.records import ByteArray

# Formats that Pillow decodes by itself; EPS (which runs Ghostscript), WMF and formats without a decoder are left out.
_FORMATS = (
    "PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000", "AVIF", "DIB", "ICO", "CUR", "ICNS", "PCX", "DCX", "SGI",
    "SUN", "PSD", "DDS", "QOI", "IM", "MSP", "PIXAR", "PCD", "FITS", "FLI", "FTEX", "GBR", "BLP", "XBM", "XPM",
)  # fmt: skip
_TGA_SUFFIXES = frozenset({".tga", ".icb", ".vda", ".vst"})  # TGA files have no mark by which they could be known
SUFFIXES = _TGA_SUFFIXES | {
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm",
    ".pnm", ".pfm", ".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c", ".avif", ".avifs", ".dib", ".ico", ".cur", ".icns",
    ".pcx", ".dcx", ".sgi", ".rgb", ".rgba", ".bw", ".ras", ".psd", ".dds", ".qoi", ".im", ".msp", ".pxr", ".pcd", ".fit",
    ".fits", ".fli", ".flc", ".ftc", ".ftu", ".gbr", ".blp", ".xbm", ".xpm",
}  # fmt: skip
UNREAD_SUFFIXES = frozenset({  # pictures in formats that are not read, or not pictures of a usual kind
    ".heic", ".heif", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".dng", ".svg", ".eps", ".ps", ".wmf", ".emf",
    ".pdf", ".dcm", ".nii", ".mha", ".exr", ".hdr", ".jxl", ".mp4", ".avi", ".mov", ".mkv", ".npy", ".h5", ".hdf", ".mat",
})  # fmt: skip
MAX_PIXELS = 50_000_000
_MAX_FILE_BYTES = 8 * MAX_PIXELS
_LARGE_PIXELS = 1 << 22  # larger pictures are decoded one at a time, in strips of so many pixels
_ONE_LARGE = threading.Lock()
GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
_STEPS_BETWEEN = {"La": "LA", "LAB": "RGB", "HSV": "RGB"}  # modes that Pillow does not convert to grey at once
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_GREY = (0, 4)  # colour types: grey, grey with alpha
_PNG_HEADER_BYTES = 4096  # what a PNG file says about itself mostly lies in them
_PNG_ORIENTED_BY = (b"eXIf", b"exif", b"xmp")
_ORIENTED_BY = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")  # where Pillow finds an orientation
_QUARTER_TURNS = (5, 6, 7, 8)  # values of the EXIF orientation that exchange height and width


class PictureError(DataError):
    """A picture that cannot be read; ``reason`` says why without its name."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}. Replace or remove it.")
        self.name = name
        self.reason = reason


class RangeError(ValueError):
    """Values that cannot be those of a picture."""


class pillow_quiet(warnings.catch_warnings):  # noqa: N801
    """Silence for Pillow's warnings of odd metadata; what matters raises."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)


@dataclass(frozen=True)
class PictureHeader:
    """Size as seen upright, colour channels (1 or 3, transparency not counted), and whether values have more than 8 bits."""

    height: int
    width: int
    channels: Literal[1, 3]
    deep: bool


def picture_header(name: str, content: bytes | None = None) -> PictureHeader:
    """Return what an encoded picture, or the file of that name, says about itself.

    Raises:
        DataError: the file is missing, cannot be read, is no picture, or has more than MAX_PIXELS pixels.
    """
    if content is None:  # the first bytes of most PNG files say all
        with open_file(name, limit=_MAX_FILE_BYTES) as file:
            content = file.read(_PNG_HEADER_BYTES)
            content += b"" if _says_all(content) else file.read()
    if _says_all(content):
        width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
        grey = content[25] in _PNG_GREY
        header = PictureHeader(height, width, 1 if grey else 3, deep=grey and content[24] == 16)
    else:
        image = open_picture(name, content)
        try:
            # Pillow gives the size of a TIFF file as seen upright.
            turned = image.format != "TIFF" and image.getexif().get(ExifTags.Base.Orientation) in _QUARTER_TURNS
        except Exception as error:
            raise _unreadable(content, name, error) from error
        height, width = (image.width, image.height) if turned else (image.height, image.width)
        header = PictureHeader(height, width, 1 if image.mode in GREY_MODES else 3, deep=_is_deep(image))
    _check_size(header.height, header.width, name)
    return header


def read_picture(
    name: str, content: bytes | None, channels: int, options: ReadOptions, *, invert: bool = False
) -> ByteArray:
    """Return the pixels uint8 (channels, height, width) of an encoded picture, or of the file of that name.

    Values of more than 8 bits are brought to 0..255 by the reading's ``white`` (without it 65,535, or 1 for floats of 0..1),
    transparent pixels are laid on white, frames after the first are left out. The orientation in the metadata of a photograph
    is applied. ``invert`` turns dark into light before the picture is padded.

    Raises:
        DataError: the picture is missing, cannot be decoded, or has more than MAX_PIXELS pixels.
    """
    content = _file_content(name) if content is None else content
    return picture_pixels(open_picture(name, content), name, channels, options, invert=invert, content=content)


def picture_pixels(
    image: Image.Image, name: str, channels: int, options: ReadOptions, *, invert: bool = False, content: bytes = b"?"
) -> ByteArray:
    """Return the pixels uint8 (channels, height, width) of an opened picture; see :func:`read_picture`.

    Raises:
        DataError: the picture, which was opened from ``content``, cannot be decoded, or has more than MAX_PIXELS pixels.
    """
    _check_size(image.height, image.width, name)
    mode = "L" if channels == 1 else "RGB"
    try:
        with _ONE_LARGE if image.width * image.height > _LARGE_PIXELS else nullcontext():
            image.load()  # metadata may stand behind the pixels
            if any(key in image.info for key in _ORIENTED_BY):
                image = ImageOps.exif_transpose(image)
            if image.mode != mode or "transparency" in image.info:
                image = _in_mode(image, mode, options.white)
            if invert:
                image = ImageOps.invert(image)
            if options.size is not None:
                image = _fitted(image, options.size, options.fit)
    except Exception as error:
        raise _unreadable(content, name, error) from error
    pixels: ByteArray = np.asarray(image, dtype=np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def white_of_pictures(images: Iterable[Image.Image]) -> float | None:
    """Return the white that fits the largest value of all pictures with more than 8 bits; None where there are none."""
    highest: list[float] = []
    for image in images:
        if _is_deep(image):
            with suppress(Exception):  # a damaged picture is named when its turn comes
                highest.append(_highest(image))
    return white_of(max(highest)) if highest else None


def _highest(image: Image.Image) -> float:
    """Return the largest value of a picture with more than 8 bits, 0 at least, passing over what is no number."""
    return max(float(np.nanmax(np.asarray(strip), initial=0)) for _, strip in _strips(image))


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield the rows where a picture can be cut and what lies below, so that a large one takes little memory."""
    step = max(1, _LARGE_PIXELS // image.width)
    if image.height <= step:
        yield 0, image
        return
    for top in range(0, image.height, step):
        yield top, image.crop((0, top, image.width, min(top + step, image.height)))


def white_of(high: float) -> float:
    """Return the white that a largest value fits: 1, 255, that of 10, 12, 14 or 16 bits, or the value itself."""
    return next((white for white in (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0) if high <= white), high)


def bytes_of(values: NDArray[Any], white: float) -> ByteArray:
    """Return values of 0 to ``white`` as bytes of 0 to 255, rounded; those above are cut off.

    Raises:
        RangeError: values below 0, or no numbers.
    """
    if values.dtype == np.uint8 and white == 255:
        return values
    low, high = values.min(initial=0), values.max(initial=0)
    if not (low >= 0 and np.isfinite(high)):
        raise RangeError(f"its values lie in {low:g} to {high:g}; values below 0, and no numbers, are not read")
    return np.clip(np.round(values * (255.0 / white)), 0, 255).astype(np.uint8)


def read_pictures_of_shape(
    paths: Sequence[Path], shape: tuple[int, int, int], options: ReadOptions, *, invert: bool = False
) -> ByteArray:
    """Return picture files as uint8 (files, channels, height, width), read as ``options`` say and brought to ``shape``.

    Raises:
        DataError: a file is missing, cannot be read, or is no picture.
    """
    brought = replace(options, size=shape[1:])
    with pillow_quiet():
        return np.stack([read_picture(str(path), None, shape[0], brought, invert=invert) for path in paths])


def _says_all(start: bytes) -> bool:
    """Tell whether the first bytes of a file are those of a PNG file that names no orientation before its pixels."""
    before_pixels, pixels, _ = start.partition(b"IDAT")
    png = start.startswith(_PNG_START) and start[12:16] == b"IHDR" and bool(pixels)
    return png and not any(marker in before_pixels for marker in _PNG_ORIENTED_BY)


def open_picture(name: str, content: bytes | None = None) -> Image.Image:
    """Open an encoded picture, or the file of that name, without decoding its pixels.

    Raises:
        DataError: the file is missing, cannot be read, or is no picture.
    """
    content = _file_content(name) if content is None else content
    # Pillow's decoders raise almost any type of exception on damaged files, so all of them are caught here.
    try:
        tga = ("TGA",) if os.path.splitext(name)[1].lower() in _TGA_SUFFIXES else ()
        image = Image.open(io.BytesIO(content), formats=(*_FORMATS, *tga))
        if image.format == "FITS" and any(tile[0] == "fits_gzip" for tile in image.tile):
            raise ValueError("FITS packed by gzip is not read")  # Pillow unpacks it without a limit
        return image
    except Exception as error:
        raise _unreadable(content, name, error) from error


def _file_content(path: str) -> bytes:
    with open_file(path, limit=_MAX_FILE_BYTES) as file:
        return file.read()


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _in_mode(image: Image.Image, mode: str, white: float | None) -> Image.Image:
    """Return the picture in a mode, made strip by strip so that a large one takes little memory."""
    if image.mode == "F":
        high = _highest(image)
        if white is None or (high <= 1 and white > 255):
            white = 65535.0 if high > 255 else white_of(high)  # floats of 0..1 beside pictures of 16 bits
    whole = Image.new(mode, image.size)
    for top, strip in _strips(image):
        whole.paste(_strip_in_mode(strip, mode, white or 65535.0), (0, top))
    return whole


def _strip_in_mode(image: Image.Image, mode: str, white: float) -> Image.Image:
    if _is_deep(image):
        return Image.fromarray(bytes_of(np.asarray(image, dtype=np.float64), white)).convert(mode)
    if image.mode in _STEPS_BETWEEN:
        image = image.convert(_STEPS_BETWEEN[image.mode])
    if image.mode in ("LA", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, coloured)
    return image.convert(mode)


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
        raise PictureError(name, f"claims {height} x {width} pixels; 1 to {MAX_PIXELS} are read")


def _unreadable(content: bytes, name: str, error: Exception) -> PictureError:
    start = content[:512].lstrip().lower()
    if isinstance(error, RangeError):
        reason = str(error)
    elif not content:
        reason = "the file is empty"
    elif start.startswith((b"<!doctype html", b"<html")):
        reason = "a web page and no picture: the download failed"
    elif start.startswith(b"version https://git-lfs"):
        reason = "a pointer of Git LFS and no picture: fetch it with git lfs pull"
    elif "truncated" in str(error).lower() or isinstance(error, EOFError):
        reason = f"the image cannot be read, the file is cut short ({str(error)[:100]})"
    elif isinstance(error, UnidentifiedImageError):
        reason = "the image cannot be read, it is no picture in a known format"
    else:
        reason = f"the image cannot be read, it is damaged ({str(error)[:200] or type(error).__name__})"
    return PictureError(name, reason)
