"""Where an object lies in a store, and whether its bytes are the ones that were written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from dataplat.errors import BadReference, IntegrityError, ObjectNotFound

if TYPE_CHECKING:
    from dataplat.lake.stores import Bytes, Store

FOLDER = "objects"
_HEX = re.compile(r"[0-9a-f]*")
GENERATION = "~"
"""Stands between the name of an object and the token of a generation."""
_TOKEN = 8
_SHORTEST = 12
"""Hex digits that name an object well enough: by chance two of a million objects share them once in 500 lakes."""


def object_key(object_id: str, suffix: str) -> str:
    """Return the key of an object: `objects/ab/cdef….parquet`; suffix `.parquet`, `.json` or `.bin`."""
    return f"{FOLDER}/{object_id[:2]}/{object_id[2:]}{suffix}"


def generation_key(object_id: str, suffix: str, token: str) -> str:
    """Return another key of an object, for when its plain one is being collected: `objects/ab/cdef…~01234567.parquet`.

    No collection knows such a key: `token` is of random hex digits (the first 8 are taken).
    """
    return object_key(object_id, f"{GENERATION}{token[:_TOKEN]}{suffix}")


def parse_key(key: str) -> tuple[str, str] | None:
    """Return (id, suffix) of the object that lies under `key`, whichever generation; None if it is no object's key."""
    folder, _, rest = key.partition("/")
    name, dot, suffix = rest.replace("/", "", 1).partition(".")
    object_id = name.partition(GENERATION)[0]
    if folder != FOLDER or not dot or "." in suffix or len(object_id) != 64 or not _HEX.fullmatch(object_id):
        return None
    return object_id, dot + suffix


def generations(store: Store, object_id: str, suffix: str) -> Iterator[str]:
    """Yield the keys of the generations of an object that are in `store`."""
    return (e.key for e in store.list(object_key(object_id, GENERATION)) if e.key.endswith(suffix))


def read_object(store: Store, object_id: str, suffix: str, byte_range: tuple[int, int] | None = None) -> bytes:
    """Return the bytes (or a range) under the plain key of an object, or, without one, under one of its generations."""
    try:
        return store.read(object_key(object_id, suffix), byte_range)
    except ObjectNotFound:  # its plain key was being collected when it was written again
        for key in generations(store, object_id, suffix):
            with suppress(ObjectNotFound):
                return store.read(key, byte_range)
        raise


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
