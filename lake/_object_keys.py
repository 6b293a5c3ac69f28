"""Where an object lies in a store, and whether its bytes are the ones that were written."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from dataplat.errors import BadReference, IntegrityError

if TYPE_CHECKING:
    from dataplat.lake.stores import Bytes

FOLDER = "objects"
_HEX = re.compile(r"[0-9a-f]*")
_SHORTEST = 12
"""Hex digits that name an object well enough: by chance two of a million objects share them once in 500 lakes."""


def object_key(object_id: str, suffix: str) -> str:
    """Return the key of an object: `objects/ab/cdef….parquet`; suffix `.parquet`, `.json` or `.bin`."""
    return f"{FOLDER}/{object_id[:2]}/{object_id[2:]}{suffix}"


def object_prefix(digits: str) -> str:
    """Return the prefix of the keys of objects whose id begins with `digits`; raise `BadReference` if unfit."""
    if not _SHORTEST <= len(digits) <= 64 or not _HEX.fullmatch(digits):
        raise BadReference(f"{digits!r} is no beginning of an id: give {_SHORTEST} to 64 digits, 0-9 and a-f")
    return object_key(digits, "")


def check(object_id: str, data: Bytes, where: str) -> None:
    """Raise `IntegrityError` unless the SHA-256 of `data` is `object_id`."""
    found = hashlib.sha256(data).hexdigest()
    if found != object_id:
        raise IntegrityError(
            f"{where} is damaged: its {len(data):,} bytes have the SHA-256 {found}, not the one it is named by. "
            "Restore it from a copy of the lake (any file of that SHA-256 will do), or roll back to a version without it"
        )
