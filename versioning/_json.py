"""Canonical JSON: one value, one text, so that a hash of it is a name for the value."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec


def canonical(value: Any) -> bytes:
    """Return `value` as JSON with sorted keys and no white space, UTF-8."""
    return msgspec.json.encode(value, order="sorted")


def object_id(data: bytes) -> str:
    """Return the name of an object: the SHA-256 of its bytes in hex."""
    return sha256(data).hexdigest()
