"""Who asks, by API key (`Authorization: Bearer KEY`), and whether they may."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dataplat.errors import ConfigError
from dataplat.server._problems import Problem
from dataplat.server._settings import SCOPES, Key

SHORTEST: Final = 16
"""Characters of a key below which it could be guessed."""
_CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="dataplat"'),)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may ask: the name of their key, and what it is for."""

    name: str
    scopes: frozenset[str]


ANYBODY: Final = Caller("", frozenset(SCOPES))
"""Who asks where there are no keys, which is on the loopback only."""


class Keyring:
    """The keys, as hashes that only this process can make: neither memory nor timing tells a key.

    Args:
        keys: by name; read from where they lie, once.

    Raises:
        ConfigError: One cannot be read, is too short, or is the same as another.
    """

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self._salt = secrets.token_bytes(32)
        self._known: list[tuple[bytes, Caller]] = []
        for name, key in keys.items():
            text = key.secret.reveal()
            if len(text) < SHORTEST or not text.isascii() or any(character.isspace() for character in text):
                raise ConfigError(f"{key.secret.name}: a key is {SHORTEST} ASCII characters or more, without spaces")
            hashed = self._hashed(text.encode("ascii"))
            if any(hashed == other for other, _ in self._known):
                raise ConfigError(f"{key.secret.name}: another name has the same key; a key tells who asks")
            self._known.append((hashed, Caller(name, key.scopes)))

    def _hashed(self, key: bytes) -> bytes:
        return hashlib.blake2b(key, key=self._salt, digest_size=32).digest()

    def caller(self, authorization: bytes | None, scope: str) -> Caller:
        """Return who asks.

        Args:
            authorization: the header.
            scope: what they ask for.

        Raises:
            Problem: 401 without a key, or with a wrong one; 403 where it is not for that.
        """
        if not self._known:
            return ANYBODY
        found: Caller | None = None
        if authorization is not None and authorization[:7].lower() == b"bearer ":
            hashed = self._hashed(authorization[7:].strip())
            for known, caller in self._known:  # all of them, found or not
                if hmac.compare_digest(known, hashed):
                    found = caller
        if found is None:
            what = "no API key came with the request" if authorization is None else "the API key is not known here"
            raise Problem("unauthorized", f"{what}: send Authorization: Bearer KEY", headers=_CHALLENGE)
        if scope not in found.scopes:
            held = ", ".join(sorted(found.scopes))
            raise Problem("forbidden", f"the key of {found.name} is for {held}, and not for {scope}")
        return found
