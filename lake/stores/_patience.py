"""How long one request over HTTP may take: longer for more bytes, and never for ever."""

from __future__ import annotations

SLOWEST = 256 << 10
"""Bytes a second below which a request is given up, once it has taken longer than the time-out."""


def patience(timeout: float, sent: int, span: bytes | str | None) -> float:
    """Return the seconds of a request that sends so many bytes and asks for those of the header `Range`.

    A time-out between two packets is not enough: a server that is stopped takes in what the system's buffers hold,
    and who waits to send the rest is not reading.
    """
    return timeout + max(sent, _asked(span)) / SLOWEST


def _asked(span: bytes | str | None) -> int:
    if not span:
        return 0
    start, _, last = (span.decode() if isinstance(span, bytes) else span).removeprefix("bytes=").partition("-")
    return int(last) + 1 - int(start)


__all__ = ["patience"]
