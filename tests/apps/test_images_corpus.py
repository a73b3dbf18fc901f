"""The gate against awkward and hostile files: a picture or one error, time and memory bounded."""

import io
import re
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from apps.images import MAX_BYTES, MAX_PIXELS, ImageError, Picture, read
from tests.apps.no_files import refuses_what_is_no_file

MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB"]
MODES += ["HSV", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"]
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def noise(height: int = 33, width: int = 47, channels: int = 3) -> Image.Image:
    shape = (height, width, channels)
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def picture_or_error(source: bytes | Path | Image.Image) -> Picture | None:
    """The promise of the gate: a sound picture, or `ImageError` with one clear sentence."""
    try:
        picture = read(source)
    except ImageError as error:
        text = str(error)
        assert text.endswith(".")
        assert "\n" not in text and len(text) < 200
        assert re.search(r": (get|save|at most|load|give|check)", text), text
        assert error.__cause__ is None and (error.__suppress_context__ or not error.__context__)
        return None
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim == 3 and picture.pixels.shape[2] == 3
    assert picture.alpha is None or picture.alpha.shape == picture.pixels.shape[:2]
    return picture


def in_mode(mode: str) -> Image.Image:
    if mode.startswith("I;16"):
        return Image.frombytes(mode, (47, 33), bytes(range(0, 256, 2)) * 24 + bytes(30))
    if mode == "LAB":
        return Image.merge("LAB", noise().split())
    if mode == "I":
        return Image.fromarray(np.asarray(noise())[..., 0].astype(np.int32) * 257)
    between = {"La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode, mode)
    return noise(channels=4).convert(between).convert(mode)


@pytest.mark.filterwarnings("ignore:Saving I mode")
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_from_memory_and_from_every_format_that_holds_it(mode: str) -> None:
    image = in_mode(mode)
    sources: list[Image.Image | bytes] = [image]
    for form in FORMATS:
        packed = {"compression": "tiff_lzw"} if (form, mode) == ("TIFF", "YCbCr") else {}
        try:
            sources.append(saved(image, form, **packed))
        except (OSError, KeyError, ValueError):  # this format has no such mode
            continue
    for source in sources:
        picture = picture_or_error(source)
        assert picture is not None
        assert picture.pixels.shape == (33, 47, 3)
        assert picture.pixels.std() > 5  # neither black nor white


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "YCbCr", "HSV", "RGBX"])
def test_colour_modes_show_the_same_colours(mode: str) -> None:
    colours = np.array([[[250, 10, 20], [10, 240, 30], [20, 30, 230], [128, 128, 128]]], np.uint8)
    large = Image.fromarray(colours.repeat(16, 0).repeat(16, 1)).convert(mode)
    expected = np.asarray(large.convert("RGB")).astype(int)
    assert np.abs(expected - colours.repeat(16, 0).repeat(16, 1)).max() <= 8
    for form, packed in (("TIFF", {"compression": "tiff_lzw"}), ("JPEG", {"quality": 100})):
        if mode in ("HSV", "RGBX") and form == "JPEG":
            continue
        source = large if mode == "HSV" else saved(large, form, **packed)
        assert np.abs(read(source).pixels - expected).mean() < 4


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (2, 3)])
def test_extreme_shapes(size: tuple[int, int]) -> None:
    for form in FORMATS:
        if form == "WEBP" and max(size) > 16_383:
            continue
        picture = picture_or_error(saved(Image.new("RGB", size, "teal"), form))
        assert picture is not None
        assert picture.pixels.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("form", FORMATS)
def test_truncated_at_each_tenth(form: str, tmp_path: Path) -> None:
    data = saved(noise(120, 90), form)
    for tenth in range(10):
        path = tmp_path / f"{tenth}.{form.lower()}"
        path.write_bytes(data[: len(data) * tenth // 10])
        assert picture_or_error(path) is None
    assert picture_or_error(data) is not None


def test_the_extension_does_not_matter_and_the_content_does(tmp_path: Path) -> None:
    wrong = tmp_path / "photo.png"
    wrong.write_bytes(saved(noise(), "TIFF"))
    assert np.array_equal(read(wrong).pixels, np.asarray(noise()))
    frames = [Image.new("P", (8, 8), index) for index in range(3)]
    gif = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    refused = [gif, saved(noise(), "EPS"), saved(noise(), "PPM"), saved(noise(), "JPEG2000")]
    refused += [saved(noise(), "ICO"), saved(noise(), "PDF"), b"<svg/>", b"%PDF-1.7", b"\0" * 99]
    for data in refused:
        wrong.write_bytes(data)
        with pytest.raises(ImageError, match=r"^photo\.png is no JPEG, PNG, WebP, TIFF or BMP"):
            read(wrong)


def test_what_is_no_file(tmp_path: Path) -> None:
    refuses_what_is_no_file(read, ImageError, tmp_path, suffix=".png", most=MAX_BYTES)


def chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(kind + body).to_bytes(4, "big")
    return len(body).to_bytes(4, "big") + kind + body + crc


def with_chunks(*chunks: bytes) -> bytes:
    """A good small PNG, with chunks put in after its header."""
    png = saved(noise(), "PNG")
    return png[:33] + b"".join(chunks) + png[33:]


def one_bit(side: int) -> bytes:
    """A PNG of `side` x `side` black pixels, in a few kB."""
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes((side + 7) // 8 + 1) * side, 9)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def directory(tag_size: int) -> bytes:
    """A TIFF directory of 65535 tags, each of which claims the whole of the file."""
    entries = b"".join(struct.pack("<HHII", tag, 1, tag_size, 1) for tag in range(65535))
    return b"II*\0\x08\0\0\0\xff\xff" + entries + bytes(4)


def tiff_with(tag: int, count: int, value: int, kind: int = 4) -> bytes:
    """A good small TIFF of which one entry is written over, in place."""
    data = bytearray(saved(noise(), "TIFF"))
    start = int.from_bytes(data[4:8], "little")
    for pos in range(start + 2, start + 2 + 12 * data[start], 12):
        if int.from_bytes(data[pos : pos + 2], "little") in (tag, 0x011A):  # or one spare
            data[pos : pos + 12] = struct.pack("<HHII", tag, kind, count, value)
            break
    return bytes(data)


def tiled() -> bytes:
    """A TIFF of 16 x 16 pixels in one compressed tile of 60000 x 60000."""
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: 60_000, 323: 60_000}
    tags |= {324: 8, 325: 64}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = struct.pack("<I", 72)
    packed = zlib.compress(bytes(4096)).ljust(64, b"\0")
    return b"II*\0" + start + packed + struct.pack("<H", len(tags)) + entries + bytes(4)


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = saved(Image.new("L", (64, 64)), "JPEG", progressive=True)
    return data[:-2] + data[data.rfind(b"\xff\xda") : -2] * count + b"\xff\xd9"


def run_length_bmp() -> bytes:
    data = bytearray(saved(noise(), "BMP"))
    data[30] = 1
    return bytes(data)


FOLDED = zlib.compress(bytes(50_000_000))  # 50 kB that unfold to 50 MB
REFUSED = {
    "20 kB of 169 megapixels": (lambda: one_bit(13_000), "13000 x 13000"),
    "200 megapixels, where Pillow refuses": (lambda: one_bit(14_200), "pixels: at most 50"),
    "a side too long": (lambda: saved(Image.new("1", (40_000, 1)), "PNG"), "40000 x 1 pixels"),
    "too many chunks": (lambda: with_chunks(chunk(b"tEXt", b"") * 150_000), "parts"),
    "a thousand scans": (lambda: scans(1000), "scans"),
    "too many segments": (lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 150_000, "parts"),
    "64 MB of fill": (lambda: b"\xff\xd8" + b"\xff" * 60_000_000, "parts"),
    "tables that overlap": (lambda: directory(700_000) + bytes(700_000), "is "),
    "a table of 4 GB": (lambda: tiff_with(273, 2**30, 8), "tables too large"),
    "a tile of gigabytes": (tiled, "60000 x 60000"),
    "width as double": (lambda: tiff_with(256, 1, 8, 12), "damaged"),
    "YCbCr as it is": (lambda: saved(noise().convert("YCbCr"), "TIFF"), "uncompressed YCbCr"),
    "compressed bitmap": (run_length_bmp, "compressed BMP"),
}
HARMLESS = {
    "text": lambda: with_chunks(chunk(b"zTXt", b"a\0\0" + FOLDED)),
    "international text": lambda: with_chunks(chunk(b"iTXt", b"a\0\1\0\0\0" + FOLDED)),
    "profile": lambda: with_chunks(chunk(b"iCCP", b"a\0\0" + FOLDED)),
    "exif": lambda: with_chunks(chunk(b"eXIf", directory(600_000))),
    "private tiff tag": lambda: tiff_with(60_000, 2**31, 8),
}


def bounded_read(data: bytes) -> Picture:
    """Read, and hold the memory that Python hands out in the meantime to a few times the file."""
    tracemalloc.start()
    try:
        return read(data)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10_000_000 + 3 * len(data)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:Image size")
def test_bombs_are_refused(name: str) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(ImageError, match=reason):
        bounded_read(make())


@pytest.mark.parametrize("name", HARMLESS)
def test_bombs_beside_the_picture_are_left_behind(name: str) -> None:
    data = HARMLESS[name]()
    assert np.array_equal(bounded_read(data).pixels, np.asarray(noise()))


def test_warnings_and_limits_of_pillow_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Image.MAX_IMAGE_PIXELS
    assert before is not None and before > MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filters = list(warnings.filters)
        with pytest.raises(ImageError, match="at most 50 megapixels"):
            read(one_bit(13_000))
        assert warnings.filters == filters
    assert before == Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # whatever others do to it
    with pytest.raises(ImageError, match="14200 x 14200"):
        read(one_bit(14_200))


def test_hostile_files_in_a_small_process(tmp_path: Path) -> None:
    """The memory of decoders, which Python does not count: 512 MB more serve them all."""
    for index, data in enumerate([one_bit(13_000), tiled(), directory(700_000), one_bit(3_000)]):
        (tmp_path / str(index)).write_bytes(data)
    script = (
        "import resource, sys\n"
        "from apps.images import ImageError, read\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, -1))\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        print(read(path).pixels.shape[0])\n"
        "    except ImageError as error:\n"
        "        print(error)\n"
    )
    paths = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *paths],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert "13000 x 13000" in lines[0] and "60000 x 60000" in lines[1]
    assert lines[3] == "3000"


@pytest.mark.parametrize("start", [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0+"])
def test_random_bytes(start: bytes) -> None:
    rng = np.random.default_rng(0)
    for length in (1, 2, 7, 30, 300, 5000):
        assert picture_or_error(start + rng.bytes(length)) is None


SEEDS = {
    "JPEG": saved(noise(), "JPEG", progressive=True),
    "PNG": saved(noise(channels=4), "PNG"),
    "WEBP": saved(noise(channels=4), "WEBP", lossless=True),
    "TIFF": saved(noise(), "TIFF", compression="tiff_lzw"),
    "BMP": saved(noise().convert("P"), "BMP"),
}


@pytest.mark.filterwarnings("ignore")
@given(
    form=st.sampled_from(FORMATS),
    changes=st.lists(
        st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=4)), min_size=1, max_size=5
    ),
    near_start=st.booleans(),
)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
)
def test_mutated_bytes(form: str, changes: list[tuple[int, bytes]], near_start: bool) -> None:
    """Headers are where the harm is, so half of the examples change only those."""
    data = bytearray(SEEDS[form])
    for place, content in changes:
        at = place % (120 if near_start else len(data))
        data[at : at + len(content)] = content
    picture_or_error(bytes(data))
