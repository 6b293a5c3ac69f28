"""Links that dataplat's own server answers. Each holds what it is for, and a signature that only this machine can make.

A link says which cell of which task it shows, not where the file lies; who has it can see that and nothing else, until
it has expired.
"""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from dataplat.errors import LabelServerError

if TYPE_CHECKING:
    from dataplat.labeling.label_studio._state import State

STEP = 3600.0
"""Links expire at whole hours, so that a task that is pushed twice holds the same link."""
_SIGNED = 16
"""Bytes of a signature (of HMAC-SHA-256)."""


class Media(msgspec.Struct, frozen=True, array_like=True):
    """What a link to media shows: a column of the row that a task asks about, until a time."""

    lake: str
    queue: str
    branch: str
    task: str
    column: str
    until: int


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """Whom a link lets in."""

    name: str
    email: str


Named = TypeVar("Named", Media, Entry)


def sign(named: Media | Entry, state: State) -> str:
    """Return it as a text that fits into a URL, signed."""
    body = msgspec.json.encode(named)
    return urlsafe_b64encode(_signature(named, body, state) + body).rstrip(b"=").decode("ascii")


def read(token: str, kind: type[Named], state: State) -> Named | None:
    """Return what a text holds; None where nobody here signed it as such."""
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        named = msgspec.json.decode(raw[_SIGNED:], type=kind)
    except ValueError:
        return None
    return named if hmac.compare_digest(raw[:_SIGNED], _signature(named, raw[_SIGNED:], state)) else None


def _signature(named: Media | Entry, body: bytes, state: State) -> bytes:
    key = state.derived(f"links to {type(named).__name__.lower()}")
    return hmac.digest(key, body, "sha256")[:_SIGNED]


def hook_secret(queue: str, state: State) -> str:
    """Return what a webhook of a queue has to say to be believed."""
    return state.derived(f"webhook of {queue}").hex()


# -------------------------------------------------------------------------------------------------- of who is in force


def media_link(lake: str, queue: str, branch: str, task: str, column: str, seconds: float) -> str:
    """Return a link to the picture or sound in a column of a task's row, good for so long (an hour more at most).

    Raises:
        LabelServerError: dataplat's own server, which would answer it, does not run.
    """
    state, base = _in_force()
    lake = lake if "://" in lake else str(Path(lake).absolute())  # the server runs in another folder
    until = int(-(-(time.time() + seconds) // STEP) * STEP)
    return f"{base}/media/{sign(Media(lake, queue, branch, task, column, until), state)}"


def enter_link(name: str, email: str) -> str:
    """Return the one link to send to an annotator: it logs them in, and leads to what they are asked.

    Raises:
        LabelServerError: dataplat's own server, which would answer it, does not run.
    """
    state, base = _in_force()
    return f"{base}/enter/{sign(Entry(name, email), state)}"


def hook_link(queue: str) -> tuple[str, str]:
    """Return where Label Studio tells that a queue was answered, and the secret that it has to say.

    Raises:
        LabelServerError: dataplat's own server, which would answer it, does not run.
    """
    from urllib.parse import quote

    state, base = _in_force()
    return f"{base}/hook/{quote(queue, safe='')}", hook_secret(queue, state)


def _in_force() -> tuple[State, str]:
    return _looked_up(int(time.monotonic() // 5))


@lru_cache(maxsize=1)
def _looked_up(_moment: int) -> tuple[State, str]:
    """Return secrets and address, looked up every few seconds: a push makes thousands of links."""
    from dataplat.labeling.connect import find_address
    from dataplat.labeling.label_studio._state import load_or_make

    base = find_address().serve_url
    if base is None:
        raise LabelServerError(
            "dataplat's own server, which shows pictures to annotators, does not run: `dataplat label server start`; "
            "where another machine serves them, name it: [label] serve_url in dataplat.toml"
        )
    return load_or_make(), base
