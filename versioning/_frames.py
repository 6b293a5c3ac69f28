"""JSON documents as one object of zstd frames, of which a reader decodes only those that it needs.

`zstd -dc` of the object prints the documents one after the other, one a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import local
from typing import Final

import zstandard

from dataplat.errors import IntegrityError

_LEVEL: Final = 3
_MAX_FRAME: Final = 1 << 30
_threads = local()


def pack(documents: Sequence[bytes]) -> list[bytes]:
    """Compress each document, with a newline behind it, to a frame of its own."""
    compressor = getattr(_threads, "compressor", None)
    if compressor is None:
        compressor = _threads.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True)
    return [compressor.compress(document + b"\n") for document in documents]


def unpack(data: bytes | memoryview, what: str) -> bytes:
    """Return the document in the first frame of `data`; raise `IntegrityError` naming `what` if it is none."""
    decompressor = getattr(_threads, "decompressor", None)
    if decompressor is None:
        decompressor = _threads.decompressor = zstandard.ZstdDecompressor()
    try:
        document: bytes = decompressor.decompress(data, max_output_size=_MAX_FRAME, allow_extra_data=True)
    except zstandard.ZstdError as error:
        raise IntegrityError(f"{what} is not readable as zstd: {error}. Run `dataplat version verify`.") from error
    return document
