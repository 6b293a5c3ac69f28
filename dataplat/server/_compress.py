"""Answers are compressed where whoever asks takes that, and there is enough of them: zstd before gzip."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import Final

LEAST: Final = 1024
"""Bytes below which an answer is sent as it is."""
_ZSTD_LEVEL: Final = 1
_GZIP_LEVEL: Final = 1
_PIECE: Final = re.compile(r"\s*([!#$%&'*+.^_`|~0-9a-z-]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")


@lru_cache(maxsize=256)
def accepted(header: bytes) -> str | None:
    """Return which of zstd and gzip an `Accept-Encoding` prefers (RFC 9110, 12.5.3); None for neither."""
    weights: dict[str, float] = {}
    for piece in header.decode("latin-1").lower().split(","):
        if (match := _PIECE.fullmatch(piece)) is not None:
            weights[match[1]] = float(match[2] or 1)
    rest = weights.get("*", 0.0)
    zstd, gzip = weights.get("zstd", rest), weights.get("gzip", weights.get("x-gzip", rest))
    if max(zstd, gzip) <= 0:
        return None
    return "zstd" if zstd >= gzip else "gzip"


def compressed(body: bytes, coding: str) -> bytes:
    """Return a body in a coding."""
    if coding == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()
