"""What the header of a request says, and its body, read within bounds."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from itertools import count
from typing import Any, Final, TypeAlias

from dataplat.server._problems import Problem

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BEGAN: Final = "dataplat.began"
"""In the scope of a request: when its first byte was here, by `time.perf_counter`."""
REQUEST_ID: Final = b"x-request-id"
DEADLINE: Final = b"dataplat-deadline-ms"
_ID: Final = re.compile(rb"[A-Za-z0-9._~:/+=-]{1,128}")
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_OWN: Final = f"{os.urandom(6).hex()}-"
_numbers: Final = count(1)


class Gone(Exception):
    """Whoever asked went away."""


def request_id(headers: Mapping[bytes, bytes]) -> str:
    """Return the id of a request: the caller's own where it is a plain word, else a new one."""
    given = headers.get(REQUEST_ID)
    if given is not None and _ID.fullmatch(given):
        return given.decode("ascii")
    return f"{_OWN}{next(_numbers):x}"


def deadline(headers: Mapping[bytes, bytes], usual: float) -> float:
    """Return in how many seconds an answer is worth something: `Dataplat-Deadline-Ms`, or what is usual if that is less.

    Raises:
        Problem: The header is no number of milliseconds.
    """
    given = headers.get(DEADLINE)
    if given is None:
        return usual
    if not _DIGITS.fullmatch(given) or int(given) == 0:
        detail = "Dataplat-Deadline-Ms is a whole number of milliseconds, above 0"
        raise Problem("invalid", detail, field="header Dataplat-Deadline-Ms")
    return min(int(given) / 1000, usual)


def check_coding(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a body in a coding: what it would grow to is not known before."""
    coding = headers.get(b"content-encoding")
    if coding is not None and coding.lower() not in (b"identity", b""):
        detail = "a body is sent as it is, without Content-Encoding"
        raise Problem("unsupported-media-type", detail, field="header Content-Encoding")


async def body_of(headers: Mapping[bytes, bytes], receive: Receive, most: int) -> bytes:
    """Return the body of a request.

    Raises:
        Problem: It is larger than `most` bytes, by what its header says or by what came, or in a coding.
        Gone: The connection was closed before it was whole.
    """
    check_coding(headers)
    told = headers.get(b"content-length")
    if told is not None and (len(told) > 18 or not told.isdigit() or int(told) > most):
        raise _too_large(most)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > most:
            raise _too_large(most)
        return body
    pieces, size = [body], len(body)
    while message.get("more_body", False):
        if size > most:
            raise _too_large(most)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
    if size > most:
        raise _too_large(most)
    return b"".join(pieces)


def _too_large(most: int) -> Problem:
    return Problem("too-large", f"a body is of at most {most:,} bytes: ask in several", more={"max_bytes": most})
