"""Results remembered under (computation, part, deletes): losing them costs time only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dataplat.errors import ObjectExists, StoreError
from dataplat.lake.stores._address import Address
from dataplat.lake.stores._protocol import Store


def computation_id(name: str, code_version: int, **parameters: object) -> str:
    """Return the id of a computation: a hash of its name, the version of its code and its parameters."""
    text = json.dumps([name, code_version, parameters], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Memos:
    """Remembers JSON values, and bytes, beside a lake's objects, each entry with its own hash.

    A torn, damaged or foreign entry is as good as none: the value is computed again. A store that
    refuses (read-only, full, no answer) makes the memo useless, never the work that asked for it.
    """

    store: Store

    def __reduce__(self) -> tuple[Callable[[Address], Memos], tuple[Address]]:
        return _at, (Address.of(self.store),)

    def get(self, computation: str, part: str, deletes: str | None = None) -> Any | None:
        """Return the remembered value, or None."""
        body = self._read(_key(computation, part, deletes))
        try:
            return None if body is None else json.loads(body)
        except ValueError:
            return None

    def put(self, value: object, computation: str, part: str, deletes: str | None = None) -> None:
        """Remember `value`, unless somebody did already."""
        self._write(_key(computation, part, deletes), json.dumps(value, separators=(",", ":")).encode())

    def get_bytes(self, computation: str, part: str, deletes: str | None = None) -> bytes | None:
        """Return remembered bytes, or None."""
        return self._read(_key(computation, part, deletes, ".bin"))

    def put_bytes(self, value: bytes, computation: str, part: str, deletes: str | None = None) -> None:
        """Remember bytes, unless somebody did already."""
        self._write(_key(computation, part, deletes, ".bin"), value)

    def remembered(
        self, computation: str, part: str, deletes: str | None, compute: Callable[[], Mapping[str, Any] | str]
    ) -> Any:
        """Return the remembered value, or compute and remember it."""
        value = self.get(computation, part, deletes)
        if value is None:
            value = compute()
            self.put(value, computation, part, deletes)
        return value

    def _read(self, key: str) -> bytes | None:
        try:
            head, body = self.store.read(key).split(b"\n", 1)
        except (StoreError, ValueError):
            return None
        return body if _seal(key, body) == head else None

    def _write(self, key: str, body: bytes) -> None:
        entry = _seal(key, body) + b"\n" + body
        try:
            self.store.create(key, entry)
        except ObjectExists:
            self._mend(key, entry)
        except StoreError:
            return

    def _mend(self, key: str, entry: bytes) -> None:
        """Replace an entry that is there but cannot be read."""
        try:
            if self.store.read(key) != entry:
                self.store.delete(key)
                self.store.create(key, entry)
        except StoreError:
            return


def _at(address: Address) -> Memos:
    return Memos(address.open())


def _seal(key: str, body: bytes) -> bytes:
    """Return the hash of an entry and of where it lies, so that one moved to another's place is no answer there."""
    return hashlib.sha256(key.encode() + b"\n" + body).hexdigest().encode()


def _key(computation: str, part: str, deletes: str | None, suffix: str = ".json") -> str:
    return f"memo/{computation}/{part[:2]}/{part[2:]}{'.' + deletes[:32] if deletes else ''}{suffix}"


def is_whole(key: str, entry: bytes) -> bool:
    """Return whether `entry` is what was remembered at `key`, for who checks a store."""
    head, _, body = entry.partition(b"\n")
    return head == _seal(key, body)
