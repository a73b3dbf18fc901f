"""What of an untrusted picture file may reach the decoder: the picture, never its metadata.

Most tricks against image decoders sit beside the pixels: compressed text that unfolds to
gigabytes, directories whose every entry claims the whole file, thousands of empty scans. So the
container is walked here first, in bounded time, and only what makes the picture is passed on.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PARTS = 100_000  # segments, chunks or directory entries; 64 MB in pieces of 1 kB stay below it
MAX_SCANS = 100  # of a progressive JPEG; usual are ten, and libtiff draws its line here as well
MAX_BLOB = 4 << 20  # bytes of one TIFF table or colour profile; a large CMYK profile has 2 MB

_FORMATS = "JPEG, PNG, WebP, TIFF or BMP"
_ORIENTATION = 0x0112


class RefusedError(ValueError):
    """A file that is not passed on; the text says why, to be read after the file's name."""


@dataclass(frozen=True)
class Container:
    """A file reduced to its picture: `format` as Pillow names it, and what was read on the way."""

    format: str
    data: bytes
    orientation: int = 1
    icc: bytes | None = None


def strip(data: bytes) -> Container:
    """Recognise a picture by its first bytes and keep only what is needed to decode it.

    Formats: JPEG, PNG, WebP, TIFF, BMP. Animations are reduced to their first frame where the
    container allows it. `orientation` is the EXIF orientation, 1 to 8. Raises `RefusedError`.

    Example:
        >>> strip(b"GIF89a...")
        Traceback (most recent call last):
        apps.containers.RefusedError: is no JPEG, PNG, WebP, TIFF or BMP inside: save it as one
    """
    try:
        if data[:3] == b"\xff\xd8\xff":
            return _jpeg(data)
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            return _png(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _tiff(data)
        if data[:2] == b"BM":
            return _bmp(data)
    except (struct.error, IndexError):
        raise RefusedError("is damaged or cut short: get the file anew") from None
    raise RefusedError(f"is no {_FORMATS} inside: save it as one")


def _count_parts(parts: int) -> None:
    if parts > MAX_PARTS:
        raise RefusedError(f"has more than {MAX_PARTS} parts: save it anew from an image editor")


def _jpeg(data: bytes) -> Container:
    kept, orientation, parts, pos = [data[:2]], 1, 0, 2
    while True:
        _count_parts(parts := parts + 1)
        found = data.find(b"\xff", pos)  # stray bytes between segments are passed over
        pos = found if found >= 0 else len(data)
        marker = data[pos + 1]
        if marker == 0xDA:  # start of scan: from here on it is picture
            break
        if marker == 0xFF or marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # without a length
            pos += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, pos + 2)
        segment = data[pos : pos + 2 + length]
        if _needed_to_decode(marker, segment):
            kept.append(segment)
        elif marker == 0xE1 and segment[4:10] == b"Exif\0\0" and orientation == 1:
            orientation = _exif_orientation(segment[4:])
        pos += 2 + max(length, 2)
    if data.count(b"\xff\xda", pos) > MAX_SCANS:
        raise RefusedError(f"has more than {MAX_SCANS} scans: save it anew as a plain JPEG")
    kept.append(data[pos:])
    return Container("JPEG", b"".join(kept), orientation)


def _needed_to_decode(marker: int, segment: bytes) -> bool:
    tables = 0xC0 <= marker <= 0xCF or marker in (0xDB, 0xDC, 0xDD)
    header = marker in (0xE0, 0xEE)  # JFIF, and Adobe's note on the colour space
    profile = marker == 0xE2 and segment[4:16] == b"ICC_PROFILE\0"
    return tables or header or profile


def _png(data: bytes) -> Container:
    kept, orientation, icc, parts, pos = [data[:8]], 1, None, 0, 8
    while pos + 8 <= len(data):
        _count_parts(parts := parts + 1)
        length, kind = struct.unpack_from(">I4s", data, pos)
        end = pos + 12 + length
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append(data[pos:end])
        elif kind == b"eXIf":
            orientation = _exif_orientation(data[pos + 8 : end - 4])
        elif kind == b"iCCP":
            icc = _png_profile(data[pos + 8 : end - 4])
        if kind == b"IEND":
            break
        pos = end
    return Container("PNG", b"".join(kept), orientation, icc)


def _png_profile(body: bytes) -> bytes | None:
    _name, _, packed = body.partition(b"\0")
    unpack = zlib.decompressobj()
    try:
        profile = unpack.decompress(packed[1:], MAX_BLOB)
    except zlib.error:
        return None
    return profile if unpack.eof else None


def _webp(data: bytes) -> Container:
    orientation, parts, pos = 1, 0, 12
    while pos + 8 <= len(data):
        _count_parts(parts := parts + 1)
        kind, length = struct.unpack_from("<4sI", data, pos)
        if kind == b"EXIF":
            orientation = _exif_orientation(data[pos + 8 : pos + 8 + length])
        pos += 8 + length + length % 2
    return Container("WEBP", data, orientation)


def _bmp(data: bytes) -> Container:
    header, compression = struct.unpack_from("<I12xI", data, 14)
    if header > 12 and compression not in (
        0,
        3,
        6,
    ):  # plain, with bit fields, with alpha bit field
        raise RefusedError("is a compressed BMP, which is not read: save it as PNG")
    return Container("BMP", data)


@dataclass(frozen=True)
class _Entry:
    tag: int
    size: int  # of the value, in bytes
    raw: bytes  # as it stands in the directory
    short: int  # the value, if it is one 16-bit number


# What describes the samples, strips and tiles; JPEG inside TIFF; YCbCr; the colour profile.
_SAMPLES = [*range(254, 260), 262, 266, 273, *range(277, 280), 284, 292, 293, 317, 320, 332, 338]
_TILES_AND_JPEG = [*range(322, 326), 339, 347, *range(512, 522), *range(529, 533)]
_TIFF_TAGS = frozenset([*_SAMPLES, *_TILES_AND_JPEG, 34675])
_TIFF_TYPE_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def _directory(data: bytes) -> Iterator[_Entry]:
    """The entries of the first directory of a TIFF, which is also the form of EXIF."""
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    (start,) = struct.unpack_from(order + "Q" if big else order + "I", data, 8 if big else 4)
    if start >= len(data):  # also what no C integer could hold
        raise RefusedError("is damaged or cut short: get the file anew")
    (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    _count_parts(entries)
    layout = struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
    start += 8 if big else 2
    for pos in range(start, start + entries * layout.size, layout.size):
        tag, kind, count, value = layout.unpack_from(data, pos)
        size = count * _TIFF_TYPE_SIZES.get(kind, 1)
        (short,) = struct.unpack_from(order + "H", value)
        yield _Entry(tag, size, data[pos : pos + layout.size], short)


def _tiff(data: bytes) -> Container:
    """The first picture under a new directory of only the tags that decoding needs."""
    kept, short, claimed = {}, {_ORIENTATION: 1}, 0
    for entry in _directory(data):
        short[entry.tag] = entry.short
        if entry.tag not in _TIFF_TAGS:
            continue
        kept[entry.tag] = entry.raw
        claimed += entry.size
        if entry.size > MAX_BLOB or claimed > len(data):
            raise RefusedError("is a TIFF with tables too large to be true: save it anew as PNG")
    if (short.get(259), short.get(262)) == (1, 6):  # Pillow takes its three bytes for four
        raise RefusedError("is an uncompressed YCbCr TIFF, which is not read: save it as PNG")
    order, big = ("<" if data[:2] == b"II" else ">"), 43 in data[2:4]
    body = data + b"\0" * (len(data) % 2)
    head = data[:8] + struct.pack(order + "Q", len(body)) if big else data[:4]
    head += b"" if big else struct.pack(order + "I", len(body))
    table = struct.pack(order + ("Q" if big else "H"), len(kept)) + b"".join(kept.values())
    last = bytes(8 if big else 4)  # no further directory: one frame
    return Container("TIFF", head + body[len(head) :] + table + last, short[_ORIENTATION])


def _exif_orientation(exif: bytes) -> int:
    """The orientation of an EXIF block; 1, as it stands, where there is none to be understood."""
    try:
        for entry in _directory(exif.removeprefix(b"Exif\0\0")):
            if entry.tag == _ORIENTATION:
                return entry.short
    except (struct.error, RefusedError):
        pass
    return 1
