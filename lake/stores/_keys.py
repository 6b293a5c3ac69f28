"""What may be the key of an object."""

from __future__ import annotations

import re

from dataplat.errors import StoreError

STAGING = "tmp"
"""The first segment that no key may have: where a local store keeps files that are not objects yet."""

_LONGEST = 1024
_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[ -.0-\[\]-~]{1,255}"
_KEY = re.compile(rf"(?!{STAGING}(?:/|\Z)){_SEGMENT}(?:/{_SEGMENT})*")


def check_key(key: str) -> None:
    """Raise `StoreError` unless `key` is relative, of printable ASCII, and stays inside the store.

    Segments are 1 to 255 characters, the whole at most 1,024 (the limits of file systems and of S3); a backslash,
    `.`, `..`, an empty segment and the first segment `tmp` are refused, so that one key means one thing everywhere.
    """
    if len(key) > _LONGEST or not _KEY.fullmatch(key):
        raise StoreError(
            f"{key!r} cannot be the key of an object: keys are relative, of printable ASCII without backslash, with no "
            f"empty, '.' or '..' segment, do not begin with '{STAGING}/', and are at most {_LONGEST} characters long"
        )


def check_prefix(prefix: str) -> None:
    """Raise `StoreError` unless `prefix` can be the beginning of a key (the empty one can)."""
    if prefix:
        check_key(prefix.removesuffix("/"))
