"""Pictures that somebody sent: small files that claim to be large, and formats inside formats."""

import gzip
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.attacks.conftest import ANSWER, Attack
from tests.attacks.test_data_sets import picture, zeros
from tests.attacks.test_studies import ODD_FILES


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, *, colour: int = 0, depth: int = 8, before: bytes = b"", rows: int | None = None
) -> bytes:
    """Return a PNG file of zeros; its pixels are ``rows`` rows where it lies about them."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    line = 1 + width * channels * depth // 8
    packer = zlib.compressobj(1)
    count = height if rows is None else rows
    pixels = b"".join(packer.compress(bytes(line * min(64, count - start))) for start in range(0, count, 64))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", pixels + packer.flush())
        + chunk(b"IEND", b"")
    )


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(*, width: int, height: int, strips: int = 1) -> bytes:
    """Return a TIFF file of deflated zeros that claims a size."""
    packed = zlib.compress(bytes(1 << 20))
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 8),
        (262, 3, 1, 1),
        (273, 4, strips, 200),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, strips, len(packed)),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0") + packed


def ico_with_large_png() -> bytes:
    inner = png(9400, 9400, colour=6)
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inner), 22) + inner


def packed_fits() -> bytes:
    """Return a FITS table of one picture that is packed by gzip: a few megabytes that unpack to four thousand."""
    cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    0",
        "END",
    ]
    table = [
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                    8",
        "NAXIS2  =                    1",
        "ZIMAGE  =                    T",
        "ZCMPTYPE= 'GZIP_1  '",
        "ZBITPIX =                    8",
        "ZNAXIS  =                    2",
        "ZNAXIS1 =                    8",
        "ZNAXIS2 =                    8",
        "END",
    ]
    packed = zeros(gzip.open, 3000)
    blocks = ["".join(line.ljust(80) for line in lines).ljust(2880).encode() for lines in (cards, table)]
    return b"".join(blocks) + bytes(8) + packed


PICTURES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a size beyond memory": (".png", lambda: png(60_000, 60_000, rows=1)),
    "a size beyond numbers": (
        ".png",
        lambda: (
            png(2**31 - 1, 2**31 - 1, rows=0)
            if False
            else b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", b"")
        ),
    ),
    "no pixels": (
        ".png",
        lambda: (
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 0, 8, 0, 0, 0, 0)) + chunk(b"IDAT", b"")
        ),
    ),
    "texts that unpack to much": (
        ".png",
        lambda: png(8, 8, before=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(60 << 20))) * 40),
    ),
    "a profile that unpacks to much": (
        ".png",
        lambda: png(8, 8, before=chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(200 << 20)))),
    ),
    "a chunk of a false length": (".png", lambda: png(8, 8)[:33] + struct.pack(">I", 2**31 - 1) + b"tEXt"),
    "a TIFF file beyond memory": (".tif", lambda: tiff(width=100_000, height=100_000)),
    "a TIFF file of many strips": (".tif", lambda: tiff(width=7000, height=7000, strips=2**31)),
    "a TIFF file with a circle": (
        ".tif",
        lambda: (
            b"II*\0"
            + struct.pack("<I", 8)
            + struct.pack("<H", 1)
            + struct.pack("<HHII", 330, 4, 1, 8)
            + struct.pack("<I", 8)
        ),
    ),
    "a large picture in a small icon": (".ico", ico_with_large_png),
    "packed FITS": (".fits", packed_fits),
    "a script that draws": (
        ".png",
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(executed) (w) file closefile\n",
    ),
    "a script with the suffix of one": (
        ".eps",
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(executed) (w) file closefile\n",
    ),
    "a drawing that calls": (".svg", lambda: b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
    "a JPEG file that lies about its size": (
        ".jpg",
        lambda: saved(Image.new("L", (8, 8)), "JPEG").replace(b"\x00\x08\x00\x08", b"\xff\xff\xff\xff", 1),
    ),
    "a GIF file that lies about its size": (
        ".gif",
        lambda: b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";",
    ),
    "a PPM file of many digits": (".ppm", lambda: b"P6 " + b"9" * 1_000_000 + b" 1 255\n"),
    "a bitmap upside down": (
        ".bmp",
        lambda: (
            b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0)
        ),
    ),
    "names of X pictures": (
        ".xpm",
        lambda: b'/* XPM */\nstatic char * a[] = {"9999 9999 99999999 9",' + b'"x c #000000",' * 10 + b"};",
    ),
    "zeros": (".png", lambda: bytes(1 << 20)),
    "noise": (".jpg", lambda: os.urandom(1 << 20)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_hostile_pictures_are_named_and_refused(victim: Attack, tmp_path: Path, name: str) -> None:
    suffix, make = PICTURES[name]
    for label in ("a", "b"):
        for number in range(6):
            picture(tmp_path / f"set/{label}/{number}.png")
    (tmp_path / f"set/a/hostile{suffix}").write_bytes(make())
    outcome = victim("data", "describe", "set", "--size", "8", "8", "--store", "store", folder=tmp_path)
    outcome.assert_harmless(tmp_path / "store")
    assert not (tmp_path / "executed").exists()
    if outcome.status == 1:
        outcome.assert_refused(tmp_path / "store", words="hostile")


LARGE: dict[str, Callable[[], bytes]] = {
    "colours with transparency": lambda: png(7000, 7000, colour=6),
    "16 bits": lambda: png(7000, 7000, depth=16),
    "16 bits with transparency": lambda: png(7000, 7000, colour=6, depth=16),
    # Fifty million floats, the most that is read, take 1.1 GiB.
    "floats": lambda: saved(Image.fromarray(np.zeros((6000, 6000), np.float32)), "TIFF", compression="tiff_lzw"),
    "grey with transparency": lambda: png(7000, 7000, colour=4),
    "four inks": lambda: saved(Image.new("CMYK", (7000, 7000)), "TIFF", compression="tiff_lzw"),
    "turned": lambda: saved(Image.new("RGB", (7000, 7000)), "PNG", exif=exif(6), compress_level=1),
}


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


@pytest.mark.parametrize("name", LARGE)
def test_large_pictures_of_few_bytes_are_read_one_at_a_time(victim: Attack, tmp_path: Path, name: str) -> None:
    content = LARGE[name]()
    assert len(content) < 2_000_000
    for label in ("a", "b"):
        for number in range(3):
            picture(tmp_path / f"set/{label}/{number}.png")
    (tmp_path / "set/a/large.png").write_bytes(content)
    (tmp_path / "set/b/large.png").write_bytes(content)
    outcome = victim("data", "describe", "set", "--size", "200", "200", "--store", "store", folder=tmp_path)
    outcome.assert_harmless(tmp_path / "store")


@pytest.mark.parametrize("make", ODD_FILES)
def test_odd_files_are_no_pictures(victim: Attack, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "odd.png")
    code = ANSWER.replace("CALL", "read_pictures_of_shape([Path('odd.png')], (1, 8, 8), ReadOptions())")
    victim(code=code, folder=tmp_path).assert_refused(words="odd.png")
