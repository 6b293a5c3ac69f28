"""What a link to media gives: bytes and their kind, whole or in the range that players of sound and film ask for."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from dataplat.errors import LabelError, StoreError

CHUNK = 1 << 20
SMALLEST = 512
"""Bytes of a picture below which Label Studio may take it for a broken one (84 it does, 156 it does not)."""
PADDED = frozenset({"image/png", "image/jpeg", "image/gif"})
SHOWN = ("image/", "audio/", "video/", "text/", "application/pdf", "application/json", "application/xml")
"""Kinds that are shown. Whatever else a column names, keys or databases, say, goes to nobody."""
_MAGIC: tuple[tuple[bytes, int, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF8", 0, "image/gif"),
    (b"BM", 0, "image/bmp"),
    (b"II*\x00", 0, "image/tiff"),
    (b"MM\x00*", 0, "image/tiff"),
    (b"WEBP", 8, "image/webp"),
    (b"WAVE", 8, "audio/wav"),
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
    (b"fLaC", 0, "audio/flac"),
    (b"OggS", 0, "audio/ogg"),
    (b"ftyp", 4, "video/mp4"),
    (b"\x1aE\xdf\xa3", 0, "video/webm"),
    (b"%PDF-", 0, "application/pdf"),
)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class NoMedia(LabelError):
    """What a link names is not there (any more), or is nothing to be shown."""


@dataclass(frozen=True, slots=True)
class Found:
    """Media: how many bytes, what kind, and a function that reads from a byte to another."""

    size: int
    kind: str
    read: Callable[[int, int], bytes]


Finder: TypeAlias = Callable[..., Found]


def kind_of(name: str, head: bytes) -> str:
    """Return the media type, by the first bytes, else by the name.

    Raises:
        NoMedia: it is none that is shown.
    """
    for magic, at, kind in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return kind
    guessed = mimetypes.guess_type(name)[0] or ""
    if not guessed.startswith(SHOWN):
        raise NoMedia("neither its first bytes nor its name say that it is a picture, a sound, a film or a text")
    return guessed


def of_bytes(data: bytes, name: str = "") -> Found:
    """Return bytes as media."""
    return Found(len(data), kind_of(name, data[:16]), lambda start, stop: data[start:stop])


def large_enough(found: Found) -> Found:
    """Return a tiny picture with zeros behind its end, which no decoder reads: Label Studio shows none of 84 bytes."""
    if found.size >= SMALLEST or found.kind not in PADDED:
        return found
    data = found.read(0, found.size).ljust(SMALLEST, b"\0")
    return Found(len(data), found.kind, lambda start, stop: data[start:stop])


def of_place(place: str, folder: Path) -> Found:
    """Return what lies at a path (relative to a folder) or at an `s3://`, `gs://` or `hdfs://` URL.

    Raises:
        NoMedia: there is nothing, or nothing that is shown.
    """
    if "://" in place and not place.startswith("file://"):
        return _far(place)
    path = folder / Path(place.removeprefix("file://")).expanduser()
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise NoMedia("it is no file")
        found = Found(size, kind_of(path.name, _read(path, 0, 16)), lambda start, stop: _read(path, start, stop))
    except OSError as error:
        raise NoMedia(f"it cannot be read: {error.strerror}") from error
    return found


def _read(path: Path, start: int, stop: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)


def _far(url: str) -> Found:
    from dataplat.lake.stores._far_files import far_files

    try:
        files, key = far_files(url)
        state = files.state(key)
        head = files.get(state, 0, min(16, state.size))
    except StoreError as error:
        raise NoMedia(f"it cannot be read: {error}") from error
    return Found(state.size, kind_of(url, head), lambda start, stop: files.get(state, start, stop))


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the bytes that a `Range` header asks for, (first, after the last); None for all of them.

    Raises:
        ValueError: there are no such bytes.
    """
    match = _RANGE.fullmatch((header or "").strip())
    if match is None or match[1] == match[2] == "":  # several ranges, or another unit: all may be sent
        return None
    if match[1] == "":
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
    if start >= stop:
        raise ValueError(f"no bytes {header} of {size}")
    return start, stop
