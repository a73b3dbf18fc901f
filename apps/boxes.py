"""What a video file says of itself, looked at before any demuxer does.

The format by its first bytes, whether the file is as long as it claims, and how much its tables
would unfold to.
"""

import os
import re
import struct
from typing import BinaryIO

from apps.containers import RefusedError

MAX_SAMPLES = 6_000_000  # that tables may claim: raw sound at 48 kHz has as many in two minutes


def recognise(head: bytes) -> str:
    """The demuxer for a file by its first bytes; left to itself FFmpeg would try playlists too."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    raise RefusedError("is no MP4, MOV, WebM, MKV or AVI inside: save it as MP4")


def check(kind: str, file: BinaryIO, size: int) -> None:
    """Refuse a file of a recognised kind that is cut short or claims more than is read.

    Raises:
        apps.containers.RefusedError: it claims too much.
        ValueError, IndexError, struct.error: it is damaged or cut short.
    """
    _CHECKS[kind](file, size)


def _check_boxes(file: BinaryIO, size: int) -> None:
    """Refuse an MP4 whose tables unfold: 17 kB that claim 50 million frames cost 2 GB and 30 s.

    Wherever outside of the pictures (`mdat`) a table of samples stands, its claim counts.
    """
    position, samples = 0, 0
    while position + 8 <= size:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        elif length == 0:
            length = size - position
        if length < 8 or position + length > size:
            raise ValueError("a box that does not fit the file")
        if kind != b"mdat":
            file.seek(position)
            samples += _claimed_samples(file.read(length))
        position += length
    if samples > MAX_SAMPLES:
        raise RefusedError(
            f"claims {samples} frames and pieces of sound: at most {MAX_SAMPLES} are read, "
            "cut it first"
        )


def _claimed_samples(box: bytes) -> int:
    if b"cmov" in box:
        raise RefusedError("has a compressed header, which is not read: save it anew as MP4")
    # the name, then version and flags; in `stsz` and `stz2` a common size before the count
    places = {b"stsz": 12, b"stz2": 12, b"trun": 8}
    claimed = 0
    for found in re.finditer(b"stsz|stz2|trun", box):
        start = found.start() + places[found[0]]
        claimed += 1 + int.from_bytes(box[start : start + 4], "big")
        if claimed > MAX_SAMPLES:
            break
    return claimed


def _check_segment(file: BinaryIO, size: int) -> None:
    """A Matroska that is cut short ends quietly; but it said how long it would be."""
    file.seek(4)
    header = _vint(file)
    file.seek(0 if header is None else header, os.SEEK_CUR)
    whole = _vint(file) if file.read(4) == b"\x18\x53\x80\x67" else 0
    if whole is not None and file.tell() + whole > size:  # a live recording does not know
        raise ValueError("cut short")


def _vint(file: BinaryIO) -> int | None:
    """A number of EBML (RFC 8794): the zeros before the first one are its further bytes."""
    first = file.read(1)[0]
    further = 8 - first.bit_length()
    value = int.from_bytes(bytes([first]) + file.read(further), "big")
    unknown = (1 << 7 * (further + 1)) - 1
    value &= unknown
    return None if value == unknown else value


def _check_riff(file: BinaryIO, size: int) -> None:
    file.seek(4)
    if int.from_bytes(file.read(4), "little") + 8 > size:
        raise ValueError("cut short")


_CHECKS = {"mov": _check_boxes, "matroska": _check_segment, "avi": _check_riff}
